//! `hairpin rooms`: the rooms under their pseudonyms, and the end of one.

use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use crate::cli::admin_client::{AdminArguments, read};
use crate::cli::table::{table, time};
use crate::cli::{Failure, print};
use crate::observed::room::Room;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Ends the room with this pseudonym, as its host can.
    #[arg(long, value_name = "ROOM", value_parser = pseudonym)]
    end: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Deserialize)]
struct Rooms {
    rooms: Vec<Room>,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let text = match (&arguments.end, arguments.admin.json) {
        (Some(room), json) => {
            arguments.admin.ask(Method::DELETE, &format!("/rooms/{room}"), None)?;
            if json { format!("{}\n", json!({ "ended": 1 })) } else { "1 room ended\n".to_owned() }
        }
        (None, true) => format!("{}\n", arguments.admin.ask(Method::GET, "/rooms", None)?),
        (None, false) => show(&read(arguments.admin.ask(Method::GET, "/rooms", None)?)?),
    };
    print(&text)
}

/// A text that can be a pseudonym.
fn pseudonym(text: &str) -> Result<String, &'static str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.len() == 8 && text.chars().all(is_part) {
        Ok(text.to_owned())
    } else {
        Err("write the 8 characters that `hairpin rooms` shows")
    }
}

fn show(rooms: &Rooms) -> String {
    let row = |room: &Room| {
        let notes = [("locked", room.locked), ("key", room.has_key)];
        let notes: Vec<&str> = notes.iter().filter(|(_, holds)| *holds).map(|(note, _)| *note).collect();
        [
            room.room.clone(),
            format!("{} of {}", room.members, room.capacity),
            room.away.to_string(),
            room.waiting.to_string(),
            time(room.age),
            notes.join(", "),
        ]
    };
    let rows: Vec<_> = rooms.rooms.iter().map(row).collect();
    table(["ROOM", "MEMBERS", "AWAY", "WAITING", "AGE", "NOTES"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_room_has_a_line() {
        let room = Room {
            room: "k3Jd0a9Z".to_owned(),
            members: 2,
            away: 1,
            waiting: 0,
            capacity: 4,
            locked: true,
            has_key: true,
            age: 65,
        };
        let expected = "ROOM      MEMBERS  AWAY  WAITING  AGE    NOTES\n\
                        k3Jd0a9Z  2 of 4   1     0        1m 5s  locked, key\n";
        assert_eq!(show(&Rooms { rooms: vec![room] }), expected);
    }

    #[test]
    fn a_text_that_is_no_pseudonym_is_not_sent() {
        assert_eq!(pseudonym("k3-d_a9Z"), Ok("k3-d_a9Z".to_owned()));
        for text in ["", "garden", "k3Jd0a9", "k3Jd0a9ZZ", "../status", "k3Jd0a9 "] {
            assert!(pseudonym(text).is_err(), "{text}");
        }
    }
}
