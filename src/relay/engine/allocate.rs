//! PURE  Allocate (RFC 8656 §7.2): checks a request in the order of the RFC, then asks for relay ports.

use std::time::Duration;

use rand::Rng;
use stun::attributes::{
    ATTR_DONT_FRAGMENT, ATTR_EVEN_PORT, ATTR_LIFETIME, ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_REQUESTED_TRANSPORT, ATTR_RESERVATION_TOKEN, AttrType,
};
use turn::proto::lifetime::Lifetime;
use turn::proto::relayaddr::RelayedAddress;
use turn::proto::{PROTO_TCP, PROTO_UDP, Protocol, rsrvtoken};

use crate::bounds::rate::Bucket;
use crate::clock::Moment;
use crate::journal::shown;
use crate::network::address::Transport;
use crate::outcome::Refusal;
use crate::peers::PeerPolicy;
use crate::relay::address::Family;
use crate::relay::engine::Engine;
use crate::relay::engine::allocation::{AllocateAnswer, Allocation, AllocationId, Meter};
use crate::relay::engine::authenticate::Authenticated;
use crate::relay::engine::lifetimes::{Due, RESERVATION_LIFETIME};
use crate::relay::engine::quotas::Lease;
use crate::relay::engine::readings::Readings;
use crate::relay::engine::reply::{Attributes, mapped, raw};
use crate::relay::engine::seam::{IcmpReports, NoPort, OpenPort, Parity, Ports, ReservationToken};
use crate::relay::wire::Message;
use crate::sections::limits::Limits as Configured;
use crate::usage::ledger::Used;

/// What an Allocate asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The port reserved under this token.
    Reserved(ReservationToken),
    /// An address of one family. With `None` we choose (RFC 8656 §7.2: IPv4, if available).
    One(Option<Family>, Evenness),
    /// One address of each family (RFC 8656 §7.1).
    Both(Evenness),
    /// An address that peers connect to over TCP (RFC 6062 §5.1).
    Stream(Option<Family>),
}

/// EVEN-PORT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evenness {
    Any,
    Even,
    EvenAndNext,
}

impl Wanted {
    /// Whether the next port is to be reserved.
    fn reserves(self) -> bool {
        match self {
            Self::Reserved(_) | Self::Stream(_) => false,
            Self::One(_, evenness) | Self::Both(evenness) => evenness == Evenness::EvenAndNext,
        }
    }
}

/// The ports that were opened for an Allocate, and what else the answer contains.
struct Opened {
    relays: Vec<OpenPort>,
    token: Option<ReservationToken>,
    failed: Option<(Family, u16)>,
}

impl Engine {
    pub(super) fn allocate(
        &mut self,
        request: &Authenticated<'_>,
        ports: &mut impl Ports,
    ) -> Result<Attributes, Refusal> {
        if let Some(existing) =
            self.allocations.by_path(&request.path()).and_then(|id| self.allocations.get(id))
        {
            return repeat(existing, request);
        }
        self.admits_new(request.path().client)?;
        let wanted = wanted(request.message(), self.settings.tcp)?;
        if matches!(wanted, Wanted::Stream(_)) && !request.path().is_stream() {
            return Err(Refusal::BadRequest);
        }
        let lifetime = lifetime(request, &self.settings.limits.configured)?;
        if PeerPolicy::is_tunnel(request.path().client.ip()) {
            return Err(Refusal::ClientDenied);
        }
        // Checked first, so that no allocation is evicted for a request that cannot be met.
        if matches!(wanted, Wanted::One(Some(family), _) | Wanted::Stream(Some(family)) if !ports.serves(family))
        {
            return Err(Refusal::FamilyUnsupported);
        }
        let now = request.now().moment;
        let owner = request.account().owner();
        self.check_day(&owner, request.now().unix)?;
        let admit = || self.quotas.admit(&owner, request.path().client.ip(), now);
        let lease = admit()?;
        // A reserved port counts too. Otherwise a client that keeps deleting its allocations could reserve every port.
        let reservation = wanted.reserves().then(admit).transpose()?;
        let knows_rfc_8656 = request.message().first(ATTR_ADDITIONAL_ADDRESS_FAMILY).is_some();
        let icmp = if knows_rfc_8656 { IcmpReports::Wanted } else { IcmpReports::Unknown };
        let opened = self.open(wanted, icmp, ports)?;
        let answer = AllocateAnswer {
            transaction: request.message().transaction(),
            lifetime,
            token: opened.token,
            failed: opened.failed,
        };
        if let Some((token, lease)) = opened.token.zip(reservation) {
            self.reservations.insert(token, lease);
            self.deadlines.insert((now + RESERVATION_LIFETIME, Due::Reservation(token)));
        }
        let transport = if let Wanted::Stream(_) = wanted { Transport::Tcp } else { Transport::Udp };
        let id = self.admit(request, opened.relays, (transport, icmp), answer, lease);
        let allocation = self.allocations.get(id).expect("it was just made");
        Ok(attributes(allocation))
    }

