//! PURE  CreatePermission (RFC 8656 §10.2): installs permissions for all peers of a request, or for none.

use std::net::IpAddr;
use std::time::Duration;

use stun::attributes::ATTR_XOR_PEER_ADDRESS;

use crate::clock::Moment;
use crate::outcome::Refusal;
use crate::relay::address::PeerAddr;
use crate::relay::engine::Engine;
use crate::relay::engine::allocation::{AllocationId, PERMISSION_LIFETIME, Permission};
use crate::relay::engine::authenticate::Authenticated;
use crate::relay::engine::reply::Attributes;
use crate::relay::engine::seam::Ports;

impl Engine {
    pub(super) fn create_permission(
        &mut self,
        request: &Authenticated<'_>,
        ports: &impl Ports,
    ) -> Result<Attributes, Refusal> {
        let id = self.owned(request)?;
        let peers = peers(request)?;
        let allocation = self.allocations.get(id).ok_or(Refusal::AllocationMismatch)?;
        if peers.iter().any(|peer| allocation.relay(peer.family()).is_none()) {
            return Err(Refusal::FamilyMismatch);
        }
        // Every peer is judged: one that is allowed does not make another one allowed.
        peers.iter().try_for_each(|peer| self.may_permit(peer.ip(), allocation.transport, ports))?;
        let mut ips: Vec<IpAddr> = peers.iter().map(|peer| peer.ip()).collect();
        ips.sort_unstable();
        ips.dedup();
        self.permit(id, &ips, request.now().moment, PERMISSION_LIFETIME)?;
        Ok(Attributes::new())
    }

    /// Installs or refreshes the permissions for `ips`, which are distinct: all of them or none. A refresh never
    /// shortens a permission.
    pub(super) fn permit(
        &mut self,
        id: AllocationId,
        ips: &[IpAddr],
        now: Moment,
        lifetime: Duration,
    ) -> Result<(), Refusal> {
        self.drop_permissions(id, |permission| permission.until <= now);
        let allocation = self.allocations.get_mut(id).ok_or(Refusal::AllocationMismatch)?;
        let new = ips.iter().filter(|ip| allocation.permitted_until(**ip).is_none()).count();
        if allocation.permissions.len() + new > self.settings.limits.configured.permissions.get() as usize {
            return Err(Refusal::Permissions);
        }
        if new > 0 && !allocation.new_peers.take(self.settings.limits.new_peers, new as u64, now) {
            return Err(Refusal::PeerRate);
        }
        allocation.peers = allocation.peers.saturating_add(new as u32);
        let until = now + lifetime;
        for ip in ips {
            match allocation.permissions.iter_mut().find(|permission| permission.ip == *ip) {
                Some(permission) => permission.until = permission.until.max(until),
                None => allocation.permissions.push(Permission { ip: *ip, until }),
            }
        }
        self.counters.permissions.add(new as u64);
        Ok(())
    }
}

/// Every XOR-PEER-ADDRESS of the request: at least one, each well-formed.
fn peers(request: &Authenticated<'_>) -> Result<Vec<PeerAddr>, Refusal> {
    let message = request.message();
    let attributes = message.attributes().filter(|attribute| attribute.kind == ATTR_XOR_PEER_ADDRESS);
    let peers: Option<Vec<PeerAddr>> = attributes.map(|attribute| message.peer(&attribute)).collect();
    peers.filter(|peers| !peers.is_empty()).ok_or(Refusal::BadRequest)
}
