//! Says what is wrong with a certificate, and what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a file of `[tls]` cannot be used. Shown as `file: reason`.
#[derive(Debug)]
pub struct CertificateError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a certificate or its key.
#[derive(Debug)]
pub enum Fault {
    /// The certificate cannot be read.
    CertificateUnreadable(io::Error),
    /// The key cannot be read.
    KeyUnreadable(io::Error),
    /// The certificate's file has no certificate.
    NoCertificate,
    /// The key's file has no key.
    NoKey,
    /// The key needs a passphrase.
    EncryptedKey,
    /// The certificate is invalid.
    MalformedCertificate(String),
    /// The key is invalid or not supported.
    UnusableKey(String),
    /// The key does not belong to the certificate in this file.
    KeyMismatch(PathBuf),
    /// A host name that clients use is in no certificate.
    WrongName {
        /// The name.
        name: String,
        /// The names that are in a certificate.
        has: Vec<String>,
    },
    /// It expired on this day.
    Expired(String),
    /// It is only valid from this day on.
    NotYetValid(String),
}

impl CertificateError {
    /// The configuration key that names the wrong file.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self.fault {
            Fault::CertificateUnreadable(_)
            | Fault::NoCertificate
            | Fault::MalformedCertificate(_)
            | Fault::Expired(_)
            | Fault::NotYetValid(_) => "tls.certificate",
            Fault::KeyUnreadable(_)
            | Fault::NoKey
            | Fault::EncryptedKey
            | Fault::UnusableKey(_)
            | Fault::KeyMismatch(_) => "tls.key",
            Fault::WrongName { .. } => "tls.names",
        }
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.fault {
            Fault::CertificateUnreadable(error) | Fault::KeyUnreadable(error) => {
                write!(f, "{file}: cannot be read by this user ({error}): {}", remedy(error))
            }
            Fault::NoCertificate => {
                write!(f, "{file}: no certificate in PEM: name the file that ACME clients call fullchain.pem")
            }
            Fault::NoKey => {
                write!(f, "{file}: no private key in PEM: name the file that ACME clients call privkey.pem")
            }
            Fault::EncryptedKey => {
                write!(f, "{file}: the key has a passphrase: remove it with `openssl pkey -in {file}`")
            }
            Fault::MalformedCertificate(reason) => {
                write!(f, "{file}: the certificate is malformed ({reason}): fetch it again")
            }
            Fault::UnusableKey(reason) => write!(
                f,
                "{file}: the key cannot be used ({reason}): use RSA with at least 2048 bits, ECDSA P-256 or ECDSA P-384"
            ),
            Fault::KeyMismatch(certificate) => write!(
                f,
                "{file}: the key does not match the certificate in {}: name a certificate and its own key",
                certificate.display()
            ),
            Fault::WrongName { name, has } if has.is_empty() => {
                write!(
                    f,
                    "{file}: wrong host name: {name} is not in the certificate, which contains no host name"
                )
            }
            Fault::WrongName { name, has } => write!(
                f,
                "{file}: wrong host name: {name} is not in the certificate, which is for {}",
                has.join(", ")
            ),
            Fault::Expired(date) => {
                write!(
                    f,
                    "{file}: expired on {date}: renew it; the new certificate is loaded without a restart"
                )
            }
            Fault::NotYetValid(date) => {
                write!(f, "{file}: not valid before {date}: check this machine's clock, then send SIGHUP")
            }
        }
    }
}

impl std::error::Error for CertificateError {}

fn remedy(error: &io::Error) -> &'static str {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return "check the path";
    }
    "let the service's group read it; only root can read /etc/letsencrypt/live, so let a certbot deploy hook copy the \
     files (README, \"TLS\")"
}
