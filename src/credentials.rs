//! PURE  Issues and checks credentials: time-limited ones made from a shared secret, and static users.
//!
//! A time-limited credential (draft-uberti-behave-turn-rest) is a user name `<expiry>[:<tag>]`, the expiry in
//! seconds since the Unix epoch, and the password base64(HMAC-SHA1(secret, user name)). Whoever knows the secret
//! can make one without asking us, so it works with everything that speaks coturn's `use-auth-secret`. Several
//! secrets may be live at once, so that one can be replaced while credentials of the other are still out.
//!
//! A user who does not exist is looked up like one whose password is wrong: at the same cost, with a password
//! that nobody has.

mod revoked;
pub mod tag;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::clock::{Expiry, Unix};
use crate::credentials::revoked::Revoked;
use crate::credentials::tag::{Issuer, Pseudonym, Tag};
use crate::secret::Secret;

/// When the expiry of a credential is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckExpiry {
    /// When an allocation is made: a call may outlast its credential.
    Allocate,
    /// On every request: a call ends when its credential does.
    Always,
}

impl Secret {
    /// The password that belongs to a user name under this shared secret.
    #[must_use]
    pub fn password(&self, username: &str) -> Self {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(self.reveal().as_bytes()).expect("HMAC takes a key of any length");
        mac.update(username.as_bytes());
        Self::new(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// A key for what `label` names, and for nothing else: it is no oracle for passwords, nor for what other labels name.
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Hmac<Sha256> {
        let derived = keyed(self.reveal().as_bytes()).chain_update(label).finalize();
        keyed(&derived.into_bytes())
    }
}

/// A user name with the password that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `<expiry>[:<tag>]`.
    pub username: String,
    /// base64(HMAC-SHA1(secret, username)).
    pub password: Secret,
    /// When it ends.
    pub expires: Expiry,
}

/// What the user may be called whom we make a credential for.
pub const USER: &str = "1 to 128 printable ASCII characters, without spaces and colons";

/// Bytes of a user's name. With expiry, key and room they stay below the 508 of USERNAME (RFC 8489 §14.3).
const USER_MAX: usize = 128;

/// Whether a user may be called so. Client libraries prepare names before they hash them, each in its own way; what they
/// all leave alone is ASCII, and a colon would begin another part of the user name.
#[must_use]
pub fn is_user(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    (1..=USER_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// How a request names its user (RFC 8489 §9.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserId<'a> {
    /// USERNAME.
    Name(&'a str),
    /// USERHASH: SHA-256 of user name, colon and realm.
    Hash(&'a [u8]),
}

/// What is known of a user before the password is checked.
#[derive(Debug)]
pub struct Account {
    /// The user's name; empty for a hash that belongs to nobody.
    pub username: String,
    /// The passwords to try. For a user who does not exist, one that matches nothing.
    pub passwords: Vec<Secret>,
    /// Whether there is such a user at all.
    pub known: bool,
    /// When the credential ends; `None` for static users.
    pub expires: Option<Expiry>,
}

/// Whose quotas something counts on. A static user and a tag of the same name are two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// What kind of user it is.
    pub kind: OwnerKind,
    /// The static user's name, or the tag of time-limited credentials, because their user names are new with every
    /// issue; the whole name where there is no tag.
    pub tag: Box<str>,
}

/// What kind of user something counts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// One of `credentials.users`.
    Static,
    /// Everybody whose time-limited credential has the tag.
    TimeLimited,
}

impl Account {
    /// Whose quotas this user's allocations count on.
    #[must_use]
    pub fn owner(&self) -> Owner {
        let kind = if self.expires.is_some() { OwnerKind::TimeLimited } else { OwnerKind::Static };
        Owner { kind, tag: self.tag().into() }
    }

    /// The tag of a time-limited credential; the whole name where there is none.
    #[must_use]
    pub fn tag(&self) -> &str {
        if self.expires.is_some() { tag(&self.username) } else { &self.username }
    }

    /// How long something may live that is made at `now`: not longer than the credential of a connection test, and at
    /// least a second. `None` if the credential sets no such limit.
    #[must_use]
    pub fn longest(&self, now: Unix) -> Option<Duration> {
        let expires = self.expires.filter(|_| Issuer::of(self.tag()) == Issuer::Check);
        expires.map(|expires| expires.left(now).max(Duration::from_secs(1)))
    }

    /// Whether the credential is no longer valid at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Unix) -> bool {
        self.expires.is_some_and(|expires| expires.is_over(now))
    }
}

/// Why a credential cannot be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeError {
    /// The name is that of no time-limited credential.
    Malformed,
    /// So many are revoked already that one more cannot be remembered: who must be rid of it replaces the secret.
    Full,
}

