//! Reads a certificate with its key, and checks that they can be used.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error, InconsistentKeys};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use crate::certificates::{CertificateError, Fault, Files};
use crate::clock::{Expiry, Unix, Validity};
use crate::files;

/// A certificate with its chain and its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) files: Files,
    pub(super) certified: Arc<CertifiedKey>,
    /// The names that the certificate is for.
    pub(super) names: Vec<String>,
    begin: ASN1Time,
    end: ASN1Time,
    /// Whether the certificate is not self-signed and its chain is missing.
    lacks_chain: bool,
}

impl Pair {
    /// Reads both files.
    ///
    /// # Errors
    /// What is wrong with each file. Never an empty list.
    pub(super) fn load(files: &Files) -> Result<Self, Vec<CertificateError>> {
        let Files { certificate, key } = files;
        let bad_certificate = |fault| CertificateError { file: certificate.clone(), fault };
        let bad_key = |fault| CertificateError { file: key.clone(), fault };
        let chain = load_chain(certificate).map_err(bad_certificate);
        let secret = load_key(key).map_err(bad_key);
        let ((chain, (names, begin, end, lacks_chain)), secret) = match (chain, secret) {
            (Ok(chain), Ok(secret)) => (chain, secret),
            (chain, secret) => return Err(chain.err().into_iter().chain(secret.err()).collect()),
        };
        let certified = CertifiedKey::new(chain, secret);
        match certified.keys_match() {
            Ok(()) => {}
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                return Err(vec![bad_key(Fault::KeyMismatch(certificate.clone()))]);
            }
            Err(error) => return Err(vec![bad_certificate(Fault::MalformedCertificate(error.to_string()))]),
        }
        Ok(Self { files: files.clone(), certified: Arc::new(certified), names, begin, end, lacks_chain })
    }

    /// The pair that is in the files now; `None` if the certificate is unchanged.
    ///
    /// # Errors
    /// Also if the new certificate is not valid at `now`.
    pub(super) fn successor(&self, now: Unix) -> Result<Option<Self>, Vec<CertificateError>> {
        let new = Self::load(&self.files)?;
        if new.certified.cert == self.certified.cert {
            return Ok(None);
        }
        match new.invalid(now) {
            Some(error) => Err(vec![error]),
            None => Ok(Some(new)),
        }
    }

    /// Whether the certificate is for `name`, literally or by a wildcard.
    pub(super) fn covers(&self, name: &str) -> bool {
        let leaf = self.certified.end_entity_cert().and_then(ParsedCertificate::try_from);
        let (Ok(leaf), Ok(name)) = (leaf, ServerName::try_from(name)) else { return false };
        verify_server_name(&leaf, &name).is_ok()
    }

    /// When it is valid.
    pub(super) fn validity(&self) -> Validity {
        Validity { begin: unix(self.begin), end: unix(self.end) }
    }

    /// When it expires.
    pub(super) fn expiry(&self) -> Expiry {
        Expiry::at(unix(self.end))
    }

    pub(super) fn is_key_public(&self) -> bool {
        self.files.key.metadata().is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
    }

    pub(super) fn warnings(&self, now: Unix) -> Vec<String> {
        let (certificate, key) = (self.files.certificate.display(), self.files.key.display());
        let mut warnings = Vec::new();
        if let Some(error) = self.invalid(now) {
            warnings.push(format!("tls.certificate: {error}"));
        } else if self.expiry().left(now) < self.soon() {
            let (days, date) = (self.expiry().left(now).as_secs() / DAY, day(self.end));
            warnings
                .push(format!("tls.certificate: {certificate}: expires on {date}, in {days} days: renew it"));
        }
        if self.names.is_empty() {
            let text =
                "is for no name at all, and clients that verify refuse it: make one with a subjectAltName";
            warnings.push(format!("tls.certificate: {certificate}: {text}"));
        }
        if self.lacks_chain {
            let text = "has no chain to its issuer, and most clients will not trust it: name fullchain.pem";
            warnings.push(format!("tls.certificate: {certificate}: {text}"));
        }
        if self.is_key_public() {
            let text = "everybody on this machine can read it";
            warnings.push(format!("tls.key: {key}: {text}: run `chmod o= {key}`"));
        }
        warnings
    }

    /// How long before its end the certificate should have been renewed automatically. Short-lived certificates are renewed
    /// later.
    fn soon(&self) -> Duration {
        SOON.min(self.expiry().left(unix(self.begin)) / 4)
    }

    pub(super) fn invalid(&self, now: Unix) -> Option<CertificateError> {
        let fault = if self.expiry().is_over(now) {
            Fault::Expired(day(self.end))
        } else if now < unix(self.begin) {
            Fault::NotYetValid(day(self.begin))
        } else {
            return None;
        };
        Some(CertificateError { file: self.files.certificate.clone(), fault })
    }
}

