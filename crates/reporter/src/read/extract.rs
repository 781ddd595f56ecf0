//! From a JSON tree to a report: tolerant of what is absent, strict about what is there.

use super::json::Json;
use super::original;
use super::{ReadError, Zone};
use crate::report::{self, Check, HealthReport, RecentError, SCHEMA_VERSION, WatchedLoop};
use crate::{State, Status};
use jiff::civil::DateTime;
use jiff::{Timestamp, Zoned};
use std::borrow::Cow;

/// More entries than a writer of this version puts into one list; the Python original writes 50 records.
const MAX_ENTRIES: usize = 256;

type Entries<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// Which writer's rules a report follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// This format, in any version up to the newest known.
    HealthReport,
    /// The Python original: no version, local times without a zone, one record an event.
    Original,
}

pub(super) fn report(tree: Json<'_>, zone: Zone<'_>) -> Result<(HealthReport, Dialect), ReadError> {
    let Json::Object(entries) = tree else {
        return Err(unreadable(format!("expected an object, found {}", tree.kind())));
    };
    let mut fields = Fields { entries, next: 0, zone, naive_update: false };
    fields.refuse_newer_version()?;
    let report = fields.report().map_err(unreadable)?;
    if fields.naive_update && report.schema_version.is_none() {
        return Ok((original::normalised(report), Dialect::Original));
    }
    Ok((report, Dialect::HealthReport))
}

fn unreadable(problem: String) -> ReadError {
    ReadError::Unreadable(problem)
}

struct Fields<'a, 'z> {
    entries: Entries<'a>,
    /// Behind the last one that was taken: they are taken in the order in which they are written.
    next: usize,
    zone: Zone<'z>,
    naive_update: bool,
}

impl<'a> Fields<'a, '_> {
    /// A newer writer may have changed anything else, so its version is looked at first.
    fn refuse_newer_version(&self) -> Result<(), ReadError> {
        let version = self.entries.iter().find(|(key, _)| key == "schema_version").map(|(_, value)| value);
        match version.map(number) {
            Some(Some(version)) if version > SCHEMA_VERSION as f64 => Err(ReadError::NewerVersion(version)),
            _ => Ok(()),
        }
    }

    fn report(&mut self) -> Result<HealthReport, String> {
        let overall_status = self.required_status()?;
        self.naive_update = matches!(self.peek("last_updated"), Some(Json::Text(text)) if is_naive(text));
        Ok(HealthReport {
            schema_version: self.count("schema_version")?,
            service_name: self.name("service_name")?,
            service_type: self.name("service_type")?,
            instance: self.count("instance").unwrap_or(None),
            host: self.name("host")?,
            service_version: self.name("service_version")?,
            overall_status,
            checks: self.list("checks", check)?,
            recent_errors: self.list("recent_errors", recent_error)?,
            state: self.state()?,
            current_task: self.text("current_task", report::MAX_MESSAGE_BYTES)?,
            depends_on: self
                .list("depends_on", |item, _| bounded_text("an entry", item, report::MAX_NAME_BYTES))?,
            last_updated: self.time("last_updated")?,
            last_check: self.time("last_check")?,
            interval_s: self.number("interval_s")?,
            deadline_s: self.deadline()?,
            uptime: self.number("uptime")?,
            restart_count: self.count("restart_count")?.unwrap_or(0),
            error_count: self.count("error_count")?.unwrap_or(0),
            messages_sent: self.count("messages_sent")?.unwrap_or(0),
            messages_received: self.count("messages_received")?.unwrap_or(0),
            heartbeat_count: self.count("heartbeat_count")?.unwrap_or(0),
            pid: self.pid()?,
            pid_namespace: self.count("pid_namespace")?,
            pid_start_ticks: self.count("pid_start_ticks")?,
            boot_id: self.text("boot_id", report::MAX_NAME_BYTES)?,
            written_boottime_s: self.number("written_boottime_s")?,
            watched_loops: self.list("watched_loops", watched_loop)?,
            write_failures: self.count("write_failures")?.unwrap_or(0),
        })
    }

    fn peek(&self, key: &str) -> Option<&Json<'a>> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value of `key`; null is as good as absent.
    fn take(&mut self, key: &str) -> Option<Json<'a>> {
        let (before, after) = self.entries.split_at(self.next);
        let is_it = |(name, _): &(Cow<'_, str>, Json<'_>)| name == key;
        let at = match after.iter().position(is_it) {
            Some(at) => self.next + at,
            None => before.iter().position(is_it)?,
        };
        self.next = at + 1;
        let value = std::mem::replace(&mut self.entries[at].1, Json::Null);
        Some(value).filter(|value| !value.is_null())
    }

    fn required_status(&mut self) -> Result<Status, String> {
        let value = self.take("overall_status").ok_or("overall_status is missing")?;
        status("overall_status", &value)
    }

    fn state(&mut self) -> Result<State, String> {
        match self.take("state") {
            None => Ok(State::Running),
            Some(Json::Text(word)) => word.parse().map_err(|problem| format!("state: {problem}")),
            Some(other) => Err(format!("state: expected a text, found {}", other.kind())),
        }
    }

    fn text(&mut self, key: &str, limit: usize) -> Result<Option<String>, String> {
        self.take(key).map(|value| bounded_text(key, value, limit)).transpose()
    }

    fn name(&mut self, key: &str) -> Result<Option<String>, String> {
        self.text(key, report::MAX_NAME_BYTES)
    }

    fn number(&mut self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match number(&value) {
            Some(number) if number >= 0.0 => Ok(Some(number)),
            Some(_) => Err(format!("{key}: must not be negative")),
            None => Err(format!("{key}: expected a number, found {}", value.kind())),
        }
    }

    fn count(&mut self, key: &str) -> Result<Option<u64>, String> {
        match self.take(key) {
            Some(Json::UInt(count)) => Ok(Some(count)),
            Some(value) => whole(key, &value).map(Some),
            None => Ok(None),
        }
    }

    fn pid(&mut self) -> Result<Option<u64>, String> {
        let pid = self.count("pid")?;
        match pid {
            Some(0) => Err("pid: must be above 0".to_owned()),
            Some(pid) if i32::try_from(pid).is_err() => Err("pid: too large".to_owned()),
            _ => Ok(pid),
        }
    }

    fn deadline(&mut self) -> Result<Option<f64>, String> {
        let deadline = self.number("deadline_s")?;
        match deadline {
            Some(seconds) if seconds <= 0.0 || seconds > report::MAX_DEADLINE_S => {
                Err("deadline_s: must be above 0 and at most 3024000 (35 days)".to_owned())
            }
            _ => Ok(deadline),
        }
    }

    fn time(&mut self, key: &str) -> Result<Option<Timestamp>, String> {
        self.take(key).map(|value| time(key, &value, self.zone)).transpose()
    }

    fn list<T>(
        &mut self,
        key: &str,
        item: impl Fn(Json<'a>, Zone<'_>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let items = match self.take(key) {
            None => return Ok(Vec::new()),
            Some(Json::Array(items)) => items,
            Some(other) => return Err(format!("{key}: expected an array, found {}", other.kind())),
        };
        if items.len() > MAX_ENTRIES {
            return Err(format!("{key}: {} entries, the limit is {MAX_ENTRIES}", items.len()));
        }
        let each = items.into_iter().enumerate();
        each.map(|(at, value)| item(value, self.zone).map_err(|problem| format!("{key}[{at}]: {problem}")))
            .collect()
    }
}

