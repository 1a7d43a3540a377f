//! PURE  Issues and checks credentials: time-limited ones made from a shared secret, and static users.
//!
//! A time-limited credential (draft-uberti-behave-turn-rest) is a user name `<expiry>[:<tag>]`, the expiry in seconds
//! since the Unix epoch, and the password base64(HMAC-SHA1(secret, user name)). A backend that knows the secret can
//! issue credentials itself, as for coturn's `use-auth-secret`. Several secrets may be valid at once, so that one can
//! be replaced while credentials of the old one are still in use.
//!
//! The lookup of an unknown user costs the same as that of a user with a wrong password, and returns a password that
//! never matches.

mod revoked;
pub mod tag;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::clock::{Expiry, Unix};
use crate::credentials::revoked::Revoked;
use crate::credentials::tag::{Issuer, Pseudonym, Tag};
use crate::secret::Secret;

/// When the expiry of a credential is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckExpiry {
    /// When an allocation is made: a call may outlast its credential. That of a connection test is always checked.
    Allocate,
    /// On every request: a call ends when its credential does.
    Always,
}

impl Secret {
    /// The password for a user name under this shared secret.
    #[must_use]
    pub fn password(&self, username: &str) -> Self {
        let mut mac =
            Hmac::<Sha1>::new_from_slice(self.reveal().as_bytes()).expect("HMAC takes a key of any length");
        mac.update(username.as_bytes());
        Self::new(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// A key for the purpose that `label` names. It reveals nothing about passwords or the keys of other labels.
    #[must_use]
    pub fn derive(&self, label: &[u8]) -> Hmac<Sha256> {
        let derived = keyed(self.reveal().as_bytes()).chain_update(label).finalize();
        keyed(&derived.into_bytes())
    }
}

/// A user name and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// `<expiry>[:<tag>]`.
    pub username: String,
    /// base64(HMAC-SHA1(secret, username)).
    pub password: Secret,
    /// Its expiry.
    pub expires: Expiry,
}

/// Which user names a credential can be issued for.
pub const USER: &str = "1 to 128 printable ASCII characters, without spaces and colons";

/// The most bytes of a user's name. With expiry, key and room it stays below the 508 bytes of USERNAME (RFC 8489
/// §14.3).
const USER_MAX: usize = 128;

/// Whether a user name is allowed. Client libraries prepare names before they hash them, each in its own way. All leave
/// ASCII unchanged. A colon would begin another part of the user name.
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
    /// The passwords to try: of a time-limited credential one for each secret, newest first. For a user who does not exist,
    /// one that matches nothing.
    pub passwords: Vec<Secret>,
    /// Whether the user exists.
    pub known: bool,
    /// The credential's expiry; `None` for static users.
    pub expires: Option<Expiry>,
}

/// The user whose quotas are charged. A static user and a tag of the same name are two owners.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// What kind of user it is.
    pub kind: OwnerKind,
    /// The static user's name, or the tag of time-limited credentials, because each credential issued has a new user
    /// name. Without a tag, the whole name.
    pub tag: Box<str>,
}

/// The kind of an [`Owner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// One of `credentials.users`.
    Static,
    /// All users whose time-limited credentials have the tag.
    TimeLimited,
}

impl Account {
    /// The user whose quotas this user's allocations are charged to.
    #[must_use]
    pub fn owner(&self) -> Owner {
        let kind = if self.expires.is_some() { OwnerKind::TimeLimited } else { OwnerKind::Static };
        Owner { kind, tag: self.tag().into() }
    }

    /// The tag of a time-limited credential; without a tag, and for a static user, the whole name.
    #[must_use]
    pub fn tag(&self) -> &str {
        if self.expires.is_some() { tag(&self.username) } else { &self.username }
    }

    /// The longest lifetime of something made at `now`. The credential of a connection test limits it to its own
    /// remaining time, but at least a second. `None` if the credential sets no limit.
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
    /// The name is not that of a time-limited credential.
    Malformed,
    /// The list of revoked credentials is full. The operator can replace the secret instead.
    Full,
}

/// The place of a secret in the list: 0 is the newest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(usize);

