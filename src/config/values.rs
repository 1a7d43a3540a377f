//! Reads the values of `config.toml` that are more than a number or a text, each with an error that says how to
//! write it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use serde::de::{Deserialize, Deserializer, Error};
use toml::{Table, Value};

use crate::api_key::{self, ID};
use crate::config::{Create, LogFormat};
use crate::credentials::{CheckExpiry, Secret};
use crate::files;
use crate::relay::ports::RelayAddress;
use crate::unseen::{is_joiner, is_unseen};

pub(super) fn socket_addresses<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<SocketAddr>, D::Error> {
    let texts = Vec::<String>::deserialize(value)?;
    all(&texts, listener).map_err(D::Error::custom)
}

/// What every text of a list says, or what is wrong with each that is.
fn all<T>(texts: &[String], parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for text in texts {
        match parse(text) {
            Ok(value) => good.push(value),
            Err(reason) => wrong.push(reason),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(wrong.join("; ")) }
}

fn listener(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!("{text:?} is not an address with a port: write \"0.0.0.0:3478\", or \"[::]:3478\" for IPv6")
    })?;
    if let Some(ip) = in_ipv4(address.ip()) {
        let port = address.port();
        return Err(format!(
            "{text:?} is IPv4 written as IPv6, which cannot be bound: write \"{ip}:{port}\""
        ));
    }
    if is_for_many(address.ip()) {
        return Err(format!(
            "{text:?} is no address of one machine: write \"0.0.0.0:3478\" for all of this one"
        ));
    }
    if let SocketAddr::V6(v6) = address
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        let (ip, port) = (v6.ip(), v6.port());
        return Err(format!(
            "{text:?} does not say on which link: write \"[{ip}%2]:{port}\", with the number that `ip link` shows"
        ));
    }
    Ok(address)
}

/// The IPv4 address that an IPv6 one hides (RFC 4291 §2.5.5.2): nothing is bound to such, and no packet comes from one.
fn in_ipv4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => ip.to_ipv4_mapped(),
    }
}

fn is_for_many(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

pub(super) fn one_or_more_files<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<PathBuf>, D::Error> {
    let value = Value::deserialize(value)?;
    let list = value.as_array().map_or_else(|| std::slice::from_ref(&value), Vec::as_slice);
    let files: Option<Vec<PathBuf>> = list.iter().map(|file| file.as_str().map(PathBuf::from)).collect();
    files.ok_or_else(|| D::Error::custom(format!("{value} is neither a file nor a list of files")))
}

pub(super) fn relay_addresses<'de, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Vec<RelayAddress>>, D::Error> {
    let value = Value::deserialize(value)?;
    match (value.as_str(), value.as_array()) {
        (Some("auto"), _) => Ok(None),
        (_, Some(list)) => {
            list.iter().map(relay_address).collect::<Result<_, _>>().map(Some).map_err(D::Error::custom)
        }
        _ => {
            Err(D::Error::custom(format!("{value} is neither \"auto\" nor a list of addresses: {ADDRESSES}")))
        }
    }
}

fn relay_address(value: &Value) -> Result<RelayAddress, String> {
    let ip = |value: &Value| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let both = |table: &Table| table.get("bind").and_then(ip).zip(table.get("public").and_then(ip));
    let pair = match value.as_table() {
        Some(table) if table.len() == 2 => both(table),
        Some(_) => None,
        None => ip(value).map(|ip| (ip, ip)),
    };
    let (bind, public) = pair.ok_or_else(|| format!("{value} is not an address: {ADDRESSES}"))?;
    if let Some((hidden, ip)) = [bind, public].into_iter().find_map(|ip| Some((ip, in_ipv4(ip)?))) {
        return Err(format!("{hidden} is IPv4 written as IPv6: write \"{ip}\""));
    }
    if bind.is_ipv4() != public.is_ipv4() {
        return Err(format!("{bind} and {public} must be of the same family"));
    }
    let on_a_link = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let usable = |ip: IpAddr| !ip.is_unspecified() && !is_for_many(ip) && !on_a_link(ip);
    if usable(bind) && usable(public) {
        return Ok(RelayAddress { bind, public });
    }
    Err(format!("{value} cannot be relayed from: name an address of this machine, or write \"auto\""))
}

