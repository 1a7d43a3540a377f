//! Talks to the authority: the account, an order with its challenges, and the time of the renewal.

use std::error::Error as _;
use std::time::Duration;

use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationHandle, AuthorizationStatus,
    CertificateIdentifier, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    Problem, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::acme::{Plan, files};
use crate::certificates::{Challenges, Issued};
use crate::clock::Unix;
use crate::origin::host::HostName;
use crate::sections::acme::{Challenge, Contact, Profile};

/// An authority at which the daemon has an account.
pub(super) struct Authority<'a> {
    plan: &'a Plan,
    account: Account,
}

/// Why there is no certificate.
#[derive(Debug)]
pub(super) struct Failure {
    /// In words for the operator, with those of the authority.
    pub(super) problem: String,
    /// Whether the authority says that there were too many orders.
    pub(super) too_many: bool,
}

/// A window for a renewal, and how long its statement holds.
pub(super) type Renewal = ((Unix, Unix), Duration);

/// How often the authority is asked whether it has verified the names, or issued the certificate.
const POLLING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(75));

/// How to prove that we have the names, after so many orders that failed: "auto" takes turns.
pub(super) fn challenge(plan: &Plan, failures: u32) -> Result<ChallengeType, Failure> {
    let (tls, http) = match plan.section.challenge {
        Challenge::Auto => (plan.tls, plan.http),
        Challenge::TlsAlpn => (true, false),
        Challenge::Http => (false, true),
    };
    match (tls, http) {
        (true, true) if failures % 2 == 1 => Ok(ChallengeType::Http01),
        (true, _) => Ok(ChallengeType::TlsAlpn01),
        (false, true) => Ok(ChallengeType::Http01),
        (false, false) => Err(Failure::of(
            "no listener can prove that the names are yours: name 0.0.0.0:443 in listen.tls, or 0.0.0.0:80 in http.listen",
        )),
    }
}

impl<'a> Authority<'a> {
    /// Opens the account that is kept for this authority, or makes one.
    pub(super) async fn open(plan: &'a Plan) -> Result<Self, Failure> {
        let kept = files::read(&plan.files.account)?;
        let kept = kept.and_then(|text| serde_json::from_str::<AccountCredentials>(&text).ok());
        let account = match kept {
            Some(credentials) => builder(plan)?.from_credentials(credentials).await?,
            None => make_account(plan).await?,
        };
        Ok(Self { plan, account })
    }

    /// When to renew a certificate, if the authority says so (RFC 9773).
    pub(super) async fn renewal(&self, certificate: &CertificateDer<'_>) -> Result<Option<Renewal>, Failure> {
        let Ok(id) = CertificateIdentifier::try_from(certificate) else { return Ok(None) };
        match self.account.renewal_info(&id).await {
            Ok((info, again)) => {
                let unix = |time: i64| Unix::from_secs(u64::try_from(time).unwrap_or_default());
                let window = info.suggested_window;
                let window = (unix(window.start.unix_timestamp()), unix(window.end.unix_timestamp()));
                Ok(Some((window, again)))
            }
            Err(Error::Unsupported(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Orders a certificate, which replaces `current`; returns it with its chain and its key, in PEM.
    pub(super) async fn order(
        mut self,
        challenge: ChallengeType,
        current: Option<&Issued>,
        challenges: &Challenges,
    ) -> Result<String, Failure> {
        let mut order = match self.begin(current).await {
            // The authority has forgotten us, as one for tests does when it is started again.
            Err(Error::Api(problem)) if is_of(&problem, "accountDoesNotExist") => {
                self.account = make_account(self.plan).await?;
                self.begin(current).await
            }
            begun => begun,
        }?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            prove(authorization?, &challenge, challenges).await?;
        }
        match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready | OrderStatus::Valid | OrderStatus::Processing) => {}
            Ok(OrderStatus::Invalid | OrderStatus::Pending) | Err(Error::Timeout(_)) => {
                return Err(refusal(&mut order, &challenge, "it does not say why").await);
            }
            // Some authorities say it of the order, others of each name.
            Err(Error::Api(problem)) => return Err(refusal(&mut order, &challenge, &words(&problem)).await),
            Err(error) => return Err(error.into()),
        }
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&POLLING).await?;
        Ok(format!("{}\n{key}", chain.trim_end()))
    }

    async fn begin(&self, current: Option<&Issued>) -> Result<Order, Error> {
        let names = self.plan.section.names.iter().map(HostName::as_str);
        let identify = |name: &str| match name.parse() {
            Ok(ip) => Identifier::Ip(ip),
            Err(_) => Identifier::Dns(name.to_owned()),
        };
        let identifiers: Vec<Identifier> = names.map(identify).collect();
        let short =
            || self.account.profiles().any(|profile| profile.name == SHORT_LIVED).then_some(SHORT_LIVED);
        let profile = match &self.plan.section.profile {
            Profile::Named(name) => Some(name.as_str()),
            Profile::Auto if self.plan.section.has_address() => short(),
            Profile::Auto => None,
        };
        let wanted = || {
            let order = NewOrder::new(&identifiers);
            match profile {
                Some(profile) => order.profile(profile),
                None => order,
            }
        };
        let replaced = current.and_then(|issued| CertificateIdentifier::try_from(&issued.certificate).ok());
        if let Some(id) = replaced {
            match self.account.new_order(&wanted().replaces(id)).await {
                // It does not know what it replaces, or has no such service: then it replaces nothing.
                Err(Error::Unsupported(_) | Error::Api(_) | Error::Other(_)) => {}
                begun => return begun,
            }
        }
        self.account.new_order(&wanted()).await
    }
}

