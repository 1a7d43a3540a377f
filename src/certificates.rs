//! Holds the certificates for TLS clients, and replaces them without a restart.

mod alpn;
mod challenges;
mod error;
mod pair;
mod renewal;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use pair::Pair;

use crate::clock::{Expiry, Unix, Validity};
use crate::current::Current;

pub use alpn::Alpn;
pub use challenges::Challenges;
pub use error::{CertificateError, Fault};
pub use renewal::Renewal;
pub use watch::{PERIOD, Stamps, Watch};

/// The files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, followed by the chain to its issuer.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The certificates for TLS clients; without any, there is no TLS.
///
/// [`Self::current`] is cheap: any thread may call it for each connection. [`Self::reload`] reads files.
#[derive(Debug, Default)]
pub struct Certificates {
    loaded: Mutex<Loaded>,
    current: Current<Option<Arc<ServerConfig>>>,
    challenges: Arc<Challenges>,
}

/// What was read.
#[derive(Debug, Clone, Default)]
struct Loaded {
    /// The host names that must be in a certificate.
    names: Vec<String>,
    pairs: Vec<Arc<Pair>>,
    /// The file with the certificate that an authority issues, which may come later.
    issued: Option<PathBuf>,
}

/// The certificate that an authority has issued to this daemon.
#[derive(Debug)]
pub struct Issued {
    /// When it is valid.
    pub validity: Validity,
    /// The certificate, without its chain.
    pub certificate: CertificateDer<'static>,
    pair: Arc<Pair>,
}

/// The outcome of a reload. If nothing was taken and nothing refused, nothing had changed.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// How many certificates are new.
    pub taken: usize,
    /// Why others were refused. Their old certificates stay in use.
    pub refused: Vec<CertificateError>,
}

