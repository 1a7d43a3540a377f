//! The certificate: as its files have it, and as the server shows it.

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::parse_x509_certificate;

use crate::clock::{Clock, Unix};
use crate::config::Config;
use crate::doctor::report::Report;

const SUBJECT: &str = "certificate";
const DAY: i64 = 24 * 3600;
/// A certificate is renewed at two thirds of its lifetime, so even one of six days never has less than this left.
const SOON: i64 = 2 * DAY;

/// Reports the certificates in the configured files, and the last order of `tls.acme`.
pub(super) fn look_at_files(
    config: &Config,
    file: Option<&Path>,
    status: &Result<Value, String>,
    report: &mut Report,
) {
    if !config.tls.is_on() {
        report.warn(
            SUBJECT,
            "there is none, so clients in networks that allow only HTTPS cannot connect",
            "run `hairpin setup NAME`, or add [tls.acme] with your host name, or tls.certificate",
        );
        return;
    }
    let invalid = match Config::examine(file) {
        Ok((_, certificates)) => {
            certificates.map_or(Vec::new(), |all| all.invalid(Clock::start().now().unix))
        }
        Err(error) => {
            report.fail(SUBJECT, error.to_string(), "correct it, and run `systemctl reload hairpin`");
            return;
        }
    };
    for error in invalid {
        report.fail(SUBJECT, error.to_string(), "the daemon loads a renewed certificate within a second");
    }
    let ordered =
        status.as_ref().ok().and_then(|status| status.pointer("/acme/problem")).and_then(Value::as_str);
    if let Some(problem) = ordered {
        report.fail(
            SUBJECT,
            format!("the last order failed: {problem}"),
            "when that is mended, `systemctl reload hairpin` tries again at once",
        );
    }
}

/// Connects, whatever certificate the server shows, and returns its chain too.
pub(super) async fn connect(
    stream: TcpStream,
    name: &ServerName<'static>,
) -> std::io::Result<(TlsStream<TcpStream>, Vec<CertificateDer<'static>>)> {
    let provider = Arc::new(ring::default_provider());
    let seen = Arc::new(Seen { chain: Mutex::default(), provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Seen>::clone(&seen))
        .with_no_client_auth();
    let stream = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await?;
    let chain = std::mem::take(&mut *seen.chain.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((stream, chain))
}

/// Reports whether browsers would accept a chain for a name.
pub(super) fn judge(chain: &[CertificateDer<'_>], name: &str, subject: &str, report: &mut Report) {
    let Some((leaf, issuers)) = chain.split_first() else { return };
    let now = Clock::start().now().unix;
    let left = match parse_x509_certificate(leaf) {
        Ok((_, certificate)) => certificate.validity().not_after.timestamp().saturating_sub(seconds(now)),
        Err(error) => {
            report.fail(subject, format!("the certificate cannot be read: {error}"), "renew the certificate");
            return;
        }
    };
    if left < 0 {
        let ago = humantime::format_duration(Duration::from_secs(left.unsigned_abs()));
        report.fail(
            subject,
            format!("the certificate has expired {ago} ago"),
            "the daemon loads a renewed certificate within a second",
        );
        return;
    }
    if !is_for(leaf, name) {
        report.fail(
            subject,
            format!("the certificate is not for {name}"),
            "get one for every name in tls.names and http.public_url",
        );
        return;
    }
    match verify(leaf, issuers, name, now) {
        // What signs itself with openssl's defaults is an authority's certificate.
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_))) => report.warn(
            subject,
            format!(
                "this machine does not trust the certificate for {name}: it is self-signed, its chain is incomplete, or its \
                 authority is a private one"
            ),
            "browsers need a certificate that they trust, such as that of [tls.acme]",
        ),
        Err(error) => report.fail(subject, format!("the certificate for {name}: {error}"), "renew the certificate"),
        Ok(()) if left < SOON => report.warn(
            subject,
            format!("the certificate for {name} expires in {} hours", left / 3600),
            "find out why it was not renewed; for tls.acme the journal says it",
        ),
        Ok(()) => {
            report.ok(subject, format!("the certificate for {name} is trusted, and valid for {} days", left / DAY));
        }
    }
}

/// Whether a certificate has a name, whoever signed it.
fn is_for(leaf: &CertificateDer<'_>, name: &str) -> bool {
    let (Ok(leaf), Ok(name)) = (ParsedCertificate::try_from(leaf), ServerName::try_from(name)) else {
        return false;
    };
    verify_server_name(&leaf, &name).is_ok()
}

/// The root certificates of this machine.
static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(roots)
});

fn verify(
    leaf: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
    name: &str,
    now: Unix,
) -> Result<(), Error> {
    if ROOTS.is_empty() {
        return Err(CertificateError::UnknownIssuer.into());
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&ROOTS), provider)
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let name = ServerName::try_from(name).map_err(|error| Error::General(error.to_string()))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
    verifier.verify_server_cert(leaf, issuers, &name, &[], now).map(drop)
}

fn seconds(now: Unix) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Accepts every certificate, and keeps it so that what is wrong can be reported.
#[derive(Debug)]
struct Seen {
    chain: Mutex<Vec<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(leaf).chain(issuers).map(|one| one.clone().into_owned()).collect();
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
