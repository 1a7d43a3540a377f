//! `[tls]`: the certificates that TLS clients see, and the records that they get.

use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::DeValue;

use crate::certificates::{CertificateError, Certificates, Files};
use crate::origin::host::HostName;
use crate::sections::acme::Acme;
use crate::sections::reading::{Place, kind};
use crate::sections::value::FromToml;

section! {
    /// `[tls]`
    pub struct Tls {
        /// Files with a certificate and the chain to its issuer's root. Without any there is no TLS.
        pub certificate: OneOrMore = OneOrMore(Vec::new()),
        /// The file with the private key of each certificate, in the same order.
        pub key: OneOrMore = OneOrMore(Vec::new()),
        /// The host names that clients use; each must be in a certificate.
        pub names: Vec<HostName> = Vec::new(),
        /// Whether messages that are sent to a TURN client together share TLS records.
        pub coalesce: bool = false,
        /// The certificate that Hairpin gets by itself.
        pub acme: Acme = Acme::default(),
    }
}

impl Tls {
    /// Whether there is a certificate, or will be one.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificate.0.is_empty() || self.acme.is_on()
    }

    /// Reads the certificates, if there are or will be any. `state` is the folder that "auto" is in.
    ///
    /// # Errors
    /// Which files cannot be used, and why; at least one.
    pub fn load(&self, state: &Path) -> Result<Option<Certificates>, Vec<CertificateError>> {
        if !self.is_on() {
            return Ok(None);
        }
        let pair = |(certificate, key): (&PathBuf, &PathBuf)| Files {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let files: Vec<Files> = self.certificate.0.iter().zip(&self.key.0).map(pair).collect();
        // The certificate that an authority issues may come later, so its names are not looked for.
        let named = self.names.iter().filter(|name| !self.acme.names.contains(name));
        let names: Vec<String> = named.map(|name| name.as_str().to_owned()).collect();
        let certificates = Certificates::load(&files, &names)?;
        if !self.acme.is_on() {
            return Ok(Some(certificates));
        }
        Ok(Some(certificates.with_issued(self.acme.files(state).certificate)))
    }

    /// The host names that clients use.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.names.iter().chain(&self.acme.names).map(|name| name.as_str().to_owned()).collect()
    }
}

/// Files, of which one may be written without the brackets of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMore(
    /// The files.
    pub Vec<PathBuf>,
);

impl FromToml for OneOrMore {
    fn expected() -> String {
        "a file in quotes, or a list of files".to_owned()
    }

    fn from_toml(value: &DeValue<'_>, place: &mut Place<'_>) -> Option<Self> {
        if let Some(file) = value.as_str() {
            return Some(Self(vec![file.into()]));
        }
        if value.as_array().is_none() {
            return place.refuse(kind(value));
        }
        FromToml::from_toml(value, place).map(Self)
    }

    fn to_json(&self) -> Value {
        self.0.to_json()
    }
}
