//! PURE  `[log]`: what is logged, and in which format.

use tracing::Level;

use crate::sections::value::Text;

section! {
    /// `[log]`
    pub struct Log {
        /// The least severe level that is logged.
        pub level: Level = Level::INFO,
        /// The format of a line.
        pub format: LogFormat = LogFormat::Text,
        /// How much of a client's address is logged.
        pub addresses: Addresses = Addresses::None,
    }
}

/// The format of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much of an address of a client, or of a client's peer, is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// Nothing.
    None,
    /// Its network: a /24 or a /48.
    Network,
    /// All of it.
    Full,
}

impl Text for Level {
    const EXAMPLE: &'static str = "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Self::ERROR),
            "warn" => Ok(Self::WARN),
            "info" => Ok(Self::INFO),
            "debug" => Ok(Self::DEBUG),
            "trace" => Ok(Self::TRACE),
            _ => Err(format!("{text:?} is not a level: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        self.as_str().to_lowercase()
    }
}

impl Text for LogFormat {
    const EXAMPLE: &'static str = "\"text\" or \"json\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is not a format: write {}", Self::EXAMPLE)),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
        .to_owned()
    }
}

impl Text for Addresses {
    const EXAMPLE: &'static str = "\"none\", \"network\" or \"full\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "network" => Ok(Self::Network),
            "full" => Ok(Self::Full),
            _ => Err(format!("{text:?} is not a choice here: write {}", Self::EXAMPLE)),
        }
    }
    fn write(&self) -> String {
        match self {
            Self::None => "none",
            Self::Network => "network",
            Self::Full => "full",
        }
        .to_owned()
    }
}