/// A certificate's names, the begin and end of its validity, and whether the chain to its issuer is missing.
type Said = (Vec<String>, ASN1Time, ASN1Time, bool);

fn load_chain(file: &Path) -> Result<(Vec<CertificateDer<'static>>, Said), Fault> {
    let text = read(file).map_err(Fault::CertificateUnreadable)?;
    let chain = read_chain(&text)?;
    let said = inspect(&chain)?;
    Ok((chain, said))
}

fn load_key(file: &Path) -> Result<Arc<dyn SigningKey>, Fault> {
    let text = read(file).map_err(Fault::KeyUnreadable)?;
    let key = read_key(&text)?;
    ring::default_provider().key_provider.load_private_key(key).map_err(|error| unusable(&error))
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    files::read(&files::open(file)?)
}

fn read_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(Fault::NoCertificate),
        Ok(chain) => Ok(chain),
        Err(error) => Err(Fault::MalformedCertificate(error.to_string())),
    }
}

fn read_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    let encrypted =
        |line: &[u8]| line.starts_with(b"-----BEGIN ENCRYPTED") || line.starts_with(b"Proc-Type: 4");
    if text.split(|byte| *byte == b'\n').any(encrypted) {
        return Err(Fault::EncryptedKey);
    }
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(rustls::pki_types::pem::Error::NoItemsFound) => Err(Fault::NoKey),
        Err(error) => Err(Fault::UnusableKey(error.to_string())),
    }
}

fn unusable(error: &Error) -> Fault {
    let reason = if let Error::General(reason) = error { reason.clone() } else { error.to_string() };
    Fault::UnusableKey(reason)
}

/// Reads the first certificate of the chain.
fn inspect(chain: &[CertificateDer<'_>]) -> Result<Said, Fault> {
    let leaf = chain.first().ok_or(Fault::NoCertificate)?;
    let parsed = X509Certificate::from_der(leaf);
    let (_, leaf) = parsed.map_err(|error| Fault::MalformedCertificate(error.to_string()))?;
    let names = leaf.subject_alternative_name();
    let names = names.map_err(|error| Fault::MalformedCertificate(error.to_string()))?;
    let names = names.map_or_else(Vec::new, |names| names.value.general_names.iter().map(show).collect());
    let lacks_chain = chain.len() == 1 && leaf.issuer() != leaf.subject();
    Ok((names, leaf.validity().not_before, leaf.validity().not_after, lacks_chain))
}

fn show(name: &GeneralName<'_>) -> String {
    if let GeneralName::DNSName(name) = name {
        return (*name).to_owned();
    }
    if let GeneralName::IPAddress(bytes) = name {
        let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
        let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
        return ip.map_or_else(|_| "an address of no family".to_owned(), |ip| ip.to_string());
    }
    name.to_string()
}

/// Converts a time. Times before 1970 become the Unix epoch.
fn unix(time: ASN1Time) -> Unix {
    Unix::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

fn day(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}

const DAY: u64 = 24 * 3600;
const SOON: Duration = Duration::from_secs(14 * DAY);