fn entries_of<'a, 'z>(value: Json<'a>, zone: Zone<'z>) -> Result<Fields<'a, 'z>, String> {
    match value {
        Json::Object(entries) => Ok(Fields { entries, next: 0, zone, naive_update: false }),
        other => Err(format!("expected an object, found {}", other.kind())),
    }
}

fn check(value: Json<'_>, zone: Zone<'_>) -> Result<Check, String> {
    let mut fields = entries_of(value, zone)?;
    let name = fields.name("name")?;
    let status_value = fields.take("status").ok_or("status is missing")?;
    Ok(Check {
        name: name.ok_or("name is missing")?,
        status: status("status", &status_value)?,
        message: fields.text("message", report::MAX_MESSAGE_BYTES)?,
        timestamp: fields.time("timestamp")?,
        metadata: metadata(fields.take("metadata"))?,
        duration_ms: fields.number("duration_ms")?,
        since: fields.time("since")?,
        count: fields.count("count")?,
    })
}

fn metadata(value: Option<Json<'_>>) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    match value.map(Json::into_value) {
        None => Ok(serde_json::Map::new()),
        Some(serde_json::Value::Object(entries)) => Ok(entries),
        Some(_) => Err("metadata: expected an object".to_owned()),
    }
}

fn recent_error(value: Json<'_>, zone: Zone<'_>) -> Result<RecentError, String> {
    let mut fields = entries_of(value, zone)?;
    Ok(RecentError {
        message: fields.text("message", report::MAX_MESSAGE_BYTES)?.unwrap_or_default(),
        timestamp: fields.time("timestamp")?,
        fatal: matches!(fields.take("fatal"), Some(Json::Bool(true))),
        check: fields.name("check")?,
    })
}

fn watched_loop(value: Json<'_>, zone: Zone<'_>) -> Result<WatchedLoop, String> {
    let mut fields = entries_of(value, zone)?;
    Ok(WatchedLoop {
        name: fields.name("name")?.ok_or("name is missing")?,
        beat_boottime_s: fields.number("beat_boottime_s")?.ok_or("beat_boottime_s is missing")?,
        limit_s: fields.number("limit_s")?.filter(|limit| *limit > 0.0).ok_or("limit_s must be above 0")?,
    })
}

fn bounded_text(key: &str, value: Json<'_>, limit: usize) -> Result<String, String> {
    match value {
        Json::Text(text) => Ok(report::bounded(&text, limit)),
        other => Err(format!("{key}: expected a text, found {}", other.kind())),
    }
}