/// Everybody who may use the relay. Clones share what is revoked.
#[derive(Debug, Clone)]
pub struct Credentials {
    realm: String,
    secrets: Vec<Secret>,
    users: HashMap<String, Secret>,
    names: HashMap<[u8; 32], String>,
    check_expiry: CheckExpiry,
    revoked: Arc<Revoked>,
}

impl Credentials {
    /// Users who share `secrets` (newest first), and static `users` (name to password), in `realm`.
    #[must_use]
    pub fn new(
        realm: &str,
        secrets: Vec<Secret>,
        users: HashMap<String, Secret>,
        check_expiry: CheckExpiry,
    ) -> Self {
        let names = users.keys().map(|name| (user_hash(name, realm), name.clone())).collect();
        Self { realm: realm.to_owned(), secrets, users, names, check_expiry, revoked: Arc::default() }
    }

    /// The realm that all credentials belong to.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The shared secrets, newest first.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// When the expiry is looked at.
    #[must_use]
    pub fn check_expiry(&self) -> CheckExpiry {
        self.check_expiry
    }

    /// Whether clients may be asked to send USERHASH instead of USERNAME: not while time-limited credentials are
    /// accepted, because their names are made elsewhere and a hash of one tells us nothing.
    #[must_use]
    pub fn offers_user_hash(&self) -> bool {
        self.secrets.is_empty()
    }

    /// A credential for `tag` that ends at `expires`, made with the newest secret. It ends a second earlier if the one that
    /// ends then was revoked, so that a user who is let in again gets another one. `None` without a secret, or if no second
    /// from `now` on is left for it to end in.
    #[must_use]
    pub fn issue(&self, tag: &Tag<'_>, expires: Expiry, now: Unix) -> Option<Credential> {
        let secret = self.secrets.first()?;
        let tag = tag.to_string();
        let name = |expires| if tag.is_empty() { format!("{expires}") } else { format!("{expires}:{tag}") };
        let ends = (now.as_secs()..=expires.last().as_secs()).rev().map(Unix::from_secs).map(Expiry::at);
        let mut names = ends.map(|expires| (expires, name(expires)));
        let (expires, username) = names.find(|(_, name)| !self.is_revoked(name, now))?;
        let password = secret.password(&username);
        Some(Credential { username, password, expires })
    }

