//! The name of a service: the identity of a health file.

use std::fmt;

/// Processes of one type in one directory: beyond this number an `@` is a part of the name.
pub const MAX_SLOTS: u32 = 64;
/// The longest name, in bytes.
pub const MAX_SERVICE_NAME_BYTES: usize = 64;

/// A service's name, or a file's: `[A-Za-z0-9][A-Za-z0-9._@-]{0,63}`.
///
/// ```
/// use health_reporter::ServiceName;
///
/// let second: ServiceName = "camera@2".parse().unwrap();
/// assert_eq!((second.service_type(), second.slot()), ("camera", 2));
/// assert!("../etc/passwd".parse::<ServiceName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Box<str>);

impl ServiceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its slot: `camera` of `camera@2`. A suffix that is no slot number stays (`core@site`).
    #[must_use]
    pub fn service_type(&self) -> &str {
        self.split().0
    }

    /// The slot of the process: 2 of `camera@2`, 1 where the name has none.
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.split().1
    }

    /// For a reporter that writes nothing.
    pub(crate) fn placeholder() -> Self {
        Self("service".into())
    }

    fn split(&self) -> (&str, u32) {
        match self.0.rsplit_once('@') {
            Some((service_type, slot)) if is_slot(slot) => (service_type, slot.parse().unwrap_or(1)),
            _ => (&self.0, 1),
        }
    }
}

fn is_slot(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse().is_ok_and(|slot: u32| (2..=MAX_SLOTS).contains(&slot))
}

impl std::str::FromStr for ServiceName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        let (first, rest) = name.as_bytes().split_first().ok_or_else(|| InvalidName::of(name))?;
        let fits = name.len() <= MAX_SERVICE_NAME_BYTES
            && first.is_ascii_alphanumeric()
            && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._@-".contains(byte));
        if fits { Ok(Self(name.into())) } else { Err(InvalidName::of(name)) }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for ServiceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be the name of a service. It is shown escaped: it may come from anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName(String);

impl InvalidName {
    fn of(name: &str) -> Self {
        Self(name.chars().take(MAX_SERVICE_NAME_BYTES).collect::<String>().escape_debug().collect())
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"{}\" is no service name: use 1 to {MAX_SERVICE_NAME_BYTES} of A-Z a-z 0-9 . _ @ -, a letter or digit first",
            self.0
        )
    }
}

impl std::error::Error for InvalidName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_that_is_no_slot_belongs_to_the_name() {
        let split = |name: &str| {
            let name: ServiceName = name.parse().unwrap();
            (name.service_type().to_owned(), name.slot())
        };
        assert_eq!(split("core@experimance"), ("core@experimance".into(), 1));
        assert_eq!(split("a@b@12"), ("a@b".into(), 12));
        assert_eq!(split("a@1"), ("a@1".into(), 1));
        assert_eq!(split("a@02"), ("a@02".into(), 1));
        assert_eq!((split("a@64").1, split("a@65")), (64, ("a@65".into(), 1)));
    }

    #[test]
    fn evil_names_are_refused_and_shown_escaped() {
        for evil in ["", ".", "-rf", "a/b", "a b", "caméra", "a\u{1b}[2J", &"a".repeat(65)] {
            let error = evil.parse::<ServiceName>().unwrap_err().to_string();
            assert!(!error.contains('\u{1b}'), "{error}");
        }
        assert!("a".repeat(64).parse::<ServiceName>().is_ok());
    }
}