const ADDRESSES: &str =
    "write \"auto\", or [\"192.0.2.5\"], or [{ bind = \"10.0.0.5\", public = \"192.0.2.5\" }]";

pub(super) fn ports<'de, D: Deserializer<'de>>(value: D) -> Result<RangeInclusive<u16>, D::Error> {
    let text = String::deserialize(value)?;
    let range = text
        .split_once('-')
        .and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    let Some((low, high)) = range else {
        return Err(D::Error::custom(format!("{text:?} is not a range of ports: write \"49152-65535\"")));
    };
    if low > high {
        return Err(D::Error::custom(format!("{low} is more than {high}: write the lower port first")));
    }
    if low < 1024 {
        return Err(D::Error::custom("ports below 1024 belong to services: begin at 1024 or above"));
    }
    Ok(low..=high)
}

pub(super) fn auto_or_count<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(value)?;
    if value.as_str() == Some("auto") {
        return Ok(None);
    }
    let count = value.as_integer().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    count
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{value} is neither \"auto\" nor a number from 1 on")))
}

pub(super) fn off_or_bits<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(value)?;
    if value.as_str() == Some("off") {
        return Ok(None);
    }
    let bits = value.as_integer().and_then(|bits| u64::try_from(bits).ok()).filter(|bits| *bits > 0);
    bits.map(Some)
        .ok_or_else(|| D::Error::custom(format!("{value} is neither \"off\" nor a number of bits from 1 on")))
}

pub(super) fn secrets<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Secret>, D::Error> {
    let value = Value::deserialize(value)?;
    let texts = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    // The value itself must not be shown: it may be a secret without its brackets.
    let texts =
        texts.ok_or_else(|| D::Error::custom("this is not a list of texts: write [\"the secret\"]"))?;
    if texts.iter().any(|text| text.contains(is_hidden)) {
        return Err(D::Error::custom(format!("a secret has {UNSEEN}")));
    }
    Ok(texts.into_iter().map(Secret::new).collect())
}

pub(super) fn key_id<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let id = String::deserialize(value)?;
    if api_key::is_id(&id) {
        return Ok(id);
    }
    Err(D::Error::custom(format!("{id:?} is no name of a key: write {ID}")))
}

/// Names and passwords, prepared as RFC 8489 §9.2.2 wants it, so that a password typed on another keyboard is the
/// same password.
pub(super) fn users<'de, D: Deserializer<'de>>(value: D) -> Result<HashMap<String, Secret>, D::Error> {
    let value = Value::deserialize(value)?;
    let wrong = |reason: String| Err(D::Error::custom(reason));
    let Some(table) = value.as_table() else {
        return wrong("these are no users: write { alice = \"a password\" }".to_owned());
    };
    let mut users = HashMap::new();
    for (name, password) in table {
        if name.contains(':') {
            return wrong(format!("{name:?} has a colon, which would end an expiry: choose a name without"));
        }
        let Some((name, password)) = prepare(name).zip(password.as_str().and_then(prepare)) else {
            return wrong(format!("{name:?} or the password is empty, or no text that can be typed"));
        };
        if users.insert(name.clone(), Secret::new(password)).is_some() {
            return wrong(format!("{name:?} stands there twice, written differently: remove one"));
        }
    }
    Ok(users)
}

fn prepare(text: &str) -> Option<String> {
    OpaqueString::enforce(text).ok().map(std::borrow::Cow::into_owned)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    let value = Value::deserialize(value)?;
    let parsed = value.as_str().and_then(|text| humantime::parse_duration(text).ok());
    parsed.ok_or_else(|| D::Error::custom("this is not a time: write \"30m\", \"1h\" or \"1day\""))
}

pub(super) fn check_expiry<'de, D: Deserializer<'de>>(value: D) -> Result<CheckExpiry, D::Error> {
    one_of(value, &[("allocate", CheckExpiry::Allocate), ("always", CheckExpiry::Always)])
}

pub(super) fn create<'de, D: Deserializer<'de>>(value: D) -> Result<Create, D::Error> {
    one_of(value, &[("anyone", Create::Anyone), ("token", Create::Token)])
}

