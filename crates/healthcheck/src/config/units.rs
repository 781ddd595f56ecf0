//! Quantities as people write them: durations (`1h30m`), sizes (`512MiB`), shares (`90%`).

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::problems::Scope;
use super::raw::{DurationText, ShareText, SizeText};

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;
/// Largest first: it is also the order in which they are written together.
const DURATION_UNITS: [(&str, u64); 6] = [
    ("w", 7 * DAY_S * 1000),
    ("d", DAY_S * 1000),
    ("h", HOUR_S * 1000),
    ("m", MINUTE_S * 1000),
    ("s", 1000),
    ("ms", 1),
];
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// Text that is no quantity: the problem and its cure, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitError {
    pub(crate) problem: &'static str,
    pub(crate) cure: String,
}

impl UnitError {
    fn new(problem: &'static str, cure: impl Into<String>) -> Self {
        Self { problem, cure: cure.into() }
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.cure)
    }
}

impl std::error::Error for UnitError {}

/// Reads `500ms`, `30s`, `2m`, `1h30m`, `60d`: whole numbers, each with its unit, larger units first.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UnitError::new("has no unit", format!("write \"{text}s\" for seconds")));
    }
    let not_one =
        || UnitError::new("is not a duration", "write it like \"500ms\", \"30s\", \"1h30m\" or \"60d\"");
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() || next_unit == 0 {
        let (number, after) = leading_number(rest).ok_or_else(not_one)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let place =
            DURATION_UNITS[next_unit..].iter().position(|(name, _)| *name == unit).ok_or_else(not_one)?;
        let (_, unit_ms) = DURATION_UNITS[next_unit + place];
        let part_ms = number.checked_mul(unit_ms);
        total_ms = part_ms.and_then(|part| part.checked_add(total_ms)).ok_or_else(not_one)?;
        next_unit += place + 1;
        rest = after;
    }
    Ok(Duration::from_millis(total_ms))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, after) = text.split_at(digits);
    Some((number.parse().ok()?, after))
}

/// Writes a duration so that [`parse_duration`] reads it again, to the millisecond.
pub(crate) fn format_duration(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, unit_ms) in &DURATION_UNITS[1..] {
        let count = rest_ms / unit_ms;
        rest_ms %= unit_ms;
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(super) fn serialize_duration<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

pub(super) fn serialize_duration_if<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(format_duration).serialize(serializer)
}

/// Between which a duration must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) zero: bool,
    pub(super) max: Duration,
}

const YEAR: Duration = Duration::from_secs(366 * DAY_S);
/// More than nothing; a year bounds the arithmetic.
pub(super) const POSITIVE: Limits = Limits { zero: false, max: YEAR };
/// Nothing is allowed as well.
pub(super) const FROM_ZERO: Limits = Limits { zero: true, max: YEAR };
/// What a report may declare.
pub(super) const DEADLINE: Limits = Limits { zero: false, max: Duration::from_secs(35 * DAY_S) };
/// How long history may be kept: ten years.
pub(super) const RETENTION: Limits = Limits { zero: false, max: Duration::from_secs(3660 * DAY_S) };

/// The duration, or `None` where it is not written or was refused.
pub(super) fn duration(at: &Scope<'_>, raw: Option<&DurationText>, limits: Limits) -> Option<Duration> {
    let text = &raw?.0;
    let duration = match parse_duration(text) {
        Ok(duration) => duration,
        Err(error) => {
            at.refuse(text, error.problem, error.cure);
            return None;
        }
    };
    let max = format_duration(limits.max);
    if duration.is_zero() && !limits.zero {
        at.refuse(text, "must be more than 0s", format!("write a duration up to {max}"));
        return None;
    }
    if duration > limits.max {
        at.refuse(text, format!("must be at most {max}"), "write a shorter one");
        return None;
    }
    Some(duration)
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, size): &&(&str, u64)| self.0 >= *size && self.0.is_multiple_of(*size);
        let (unit, size) = SIZE_UNITS.iter().find(exact).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// Reads `512MiB`, `10GB`.
pub(crate) fn parse_size(text: &str) -> Result<Bytes, UnitError> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UnitError::new("has no unit", format!("write \"{text}MiB\" or another unit")));
    }
    let not_one = || UnitError::new("is not a size", "write it like \"512MiB\" or \"10GiB\"");
    let (number, unit) = leading_number(text).ok_or_else(not_one)?;
    let (_, size) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not_one)?;
    number.checked_mul(*size).map(Bytes).ok_or_else(not_one)
}

