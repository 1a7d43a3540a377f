//! PURE  `[tls.acme]`: the certificate that Hairpin gets by itself (RFC 8555).

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use url::Url;

use crate::origin::host::HostName;
use crate::sections::value::Text;

section! {
    /// `[tls.acme]`
    pub struct Acme {
        /// The host names and IP addresses of the certificate. Without any, Hairpin gets none.
        pub names: Vec<HostName> = Vec::new(),
        /// An e-mail address at which the certificate authority may write to the operator.
        pub contact: Option<Contact> = None,
        /// The certificate authority.
        pub directory: Directory = Directory::LetsEncrypt,
        /// Whether the operator agrees to the terms of the certificate authority.
        pub accept_terms: bool = false,
        /// How Hairpin proves that it has the names.
        pub challenge: Challenge = Challenge::Auto,
        /// The kind of certificate, of those that the authority offers.
        pub profile: Profile = Profile::Auto,
        /// The root certificates by which the authority itself is verified; the system's by default.
        pub roots: Option<PathBuf> = None,
        /// The folder for the account, the certificate and its key.
        pub folder: Folder = Folder::Auto,
    }
}

impl Acme {
    /// Whether Hairpin is to get a certificate.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.names.is_empty()
    }

    /// Whether one of the names is an IP address. Authorities issue only short-lived certificates for those.
    #[must_use]
    pub fn has_address(&self) -> bool {
        self.names.iter().any(|name| name.as_str().parse::<IpAddr>().is_ok())
    }

    /// The file with the certificate, its chain and its key. `state` is the folder that "auto" is in. Each authority has its
    /// own, so that one for tests leaves nothing to another.
    #[must_use]
    pub fn files(&self, state: &Path) -> Files {
        let folder = match &self.folder {
            Folder::Auto => state.join("acme"),
            Folder::Path(path) => path.clone(),
        };
        let authority: String =
            self.directory.url().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let folder = folder.join(authority.trim_start_matches("https---"));
        Files { account: folder.join("account.json"), certificate: folder.join("certificate.pem") }
    }
}

/// What Hairpin keeps for one authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The account and its key.
    pub account: PathBuf,
    /// The certificate with its chain and its key.
    pub certificate: PathBuf,
}

/// A certificate authority that speaks ACME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directory {
    /// Let's Encrypt.
    LetsEncrypt,
    /// Its server for tests, whose certificates no browser trusts.
    LetsEncryptStaging,
    /// The one with this directory.
    Url(String),
}

impl Directory {
    /// The URL of the directory.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::LetsEncrypt => "https://acme-v02.api.letsencrypt.org/directory",
            Self::LetsEncryptStaging => "https://acme-staging-v02.api.letsencrypt.org/directory",
            Self::Url(url) => url,
        }
    }
}

impl Text for Directory {
    const EXAMPLE: &'static str = "\"letsencrypt\", \"letsencrypt-staging\", or the URL of a directory, such as \"https://acme.example.org/directory\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "letsencrypt" => Ok(Self::LetsEncrypt),
            "letsencrypt-staging" => Ok(Self::LetsEncryptStaging),
            _ if Url::parse(text).is_ok_and(|url| url.scheme() == "https") => Ok(Self::Url(text.to_owned())),
            _ => Err(format!("{text:?} is not a certificate authority: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::LetsEncrypt => "letsencrypt".to_owned(),
            Self::LetsEncryptStaging => "letsencrypt-staging".to_owned(),
            Self::Url(url) => url.clone(),
        }
    }
}

/// An e-mail address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(String);

impl Contact {
    /// The address as a URL (RFC 8555 §7.3).
    #[must_use]
    pub fn url(&self) -> String {
        format!("mailto:{}", self.0)
    }
}

impl Text for Contact {
    const EXAMPLE: &'static str = "\"admin@example.org\"";

    fn parse(text: &str) -> Result<Self, String> {
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        let parts = address.split_once('@');
        let is_one = parts.is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
            && address.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ',' | '?' | '#' | '%'));
        if is_one {
            Ok(Self(address.to_owned()))
        } else {
            Err(format!("{text:?} is not an e-mail address: write one such as {}", Self::EXAMPLE))
        }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// How Hairpin proves that it has the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// By the first of the others that the listeners allow; if that fails, by the next.
    Auto,
    /// In a TLS handshake (RFC 8737), which the authority begins at port 443.
    TlsAlpn,
    /// By a resource over HTTP (RFC 8555 §8.3), which the authority requests at port 80.
    Http,
}

impl Text for Challenge {
    const EXAMPLE: &'static str = "\"auto\", \"tls-alpn-01\" or \"http-01\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "tls-alpn-01" => Ok(Self::TlsAlpn),
            "http-01" => Ok(Self::Http),
            _ => Err(format!("{text:?} is not a challenge that Hairpin can meet: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Auto => "auto",
            Self::TlsAlpn => "tls-alpn-01",
            Self::Http => "http-01",
        }
        .to_owned()
    }
}

/// The kind of certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// "shortlived" for IP addresses, where the authority offers it; otherwise what the authority chooses.
    Auto,
    /// The one with this name.
    Named(String),
}

impl Text for Profile {
    const EXAMPLE: &'static str = "\"auto\", or a profile that the authority offers, such as \"shortlived\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self::Named(text.to_owned()))
            }
            _ => Err(format!("{text:?} is not the name of a profile: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Named(name) => name.clone(),
        }
    }
}

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// `acme` in the folder that systemd makes for the service.
    Auto,
    /// This one.
    Path(PathBuf),
}

impl Text for Folder {
    const EXAMPLE: &'static str = "\"auto\", or a path such as \"/var/lib/hairpin/acme\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ if text.starts_with('/') => Ok(Self::Path(text.into())),
            _ => Err(format!("{text:?} is not a path that begins with /: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Path(path) => path.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_authority_has_its_own_files() {
        let files = |directory: &str| {
            let acme = Acme { directory: Directory::parse(directory).unwrap(), ..Acme::default() };
            acme.files(Path::new("/var/lib/hairpin")).certificate.display().to_string()
        };
        let of = |folder: &str| format!("/var/lib/hairpin/acme/{folder}/certificate.pem");
        assert_eq!(files("letsencrypt"), of("acme-v02-api-letsencrypt-org-directory"));
        assert_eq!(files("letsencrypt-staging"), of("acme-staging-v02-api-letsencrypt-org-directory"));
        assert_eq!(files("https://[::1]:14000/../dir"), of("---1--14000----dir"));
    }

    #[test]
    fn an_e_mail_address_is_one() {
        for right in ["admin@example.org", "mailto:a.b+c@mail.example.org"] {
            assert!(
                Contact::parse(right).is_ok_and(|contact| contact.url().starts_with("mailto:")),
                "{right}"
            );
        }
        for wrong in ["", "admin", "@example.org", "admin@localhost", "a@b.c,d@e.f", "a b@example.org"] {
            assert!(Contact::parse(wrong).is_err(), "{wrong}");
        }
    }
}