pub(super) fn level<'de, D: Deserializer<'de>>(value: D) -> Result<tracing::Level, D::Error> {
    use tracing::Level;
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    one_of(value, &levels)
}

pub(super) fn format<'de, D: Deserializer<'de>>(value: D) -> Result<LogFormat, D::Error> {
    one_of(value, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn one_of<'de, D: Deserializer<'de>, T: Copy>(value: D, choices: &[(&str, T)]) -> Result<T, D::Error> {
    let text = String::deserialize(value)?;
    let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
    let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    chosen.ok_or_else(|| D::Error::custom(format!("{text:?} is not one of: {names}")))
}

pub(super) fn networks<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<IpNet>, D::Error> {
    all(&Vec::<String>::deserialize(value)?, network).map_err(D::Error::custom)
}

fn network(text: &str) -> Result<IpNet, String> {
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(net), _) => plain(net),
        (Err(_), Ok(ip)) => {
            let ip = in_ipv4(ip).map_or(ip, IpAddr::V4);
            Err(format!("{text:?} has no length: for this address alone write \"{}\"", IpNet::from(ip)))
        }
        _ => Err(format!("{text:?} is not a range: write \"10.0.0.0/8\" or \"fd00::/8\"")),
    }
}

/// A range as packets show their addresses, which are never IPv4 written as IPv6.
fn plain(net: IpNet) -> Result<IpNet, String> {
    let Some(ip) = in_ipv4(net.addr()) else { return Ok(net) };
    let length = net.prefix_len().checked_sub(96);
    let write = length.and_then(|length| Ipv4Net::new(ip, length).ok()).map(|net| format!("write \"{net}\""));
    let write = write.unwrap_or_else(|| "write the range of IPv4, such as \"10.0.0.0/8\"".to_owned());
    Err(format!("{net} is IPv4 written as IPv6, which no packet shows: {write}"))
}

pub(super) fn networks_v6<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Ipv6Net>, D::Error> {
    let v6 = |net: IpNet| match net {
        IpNet::V6(net) => Ok(net),
        IpNet::V4(net) => {
            Err(D::Error::custom(format!("{net} is IPv4: a NAT64 prefix is IPv6, such as \"64:ff9b::/96\"")))
        }
    };
    networks(value)?.into_iter().map(v6).collect()
}

/// Reads a file of secrets, one a line.
pub(super) fn read_secrets(file: &Path) -> Result<Vec<Secret>, String> {
    let path = expand(file)?;
    let shown = path.display();
    let unreadable = |error| {
        format!("{shown} cannot be read ({error}): check the path, and that the daemon's user may read it")
    };
    let open = files::open(&path).map_err(unreadable)?;
    let mode = open.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!("everybody on this machine can read {shown}: run `chmod o= {shown}`"));
    }
    let text = files::read_text(&open).map_err(unreadable)?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Err(format!("{shown} has no secret: write one a line"));
    }
    if lines.iter().any(|line| line.starts_with('#') || line.contains(char::is_whitespace)) {
        return Err(format!(
            "{shown} has a line that is no secret: there are no comments and no spaces in it"
        ));
    }
    if lines.iter().any(|line| line.contains(is_hidden)) {
        return Err(format!("{shown} has a secret with {UNSEEN}"));
    }
    Ok(lines.into_iter().map(Secret::new).collect())
}

/// Whether a character cannot be seen, so that whoever copies a secret by hand or by eye copies another.
fn is_hidden(character: char) -> bool {
    character.is_control() || is_unseen(character) || is_joiner(character)
}

const UNSEEN: &str =
    "a character that cannot be seen: write it anew, or make another with `openssl rand -base64 32`";

/// Replaces a leading `$CREDENTIALS_DIRECTORY` by what systemd set.
fn expand(file: &Path) -> Result<PathBuf, String> {
    let Ok(rest) = file.strip_prefix("$CREDENTIALS_DIRECTORY") else { return Ok(file.to_owned()) };
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(
        "$CREDENTIALS_DIRECTORY is not set: it is there when systemd starts the service with LoadCredential=",
    )?;
    Ok(Path::new(&directory).join(rest))
}
