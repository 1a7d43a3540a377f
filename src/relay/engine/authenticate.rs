//! PURE  Authenticates requests with the long-term credential mechanism (RFC 8489 §9.2.4).
//!
//! The checks follow the RFC: is there message integrity, are the credentials complete, are the password algorithms the
//! ones that we offered, which user is it, is the password right, and only then: is the nonce ours and fresh. Until
//! then, no state is kept for a client. Only this file can make an [`Authenticated`] request, and the handlers accept
//! nothing else, so none of them can skip authentication.
//!
//! Wrong passwords are counted, see [`AnswerBudget`]. If the client has a valid nonce, which is sent only to its own
//! address, it gets no answer after too many of them. With any other nonce the source may be spoofed, and nobody may be
//! locked out because of it: then every answer is that the nonce is stale, which says nothing about the password.
//!
//! Two kinds of clients are never silenced: one that has an allocation on this very 5-tuple, because neighbours must
//! not end a running call; and one with a time-limited credential, because nobody guesses 160 bits.

use stun::attributes::{
    ATTR_NONCE, ATTR_PASSWORD_ALGORITHM, ATTR_PASSWORD_ALGORITHMS, ATTR_REALM, ATTR_USER_HASH, ATTR_USERNAME,
};

use crate::clock::Now;
use crate::credentials::{Account, CheckExpiry, Generation, UserId};
use crate::journal::cause::{Cause, Tried};
use crate::outcome::{Ignored, Method, Refusal};
use crate::relay::address::ClientPath;
use crate::relay::engine::Settings;
use crate::relay::engine::answers::{AnswerBudget, Guessed, Guesser};
use crate::relay::engine::integrity::{Integrity, OFFERED, PasswordAlgorithm};
use crate::relay::engine::nonce::Nonces;
use crate::relay::engine::reply::Signer;
use crate::relay::wire::Message;

/// A request whose sender has authenticated.
pub(super) struct Authenticated<'a> {
    message: &'a Message<'a>,
    path: ClientPath,
    account: Account,
    generation: Generation,
    signer: Signer,
    now: Now,
}

impl<'a> Authenticated<'a> {
    /// The request.
    pub(super) fn message(&self) -> &'a Message<'a> {
        self.message
    }

    /// The 5-tuple of the request.
    pub(super) fn path(&self) -> ClientPath {
        self.path
    }

    /// The user who sent it.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// The secret that signed the credential, if the user is not a static one.
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    /// What signs the answer.
    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// When it was received.
    pub(super) fn now(&self) -> Now {
        self.now
    }
}

/// Why a request did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// An unauthenticated client gets this error, unsigned, if the budget for such answers allows it.
    Stranger(Refusal),
    /// The same, because its credentials are wrong.
    Wrong(Wrong),
    /// The client knows the password and gets this error, unsigned. That needs no budget: the answer is at most a third
    /// longer than the request, which has integrity.
    Known(Refusal),
    /// The client gets no answer.
    Ignored(Ignored),
}

/// Wrong credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What the client is told.
    pub(super) refusal: Refusal,
    /// What the journal says of it.
    pub(super) cause: Cause,
    /// For which user they were tried.
    pub(super) user: Tried,
    /// Whether the client has proved its address: with a nonce that was sent to it, or by a connection.
    pub(super) proven: bool,
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Stranger(refusal)
    }
}

/// What requests are checked against.
pub(super) struct Gate<'a> {
    pub(super) settings: &'a Settings,
    pub(super) nonces: &'a Nonces,
    pub(super) answers: &'a AnswerBudget,
    /// The user who made the allocation on the 5-tuple of the request, if there is one.
    pub(super) holder: Option<&'a str>,
}

/// The credentials that a request names.
struct Claim<'a> {
    user: UserId<'a>,
    realm: &'a [u8],
    nonce: &'a [u8],
    algorithm: PasswordAlgorithm,
    /// Whether the client supports RFC 8489. Then the answer is signed with SHA-256, whatever the key is.
    negotiated: bool,
}