/// The size, or `None` where it is not written or was refused.
pub(super) fn size(at: &Scope<'_>, raw: Option<&SizeText>, least: Bytes) -> Option<Bytes> {
    let text = &raw?.0;
    match parse_size(text) {
        Ok(size) if size < least => {
            at.refuse(text, format!("must be at least {least}"), "write a larger one");
            None
        }
        Ok(size) => Some(size),
        Err(error) => {
            at.refuse(text, error.problem, error.cure);
            None
        }
    }
}

/// A share of the whole, 0 to 100 percent.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Percent(pub(crate) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Reads `90%`.
pub(crate) fn parse_share(text: &str) -> Result<Percent, UnitError> {
    let not_one = || UnitError::new("is not a share", "write it like \"90%\"");
    let number = text.strip_suffix('%').ok_or_else(not_one)?;
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let percent: f64 = number.parse().ok().filter(|_| number.chars().all(digits)).ok_or_else(not_one)?;
    if percent > 100.0 {
        return Err(UnitError::new("is more than the whole", "write 0% to 100%"));
    }
    Ok(Percent(percent))
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a threshold is compared with.
pub(crate) trait Quantity: Copy + PartialOrd + fmt::Display {
    type Raw: fmt::Display;
    fn parse(raw: &Self::Raw) -> Result<Self, UnitError>;
    /// As a number: a share from 0 to 1, a size in bytes.
    fn value(self) -> f64;
}

impl Quantity for Percent {
    type Raw = ShareText;
    fn parse(raw: &ShareText) -> Result<Self, UnitError> {
        parse_share(&raw.0)
    }

    fn value(self) -> f64 {
        self.0 / 100.0
    }
}

impl Quantity for Bytes {
    type Raw = SizeText;
    fn parse(raw: &SizeText) -> Result<Self, UnitError> {
        parse_size(&raw.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "a limit needs no more digits")]
    fn value(self) -> f64 {
        self.0 as f64
    }
}

impl Quantity for f64 {
    type Raw = Self;
    fn parse(raw: &Self) -> Result<Self, UnitError> {
        let usable = raw.is_finite() && *raw >= 0.0;
        usable.then_some(*raw).ok_or_else(|| UnitError::new("is not a number from 0 on", "write it like 1.5"))
    }

    fn value(self) -> f64 {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("60d", 5_184_000_000),
            ("1w", 604_800_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_duration() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5h",
            "1 h",
            "30m1h",
            "1s1s",
            "1S",
            "1sec",
            "99999999999999w",
            "1h30",
            "٣s",
            "1e3s",
        ] {
            let error = parse_duration(text).expect_err(text);
            assert_eq!(error.problem, "is not a duration", "{text}");
        }
        let bare = parse_duration("30").expect_err("no unit").to_string();
        assert_eq!(bare, "has no unit; write \"30s\" for seconds");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for ms in [0, 1, 999, 1000, 60_000, 5_400_000, 93_784_005, 5_184_000_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        for bytes in [0, 1, 1000, 1024, 1536, 1 << 30, 10_000_000_000] {
            assert_eq!(parse_size(&Bytes(bytes).to_string()), Ok(Bytes(bytes)));
        }
        assert_eq!(parse_share(&Percent(92.5).to_string()), Ok(Percent(92.5)));
        assert_eq!(format_duration(Duration::from_secs(5400)), "1h30m");
        assert_eq!(Bytes(512 << 20).to_string(), "512MiB");
    }

    #[test]
    fn other_text_is_no_size_and_no_share() {
        for text in ["", "MiB", "1.5GiB", "512M", "99999999TiB", "1 GiB", "-1B"] {
            assert_eq!(parse_size(text).expect_err(text).problem, "is not a size");
        }
        assert_eq!(parse_size("512").expect_err("bare").problem, "has no unit");
        for text in ["", "90", "%", "x%", "-1%", "nan%", "inf%", "1e1%", "+5%"] {
            assert_eq!(parse_share(text).expect_err(text).problem, "is not a share", "{text}");
        }
        assert_eq!(parse_share("100.1%").expect_err("too much").problem, "is more than the whole");
    }
}