/// A living session counts at the secret that signed its credential, until this is dropped. The count belongs to the
/// secret, so it stays right when newer secrets are put in front.
#[derive(Debug)]
pub struct Signed {
    by_secret: Arc<AtomicU64>,
    by_any: Arc<AtomicU64>,
}

/// The living sessions, by the secret that signed their credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionsBySecret {
    /// Those of each secret, newest first.
    pub live: Vec<u64>,
    /// Those of secrets that are no longer in the list. They end when they are next refreshed.
    pub removed: u64,
}

/// All users of the relay. Clones share the revoked credentials and the counts of sessions.
#[derive(Debug, Clone)]
pub struct Credentials {
    realm: String,
    secrets: Vec<Secret>,
    /// The living sessions of each secret, in the same order, and of all secrets that ever were in the list.
    sessions: Vec<Arc<AtomicU64>>,
    signed: Arc<AtomicU64>,
    users: HashMap<String, Secret>,
    names: HashMap<[u8; 32], String>,
    check_expiry: CheckExpiry,
    revoked: Arc<Revoked>,
}

impl Credentials {
    /// Time-limited users with `secrets` (newest first), and static `users` (name to password), in `realm`.
    #[must_use]
    pub fn new(
        realm: &str,
        secrets: Vec<Secret>,
        users: HashMap<String, Secret>,
        check_expiry: CheckExpiry,
    ) -> Self {
        let names = users.keys().map(|name| (user_hash(name, realm), name.clone())).collect();
        let sessions = secrets.iter().map(|_| Arc::default()).collect();
        let (signed, revoked) = (Arc::default(), Arc::default());
        Self { realm: realm.to_owned(), secrets, sessions, signed, users, names, check_expiry, revoked }
    }

    /// These credentials in place of `former` ones: what was revoked stays revoked, and the sessions that live still count.
    #[must_use]
    pub fn in_place_of(mut self, former: &Self) -> Self {
        for (secret, sessions) in self.secrets.iter().zip(&mut self.sessions) {
            if let Some(known) = former.secrets.iter().position(|other| other == secret) {
                *sessions = Arc::clone(&former.sessions[known]);
            }
        }
        self.signed = Arc::clone(&former.signed);
        self.revoked = Arc::clone(&former.revoked);
        self
    }

    /// Counts a session whose credential was signed by the secret of this generation. `None` if no secret signed it: it is
    /// a static user's.
    #[must_use]
    pub fn begin_session(&self, account: &Account, generation: Generation) -> Option<Signed> {
        let by_secret = self.sessions.get(generation.0).filter(|_| account.expires.is_some())?;
        let signed = Signed { by_secret: Arc::clone(by_secret), by_any: Arc::clone(&self.signed) };
        signed.by_secret.fetch_add(1, Ordering::Relaxed);
        signed.by_any.fetch_add(1, Ordering::Relaxed);
        Some(signed)
    }

    /// The living sessions of each secret.
    #[must_use]
    pub fn sessions_by_secret(&self) -> SessionsBySecret {
        let live: Vec<u64> = self.sessions.iter().map(|sessions| sessions.load(Ordering::Relaxed)).collect();
        // Sessions begin and end meanwhile, so the sum may be larger for a moment.
        let removed = self.signed.load(Ordering::Relaxed).saturating_sub(live.iter().sum());
        SessionsBySecret { live, removed }
    }

    /// The realm of all credentials.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The shared secrets, newest first.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// When the expiry is checked.
    #[must_use]
    pub fn check_expiry(&self) -> CheckExpiry {
        self.check_expiry
    }

    /// Whether clients may be asked to send USERHASH instead of USERNAME. Not while time-limited credentials are
    /// accepted: their names may be made elsewhere, and the server cannot find a name by its hash.
    #[must_use]
    pub fn offers_user_hash(&self) -> bool {
        self.secrets.is_empty()
    }

    /// A credential for `tag` that ends at `expires`, made with the newest secret. If the credential of that second was
    /// revoked, it ends a second earlier, so that a user who is admitted again gets a new one. `None` without a secret,
    /// or if no unrevoked second between `now` and `expires` is left.
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