impl Gate<'_> {
    /// Authenticates a request, or says why it is rejected.
    pub(super) fn authenticate<'m>(
        &self,
        path: ClientPath,
        method: Method,
        message: &'m Message<'m>,
        now: Now,
    ) -> Result<Authenticated<'m>, Rejection> {
        let integrity = message.integrity().ok_or(Refusal::Challenge)?;
        let claim = claim(message, self.nonces).ok_or(Refusal::BadCredentials)?;
        let Settings { credentials, limits, .. } = self.settings;
        let account = credentials.account(claim.user);
        let fresh = self.nonces.is_valid(claim.nonce, path.nonce_holder(), now.moment);
        let guesser = self.guesser(path, &account, fresh);
        match guesser.filter(|guesser| !self.answers.may_guess(limits, *guesser, now.moment)) {
            Some(Guesser::Present(..)) => return Err(Rejection::Ignored(Ignored::GuessBudget)),
            // The answer is 438 whatever the password: telling 401 from 438 would help a guesser.
            Some(Guesser::Anybody(..)) => return Err(Refusal::StaleNonce.into()),
            None => {}
        }
        let kind = Integrity::of(integrity.kind);
        let signed = message.signed_bytes(&integrity);
        let realm = credentials.realm();
        let keys =
            account.passwords.iter().map(|pass| claim.algorithm.key(&account.username, realm, pass.reveal()));
        // All passwords are tried, even after a match, so that the timing tells nothing.
        let matching = keys.enumerate().fold(None, |found, (place, key)| {
            if kind.verify(&key, &signed, integrity.value) { Some((place, key)) } else { found }
        });
        let Some((place, key)) = matching.filter(|_| account.known && claim.realm == realm.as_bytes()) else {
            if let Some(guesser) = guesser {
                self.answers.guessed(limits, guesser, now.moment);
            }
            let proven = fresh || path.is_stream();
            return Err(Rejection::Wrong(wrong(&account, &claim, realm, proven)));
        };
        if !fresh {
            return Err(Rejection::Known(Refusal::StaleNonce));
        }
        self.answers.met(path.client.ip(), now.moment);
        if credentials.is_revoked(&account.username, now.unix) {
            return Err(Rejection::Known(Refusal::Revoked));
        }
        let checked = method == Method::Allocate
            || credentials.check_expiry() == CheckExpiry::Always
            || account.longest(now.unix).is_some();
        if checked && account.is_expired(now.unix) {
            return Err(Rejection::Known(Refusal::Expired));
        }
        let integrity = if claim.negotiated { Integrity::Sha256 } else { kind };
        let generation = Generation::of_password(place);
        Ok(Authenticated { message, path, account, generation, signer: Signer { key, integrity }, now })
    }

    /// How a wrong password would be counted. `None` for the owner of the allocation on this 5-tuple, and for a
    /// time-limited credential without a fresh nonce.
    fn guesser<'a>(&self, path: ClientPath, account: &'a Account, fresh: bool) -> Option<Guesser<'a>> {
        if self.holder.is_some_and(|holder| holder == account.username) {
            return None;
        }
        let guessed = match account.expires {
            Some(_) => Guessed::Derived,
            None => Guessed::Chosen(&account.username),
        };
        match (fresh, guessed) {
            (true, _) => Some(Guesser::Present(path.client, guessed)),
            (false, Guessed::Chosen(user)) => Some(Guesser::Anybody(path.client.ip(), user)),
            (false, Guessed::Derived) => None,
        }
    }
}

fn wrong(account: &Account, claim: &Claim<'_>, realm: &str, proven: bool) -> Wrong {
    let (refusal, cause) = if claim.realm != realm.as_bytes() {
        (Refusal::WrongRealm, Cause::WrongRealm)
    } else if !account.known {
        (Refusal::UnknownUser, Cause::UnknownUser)
    } else if account.expires.is_some() {
        (Refusal::WrongPassword, Cause::WrongSecret)
    } else {
        (Refusal::WrongPassword, Cause::WrongPassword)
    };
    let user = match claim.user {
        UserId::Name(name) => Tried::of(name),
        UserId::Hash(hash) => Tried::of(hash),
    };
    Wrong { refusal, cause, user, proven }
}

/// The longest user name that must be accepted, in bytes, because RFC 5389 allowed it (RFC 8489 §14.3).
const USERNAME_MAX: usize = 763;

/// Reads the credentials. `None` if they are incomplete, or if the password algorithms are not those that we sent with
/// the nonce: an attacker between client and server would change them to force a weaker one (RFC 8489 §9.2.4).
fn claim<'a>(message: &Message<'a>, nonces: &Nonces) -> Option<Claim<'a>> {
    let value = |kind| message.first(kind).map(|attribute| attribute.value);
    let user = match (value(ATTR_USER_HASH), value(ATTR_USERNAME)) {
        (Some(hash), _) => UserId::Hash(hash),
        // No user has a name that is too long or is not UTF-8.
        (None, Some(name)) => {
            let name = str::from_utf8(name).ok().filter(|name| name.len() <= USERNAME_MAX);
            UserId::Name(name.unwrap_or_default())
        }
        (None, None) => return None,
    };
    let (realm, nonce) = (value(ATTR_REALM)?, value(ATTR_NONCE)?);
    let (algorithm, negotiated) = match (value(ATTR_PASSWORD_ALGORITHMS), value(ATTR_PASSWORD_ALGORITHM)) {
        (None, None) => (PasswordAlgorithm::Md5, false),
        (Some(list), Some(chosen)) if list == OFFERED => (PasswordAlgorithm::read(chosen)?, true),
        // This nonce is from another server and will be rejected as stale.
        (_, chosen) if !nonces.is_offer(nonce) => {
            (chosen.and_then(PasswordAlgorithm::read).unwrap_or(PasswordAlgorithm::Md5), false)
        }
        _ => return None,
    };
    Some(Claim { user, realm, nonce, algorithm, negotiated })
}
