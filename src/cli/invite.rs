//! `hairpin invite`: prints a link whose holder may open a room, for a while.

use std::time::Duration;

use url::Url;

use crate::cli::{ConfigArgument, Failure, load, print};
use crate::clock::{Clock, Expiry};
use crate::config::Config;
use crate::origin::PublicUrl;
use crate::room_token::{ROOM_MAX, RoomTokens};
use crate::secret::Secret;
use crate::signaling::protocol::names::RoomName;
use crate::system;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The room. Without it, the link is for a new room whose name nobody can guess.
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// How long the room may be opened with the link, such as "2h" or "7d": from one minute to a year.
    #[arg(long, default_value = "1d", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// Where browsers reach the server, if that is not the configured public URL.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    config: ConfigArgument,
}

const TTL_MIN: Duration = Duration::from_secs(60);
const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = load(arguments.config.config.as_deref())?;
    let name = match &arguments.room {
        Some(name) => name.clone(),
        None => random_name(system::random_bytes().map_err(Failure::system)?),
    };
    let now = Clock::start().now().unix;
    let link = link(&config, &name, arguments, |ttl| Expiry::after(now, ttl)).map_err(Failure::config)?;
    print(&format!("{link}\n"))
}

/// The link. The token is behind the `#`, which browsers send to no server.
fn link(
    config: &Config,
    name: &str,
    arguments: &Arguments,
    expiry: impl Fn(Duration) -> Expiry,
) -> Result<String, String> {
    if !config.rooms.create.needs_token() {
        return Err(FOR_EVERYONE.to_owned());
    }
    let room = RoomName::try_from(name.to_owned()).map_err(|_| {
        format!("--room {name:?} is not a valid name: write 1 to 64 visible characters without /")
    })?;
    if matches!(name, "." | "..") || room.as_str().len() > ROOM_MAX {
        return Err(format!("--room {name:?} cannot be in a link: choose another name"));
    }
    if !(TTL_MIN..=TTL_MAX).contains(&arguments.ttl) {
        return Err("--ttl must be from one minute to a year".to_owned());
    }
    let given = arguments.url.as_deref().map(PublicUrl::parse).transpose();
    let given = given.map_err(|wrong| format!("--url: {wrong}"))?;
    let origin = given.as_ref().or(config.http.public_url.as_ref()).ok_or(NO_URL)?;
    let tokens = RoomTokens::new(&config.credentials.secrets);
    let token = tokens.issue(Some(room.as_str()), expiry(arguments.ttl)).ok_or(NO_SECRET)?;
    let mut link = Url::parse(&origin.to_string()).map_err(|error| error.to_string())?;
    link.path_segments_mut().map_err(|()| NO_URL)?.pop_if_empty().extend(["r", room.as_str()]);
    link.set_fragment(Some(&format!("t={token}")));
    Ok(link.into())
}

/// 128 random bits, as the start page makes them.
fn random_name(bytes: [u8; 32]) -> String {
    Secret::from_random(bytes).reveal().chars().take(22).collect()
}

const FOR_EVERYONE: &str = "rooms.create is \"anyone\", so everybody may open rooms, and a link needs no invitation: \
                            name the daemon's configuration with --config FILE, or set rooms.create to \"token\" or \"password\"";
const NO_URL: &str =
    "where do browsers reach this server? Set http.public_url, or add --url https://call.example.org";
const NO_SECRET: &str = "no secret is configured, and an invitation is signed with one: add credentials.secrets or \
                         credentials.secrets_file, and name the configuration with --config FILE";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock::Unix;
    use crate::room_token::Grant;

    const SECRETS: &str = "[credentials]\nsecrets = [\"ZkP0v5q8Jm3tYb7cXr2nWd9sLh6gTf1a\"]\n";
    const PUBLIC: &str = "[http]\npublic_url = \"https://call.example.org\"\n";
    const TOKEN: &str = "[rooms]\ncreate = \"token\"\n";

    fn made(text: &str, room: &str, ttl: u64, url: Option<&str>) -> Result<String, String> {
        let config = Config::parse(text, Path::new("config.toml")).unwrap();
        let ttl = Duration::from_secs(ttl);
        let arguments = Arguments {
            room: None,
            ttl,
            url: url.map(str::to_owned),
            config: ConfigArgument { config: None },
        };
        link(&config, room, &arguments, |ttl| Expiry::after(Unix::from_secs(1_000), ttl))
    }

    #[test]
    fn the_link_leads_to_the_room_and_its_token_opens_only_that() {
        let link = made(&[SECRETS, PUBLIC, TOKEN].concat(), "한글 방?", 3600, None).unwrap();
        let (page, token) = link.split_once("#t=").unwrap();
        assert_eq!(page, "https://call.example.org/r/%ED%95%9C%EA%B8%80%20%EB%B0%A9%3F");
        let tokens = RoomTokens::new(&[Secret::new("ZkP0v5q8Jm3tYb7cXr2nWd9sLh6gTf1a")]);
        let grant = Grant { room: Some("한글 방?".to_owned()) };
        assert_eq!(tokens.check(token, Unix::from_secs(4_600)), Ok(grant));
        assert!(tokens.check(token, Unix::from_secs(4_601)).is_err());
        let elsewhere = made(&[SECRETS, TOKEN].concat(), "a", 60, Some("http://192.0.2.1:8080")).unwrap();
        assert!(elsewhere.starts_with("http://192.0.2.1:8080/r/a#t=r1."), "{elsewhere}");
        let below = made(&[SECRETS, TOKEN].concat(), "a", 60, Some("https://example.org/call")).unwrap();
        assert!(below.starts_with("https://example.org/call/r/a#t=r1."), "{below}");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let all = [SECRETS, PUBLIC, TOKEN].concat();
        for (made, reason) in [
            (made(&[SECRETS, PUBLIC].concat(), "a", 3600, None), FOR_EVERYONE),
            (made(&[SECRETS, TOKEN].concat(), "a", 3600, None), NO_URL),
            (made(&[PUBLIC, TOKEN].concat(), "a", 3600, None), NO_SECRET),
            (made(&all, "", 3600, None), "--room \"\" is not a valid name"),
            (made(&all, "a/b", 3600, None), "is not a valid name"),
            (made(&all, "..", 3600, None), "cannot be in a link"),
            (made(&all, "a", 59, None), "--ttl must be"),
            (made(&all, "a", 367 * 24 * 3600, None), "--ttl must be"),
            (made(&all, "a", 3600, Some("call.example.org")), "--url: "),
        ] {
            let told = made.unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }

    #[test]
    fn a_new_room_has_a_name_that_nobody_can_guess() {
        let name = random_name([0xA5; 32]);
        assert_eq!((name.len(), name == random_name([0xA6; 32])), (22, false));
    }
}