fn status(key: &str, value: &Json<'_>) -> Result<Status, String> {
    match value {
        Json::Text(word) => word.parse().map_err(|problem| format!("{key}: {problem}")),
        other => Err(format!("{key}: expected a text, found {}", other.kind())),
    }
}

#[expect(clippy::cast_precision_loss, reason = "above 2^53 a count is a count of something else")]
const fn number(value: &Json<'_>) -> Option<f64> {
    match value {
        Json::Int(number) => Some(*number as f64),
        Json::UInt(number) => Some(*number as f64),
        Json::Float(number) => Some(*number),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "fractions are cut by intention, and the range is looked at first"
)]
fn whole(key: &str, value: &Json<'_>) -> Result<u64, String> {
    match number(value) {
        Some(number) if (0.0..=9.0e18).contains(&number) => Ok(number as u64),
        Some(_) => Err(format!("{key}: out of range")),
        None => Err(format!("{key}: expected a number, found {}", value.kind())),
    }
}

fn time(key: &str, value: &Json<'_>, zone: Zone<'_>) -> Result<Timestamp, String> {
    let Json::Text(text) = value else {
        return Err(format!("{key}: expected a text, found {}", value.kind()));
    };
    if let Some(time) = as_written(text) {
        return Ok(time);
    }
    let local = |time: DateTime| time.to_zoned(zone.get()).map(|zoned: Zoned| zoned.timestamp());
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(local))
        .map_err(|_| format!("{key}: no RFC 3339 time"))
}

/// A time exactly as this crate writes it, `2025-06-01T12:00:00.031125615Z`: nearly all are, and there are many.
fn as_written(text: &str) -> Option<Timestamp> {
    let (date_time, fraction) = text.strip_suffix('Z')?.split_at_checked(19)?;
    let [y, yy, yyy, yyyy, b'-', m, mm, b'-', d, dd, b'T', h, hh, b':', min, minn, b':', s, ss] =
        *date_time.as_bytes()
    else {
        return None;
    };
    let nanos = match fraction.strip_prefix('.') {
        Some(digits) if (1..=9).contains(&digits.len()) => number_of(digits.bytes())? * NANOS[digits.len()],
        Some(_) => return None,
        None => 0,
    };
    let two = |tens, ones| number_of([tens, ones].into_iter());
    let date = (number_of([y, yy, yyy, yyyy].into_iter())?, two(m, mm)?, two(d, dd)?);
    let (hour, minute, second) = (two(h, hh)?, two(min, minn)?, two(s, ss)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days(date)? * 24 + hour) * 60 + minute) * 60 + second;
    Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok()
}

/// By how much so many digits of a fraction are to be multiplied.
const NANOS: [i64; 10] = [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

fn number_of(mut digits: impl Iterator<Item = u8>) -> Option<i64> {
    digits.try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// Days from 1970 to a date of the years 1970 to 2099, in which each fourth year is a leap year.
fn days((year, month, day): (i64, i64, i64)) -> Option<i64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const LENGTH: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let at = usize::try_from(month - 1).ok()?;
    let is_leap = year % 4 == 0;
    let length = LENGTH.get(at)? + i64::from(is_leap && month == 2);
    if !(1970..2100).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let leap_days = (year - 1969) / 4 + i64::from(is_leap && month > 2);
    Some((year - 1970) * 365 + leap_days + BEFORE[at] + day - 1)
}

fn is_naive(text: &str) -> bool {
    !text.ends_with('Z') && text.parse::<Timestamp>().is_err() && text.parse::<DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_as_written_is_what_the_calendar_says() {
        let day = jiff::SignedDuration::from_hours(24);
        let mut time: Timestamp = "1970-01-01T23:59:59.031125615Z".parse().unwrap();
        while time.as_second() < 4_102_444_800 {
            assert_eq!(as_written(&time.to_string()), Some(time));
            time += day;
        }
        assert_eq!(as_written(&time.to_string()), None, "from 2100 on the calendar is asked");
    }

    #[test]
    fn what_is_not_as_written_is_left_to_the_calendar() {
        for (text, is_known) in [
            ("2025-06-01T12:00:00Z", true),
            ("2024-02-29T12:00:00.5Z", true),
            ("2025-02-29T12:00:00Z", false),
            ("2025-13-01T12:00:00Z", false),
            ("2025-00-01T12:00:00Z", false),
            ("2025-06-00T12:00:00Z", false),
            ("2025-06-01T24:00:00Z", false),
            ("2025-06-01T12:00:60Z", false),
            ("2025-06-01T12:00:00.Z", false),
            ("2025-06-01T12:00:00.0123456789Z", false),
            ("2025-06-01T12:00:00+02:00", false),
            ("2025-06-01T12:00:0éZ", false),
            ("Z", false),
        ] {
            assert_eq!(as_written(text), text.parse().ok().filter(|_| is_known), "{text}");
        }
    }
}
