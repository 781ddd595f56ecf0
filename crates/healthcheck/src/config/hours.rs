//! Hours of the day: `22:00-07:00`.

use std::fmt;

use jiff::civil::Time;
use serde::{Serialize, Serializer};

use super::problems::Scope;

/// Local time from `from` up to `until`, across midnight where `until` is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) from: Time,
    pub(crate) until: Time,
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.hour(), from.minute(), until.hour(), until.minute())
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn hours(at: &Scope<'_>, text: &str, example: &str) -> Option<Hours> {
    let cure = format!("write it like \"{example}\"");
    let times = text.split_once('-').and_then(|(from, until)| Some((clock(from)?, clock(until)?)));
    let Some((from, until)) = times else {
        at.refuse(text, "is not HH:MM-HH:MM", cure);
        return None;
    };
    if from == until {
        at.refuse(text, "ends when it begins", cure);
        return None;
    }
    Some(Hours { from, until })
}

fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let parts = two_digits(hour) && two_digits(minute);
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok().filter(|_| parts)
}
