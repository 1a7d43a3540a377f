//! PURE  The sections of `config.toml`: every key with its type and its default.
//!
//! A part takes its section as it is, so a key is stated in three places: in `config.toml`, in the line here that names
//! its type and its default, and where it acts. The type knows which values are right and what to write instead of
//! wrong ones ([`value::FromToml`]); what two keys say against each other is judged in [`crate::config`], which reads
//! the file.

/// Declares a section: each key as `name: Type = default`, in one line. Makes the `struct`, its [`Default`], its list of
/// changes for a reload, and its [`FromToml`](value::FromToml), by which a key that is missing or wrong has its default.
macro_rules! section {
    ($(#[$about:meta])* pub struct $section:ident { $($(#[$doc:meta])* pub $key:ident: $type:ty = $default:expr,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $section {
            $($(#[$doc])* pub $key: $type,)*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $section {
            /// The keys whose values differ in `other`.
            #[must_use]
            pub fn changes(&self, other: &Self) -> Vec<&'static str> {
                let mut changed = Vec::new();
                $(if self.$key != other.$key {
                    changed.push(stringify!($key));
                })*
                changed
            }
        }

        impl $crate::sections::value::FromToml for $section {
            fn expected() -> String {
                "a table of keys".to_owned()
            }

            fn from_toml(
                value: &toml::de::DeValue<'_>,
                place: &mut $crate::sections::reading::Place<'_>,
            ) -> Option<Self> {
                let mut keys = place.keys(value)?;
                let section = Self { $($key: keys.read(stringify!($key)).unwrap_or_else(|| $default),)* };
                keys.finish();
                Some(section)
            }

            fn to_json(&self) -> serde_json::Value {
                let keys = [$((stringify!($key), $crate::sections::value::FromToml::to_json(&self.$key)),)*];
                keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }
        }
    };
}

pub mod acme;
pub mod addresses;
pub mod admin;
pub mod clients;
pub mod compat;
pub mod credentials;
pub mod http;
pub mod limits;
pub mod listen;
pub mod log;
pub mod number;
pub mod peers;
pub mod public_ports;
pub mod reading;
pub mod relay;
pub mod rooms;
pub mod tls;
pub mod usage;
pub mod value;
