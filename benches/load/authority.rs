//! Issues the certificates that a server under load shows, and trusts them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SerialNumber};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::Outcome;

/// The name that every certificate is for.
pub const HOST: &str = "localhost";
pub const CERTIFICATE: &str = "certificate.pem";
pub const KEY: &str = "key.pem";

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    pub fn new() -> Outcome<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "load");
        let certificate = params.self_signed(&key)?;
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Writes down who is to be trusted.
    pub fn introduce(&self, file: &Path) -> Outcome<()> {
        Ok(fs::write(file, self.certificate.pem())?)
    }

    /// Puts a new certificate and its key into a folder, each in place of the old one in one step.
    pub fn renew(&self, folder: &Path, serial: u64) -> Outcome<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([HOST.to_owned()])?;
        params.serial_number = Some(SerialNumber::from(serial));
        let chain = params.signed_by(&key, &self.issuer)?.pem() + &self.certificate.pem();
        let files = [(KEY, key.serialize_pem()), (CERTIFICATE, chain)].map(|(name, text)| {
            let new = folder.join(format!("{name}.new"));
            fs::write(&new, text).map(|()| (new, folder.join(name)))
        });
        for file in files {
            let (new, old) = file?;
            fs::rename(new, old)?;
        }
        Ok(())
    }
}

/// Puts a key that does not match the certificate into a folder.
pub fn mismatch(folder: &Path) -> Outcome<()> {
    Ok(fs::write(folder.join(KEY), KeyPair::generate()?.serialize_pem())?)
}

/// Leaves only the beginning of the certificate's file.
pub fn truncate(folder: &Path) -> Outcome<()> {
    let file = folder.join(CERTIFICATE);
    let text = fs::read_to_string(&file)?;
    Ok(fs::write(file, &text[..text.len() / 4])?)
}

/// A client that trusts what the authority in this file has issued.
pub fn client_of(file: &Path) -> Outcome<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config =
        builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
