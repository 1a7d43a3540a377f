//! Certificates for one test, in files that go with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use hairpin::config::Config;
use hairpin::sections::tls::OneOrMore;
use rcgen::{CertificateParams, KeyPair};

/// A folder with certificates.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hairpin-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a new certificate and its key; returns the certificate in DER.
    pub fn pair(&self, name: &str, host: &str) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([host.to_owned()]).unwrap().self_signed(&key).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
        certificate.der().to_vec()
    }

    /// Writes a key that fits no certificate.
    pub fn foreign_key(&self, name: &str) {
        self.write(&format!("{name}.key"), &KeyPair::generate().unwrap().serialize_pem());
    }

    /// Has a daemon show these certificates, and listen for TLS alone as well.
    pub fn configure(&self, config: &mut Config, names: &[&str]) {
        let files = |ending: &str| names.iter().map(|name| self.0.join(format!("{name}.{ending}"))).collect();
        (config.tls.certificate, config.tls.key) = (OneOrMore(files("pem")), OneOrMore(files("key")));
        config.listen.tls = vec!["127.0.0.1:0".parse().unwrap()];
    }

    /// The same for the text of a configuration file, and one certificate.
    pub fn configure_text(&self, text: &str, name: &str) -> String {
        let file = |ending: &str| self.0.join(format!("{name}.{ending}"));
        let listen = text.replace("[relay]\n", "tls = [\"127.0.0.1:0\"]\n[relay]\n");
        format!("{listen}[tls]\ncertificate = {:?}\nkey = {:?}\n", file("pem"), file("key"))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
