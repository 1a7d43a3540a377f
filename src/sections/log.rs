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