impl Certificates {
    /// Reads certificates. Each of `names` must be in one of them. An expired certificate is accepted with a
    /// [warning](Self::warnings), because UDP must be served after a reboot even if the renewal has failed.
    ///
    /// # Errors
    /// Which files are wrong, and what to do. Never an empty list.
    pub fn load(files: &[Files], names: &[String]) -> Result<Self, Vec<CertificateError>> {
        let (mut pairs, mut errors) = (Vec::new(), Vec::new());
        for files in files {
            match Pair::load(files) {
                Ok(pair) => pairs.push(Arc::new(pair)),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() {
            errors = uncovered(&pairs, names);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let loaded = Loaded { names: names.to_owned(), pairs, issued: None };
        let challenges = Arc::default();
        let current = Current::new(server_config(&loaded, &challenges));
        Ok(Self { loaded: Mutex::new(loaded), current, challenges })
    }

    /// Also uses the certificate, chain and key in `file`, which an authority issues. The file may come later; until then
    /// TLS clients are refused unless there are other certificates. A file that cannot be used is one that will be replaced.
    #[must_use]
    pub fn with_issued(self, file: PathBuf) -> Self {
        {
            let mut loaded = self.loaded();
            loaded.pairs.extend(Pair::load(&Files::of_one(&file)).ok().map(Arc::new));
            loaded.issued = Some(file);
            self.current.set(server_config(&loaded, &self.challenges));
        }
        self
    }

    /// What answers the challenges of an authority.
    #[must_use]
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.challenges
    }

    /// The certificate that an authority has issued, if there is one.
    #[must_use]
    pub fn issued(&self) -> Option<Issued> {
        let loaded = self.loaded();
        let file = loaded.issued.as_ref()?;
        let pair = loaded.pairs.iter().find(|pair| pair.files.certificate == *file)?;
        let certificate = pair.certified.cert.first()?.clone();
        Some(Issued { validity: pair.validity(), certificate, pair: Arc::clone(pair) })
    }

    /// The TLS configuration for a new connection; `None` if there are no certificates.
    #[must_use]
    pub fn current(&self) -> Option<Arc<ServerConfig>> {
        self.current.get().as_ref().clone()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.loaded().pairs.is_empty()
    }

    /// New connections use these certificates from now on.
    pub fn replace(&self, others: &Self) {
        let others = others.loaded().clone();
        let mut loaded = self.loaded();
        self.current.set(server_config(&others, &self.challenges));
        *loaded = others;
    }

    /// Reads the files again. New connections use the pairs that changed and are valid at `now`. Other pairs stay as they
    /// were, and all do if one of the names would be in no certificate.
    pub fn reload(&self, now: Unix) -> Reloaded {
        let mut loaded = self.loaded();
        let mut reloaded = Reloaded::default();
        let mut new = loaded.pairs.clone();
        if let Some(file) = loaded.awaited() {
            match Pair::load(&Files::of_one(file)) {
                Ok(pair) => {
                    new.push(Arc::new(pair));
                    reloaded.taken += 1;
                }
                Err(errors) => reloaded.refused.extend(errors),
            }
        }
        for pair in &mut new[..loaded.pairs.len()] {
            match pair.successor(now) {
                Ok(Some(successor)) => {
                    *pair = Arc::new(successor);
                    reloaded.taken += 1;
                }
                Ok(None) => {}
                Err(errors) => reloaded.refused.extend(errors),
            }
        }
        if reloaded.taken == 0 {
            return reloaded;
        }
        let errors = uncovered(&new, &loaded.names);
        if !errors.is_empty() {
            reloaded.taken = 0;
            reloaded.refused.extend(errors);
            return reloaded;
        }
        loaded.pairs = new;
        self.current.set(server_config(&loaded, &self.challenges));
        reloaded
    }

    /// The certificates of the operator that are not valid at `now`.
    #[must_use]
    pub fn invalid(&self, now: Unix) -> Vec<CertificateError> {
        self.loaded().own().filter_map(|pair| pair.invalid(now)).collect()
    }

    /// Warnings about certificates and keys of the operator that can be used, but are probably mistakes.
    #[must_use]
    pub fn warnings(&self, now: Unix) -> Vec<String> {
        self.loaded().own().flat_map(|pair| pair.warnings(now)).collect()
    }

    /// When the first certificate expires; the Unix epoch if there is none.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.loaded().pairs.iter().map(|pair| pair.expiry()).min().unwrap_or(Expiry::at(Unix::default()))
    }

    /// Key files that only their owner and group may read.
    #[must_use]
    pub fn closed_keys(&self) -> Vec<PathBuf> {
        let loaded = self.loaded();
        let closed = loaded.own().filter(|pair| !pair.is_key_public());
        closed.map(|pair| pair.files.key.clone()).collect()
    }

    /// The metadata of the files, for [`Watch`].
    #[must_use]
    pub fn stamps(&self) -> Stamps {
        let loaded = self.loaded();
        let named = loaded.pairs.iter().flat_map(|pair| [&pair.files.certificate, &pair.files.key]);
        Stamps::of(named.chain(&loaded.issued))
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    /// A file that has the certificate, its chain and its key.
    fn of_one(file: &Path) -> Self {
        Self { certificate: file.to_owned(), key: file.to_owned() }
    }
}

impl Loaded {
    /// The certificates of the operator. The one that an authority issues is the daemon's own business.
    fn own(&self) -> impl Iterator<Item = &Arc<Pair>> {
        self.pairs.iter().filter(|pair| Some(&pair.files.certificate) != self.issued.as_ref())
    }

    /// The file with a certificate that was not there the last time.
    fn awaited(&self) -> Option<&PathBuf> {
        let is_new = |file: &&PathBuf| self.pairs.iter().all(|pair| pair.files.certificate != **file);
        self.issued.as_ref().filter(is_new).filter(|file| file.exists())
    }
}

impl Issued {
    /// Whether it is for `name`, a host name or an IP address.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.pair.covers(name)
    }
}

/// An error for each of `names` that is in no certificate; none if there are no certificates.
fn uncovered(pairs: &[Arc<Pair>], names: &[String]) -> Vec<CertificateError> {
    let Some(first) = pairs.first() else { return Vec::new() };
    let names = names.iter().filter(|name| !pairs.iter().any(|pair| pair.covers(name)));
    let error = |name: &String| {
        let has = pairs.iter().flat_map(|pair| pair.names.iter().cloned()).collect();
        let fault = Fault::WrongName { name: name.clone(), has };
        CertificateError { file: first.files.certificate.clone(), fault }
    };
    names.map(error).collect()
}

fn server_config(loaded: &Loaded, challenges: &Arc<Challenges>) -> Option<Arc<ServerConfig>> {
    if loaded.pairs.is_empty() && loaded.issued.is_none() {
        return None;
    }
    let pairs = loaded.pairs.clone();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_protocol_versions(VERSIONS)
        .expect("ring has cipher suites for both")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ByName { pairs, challenges: Arc::clone(challenges) }));
    let offered = Alpn::ALL.iter().filter(|protocol| **protocol != Alpn::Acme || loaded.issued.is_some());
    config.alpn_protocols = offered.map(|protocol| protocol.id().to_vec()).collect();
    // A resumed session would never get a new certificate, and the server would hold state for unauthenticated clients.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Some(Arc::new(config))
}

