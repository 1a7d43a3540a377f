//! PURE  Refresh (RFC 8656 §8.2): extends the lifetime of an allocation, or deletes it.

use std::time::Duration;

use stun::attributes::{ATTR_LIFETIME, ATTR_REQUESTED_ADDRESS_FAMILY};
use turn::proto::lifetime::Lifetime;

use crate::outcome::{AllocationEnding, Refusal};
use crate::relay::engine::Engine;
use crate::relay::engine::allocate::{lifetime, until};
use crate::relay::engine::authenticate::Authenticated;
use crate::relay::engine::reply::Attributes;
use crate::relay::engine::seam::{OpenPort, Ports};

impl Engine {
    pub(super) fn refresh(
        &mut self,
        request: &Authenticated<'_>,
        ports: &mut impl Ports,
    ) -> Result<Attributes, Refusal> {
        let id = self.owned(request)?;
        let message = request.message();
        let family = message.value::<4>(ATTR_REQUESTED_ADDRESS_FAMILY)?.map(|value| value[0]);
        let ends = message.value(ATTR_LIFETIME)?.map(u32::from_be_bytes) == Some(0);
        let lifetime = if ends { 0 } else { lifetime(request, &self.settings.limits.configured)? };
        if !ends {
            self.check_day(&request.account().owner(), request.now().unix)?;
        }
        let now = request.now().moment;

        let allocation = self.allocations.get_mut(id).ok_or(Refusal::AllocationMismatch)?;
        let meant = |relay: &OpenPort| family.is_none_or(|number| relay.family().number() == number);
        let mut relays: Vec<_> = allocation.relays.iter_mut().filter(|(relay, _)| meant(relay)).collect();
        if relays.is_empty() {
            return Err(Refusal::FamilyMismatch);
        }
        // The two addresses of a dual allocation expire independently (RFC 8656 §8.1).
        let expires = if ends { now } else { until(now, lifetime) };
        for (_, expiry) in &mut relays {
            *expiry = expires;
        }
        allocation.lease.touch(now);
        self.drop_expired(id, now);
        self.reschedule(id);
        if ends {
            self.expire_allocation(id, AllocationEnding::Deleted, now, ports);
        }
        Ok(vec![Box::new(Lifetime(Duration::from_secs(u64::from(lifetime))))])
    }
}
