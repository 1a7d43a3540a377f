//! `hairpin demo`: a call page for the devices in the same network, with a certificate that this machine signs itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use x509_parser::time::ASN1Time;

use crate::certificates::{Certificates, Files};
use crate::cli::{Failure, print, serve};
use crate::clock::{Clock, Unix};
use crate::config::Config;
use crate::files::write_private;
use crate::network::interfaces;
use crate::origin::PublicUrl;
use crate::sections::tls::OneOrMore;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The port of the page.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// The folder for the certificate, which the next demo uses again.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let own = interfaces::own().map_err(Failure::system)?.addresses;
    let address = interfaces::default_addresses(&own, &[]).first().copied();
    let address =
        address.ok_or_else(|| Failure::system("this machine is in no network: connect it to one"))?;
    let folder = arguments.folder.clone().unwrap_or_else(cache);
    let files = certificate(&folder, &own).map_err(|error| {
        Failure::system(format!("{}: {error}: name another folder with --folder", folder.display()))
    })?;
    let url = format!("https://{}", SocketAddr::new(address, arguments.port));
    let mut config = Config::default();
    config.listen.tls = vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), arguments.port)];
    config.http.public_url = Some(PublicUrl::parse(&url).map_err(Failure::system)?);
    config.tls.certificate = OneOrMore(vec![files.certificate.clone()]);
    config.tls.key = OneOrMore(vec![files.key.clone()]);
    let certificates = Certificates::load(&[files], &[]).map_err(|errors| {
        Failure::system(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    print(&invitation(&url))?;
    serve::start(&config, Some(certificates), None)
}

/// What the terminal shows: the URL, as text and as a QR code, and what the browser will say.
fn invitation(url: &str) -> String {
    let code = QrCode::new(url).map(|code| {
        // Modules are drawn as the terminal's background, because most terminals are dark, and the border as its foreground.
        code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build()
    });
    format!(
        "{}\n\nOpen {url} on this computer, and scan the code with a phone in the same network.\n\
         Each browser warns once that the connection is not private, because no authority has signed the certificate:\n\
         choose \"Advanced\" (Safari: \"Show Details\"), and go on. Then start a call on one device, and join it on the other.\n\
         Ctrl-C ends the demo.\n\n",
        code.unwrap_or_default()
    )
}

/// Where certificates of demos are kept.
fn cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("hairpin-demo")
}

/// The certificate of the last demo, if it is for all addresses and still valid for a while; otherwise a new one. Browsers
/// that have accepted one do not ask again.
fn certificate(folder: &Path, addresses: &[IpAddr]) -> io::Result<Files> {
    let files = Files { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") };
    let names: Vec<String> =
        addresses.iter().map(ToString::to_string).chain(["localhost".to_owned()]).collect();
    let now = Clock::start().now().unix;
    let former = Certificates::load(std::slice::from_ref(&files), &names);
    if former.is_ok_and(|certificates| certificates.expiry().left(now) > WEEK) {
        return Ok(files);
    }
    let (certificate, key) = make(names, now).map_err(io::Error::other)?;
    write_private(&files.certificate, certificate.as_bytes())?;
    write_private(&files.key, key.as_bytes())?;
    Ok(files)
}

/// A certificate that this machine signs itself, and its key, in PEM. It is valid for 90 days.
fn make(names: Vec<String>, now: Unix) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Hairpin demo");
    // Clocks of phones may be late.
    if let (Some(begin), Some(end)) =
        (date(now.as_secs().saturating_sub(DAY)), date(now.as_secs() + 90 * DAY))
    {
        (params.not_before, params.not_after) = (begin.to_datetime(), end.to_datetime());
    }
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// A second on the wall clock as a certificate has it.
fn date(secs: u64) -> Option<ASN1Time> {
    ASN1Time::from_timestamp(i64::try_from(secs).ok()?).ok()
}

const DAY: u64 = 24 * 3600;
/// A certificate that is valid for less time is made anew.
const WEEK: Duration = Duration::from_secs(7 * DAY);

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(test: &str) -> PathBuf {
        std::env::temp_dir().join(format!("hairpin-demo-{}-{test}", std::process::id()))
    }

    #[test]
    fn a_certificate_is_used_again_as_long_as_it_is_for_all_addresses() {
        let folder = folder("again");
        let home: [IpAddr; 2] = ["192.168.1.5".parse().unwrap(), "fd00::5".parse().unwrap()];
        let made = |addresses: &[IpAddr]| {
            let files = certificate(&folder, addresses).unwrap();
            std::fs::read_to_string(&files.certificate).unwrap()
        };
        let first = made(&home);
        assert_eq!(made(&home[..1]), first);
        let elsewhere = made(&["10.0.0.7".parse().unwrap()]);
        assert_ne!(elsewhere, first);
        assert_eq!(made(&["10.0.0.7".parse().unwrap()]), elsewhere);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_invitation_has_the_url_as_text_and_as_a_code() {
        let text = invitation("https://192.168.1.5:8443");
        assert!(text.contains("Open https://192.168.1.5:8443 on this computer"));
        let code: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
        assert!(code.len() > 14 && code.iter().all(|line| line.chars().count() == code[0].chars().count()));
    }
}
