//! When and how patiently something is looked at.

use std::time::Duration;

use serde::Serialize;

use super::problems::Scope;
use super::raw::RawSchedule;
use super::units::{POSITIVE, duration, format_duration, serialize_duration};

const INTERVAL: Duration = Duration::from_secs(30);
const RETRIES: u8 = 3;
const MAX_RETRIES: u8 = 20;
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Something on the network that lives answers at once.
pub(super) const TIMEOUT_CONNECT: Duration = Duration::from_secs(1);
/// A program or a page may have to think.
pub(super) const TIMEOUT_ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Schedule {
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) interval: Duration,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) timeout: Duration,
    pub(crate) retries: u8,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) retry_interval: Duration,
}

impl Schedule {
    pub(super) fn with_timeout(timeout: Duration) -> Self {
        Self { interval: INTERVAL, timeout, retries: RETRIES, retry_interval: RETRY_INTERVAL }
    }
}

pub(super) fn schedule(at: &Scope<'_>, raw: &RawSchedule, default_timeout: Duration) -> Schedule {
    let defaults = Schedule::with_timeout(default_timeout);
    let interval =
        duration(&at.key("interval"), raw.interval.as_ref(), POSITIVE).unwrap_or(defaults.interval);
    let timeout = duration(&at.key("timeout"), raw.timeout.as_ref(), POSITIVE);
    if let (Some(written), Some(_)) = (&raw.timeout, timeout.filter(|timeout| *timeout >= interval)) {
        let problem = format!("must be shorter than interval, which is {}", format_duration(interval));
        at.key("timeout").refuse(&written.0, problem, "write a shorter timeout or a longer interval");
    }
    Schedule {
        interval,
        timeout: timeout.unwrap_or_else(|| defaults.timeout.min(interval / 2)),
        retries: retries(at, raw.retries).unwrap_or(defaults.retries),
        retry_interval: duration(&at.key("retry_interval"), raw.retry_interval.as_ref(), POSITIVE)
            .unwrap_or(defaults.retry_interval),
    }
}

fn retries(at: &Scope<'_>, raw: Option<i64>) -> Option<u8> {
    let written = raw?;
    let count = u8::try_from(written).ok().filter(|count| *count <= MAX_RETRIES);
    if count.is_none() {
        at.key("retries").refuse_plain(
            written,
            format!("must be 0 to {MAX_RETRIES}"),
            "write 3 or another number",
        );
    }
    count
}