const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// Chooses the first certificate that covers the client's SNI. Clients with an unknown or missing SNI get the first
/// certificate: a client that connects to an IP address and does not verify is served, and one that verifies reports it.
#[derive(Debug)]
struct ByName {
    pairs: Vec<Arc<Pair>>,
    challenges: Arc<Challenges>,
}

impl ByName {
    fn choose(&self, name: Option<&str>) -> Option<&Arc<Pair>> {
        name.and_then(|name| self.pairs.iter().find(|pair| pair.covers(name))).or(self.pairs.first())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An authority that verifies a name offers this protocol and no other (RFC 8737 §3).
        let is_challenge = hello.alpn().is_some_and(|mut offered| offered.all(|id| id == Alpn::Acme.id()));
        if is_challenge {
            return self.challenges.certificate(hello.server_name()?);
        }
        self.choose(hello.server_name()).map(|pair| Arc::clone(&pair.certified))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

    use super::*;

    const NOW: Unix = Unix::from_secs(1_790_000_000); // 2026-09-21
    const DAY: u64 = 24 * 3600;

    #[test]
    fn a_certificate_that_cannot_be_used_is_refused_in_words_that_help() {
        let folder = Folder::new("bad-certificates");
        let good = folder.pair("good", &["turn.example"]);
        let names = ["other.example", "*.wild.example", "192.0.2.1", "2001:db8::1"];
        let (other, nameless) = (folder.pair("other", &names), folder.pair("nameless", &[]));
        let with = |certificate: PathBuf| Files { certificate, ..good.clone() };
        let file = |name, text: &str| with(folder.file(name, text));
        for (files, expected) in [
            (with("/none".into()), "tls.certificate: /none: cannot be read by this user (No such file"),
            (
                with(good.key.clone()),
                "no certificate in PEM: name the file that ACME clients call fullchain.pem",
            ),
            (file("empty", ""), "tls.certificate: FOLDER/empty: no certificate in PEM"),
            (file("bad", &pem("CERTIFICATE")), "tls.certificate: FOLDER/bad: the certificate is malformed ("),
            (file("cut", "-----BEGIN CERTIFICATE-----\nAA"), "the certificate is malformed ("),
            (
                other.clone(),
                "tls.names: FOLDER/other.pem: wrong host name: turn.example is not in the certificate, which is for \
                 other.example, *.wild.example, 192.0.2.1, 2001:db8::1",
            ),
            (nameless, "turn.example is not in the certificate, which contains no host name"),
        ] {
            refused(&folder, files, expected);
        }
        let names = ["a.wild.example", "turn.example", "192.0.2.1"].map(str::to_owned);
        assert!(
            Certificates::load(&[good, other], &names).is_ok(),
            "one certificate for each name is enough"
        );
    }

    #[test]
    fn a_key_that_cannot_be_used_is_refused_in_words_that_help() {
        let folder = Folder::new("bad-keys");
        let good = folder.pair("good", &["turn.example"]);
        let other = folder.pair("other", &["turn.example"]);
        let with = |key: PathBuf| Files { key, ..good.clone() };
        let file = |name, text: &str| with(folder.file(name, text));
        for (files, expected) in [
            (with("/none".into()), "tls.key: /none: cannot be read by this user (No such file"),
            (with(folder.0.clone()), "cannot be read by this user (Is a directory"),
            (with("/dev/zero".into()), "tls.key: /dev/zero: cannot be read by this user (it is a device"),
            (
                file("long", &"\n".repeat(2 << 20)),
                "tls.key: FOLDER/long: cannot be read by this user (the file is larger than 1 MiB",
            ),
            (with(good.certificate.clone()), "no private key in PEM"),
            (file("bad", &pem("PRIVATE KEY")), "tls.key: FOLDER/bad: the key cannot be used ("),
            (
                file("locked", &pem("ENCRYPTED PRIVATE KEY")),
                "the key has a passphrase: remove it with `openssl pkey -in FOLDER/locked`",
            ),
            (
                with(other.key),
                "tls.key: FOLDER/other.key: the key does not match the certificate in FOLDER/good.pem",
            ),
        ] {
            refused(&folder, files, expected);
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let folder = Folder::new("everything");
        let (one, two) = (folder.pair("one", &["one.example"]), folder.pair("two", &["two.example"]));
        let bad = Files { certificate: folder.file("bad.pem", ""), key: folder.file("bad.key", "") };
        let mixed = Files { key: two.key.clone(), ..one.clone() };
        let names = ["a.example", "two.example", "b.example"].map(str::to_owned);
        let keys = |files: &[Files]| {
            let errors = Certificates::load(files, &names).unwrap_err();
            errors.iter().map(CertificateError::key).collect::<Vec<_>>()
        };
        assert_eq!(keys(&[bad, mixed, two.clone()]), ["tls.certificate", "tls.key", "tls.key"]);
        assert_eq!(keys(&[two]), ["tls.names", "tls.names"]);
    }

    #[test]
    fn a_byte_order_mark_hides_no_certificate() {
        let folder = Folder::new("mark");
        let Files { certificate, key } = folder.pair("a", &["a.example"]);
        let marked = |name: &str, path: &PathBuf| {
            folder.file(name, &format!("\u{FEFF}{}", fs::read_to_string(path).unwrap().replace('\n', "\r\n")))
        };
        let files = Files { certificate: marked("b.pem", &certificate), key: marked("b.key", &key) };
        Certificates::load(&[files], &["a.example".to_owned()]).unwrap();
    }

    fn refused(folder: &Folder, files: Files, expected: &str) {
        let errors = Certificates::load(&[files], &["turn.example".to_owned()]).expect_err(expected);
        let said: Vec<_> = errors.iter().map(|error| format!("{}: {error}", error.key())).collect();
        assert_eq!(errors.len(), 1, "{said:?}");
        let said = said.concat();
        let expected = expected.replace("FOLDER", &folder.0.display().to_string());
        assert!(said.contains(&expected), "{said}\nshould contain {expected}");
    }

    /// A PEM block of three zeros.
    fn pem(kind: &str) -> String {
        format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n")
    }

    #[test]
    fn a_closed_folder_is_met_with_what_opens_it() {
        let denied = CertificateError {
            file: "/etc/letsencrypt/live/a/privkey.pem".into(),
            fault: Fault::KeyUnreadable(std::io::ErrorKind::PermissionDenied.into()),
        };
        let said = denied.to_string();
        assert!(
            said.contains("cannot be read by this user (permission denied): let the service's group read it"),
            "{said}"
        );
        assert!(said.contains("deploy hook"), "{said}");
    }

    #[test]
    fn an_invalid_time_is_a_warning_at_the_start_and_said_in_its_words() {
        let folder = Folder::new("times");
        let files = folder.pair_valid("a", &["a.example"], (2026, 9), (2026, 10));
        let certificates = Certificates::load(&[files], &["a.example".to_owned()]).unwrap();
        let october = certificates.expiry().last().as_secs();
        let long = folder.pair_valid("long", &["a.example"], (2026, 1), (2026, 10));
        let long = Certificates::load(&[long], &[]).unwrap();
        let warnings = |secs| certificates.warnings(Unix::from_secs(secs)).join("; ");

        assert_eq!(october, 1_790_812_800);
        assert!(
            warnings(october + 1).contains("a.pem: expired on 2026-10-01: renew it"),
            "{}",
            warnings(october + 1)
        );
        assert!(warnings(october - 31 * DAY).contains("a.pem: not valid before 2026-09-01"));
        assert!(warnings(october - 3 * DAY).contains("a.pem: expires on 2026-10-01, in 3 days"));
        assert_eq!(warnings(october - 8 * DAY), "", "it lives for 30 days, and is renewed late");
        assert!(
            long.warnings(Unix::from_secs(october - 13 * DAY))[0]
                .contains("expires on 2026-10-01, in 13 days")
        );
        assert_eq!(long.warnings(Unix::from_secs(october - 15 * DAY)), <[String; 0]>::default());
    }

    #[test]
    fn a_key_for_everybody_a_missing_chain_and_no_name_are_warned_about() {
        let folder = Folder::new("doubts");
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "a.example");
        let leaf = params.signed_by(&key, &Issuer::new(ca, KeyPair::generate().unwrap())).unwrap();
        let files = Files {
            certificate: folder.file("a.pem", &leaf.pem()),
            key: folder.file("a.key", &key.serialize_pem()),
        };
        let load = || Certificates::load(std::slice::from_ref(&files), &[]).unwrap();
        assert_eq!(load().closed_keys(), std::slice::from_ref(&files.key));

        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();

        let warnings = load().warnings(NOW).join("; ");
        assert!(warnings.contains("has no chain to its issuer"), "{warnings}");
        assert!(
            warnings.contains("a.key: everybody on this machine can read it: run `chmod o= "),
            "{warnings}"
        );
        assert_eq!(load().closed_keys(), <[PathBuf; 0]>::default());

        let nameless = Certificates::load(&[folder.pair("nameless", &[])], &[]).unwrap();
        assert!(nameless.warnings(NOW)[0].contains("nameless.pem: is for no name at all"));
    }

    #[test]
    fn the_name_that_a_client_asks_for_chooses_the_certificate() {
        let folder = Folder::new("names");
        let files = [
            folder.pair("first", &["first.example"]),
            folder.pair("wild", &["*.wild.example", "192.0.2.1"]),
            folder.pair("late", &["late.wild.example", "late.example"]),
        ];
        let certificates = Certificates::load(&files, &[]).unwrap();
        let by_name = ByName { pairs: certificates.loaded().pairs.clone(), challenges: Arc::default() };
        for (asked, chosen) in [
            (None, 0),
            (Some("first.example"), 0),
            (Some("FIRST.example"), 0),
            (Some("late.example"), 2),
            (Some("late.wild.example"), 1),
            (Some("turn.wild.example"), 1),
            (Some("a.turn.wild.example"), 0),
            (Some("elsewhere.test"), 0),
            (Some("not a name"), 0),
        ] {
            assert_eq!(by_name.choose(asked).unwrap().files, files[chosen], "{asked:?}");
        }
    }

    #[test]
    fn tls_speaks_for_http_and_turn_and_remembers_no_session() {
        let folder = Folder::new("config");
        let config = Certificates::load(&[folder.pair("a", &["a.example"])], &[]).unwrap().current().unwrap();
        let spoken =
            ["stun.turn", "stun.nat-discovery", "h2", "http/1.1"].map(|name| name.as_bytes().to_vec());
        assert_eq!(config.alpn_protocols, spoken);
        assert!(!config.session_storage.can_cache() && !config.ticketer.enabled());
        assert_eq!((config.send_tls13_tickets, config.max_early_data_size), (0, 0));
    }

    #[test]
    fn clients_that_verify_are_served_over_both_versions_with_the_certificate_for_their_name() {
        let folder = Folder::new("handshake");
        let files = [folder.pair("a", &["a.example"]), folder.pair("b", &["b.example"])];
        let server = Certificates::load(&files, &[]).unwrap().current().unwrap();
        for version in [&TLS12, &TLS13] {
            for (name, pair) in [("a.example", &files[0]), ("b.example", &files[1])] {
                let client = handshake(&server, pair, name, version).unwrap();
                assert_eq!(client.alpn_protocol(), Some(&b"stun.turn"[..]));
                assert_eq!(client.protocol_version(), Some(version.version));
            }
            assert!(handshake(&server, &files[0], "b.example", version).is_err(), "b is not signed by a");
        }
    }

    /// A handshake between `server` and a client that asks for `name` and trusts only `trusted`.
    fn handshake(
        server: &Arc<ServerConfig>,
        trusted: &Files,
        name: &'static str,
        version: &'static SupportedProtocolVersion,
    ) -> Result<ClientConnection, rustls::Error> {
        handshake_for(Alpn::Turn, server, trusted, name, version)
    }

    fn handshake_for(
        protocol: Alpn,
        server: &Arc<ServerConfig>,
        trusted: &Files,
        name: &'static str,
        version: &'static SupportedProtocolVersion,
    ) -> Result<ClientConnection, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&trusted.certificate).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.id().to_vec()];
        let mut client = ClientConnection::new(Arc::new(config), name.try_into().unwrap())?;
        let mut server = ServerConnection::new(Arc::clone(server))?;
        for _ in 0..4 {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(client)
    }

    #[test]
    fn a_new_pair_is_taken_and_files_that_did_not_change_are_neither_taken_nor_refused() {
        let folder = Folder::new("renewal");
        let certificates =
            Certificates::load(&[folder.pair("a", &["a.example"])], &["a.example".to_owned()]).unwrap();
        let before = certificates.current().unwrap();

        let unchanged = certificates.reload(NOW);
        assert_eq!((unchanged.taken, unchanged.refused.len()), (0, 0));
        assert!(Arc::ptr_eq(&before, &certificates.current().unwrap()));

        folder.pair("a", &["a.example"]);
        let renewed = certificates.reload(NOW);
        assert_eq!((renewed.taken, renewed.refused.len()), (1, 0));
        assert!(!Arc::ptr_eq(&before, &certificates.current().unwrap()));
    }

    #[test]
    fn the_old_pair_stays_whatever_is_wrong_with_the_new_one() {
        let folder = Folder::new("refusals");
        let files = folder.pair("a", &["a.example"]);
        let certificates =
            Certificates::load(std::slice::from_ref(&files), &["a.example".to_owned()]).unwrap();
        let before = certificates.current().unwrap();
        let refused = |expected: &str| {
            let Reloaded { taken, refused } = certificates.reload(NOW);
            assert_eq!((taken, refused.len()), (0, 1), "{expected}");
            assert!(refused[0].to_string().contains(expected), "{}\nshould contain {expected}", refused[0]);
            assert!(Arc::ptr_eq(&before, &certificates.current().unwrap()), "{expected}");
        };

        folder.pair("a", &["b.example"]);
        refused("wrong host name: a.example is not in the certificate, which is for b.example");
        folder.pair_valid("a", &["a.example"], (2026, 1), (2026, 9));
        refused("expired on 2026-09-01");
        folder.pair_valid("a", &["a.example"], (2026, 10), (2027, 1));
        refused("not valid before 2026-10-01");
        folder.file("a.key", "");
        refused("no private key in PEM");
        folder.file("a.key", &KeyPair::generate().unwrap().serialize_pem());
        refused("the key does not match the certificate");
        folder.file("a.pem", "half of a certific");
        refused("no certificate in PEM");
        fs::remove_file(&files.certificate).unwrap();
        refused("cannot be read by this user");

        folder.pair("a", &["a.example"]);
        assert_eq!(certificates.reload(NOW).taken, 1);
    }

    #[test]
    fn a_certificate_that_an_authority_issues_may_come_later() {
        let folder = Folder::new("issued");
        let pair = folder.pair("a", &["a.example", "192.0.2.1"]);
        let file = folder.0.join("issued.pem");
        let certificates = Certificates::default().with_issued(file.clone());
        let accepted = || handshake(&certificates.current().unwrap(), &pair, "a.example", &TLS13).is_ok();
        assert!(!accepted() && certificates.issued().is_none());
        let stamps = certificates.stamps();

        let text = [&pair.certificate, &pair.key].map(|file| fs::read_to_string(file).unwrap()).concat();
        folder.file("issued.pem", &text);

        assert_ne!(certificates.stamps(), stamps);
        assert_eq!(certificates.reload(NOW).taken, 1);
        assert!(accepted());
        let issued = certificates.issued().unwrap();
        assert!(issued.covers("a.example") && issued.covers("192.0.2.1") && !issued.covers("b.example"));
        assert_eq!(certificates.reload(NOW).taken, 0);
        let again = Certificates::default().with_issued(file);
        assert!(again.issued().is_some(), "after a restart");
        let late = Unix::from_secs(5_000_000_000);
        assert!(again.invalid(late).is_empty() && again.warnings(late).is_empty(), "nobody else renews it");
        folder.file("issued.pem", "");
        assert!(Certificates::default().with_issued(folder.0.join("issued.pem")).issued().is_none());
    }

    #[test]
    fn only_an_authority_gets_the_certificate_of_a_challenge() {
        let folder = Folder::new("challenge");
        let (own, challenge) = (folder.pair("own", &["a.example"]), folder.pair("challenge", &["a.example"]));
        let certificates =
            Certificates::load(std::slice::from_ref(&own), &[]).unwrap().with_issued(folder.0.join("none"));
        let certified = Pair::load(&challenge).unwrap().certified;
        let server = certificates.current().unwrap();
        let verify = || handshake_for(Alpn::Acme, &server, &challenge, "a.example", &TLS13).is_ok();
        assert!(!verify(), "nothing is offered");

        certificates.challenges().offer_certificate("a.example", (*certified).clone());

        assert!(verify());
        assert!(handshake(&server, &own, "a.example", &TLS13).is_ok());
        certificates.challenges().withdraw();
        assert!(!verify());
    }

    #[test]
    fn an_expired_pair_gives_way_to_a_valid_one_alone() {
        let folder = Folder::new("expired");
        let files = folder.pair_valid("a", &["a.example"], (2026, 1), (2026, 8));
        let certificates = Certificates::load(&[files], &[]).unwrap();

        let unchanged = certificates.reload(NOW);
        assert_eq!((unchanged.taken, unchanged.refused.len()), (0, 0));

        folder.pair_valid("a", &["a.example"], (2026, 1), (2026, 9));
        let expired = certificates.reload(NOW);
        assert_eq!((expired.taken, expired.refused.len()), (0, 1));

        folder.pair("a", &["a.example"]);
        assert_eq!(certificates.reload(NOW).taken, 1);
    }

    #[test]
    fn a_bad_pair_does_not_hold_up_another() {
        let folder = Folder::new("several");
        let files = [folder.pair("a", &["a.example"]), folder.pair("b", &["b.example"])];
        let certificates = Certificates::load(&files, &[]).unwrap();
        folder.pair("a", &["a.example"]);
        folder.file("b.key", "");

        let Reloaded { taken, refused } = certificates.reload(NOW);

        assert_eq!((taken, refused.len()), (1, 1));
        assert_eq!(refused[0].file, files[1].key);
    }

    #[test]
    fn stamps_show_a_swapped_symlink_a_rewrite_and_a_change_of_mode() {
        let folder = Folder::new("stamps");
        let files = folder.pair("a", &["a.example"]);
        let certificates = Certificates::load(std::slice::from_ref(&files), &[]).unwrap();
        let mut last = certificates.stamps();
        assert_eq!(last, certificates.stamps());
        let mut differs = |what: &str| {
            let stamps = certificates.stamps();
            assert_ne!(last, stamps, "{what}");
            last = stamps;
        };

        folder.file("a.key", "x");
        differs("written");
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
        differs("opened");
        fs::rename(&files.key, folder.0.join("elsewhere")).unwrap();
        differs("gone");
        std::os::unix::fs::symlink("elsewhere", &files.key).unwrap();
        differs("behind a symlink");
        folder.file("swapped", "x");
        fs::remove_file(&files.key).unwrap();
        std::os::unix::fs::symlink("swapped", &files.key).unwrap();
        differs("behind another");
    }

    /// A folder for one test, deleted when it is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("hairpin-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        /// A pair that is valid until 2100.
        fn pair(&self, name: &str, names: &[&str]) -> Files {
            self.pair_valid(name, names, (2026, 1), (2100, 1))
        }

        /// A pair that is valid from the first of a month to the first of another.
        fn pair_valid(&self, name: &str, names: &[&str], from: (i32, u8), to: (i32, u8)) -> Files {
            let key = KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.not_before = date_time_ymd(from.0, from.1, 1);
            params.not_after = date_time_ymd(to.0, to.1, 1);
            Files {
                certificate: self.file(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem()),
                key: self.file(&format!("{name}.key"), &key.serialize_pem()),
            }
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }
}
