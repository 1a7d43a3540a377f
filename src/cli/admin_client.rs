//! Asks a running daemon through its admin listener. The commands that do so are thin: they send one request each.

use std::env;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::Failure;
use crate::config::Config;
use crate::sections::admin::AdminAddress;
use crate::sections::value::Text as _;

/// Where the daemon is, and as whom to ask.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct AdminArguments {
    /// The daemon's [admin] listen: the path of a Unix socket, or an address with a port.
    #[arg(long, value_name = "ADDRESS", env = "HAIRPIN_ADMIN", default_value = DEFAULT)]
    admin: Address,
    /// Prints JSON, for scripts.
    #[arg(long)]
    pub(super) json: bool,
}

/// An admin listener.
#[derive(Debug, Clone)]
pub(super) struct Address(AdminAddress);

/// Where a daemon under systemd listens.
const DEFAULT: &str = "/run/hairpin/admin.sock";

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        AdminAddress::parse(text).map(Self)
    }
}

/// The variable with the token for a daemon that is asked over TCP. An argument would show it to every user of the machine.
const TOKEN: &str = "HAIRPIN_ADMIN_TOKEN";
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of the largest response.
const RESPONSE_MAX: usize = 64 << 20;

impl AdminArguments {
    /// The admin listener of a configuration, unless `admin` names another one.
    pub(super) fn of(admin: Option<Address>, config: &Config) -> Self {
        let listed = config.admin.listen.0.iter().flatten().next().cloned().map(Address);
        let usual = || Address(AdminAddress::Unix(DEFAULT.into()));
        Self { admin: admin.or(listed).unwrap_or_else(usual), json: false }
    }

    /// Sends a request with `body`, and returns the JSON of the response; `null` if it has none.
    ///
    /// # Errors
    /// If the daemon cannot be asked (71), or refuses the request (1): in its own words.
    pub(super) fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
        let asked = runtime.block_on(async {
            let answer = self.exchange(method, path, body.map(Value::to_string));
            tokio::time::timeout(PATIENCE, answer)
                .await
                .map_err(|_| "the daemon does not answer".to_owned())?
        });
        let Self { admin: Address(address), .. } = self;
        let (status, text) = asked.map_err(|reason| Failure::system(format!("{address}: {reason}")))?;
        let json: Option<Value> =
            if text.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&text).ok() };
        if status.is_success() {
            return json.ok_or_else(|| {
                Failure::system(format!("{address}: the response is not JSON: is this Hairpin?"))
            });
        }
        let said = |key| json.as_ref()?.get(key)?.as_str();
        let reason = said("detail").or(said("title")).map_or_else(|| status.to_string(), str::to_owned);
        // The daemon did not finish in time, or cannot do it at the moment: that is no refusal.
        if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE) {
            return Err(Failure::system(format!("{address}: {reason}")));
        }
        Err(Failure::refused(reason))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::new(Full::from(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| format!("{path} is not a valid path"))?;
        request.headers_mut().insert(HOST, HeaderValue::from_static("hairpin"));
        if let Ok(token) = env::var(TOKEN) {
            let header = HeaderValue::try_from(format!("Bearer {}", token.trim()));
            let mut header = header.map_err(|_| format!("{TOKEN} is not a token"))?;
            header.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        match &self.admin.0 {
            AdminAddress::Tcp(address) => {
                send(TcpStream::connect(address).await.map_err(|error| unreachable(&error))?, request).await
            }
            AdminAddress::Unix(path) => {
                send(UnixStream::connect(path).await.map_err(|error| unreachable(&error))?, request).await
            }
        }
    }
}

/// Reads a response.
///
/// # Errors
/// If it is another one than this command expects (71).
pub(super) fn read<T: DeserializeOwned>(response: Value) -> Result<T, Failure> {
    let other = "the daemon and this command are not of the same version";
    serde_json::from_value(response).map_err(|error| Failure::system(format!("{other} ({error})")))
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
    let failed = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), RESPONSE_MAX).collect().await;
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}

fn unreachable(error: &std::io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => "run this command as root, or as the daemon's user",
        Some(libc::ENOENT | libc::ECONNREFUSED) => {
            "is the daemon running, and is this its [admin] listen? --admin names another"
        }
        _ => "--admin names another address",
    };
    format!("cannot connect ({error}): {remedy}")
}
