//! `[systemd]`: how systemd is asked.

use std::fmt;

use serde::{Serialize, Serializer};

use super::problems::Scope;
use super::raw::RawSystemd;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SystemdSettings {
    pub(crate) bus: Bus,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Bus {
    #[default]
    System,
    User,
    /// A D-Bus address.
    Address(String),
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::User => "user",
            Self::Address(address) => address,
        })
    }
}

impl Serialize for Bus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn systemd(at: &Scope<'_>, raw: RawSystemd) -> SystemdSettings {
    SystemdSettings { bus: raw.bus.and_then(|text| bus(&at.key("bus"), text)).unwrap_or_default() }
}

fn bus(at: &Scope<'_>, text: String) -> Option<Bus> {
    match text.as_str() {
        "system" => Some(Bus::System),
        "user" => Some(Bus::User),
        _ if is_address(&text) => Some(Bus::Address(text)),
        _ => {
            at.refuse(
                &text,
                "is no bus",
                "write \"system\", \"user\" or an address like \"unix:path=/run/bus\"",
            );
            None
        }
    }
}

/// `transport:key=value,…`
fn is_address(text: &str) -> bool {
    let transport =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    text.split_once(':').is_some_and(|(name, keys)| transport(name) && keys.contains('='))
        && !text.chars().any(char::is_control)
}