    fn open(&mut self, wanted: Wanted, icmp: IcmpReports, ports: &mut impl Ports) -> Result<Opened, Refusal> {
        // Browsers request no family, and must be served even if there are only IPv6 relay addresses.
        let there = if ports.serves(Family::V4) { Family::V4 } else { Family::V6 };
        let (evenness, families) = match wanted {
            Wanted::Reserved(token) => {
                let relay = ports.redeem(token, icmp).ok_or(Refusal::UnknownToken)?;
                return Ok(Opened { relays: vec![relay], token: None, failed: None });
            }
            Wanted::Stream(family) => {
                let family = family.unwrap_or(there);
                let relay = ports.open_stream(family, &mut self.rng).map_err(|NoPort| Refusal::NoPorts)?;
                return Ok(Opened { relays: vec![relay], token: None, failed: None });
            }
            Wanted::One(family, evenness) => (evenness, [family.or(Some(there)), None]),
            Wanted::Both(evenness) => (evenness, [Some(Family::V4), Some(Family::V6)]),
        };
        let (parity, token) = match evenness {
            Evenness::Any => (Parity::Any, None),
            Evenness::Even => (Parity::Even, None),
            Evenness::EvenAndNext => {
                let token = ReservationToken(self.rng.random());
                (Parity::EvenAndNext(token), Some(token))
            }
        };
        let mut opened = Opened { relays: Vec::with_capacity(1), token, failed: None };
        for family in families.into_iter().flatten() {
            match ports.open(family, parity, icmp, &mut self.rng) {
                Ok(relay) => opened.relays.push(relay),
                Err(NoPort) => {
                    let refusal =
                        if ports.serves(family) { Refusal::NoPorts } else { Refusal::FamilyUnsupported };
                    opened.failed = Some((family, refusal.code()));
                }
            }
        }
        if opened.relays.is_empty() { Err(Refusal::NoPorts) } else { Ok(opened) }
    }

    fn admit(
        &mut self,
        request: &Authenticated<'_>,
        relays: Vec<OpenPort>,
        (transport, icmp): (Transport, IcmpReports),
        answer: AllocateAnswer,
        lease: Lease,
    ) -> AllocationId {
        let now = request.now().moment;
        let deadline = until(now, answer.lifetime);
        let account = request.account();
        self.serial = self.serial.wrapping_add(1);
        let id = self.allocations.insert(Allocation {
            serial: self.serial,
            path: request.path(),
            username: account.username.as_str().into(),
            tag: account.tag().into(),
            answer,
            transport,
            icmp,
            relays: relays.into_iter().map(|relay| (relay, deadline)).collect(),
            permissions: Vec::new(),
            channels: Vec::new(),
            lease,
            signed: self.settings.credentials.begin_session(account, request.generation()),
            peers: 0,
            new_peers: Bucket::default(),
            up: Meter::default(),
            down: Meter::default(),
            readings: Readings::default(),
            told: Used::default(),
            since: now,
            deadline,
        });
        self.deadlines.insert((deadline, Due::Allocation(id)));
        self.expect_sweep(now);
        self.expect_visit(now);
        self.counters.allocations.add(1);
        if let Some(allocation) = self.allocations.get(id) {
            self.counters.families(allocation.legs(), None, allocation.families());
        }
        let client = shown::socket(request.path().client);
        tracing::debug!(client, user = ?account.tag(), "allocation opened");
        id
    }
}

/// The client may have lost the answer and retransmits. Any other Allocate on a 5-tuple in use is a mistake.
fn repeat(existing: &Allocation, request: &Authenticated<'_>) -> Result<Attributes, Refusal> {
    let same = existing.answer.transaction == request.message().transaction()
        && *existing.username == *request.account().username;
    if same { Ok(attributes(existing)) } else { Err(Refusal::AllocationMismatch) }
}

fn attributes(allocation: &Allocation) -> Attributes {
    let mut attributes = Attributes::new();
    for (relay, _) in &allocation.relays {
        let addr = relay.addr.0;
        attributes.push(Box::new(RelayedAddress { ip: addr.ip(), port: addr.port() }));
    }
    attributes.push(Box::new(Lifetime(Duration::from_secs(u64::from(allocation.answer.lifetime)))));
    if let Some(ReservationToken(token)) = allocation.answer.token {
        attributes.push(Box::new(rsrvtoken::ReservationToken(token.to_vec())));
    }
    if let Some((family, code)) = allocation.answer.failed {
        let value = [family.number(), 0, (code / 100) as u8, (code % 100) as u8];
        attributes.push(raw(ATTR_ADDRESS_ERROR_CODE, &value));
    }
    attributes.push(mapped(allocation.path.client));
    attributes
}

