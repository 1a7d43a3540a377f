//! PURE  `[rooms]`: where clients meet.

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
    const EXAMPLE: &'static str = "\"anyone\" or \"token\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "anyone" => Ok(Self::Anyone),
            "token" => Ok(Self::Token),
            _ => Err(format!("{text:?} is not a choice here: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Anyone => "anyone",
            Self::Token => "token",
        }
        .to_owned()
    }
}
