//! PURE  `[usage]`: whether and for how long the use of each user is stored.

use std::path::PathBuf;

use crate::sections::number::Bounded;
use crate::sections::value::Text;

section! {
    /// `[usage]`
    pub struct Usage {
        /// Where it is stored.
        pub path: UsagePath = UsagePath::Off,
        /// How many days are kept, today included.
        pub days: Bounded<1, 3650> = Bounded::of::<35>(),
    }
}

/// Where usage is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsagePath {
    /// Nowhere.
    Off,
    /// In the directory that systemd makes for the service.
    Auto,
    /// In this file.
    File(PathBuf),
}

impl Text for UsagePath {
    const EXAMPLE: &'static str = "\"off\", \"auto\", or a path such as \"/var/lib/hairpin/usage.db\"";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            _ if text.starts_with('/') && !text.ends_with('/') => Ok(Self::File(text.into())),
            _ => {
                Err(format!("{text:?} is not the path of a file that begins with /: write {}", Self::EXAMPLE))
            }
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Off => "off".to_owned(),
            Self::Auto => "auto".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }
}