    /// What stands for the name of a room where others can read it, in user names and logs: 8 characters of base64url, made
    /// with the newest secret. A plain hash would tell whoever has a list of likely names which of them it is. Servers that
    /// share the secret call a room the same. `None` without a secret.
    #[must_use]
    pub fn pseudonym(&self, room: &str) -> Option<Pseudonym> {
        let mac = self.secrets.first()?.derive(ROOM_NAME).chain_update(room).finalize();
        let mut text = BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes());
        text.truncate(8);
        Some(Pseudonym(text))
    }

    /// Revokes a time-limited credential. The revocation is forgotten when the credential would have expired, and when
    /// the daemon ends. It does not end allocations that exist: the relay's own `revoke` does both.
    ///
    /// # Errors
    /// Why it cannot be revoked. A static user has no such name.
    pub fn revoke(&self, username: &str, now: Unix) -> Result<(), RevokeError> {
        let expires = expiry(username).ok_or(RevokeError::Malformed)?;
        if expires.is_over(now) {
            return Ok(());
        }
        self.revoked.add(username, expires, now).map_err(|revoked::Full| RevokeError::Full)
    }

    /// Whether a credential was revoked, and would still be valid at `now`.
    #[must_use]
    pub fn is_revoked(&self, username: &str, now: Unix) -> bool {
        self.revoked.has(username, now)
    }

    /// Looks a user up. Costs the same for a static user who exists and for any name that is not a time-limited
    /// credential's.
    #[must_use]
    pub fn account(&self, user: UserId<'_>) -> Account {
        let name = match user {
            UserId::Name(name) => Some(name),
            UserId::Hash(hash) => {
                <[u8; 32]>::try_from(hash).ok().and_then(|hash| self.names.get(&hash)).map(String::as_str)
            }
        };
        let username = name.unwrap_or_default().to_owned();
        if let Some(password) = self.users.get(&username) {
            return Account { username, passwords: vec![password.clone()], known: true, expires: None };
        }
        match expiry(&username).filter(|_| !self.secrets.is_empty()) {
            Some(expires) => {
                let passwords = self.secrets.iter().map(|secret| secret.password(&username)).collect();
                Account { username, passwords, known: true, expires: Some(expires) }
            }
            None => Account { username, passwords: vec![Secret::new(NOBODYS)], known: false, expires: None },
        }
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// USERHASH: SHA-256 of the user name, a colon and the realm (RFC 8489 §14.4).
#[must_use]
pub fn user_hash(username: &str, realm: &str) -> [u8; 32] {
    Sha256::digest(format!("{username}:{realm}")).into()
}

/// The tag in a time-limited user name: what follows the first colon; the whole name where there is none.
#[must_use]
pub fn tag(username: &str) -> &str {
    username.split_once(':').map_or(username, |(_, tag)| tag)
}

/// The expiry in a time-limited user name: all digits, up to the first colon or the end. More than the year 9999
/// is a mistake (milliseconds, say), and would be a credential for ever.
#[must_use]
pub fn expiry(username: &str) -> Option<Expiry> {
    let digits = username.split_once(':').map_or(username, |(digits, _)| digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let secs = digits.parse().ok().filter(|secs| *secs <= YEAR_9999)?;
    Some(Expiry::at(Unix::from_secs(secs)))
}

/// What makes the key for the names of rooms another than every other key that is made from the same secret.
const ROOM_NAME: &[u8] = b"hairpin room name v1";

const YEAR_9999: u64 = 253_402_300_799;

/// The password of users who do not exist; its match is never believed, see [`Account::known`].
const NOBODYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credentials(secrets: &[&str]) -> Credentials {
        let secrets = secrets.iter().map(|text| Secret::new(*text)).collect();
        let users = HashMap::from([("alice".to_owned(), Secret::new("wonderland"))]);
        Credentials::new("example.org", secrets, users, CheckExpiry::Allocate)
    }

    const fn at(secs: u64) -> Unix {
        Unix::from_secs(secs)
    }

    const fn ends(secs: u64) -> Expiry {
        Expiry::at(at(secs))
    }

    /// Made by coturn 4.6.1's `turnutils_uclient -u 1800000000:alice -W north`, and by
    /// `printf 1800000000:alice | openssl dgst -sha1 -hmac north -binary | base64`.
    #[test]
    fn the_password_is_coturns() {
        let credential = credentials(&["north"])
            .issue(&Tag::Other("alice"), ends(1_800_000_000), at(1_700_000_000))
            .unwrap();
        assert_eq!(credential.username, "1800000000:alice");
        assert_eq!(credential.password.reveal(), "sIm7pn/teO7y3AyXGeXl/xAQR6Q=");
    }

    #[test]
    fn a_credential_of_any_live_secret_is_accepted_and_the_newest_is_used() {
        let rotating = credentials(&["new", "old"]);
        let account = rotating.account(UserId::Name("1800000000:alice"));
        assert_eq!(account.passwords, ["new", "old"].map(|s| Secret::new(s).password("1800000000:alice")));
        assert_eq!(
            rotating.issue(&Tag::Other("alice"), ends(1_800_000_000), at(1_700_000_000)).unwrap().password,
            account.passwords[0]
        );
    }

    #[test]
    fn the_quota_belongs_to_what_follows_the_first_colon() {
        let tag = |name| credentials(&["s"]).account(UserId::Name(name)).tag().to_owned();
        assert_eq!(tag("1800000000:alice"), "alice");
        assert_eq!(tag("1800000000:a:b:c"), "a:b:c");
        assert_eq!(tag("1800000000"), "1800000000");
        assert_eq!(tag("alice"), "alice");
    }

    #[test]
    fn a_name_that_is_no_expiry_belongs_to_nobody() {
        for name in [
            "",
            ":",
            ":a",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1e9",
            "0x10",
            "18446744073709551615",
            "18446744073709551616:a",
        ] {
            assert!(!credentials(&["s"]).account(UserId::Name(name)).known, "{name:?}");
        }
    }

    #[test]
    fn an_expiry_means_nothing_without_a_secret() {
        assert!(!credentials(&[]).account(UserId::Name("1800000000")).known);
    }

    #[test]
    fn a_credential_is_good_until_its_last_second() {
        let account = credentials(&["s"]).account(UserId::Name("1800000000"));
        assert!(!account.is_expired(at(1_800_000_000)));
        assert!(account.is_expired(at(1_800_000_001)));
    }

    #[test]
    fn what_is_revoked_is_so_for_every_clone_and_only_what_is_time_limited_and_not_over_needs_to_be() {
        let credentials = credentials(&["s"]);
        let clone = credentials.clone();
        assert_eq!(credentials.revoke("1800000000:alice", at(1_700_000_000)), Ok(()));
        assert!(clone.is_revoked("1800000000:alice", at(1_800_000_000)));
        assert!(!clone.is_revoked("1800000000:alice", at(1_800_000_001)));
        assert_eq!(credentials.revoke("1600000000:alice", at(1_700_000_000)), Ok(()));
        assert!(
            !clone.is_revoked("1600000000:alice", at(1_600_000_000)),
            "it was over, and is not remembered"
        );
        let again = credentials.issue(&Tag::Other("alice"), ends(1_800_000_000), at(1_700_000_000)).unwrap();
        assert_eq!((again.username.as_str(), again.expires), ("1799999999:alice", ends(1_799_999_999)));
        for name in ["alice", "", ":", "99999999999999:a"] {
            assert_eq!(credentials.revoke(name, at(0)), Err(RevokeError::Malformed), "{name:?}");
        }
    }

    #[test]
    fn two_credentials_of_a_tag_that_end_in_the_same_second_are_one() {
        let issue = |tag| credentials(&["s"]).issue(&Tag::Other(tag), ends(1_800_000_000), at(1_700_000_000));
        assert_eq!(issue("alice"), issue("alice"));
        assert_ne!(issue("alice"), issue("bob"));
    }

    #[test]
    fn who_was_revoked_for_every_second_that_is_left_gets_no_credential_that_is_over() {
        let credentials = credentials(&["s"]);
        let issue = || {
            credentials
                .issue(&Tag::Other("alice"), ends(1_800_000_002), at(1_800_000_000))
                .map(|given| given.expires)
        };
        for expires in [1_800_000_002, 1_800_000_001, 1_800_000_000].map(ends) {
            assert_eq!(issue(), Some(expires));
            credentials.revoke(&format!("{expires}:alice"), at(1_800_000_000)).unwrap();
        }
        assert_eq!(issue(), None);
        assert_eq!(credentials.issue(&Tag::Other("bob"), ends(1_800_000_000), at(1_800_000_001)), None);
    }

    /// `printf 'hairpin room name v1' | openssl dgst -sha256 -hmac north -binary` is the key `K` of
    /// `printf garden | openssl dgst -sha256 -mac HMAC -macopt hexkey:K -binary | basenc --base64url | head -c 8`.
    #[test]
    fn a_rooms_pseudonym_is_what_openssl_makes_with_the_newest_secret() {
        assert_eq!(
            credentials(&["north", "old"]).pseudonym("garden").map(|room| room.to_string()).as_deref(),
            Some("v_g8LjMG")
        );
        assert_eq!(credentials(&[]).pseudonym("garden"), None);
    }

    #[test]
    fn without_the_secret_nobody_can_tell_whose_pseudonym_it_is() {
        let [one, other] =
            ["north", "south"].map(|secret| credentials(&[secret]).pseudonym("garden").unwrap().to_string());
        let mut plain = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest("garden"));
        plain.truncate(8);
        assert!(one != other && one != plain && other != plain, "{one} {other} {plain}");
        assert_eq!(one.len(), 8);
    }

    #[test]
    fn a_static_user_is_found_by_name_and_by_hash_and_never_expires() {
        let credentials = credentials(&["s"]);
        for user in [UserId::Name("alice"), UserId::Hash(&user_hash("alice", "example.org"))] {
            let account = credentials.account(user);
            assert!(account.known && !account.is_expired(at(u64::MAX)));
            assert_eq!(
                (account.username.as_str(), &account.passwords[..]),
                ("alice", &[Secret::new("wonderland")][..])
            );
        }
        assert!(!credentials.account(UserId::Hash(&[0; 32])).known);
        assert!(!credentials.account(UserId::Hash(b"short")).known);
    }

    proptest! {
        #[test]
        fn any_name_has_an_account_and_only_an_expiry_makes_it_known(name in ".{0,40}|[0-9]{0,25}(:.{0,10})?") {
            let account = credentials(&["s"]).account(UserId::Name(&name));
            let digits = name.split(':').next().unwrap_or_default();
            let dated = digits.parse::<u64>().is_ok_and(|n| n <= YEAR_9999) && !digits.starts_with('+');
            prop_assert_eq!(account.known, dated || name == "alice");
            prop_assert_eq!(account.passwords.len(), 1);
            prop_assert!(name.ends_with(account.tag()));
        }
    }
}