/// The profile of certificates for IP addresses.
const SHORT_LIVED: &str = "shortlived";

fn builder(plan: &Plan) -> Result<AccountBuilder, Failure> {
    match &plan.section.roots {
        Some(roots) => Account::builder_with_root(roots)
            .map_err(|error| Failure::of(format!("tls.acme.roots: {}: {error}", roots.display()))),
        None => Ok(Account::builder()?),
    }
}

async fn make_account(plan: &Plan) -> Result<Account, Failure> {
    let contact: Vec<String> = plan.section.contact.iter().map(Contact::url).collect();
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: plan.section.accept_terms,
        only_return_existing: false,
    };
    let directory = plan.section.directory.url().to_owned();
    let (account, credentials) = builder(plan)?.create(&wanted, directory, None).await?;
    let text = serde_json::to_string(&credentials).map_err(|error| Failure::of(error.to_string()))?;
    files::write(&plan.files.account, text.as_bytes())?;
    Ok(account)
}

/// Offers the answer to a challenge, and has the authority verify it.
async fn prove(
    mut authorization: AuthorizationHandle<'_>,
    challenge: &ChallengeType,
    challenges: &Challenges,
) -> Result<(), Failure> {
    if authorization.status == AuthorizationStatus::Valid {
        return Ok(());
    }
    let Some(mut handle) = authorization.challenge(challenge.clone()) else {
        return Err(Failure::of(format!(
            "the authority does not offer {}: choose another tls.acme.challenge",
            name(challenge)
        )));
    };
    let key = handle.key_authorization();
    if *challenge == ChallengeType::Http01 {
        challenges.offer_token(&handle.token, key.as_str());
    } else {
        let name = handle.identifier().to_string();
        challenges.offer_certificate(&name, certificate(&name, key.digest().as_ref())?);
    }
    handle.set_ready().await.map_err(Failure::from)
}

/// The certificate that proves, in a TLS handshake, that we have a name (RFC 8737 §3).
fn certificate(name: &str, digest: &[u8]) -> Result<CertifiedKey, Failure> {
    let failed = |error: rcgen::Error| Failure::of(error.to_string());
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(failed)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).map_err(failed)?;
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let secret = ring::default_provider().key_provider.load_private_key(secret);
    let secret = secret.map_err(|error| Failure::of(error.to_string()))?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], secret))
}

/// Why the authority has not verified the names, in its own words, or `otherwise`.
async fn refusal(order: &mut Order, challenge: &ChallengeType, otherwise: &str) -> Failure {
    let mut problems = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // If it cannot be asked, there are no words of its own.
        if authorization.refresh().await.is_err() {
            continue;
        }
        let errors = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        let name = authorization.identifier();
        problems.extend(errors.map(|problem| format!("{name}: {}", words(problem))));
    }
    if problems.is_empty() {
        problems.push(otherwise.to_owned());
    }
    let port = if *challenge == ChallengeType::Http01 { 80 } else { 443 };
    Failure::of(format!(
        "the authority could not verify the names by {} ({}); check that each name leads to this machine, and that nothing \
         keeps the authority from TCP port {port}",
        name(challenge),
        problems.join("; "),
    ))
}

fn name(challenge: &ChallengeType) -> &'static str {
    if *challenge == ChallengeType::Http01 { "http-01" } else { "tls-alpn-01" }
}

/// What the authority says.
fn words(problem: &Problem) -> String {
    let detail = |detail: &Option<String>| detail.clone().unwrap_or_default();
    let of_names = problem.subproblems.iter().map(|of_name| {
        let name = of_name
            .identifier
            .as_ref()
            .map(|name| format!("{}: ", name.authorized(false)))
            .unwrap_or_default();
        format!("{name}{}", detail(&of_name.detail))
    });
    let all: Vec<String> =
        std::iter::once(detail(&problem.detail)).chain(of_names).filter(|text| !text.is_empty()).collect();
    if all.is_empty() { problem.r#type.clone().unwrap_or_default() } else { all.join("; ") }
}

fn is_of(problem: &Problem, kind: &str) -> bool {
    problem.r#type.as_deref().and_then(|of| of.strip_prefix("urn:ietf:params:acme:error:")) == Some(kind)
}

impl Failure {
    pub(super) fn of(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), too_many: false }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Error::Api(problem) = &error {
            let text = format!("the authority refuses: {}", words(problem));
            return Self { problem: text, too_many: is_of(problem, "rateLimited") };
        }
        // The cause is often only in what the error was made from.
        let mut text = format!("the authority cannot be reached, or does not speak ACME: {error}");
        let mut cause = error.source();
        while let Some(inner) = cause {
            text += &format!(": {inner}");
            cause = inner.source();
        }
        Self::of(text)
    }
}
