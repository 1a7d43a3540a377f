//! PURE  `[listen]`, `[tls]` and `[http]` of an import: where clients connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::coturn::document::quoted;
use crate::coturn::lines::Entry;
use crate::coturn::{Import, Kind};
use crate::sections::listen::{Listen, includes};
use crate::sections::value::Text as _;

/// What coturn listens on if nothing is said.
const PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;
/// Where Hairpin serves HTTP without TLS.
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Addresses to listen on, and the lines that they come from.
#[derive(Default)]
struct Served<'a> {
    addresses: Vec<SocketAddr>,
    from: Vec<Entry<'a>>,
}

impl<'a> Served<'a> {
    /// Adds an address, unless another one includes it already.
    fn add(&mut self, address: SocketAddr, from: Option<Entry<'a>>) {
        if !self.addresses.iter().any(|other| includes(other, &address)) {
            self.addresses.retain(|other| !includes(&address, other));
            self.addresses.push(address);
        }
        self.from.extend(from.filter(|entry| !self.from.contains(entry)));
    }
}

impl<'a> Import<'a> {
    /// `[listen]`, `[tls]` and `[http]`
    pub(super) fn listen(&mut self) {
        let ips = self.listening_ips();
        let port = self.port("listening-port", PORT);
        let proxy = self.last("tcp-proxy-port").and_then(|entry| self.valid_port(entry));
        let tls_port = self.port("tls-listening-port", TLS_PORT);
        let certificate = self.certificate();

        let (mut udp, mut tcp, mut tls) = (Served::default(), Served::default(), Served::default());
        for (ip, from) in &ips {
            let serve = |served: &mut Served<'a>, (port, line): (u16, Option<Entry<'a>>)| {
                served.add(SocketAddr::new(*ip, port), line);
                served.from.extend(from.filter(|entry| !served.from.contains(entry)));
            };
            serve(&mut udp, port);
            serve(&mut tcp, proxy.unwrap_or(port));
            serve(&mut tls, tls_port);
        }
        if let (Some((_, Some(entry))), None) = (proxy, self.switch("no-tcp")) {
            let text = "connections to this port begin with a PROXY header only if you name your load balancers in \
                        [listen] proxies";
            self.remark(entry, Kind::ByHand, text);
        }
        let tls_is_off = self.switch("no-tls").is_some() || proxy.is_some();
        if tls_is_off || certificate.is_none() {
            if let Some(entry) = tls_port.1 {
                self.remark(
                    entry,
                    Kind::ByHand,
                    "there is no certificate, or TLS is switched off: see [tls] and listen.tls",
                );
            }
            tls = Served::default();
        }
        tls.from.extend(certificate.map(|(certificate, _)| certificate));
        self.auxiliary(&mut udp, &mut tcp);
        for (served, switch) in [(&mut udp, "no-udp"), (&mut tcp, "no-tcp")] {
            if let Some(entry) = self.switch(switch) {
                *served = Served { addresses: Vec::new(), from: vec![entry] };
            }
        }
        keep_apart(&mut tcp.addresses, &mut tls.addresses);
        if udp.addresses.is_empty() && tcp.addresses.is_empty() && tls.addresses.is_empty() {
            udp = self.nowhere();
        } else {
            self.write_listeners(&udp, &tcp, &tls);
        }
        self.classic();
        self.write_certificate(certificate.filter(|_| !tls_is_off));
        self.keep_http_apart(&tcp, &tls);
        self.listeners = udp.addresses.iter().map(SocketAddr::port).collect();
    }

    /// The addresses that are named; all of this machine if there are none.
    fn listening_ips(&mut self) -> Vec<(IpAddr, Option<Entry<'a>>)> {
        let mut ips = Vec::new();
        for entry in self.all("listening-ip") {
            match listening_ip(entry.value) {
                Ok(ip) => ips.push((ip, Some(entry))),
                Err(reason) => self.remark(entry, Kind::ByHand, reason),
            }
        }
        if ips.is_empty() {
            ips = vec![(Ipv4Addr::UNSPECIFIED.into(), None), (Ipv6Addr::UNSPECIFIED.into(), None)];
        }
        ips
    }

    /// The port that an option names, or coturn's default.
    fn port(&mut self, name: &str, default: u16) -> (u16, Option<Entry<'a>>) {
        self.last(name).and_then(|entry| self.valid_port(entry)).unwrap_or((default, None))
    }

    fn valid_port(&mut self, entry: Entry<'a>) -> Option<(u16, Option<Entry<'a>>)> {
        let port = entry.number().and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
        if port.is_none() {
            self.invalid(entry, "a port from 1 to 65535");
        }
        Some((port?, Some(entry)))
    }

    /// Adds the addresses that coturn serves beside the others.
    fn auxiliary(&mut self, udp: &mut Served<'a>, tcp: &mut Served<'a>) {
        for entry in self.all("aux-server") {
            match SocketAddr::parse(entry.value) {
                Ok(address) if address.port() > 0 => {
                    udp.add(address, Some(entry));
                    tcp.add(address, Some(entry));
                }
                Ok(_) => self.invalid(entry, "an address with a port"),
                Err(reason) => self.remark(entry, Kind::ByHand, reason),
            }
        }
    }

    /// Remarks that there is no listener. Returns those over UDP that Hairpin has instead.
    fn nowhere(&mut self) -> Served<'a> {
        for entry in ["no-udp", "no-tcp"].map(|name| self.switch(name)).into_iter().flatten() {
            self.remark(
                entry,
                Kind::ByHand,
                "coturn would listen nowhere; Hairpin keeps its default listeners",
            );
        }
        Served { addresses: Listen::default().udp, from: Vec::new() }
    }

    fn write_listeners(&mut self, udp: &Served<'a>, tcp: &Served<'a>, tls: &Served<'a>) {
        let defaults = Listen::default();
        for (key, served, default) in
            [("udp", udp, &defaults.udp), ("tcp", tcp, &defaults.tcp), ("tls", tls, &defaults.tls)]
        {
            if served.addresses != *default {
                let addresses: Vec<String> =
                    served.addresses.iter().map(|one| quoted(&one.to_string())).collect();
                self.document.key("listen", key, &format!("[{}]", addresses.join(", ")), &served.from);
            }
        }
    }

    /// RFC 3489, which coturn 4.10 to 4.15 served with the second of the two.
    fn classic(&mut self) {
        let names = ["rfc3489-compatibility", "stun-backward-compatibility"];
        let from: Vec<Entry<'_>> = names.into_iter().filter_map(|name| self.switch(name)).collect();
        if !from.is_empty() {
            self.document.key("listen", "rfc3489", "true", &from);
        }
    }

    /// The lines with the certificate and its key, if there are both.
    fn certificate(&mut self) -> Option<(Entry<'a>, Entry<'a>)> {
        let file = |name| self.last(name).filter(|entry| !entry.value.is_empty());
        match (file("cert"), file("pkey")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(alone), None) | (None, Some(alone)) => {
                self.remark(
                    alone,
                    Kind::ByHand,
                    "Hairpin needs both a certificate and its key: write both into [tls]",
                );
                None
            }
            (None, None) => None,
        }
    }

    fn write_certificate(&mut self, certificate: Option<(Entry<'a>, Entry<'a>)>) {
        let Some((certificate, key)) = certificate else { return };
        for (name, entry) in [("certificate", certificate), ("key", key)] {
            self.document.key("tls", name, &quoted(entry.value), &[entry]);
            let text = if entry.value.starts_with('/') {
                "the user hairpin must be able to read this file (README, \"TLS\")"
            } else {
                "write the whole path of the file, which the user hairpin must be able to read (README, \"TLS\")"
            };
            self.remark(entry, Kind::ByHand, text);
        }
    }

    /// Switches plain HTTP off if a listener of coturn has its port.
    fn keep_http_apart(&mut self, tcp: &Served<'a>, tls: &Served<'a>) {
        for served in [tcp, tls] {
            let meet = |one: &SocketAddr| includes(one, &HTTP);
            if served.addresses.iter().any(meet) {
                self.document.key("http", "listen", "[]", &served.from);
                let text = "this port is Hairpin's for HTTP without TLS: if you need that, choose another in [http] listen";
                if let Some(entry) = served.from.first() {
                    self.remark(*entry, Kind::Note, text);
                }
                return;
            }
        }
    }
}

/// Removes what is listed twice: a port of `tcp` serves TLS, too.
fn keep_apart(tcp: &mut Vec<SocketAddr>, tls: &mut Vec<SocketAddr>) {
    tcp.retain(|one| tls.contains(one) || !tls.iter().any(|all| includes(all, one)));
    tls.retain(|one| !tcp.iter().any(|all| includes(all, one)));
}

/// An address to listen on. coturn reads an empty one as all addresses of IPv4.
fn listening_ip(text: &str) -> Result<IpAddr, String> {
    if text.is_empty() {
        return Ok(Ipv4Addr::UNSPECIFIED.into());
    }
    let ip: IpAddr =
        text.parse().map_err(|_| "this is not an IP address: write it into [listen]".to_owned())?;
    SocketAddr::parse(&SocketAddr::new(ip, PORT).to_string()).map(|address| address.ip())
}