    /// A room's pseudonym, for user names and logs, which others can read: 8 characters of base64url, made with the
    /// newest secret. A plain hash could be reversed with a list of likely names. Servers with the same secret give a
    /// room the same pseudonym. `None` without a secret.
    #[must_use]
    pub fn pseudonym(&self, room: &str) -> Option<Pseudonym> {
        Some(Pseudonym::of(room, self.secrets.first()?))
    }

    /// Revokes a time-limited credential until it would have expired, or the daemon ends. Existing allocations
    /// continue; the relay's own `revoke` ends them too.
    ///
    /// # Errors
    /// Why it cannot be revoked. A static user's name is malformed here.
    pub fn revoke(&self, username: &str, now: Unix) -> Result<(), RevokeError> {
        let expires = expiry(username).ok_or(RevokeError::Malformed)?;
        if expires.is_over(now) {
            return Ok(());
        }
        self.revoked.add(username, expires, now).map_err(|revoked::Full| RevokeError::Full)
    }

    /// Whether a credential was revoked and has not expired at `now`.
    #[must_use]
    pub fn is_revoked(&self, username: &str, now: Unix) -> bool {
        self.revoked.has(username, now)
    }

    /// Looks up a user. The cost is the same for an existing static user and for any name that is not of a time-limited
    /// credential.
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

impl Generation {
    /// The secret that made the password at this place of [`Account::passwords`].
    #[must_use]
    pub const fn of_password(place: usize) -> Self {
        Self(place)
    }
}

impl Drop for Signed {
    fn drop(&mut self) {
        self.by_secret.fetch_sub(1, Ordering::Relaxed);
        self.by_any.fetch_sub(1, Ordering::Relaxed);
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

/// The tag in a time-limited user name: everything after the first colon; without a colon, the whole name.
#[must_use]
pub fn tag(username: &str) -> &str {
    username.split_once(':').map_or(username, |(_, tag)| tag)
}

/// The expiry in a time-limited user name: all digits, up to the first colon or the end. A time after the year 9999 is
/// a mistake (milliseconds, for example), and such a credential would never expire.
#[must_use]
pub fn expiry(username: &str) -> Option<Expiry> {
    let digits = username.split_once(':').map_or(username, |(digits, _)| digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let secs = digits.parse().ok().filter(|secs| *secs <= YEAR_9999)?;
    Some(Expiry::at(Unix::from_secs(secs)))
}

const YEAR_9999: u64 = 253_402_300_799;

/// The password of unknown users. Even if it matches, [`Account::known`] is false.
const NOBODYS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
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
    fn sessions_count_at_the_secret_that_signed_them_wherever_it_stands_in_the_list() {
        let begin = |credentials: &Credentials, name, place| {
            let account = credentials.account(UserId::Name(name));
            credentials.begin_session(&account, Generation::of_password(place))
        };
        let by_secret = |credentials: &Credentials| {
            let SessionsBySecret { live, removed } = credentials.sessions_by_secret();
            (live, removed)
        };
        let first = credentials(&["a", "b"]);
        let [one, two] = [0, 1].map(|place| begin(&first, "1800000000:x", place).unwrap());
        assert!(begin(&first, "alice", 0).is_none(), "no secret signed it");
        assert_eq!(by_secret(&first), (vec![1, 1], 0));
        let second = credentials(&["new", "a"]).in_place_of(&first);
        let three = begin(&second, "1800000000:x", 0).unwrap();
        assert_eq!(by_secret(&second), (vec![1, 1], 1), "the secret b is gone");
        drop((one, three));
        assert_eq!(by_secret(&second), (vec![0, 0], 1));
        drop(two);
        assert_eq!(by_secret(&second), (vec![0, 0], 0));
    }

    #[test]
    fn what_was_revoked_stays_revoked_when_other_credentials_take_the_place() {
        let first = credentials(&["a"]);
        first.revoke("1800000000:alice", at(1_700_000_000)).unwrap();
        let second = credentials(&["b", "a"]).in_place_of(&first);
        assert!(second.is_revoked("1800000000:alice", at(1_800_000_000)));
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