fn wanted(message: &Message<'_>, tcp: bool) -> Result<Wanted, Refusal> {
    let [protocol, _, _, _] = message.value(ATTR_REQUESTED_TRANSPORT)?.ok_or(Refusal::BadRequest)?;
    match Protocol(protocol) {
        PROTO_UDP => {}
        PROTO_TCP if tcp => return wanted_stream(message),
        _ => return Err(Refusal::TransportUnsupported),
    }
    message.value::<0>(ATTR_DONT_FRAGMENT)?;
    let even = message.value::<1>(ATTR_EVEN_PORT)?;
    let token = message.value(ATTR_RESERVATION_TOKEN)?.map(ReservationToken);
    let family = message.value::<4>(ATTR_REQUESTED_ADDRESS_FAMILY)?.map(|value| value[0]);
    let additional = match message.value::<4>(ATTR_ADDITIONAL_ADDRESS_FAMILY)? {
        None => message.value::<4>(ATTR_ADDITIONAL_ADDRESS_FAMILY_DRAFT)?,
        additional => additional,
    };
    let additional = additional.map(|value| value[0]);
    let evenness = match even {
        None => Evenness::Any,
        Some([flags]) if flags & RESERVE_NEXT == 0 => Evenness::Even,
        Some(_) => Evenness::EvenAndNext,
    };
    match (token, family, additional) {
        (Some(token), None, None) if even.is_none() => Ok(Wanted::Reserved(token)),
        (Some(_), _, _) | (None, Some(_), Some(_)) => Err(Refusal::BadRequest),
        (None, None, Some(2)) if evenness != Evenness::EvenAndNext => Ok(Wanted::Both(evenness)),
        (None, None, Some(_)) => Err(Refusal::BadRequest),
        (None, family, None) => Ok(Wanted::One(family.map(read_family).transpose()?, evenness)),
    }
}

/// An Allocate for TCP must not have attributes that apply only to UDP (RFC 6062 §5.1).
fn wanted_stream(message: &Message<'_>) -> Result<Wanted, Refusal> {
    let udp = [
        ATTR_DONT_FRAGMENT,
        ATTR_EVEN_PORT,
        ATTR_RESERVATION_TOKEN,
        ATTR_ADDITIONAL_ADDRESS_FAMILY,
        ATTR_ADDITIONAL_ADDRESS_FAMILY_DRAFT,
    ];
    if udp.into_iter().any(|kind| message.first(kind).is_some()) {
        return Err(Refusal::BadRequest);
    }
    let family = message.value::<4>(ATTR_REQUESTED_ADDRESS_FAMILY)?.map(|value| read_family(value[0]));
    Ok(Wanted::Stream(family.transpose()?))
}

fn read_family(number: u8) -> Result<Family, Refusal> {
    [Family::V4, Family::V6]
        .into_iter()
        .find(|family| family.number() == number)
        .ok_or(Refusal::FamilyUnsupported)
}

/// The lifetime that is granted for LIFETIME (RFC 8656 §7.2), in seconds. If users have a limit for one day, it is the
/// shortest that the RFC allows, because a session goes on until its next Refresh when the limit is reached.
pub(super) fn lifetime(request: &Authenticated<'_>, limits: &Configured) -> Result<u32, Refusal> {
    let most = if limits.bytes_per_user_per_day.0.is_some() { DEFAULT_LIFETIME } else { MAX_LIFETIME };
    let asked = request.message().value(ATTR_LIFETIME)?.map_or(DEFAULT_LIFETIME, u32::from_be_bytes);
    let longest = request.account().longest(request.now().unix);
    let longest = longest.and_then(|longest| u32::try_from(longest.as_secs()).ok()).unwrap_or(most);
    Ok(asked.clamp(DEFAULT_LIFETIME, most).min(longest))
}

/// When an address expires that is granted `lifetime` seconds now.
pub(super) fn until(now: Moment, lifetime: u32) -> Moment {
    now + Duration::from_secs(u64::from(lifetime))
}

const DEFAULT_LIFETIME: u32 = 600;
const MAX_LIFETIME: u32 = 3600;
/// The R bit of EVEN-PORT (RFC 8656 §18.7).
const RESERVE_NEXT: u8 = 0x80;

// RFC 8656 §18.11 and §18.12; the crates do not have these.
const ATTR_ADDITIONAL_ADDRESS_FAMILY: AttrType = AttrType(0x8000);
/// The number of its draft. Debian 12's coturn client still sends it.
const ATTR_ADDITIONAL_ADDRESS_FAMILY_DRAFT: AttrType = AttrType(0x8032);
const ATTR_ADDRESS_ERROR_CODE: AttrType = AttrType(0x8001);
