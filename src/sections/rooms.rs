//! PURE  `[rooms]`: where clients meet.

use crate::password::PasswordHash;
use crate::room_token::Create;
use crate::sections::number::{Bounded, Count};
use crate::sections::value::Text;

section! {
    /// `[rooms]`
    pub struct Rooms {
        /// Members of one room.
        pub capacity: Bounded<2, 8> = Bounded::of::<4>(),
        /// Who may create rooms.
        pub create: Create = Create::Anyone,
        /// The hash of the password for which people get a room token.
        pub password_hash: Option<PasswordHash> = None,
        /// Whether newcomers wait until the host lets them in.
        pub knock: bool = false,
        /// Members in total, and WebSockets in total.
        pub members: Count = Count::of::<10_000>(),
        /// WebSockets of one address.
        pub sockets_per_ip: Count = Count::of::<300>(),
        /// Joins of one address, each minute.
        pub joins_per_minute: Count = Count::of::<300>(),
    }
}

impl Text for Create {
    const EXAMPLE: &'static str = "\"anyone\", \"token\" or \"password\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "anyone" => Ok(Self::Anyone),
            "token" => Ok(Self::Token),
            "password" => Ok(Self::Password),
            _ => Err(format!("{text:?} is not a choice here: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        self.name().to_owned()
    }
}

impl Text for PasswordHash {
    const EXAMPLE: &'static str = "the line that `hairpin room-password` prints";

    /// An error does not show the string: it may be the password itself.
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            format!(
                "this is not the hash of a password (Argon2id, at most m=65536,t=8,p=4): write {}",
                Self::EXAMPLE
            )
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}
