//! Named checks: what is recorded, and the handle for hot paths.

use crate::Status;
use crate::clock::Tick;
use crate::guarded::Guarded;
use crate::report::{self, Check, MAX_MESSAGE_BYTES, MAX_METADATA_ENTRIES, MAX_NAME_BYTES, bounded};
use crate::shared::Shared;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of one metadata value, written as JSON.
const MAX_METADATA_VALUE_BYTES: usize = 2048;

/// What is recorded of a check at once: a status, and whatever else there is to say.
///
/// ```
/// use health_reporter::{Record, Status};
///
/// let record = Record::new(Status::Warning).message("queue 812 of 1000").metadata("depth", 812);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    status: Status,
    message: Cow<'a, str>,
    metadata: Vec<(Cow<'a, str>, MetadataValue)>,
    duration: Option<Duration>,
}

impl<'a> Record<'a> {
    /// A record without a message.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        Self { status, message: Cow::Borrowed(""), metadata: Vec::new(), duration: None }
    }

    /// Why, for people; cut at 1,024 bytes.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'a, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds to the metadata, at most 32 entries; those beyond are left out.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<Cow<'a, str>>, value: impl Into<MetadataValue>) -> Self {
        if self.metadata.len() < MAX_METADATA_ENTRIES {
            self.metadata.push((key.into(), value.into()));
        }
        self
    }

    /// How long the work took.
    #[must_use]
    pub const fn duration(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }
}

impl From<Status> for Record<'_> {
    fn from(status: Status) -> Self {
        Self::new(status)
    }
}

/// A value of a check's metadata. A number that JSON does not have is named, never written as null.
///
/// ```
/// use health_reporter::MetadataValue;
///
/// assert_eq!(MetadataValue::from(f64::NAN), MetadataValue::from("NaN"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataValue(Value);

impl From<f64> for MetadataValue {
    fn from(number: f64) -> Self {
        let named = || Value::String(number.to_string());
        Self(serde_json::Number::from_f64(number).map_or_else(named, Value::Number))
    }
}

impl From<f32> for MetadataValue {
    fn from(number: f32) -> Self {
        Self::from(f64::from(number))
    }
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        Self(Value::String(bounded(text, MAX_METADATA_VALUE_BYTES)))
    }
}

impl From<String> for MetadataValue {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Value> for MetadataValue {
    /// A value that would take more than 2,048 bytes is replaced by a word that says so.
    fn from(value: Value) -> Self {
        let fits = value.to_string().len() <= MAX_METADATA_VALUE_BYTES;
        Self(if fits { value } else { Value::String("(too large)".to_owned()) })
    }
}

macro_rules! metadata_from {
    ($($kind:ty)*) => {$(
        impl From<$kind> for MetadataValue {
            fn from(value: $kind) -> Self {
                Self(Value::from(value))
            }
        }
    )*};
}

metadata_from!(bool i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

/// What a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing that a reader must hear of before the next heartbeat.
    Nothing,
    /// The message or the metadata.
    Detail,
    /// The status: it is out within 50 ms.
    Status,
}

/// The latest record of one check.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    status: Option<Status>,
    message: String,
    metadata: Vec<(String, MetadataValue)>,
    duration: Option<Duration>,
    recorded: Tick,
    since: Tick,
    count: u64,
}

impl Latest {
    pub(crate) const fn status(&self) -> Option<Status> {
        self.status
    }

    /// A record without metadata and duration takes the place of one that had them.
    pub(crate) fn replace(&mut self, status: Status, message: &str, now: Tick) -> Change {
        self.duration = None;
        let had_metadata = !self.metadata.is_empty();
        self.metadata.clear();
        match self.update(status, message, now) {
            Change::Nothing if had_metadata => Change::Detail,
            change => change,
        }
    }

    /// The hot path: nothing is allocated when nothing changed.
    fn update(&mut self, status: Status, message: &str, now: Tick) -> Change {
        self.recorded = now;
        self.count += 1;
        let mut change = Change::Nothing;
        if self.message != message {
            let message = bounded(message, MAX_MESSAGE_BYTES);
            if self.message != message {
                self.message = message;
                change = Change::Detail;
            }
        }
        if self.status != Some(status) {
            self.status = Some(status);
            self.since = now;
            change = Change::Status;
        }
        change
    }

    fn update_metadata(&mut self, metadata: &[(Cow<'_, str>, MetadataValue)]) -> Change {
        let is_same = self.metadata.len() == metadata.len()
            && self.metadata.iter().zip(metadata).all(|(old, new)| old.0 == new.0 && old.1 == new.1);
        if is_same {
            return Change::Nothing;
        }
        self.metadata =
            metadata.iter().map(|(key, value)| (bounded(key, MAX_NAME_BYTES), value.clone())).collect();
        Change::Detail
    }

    pub(crate) fn to_check(&self, name: &str) -> Option<Check> {
        Some(Check {
            name: name.to_owned(),
            status: self.status?,
            message: (!self.message.is_empty()).then(|| self.message.clone()),
            timestamp: Some(self.recorded.timestamp()),
            metadata: self.metadata.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect(),
            duration_ms: self.duration.map(milliseconds),
            since: Some(self.since.timestamp()),
            count: Some(self.count),
        })
    }
}

/// To the microsecond: more digits say nothing and cost room.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// One check of one reporter, for paths where even looking up a name is too much. Cheap to clone.
///
/// ```
/// use health_reporter::{Reporter, Status};
///
/// let dir = tempfile::tempdir().unwrap();
/// let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
/// let capture = health.check("capture");
/// for _frame in 0..1000 {
///     capture.healthy();
/// }
/// capture.record(Status::Warning, "3 frames dropped");
/// assert_eq!(health.overall_status(), Status::Warning);
/// ```
#[derive(Debug, Clone)]
pub struct CheckHandle {
    pub(crate) name: Arc<str>,
    pub(crate) cell: Arc<Guarded<Latest>>,
    pub(crate) shared: Arc<Shared>,
    /// There were too many checks: this one records into the one for the rest, with its name in the message.
    pub(crate) is_one_of_the_rest: bool,
}

impl CheckHandle {
    /// Records that it is healthy.
    pub fn healthy(&self) {
        self.record(Status::Healthy, "");
    }

    /// Records `status` and why. Does no I/O; allocates nothing if it says what it said before.
    pub fn record(&self, status: Status, message: &str) {
        let message = self.labelled(message);
        let now = Tick::now();
        let change = self.cell.write(|latest| latest.replace(status, &message, now));
        self.shared.changed(change.unwrap_or(Change::Nothing));
    }

    /// Records a status with metadata or a duration.
    ///
    /// ```
    /// # use health_reporter::{Record, Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// let queue = health.check("queue");
    /// queue.record_with(Record::new(Status::Warning).message("812 of 1000").metadata("depth", 812));
    /// ```
    pub fn record_with<'a>(&self, record: impl Into<Record<'a>>) {
        let record = record.into();
        let message = self.labelled(&record.message);
        let now = Tick::now();
        let change = self.cell.write(|latest| {
            latest.duration = record.duration;
            let detail = latest.update_metadata(&record.metadata);
            match latest.update(record.status, &message, now) {
                Change::Nothing => detail,
                change => change,
            }
        });
        self.shared.changed(change.unwrap_or(Change::Nothing));
    }

    /// Runs `work`: `Ok` is healthy and `Err` an error, with the time it took.
    ///
    /// # Errors
    ///
    /// Those of `work`, untouched.
    ///
    /// ```
    /// # use health_reporter::{Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// let parse = health.check("parse");
    /// assert!(parse.observe(|| "dark".parse::<u32>()).is_err());
    /// assert_eq!(health.overall_status(), Status::Error);
    /// ```
    pub fn observe<T, E: Display>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let started = Instant::now();
        let result = work();
        self.observed(&result, started.elapsed());
        result
    }

    /// The same for a future.
    ///
    /// # Errors
    ///
    /// Those of `work`, untouched.
    ///
    /// ```
    /// # async fn fetch() -> Result<u32, std::io::Error> { Ok(1) }
    /// # async fn example(health: health_reporter::Reporter) -> Result<(), std::io::Error> {
    /// let fetching = health.check("fetch");
    /// let page = fetching.observe_async(fetch()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn observe_async<T, E: Display>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let result = work.await;
        self.observed(&result, started.elapsed());
        result
    }

    /// Records an error of this check; its next healthy record clears it.
    ///
    /// ```
    /// # use health_reporter::{Reporter, Status};
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
    /// let database = health.check("database");
    /// database.error("connection refused");
    /// database.healthy();
    /// assert_eq!(health.overall_status(), Status::Healthy);
    /// ```
    pub fn error(&self, error: impl Display) {
        let text = error.to_string();
        self.shared.note_error(&text, false, Some(&self.name));
        self.record(Status::Error, &text);
    }

    fn observed<T, E: Display>(&self, result: &Result<T, E>, took: Duration) {
        match result {
            Ok(_) => self.record_with(Record::new(Status::Healthy).duration(took)),
            Err(error) => {
                let text = error.to_string();
                self.shared.note_error(&text, false, Some(&self.name));
                self.record_with(Record::new(Status::Error).message(text).duration(took));
            }
        }
    }

    fn labelled<'m>(&self, message: &'m str) -> Cow<'m, str> {
        if self.is_one_of_the_rest {
            return Cow::Owned(format!("{}: {message}", self.name));
        }
        Cow::Borrowed(message)
    }
}

/// The name of the check into which those beyond [`report::MAX_CHECKS`] record.
pub(crate) const OVERFLOW_CHECK: &str = "other_checks";

const _: () = assert!(report::MAX_CHECKS > 2, "room for `errors` and the overflow");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reporter;
    use serde_json::json;

    const fn at(seconds: i64) -> Tick {
        Tick { seconds, nanos: 0 }
    }

    #[test]
    fn a_record_without_metadata_leaves_none_of_an_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let health = Reporter::builder("camera").dir(dir.path()).start().unwrap();
        let queue = health.check("queue");
        let full = Record::new(Status::Warning).metadata("depth", 812).duration(Duration::from_secs(1));
        queue.record_with(full);
        queue.healthy();
        let check = queue.cell.read(|latest| latest.to_check("queue")).flatten().unwrap();
        assert_eq!((check.metadata.len(), check.duration_ms), (0, None));
    }

    #[test]
    fn only_what_changed_is_news() {
        let mut latest = Latest::default();
        assert!(latest.to_check("lens").is_none(), "a check appears with its first record");
        assert_eq!(latest.update(Status::Healthy, "", at(1)), Change::Status);
        assert_eq!(latest.update(Status::Healthy, "", at(2)), Change::Nothing);
        assert_eq!(latest.update(Status::Healthy, "clean", at(3)), Change::Detail);
        assert_eq!(latest.update(Status::Error, "clean", at(4)), Change::Status);
        assert_eq!(latest.update(Status::Error, "stuck", at(5)), Change::Detail);
        let check = latest.to_check("lens").unwrap();
        assert_eq!(
            (check.since, check.timestamp, check.count),
            (Some(at(4).timestamp()), Some(at(5).timestamp()), Some(5))
        );
    }

    #[test]
    fn a_message_that_is_cut_each_time_in_the_same_way_is_no_news() {
        let mut latest = Latest::default();
        latest.update(Status::Healthy, &"x".repeat(2000), at(1));
        assert_eq!(latest.update(Status::Healthy, &"x".repeat(3000), at(2)), Change::Nothing);
        assert_eq!(latest.message.len(), MAX_MESSAGE_BYTES);
    }

    #[test]
    fn metadata_is_bounded_and_has_no_number_that_json_has_not() {
        let mut record =
            Record::new(Status::Healthy).metadata("nan", f64::NAN).metadata("minus", f32::NEG_INFINITY);
        for number in 0..100 {
            record = record.metadata(format!("{number}{}", "k".repeat(200)), "v".repeat(5000));
        }
        let mut latest = Latest::default();
        latest.update(Status::Healthy, "", at(1));
        assert_eq!(latest.update_metadata(&record.metadata), Change::Detail);
        assert_eq!(latest.update_metadata(&record.metadata), Change::Detail, "the keys were cut");
        let metadata = latest.to_check("lens").unwrap().metadata;
        assert_eq!((&metadata["nan"], &metadata["minus"]), (&json!("NaN"), &json!("-inf")));
        assert_eq!(metadata.len(), MAX_METADATA_ENTRIES);
        assert!(metadata.iter().all(|(key, value)| {
            key.len() <= MAX_NAME_BYTES && value.to_string().len() <= MAX_METADATA_VALUE_BYTES + 2
        }));
        assert_eq!(MetadataValue::from(json!(vec![0; 2000])), MetadataValue::from("(too large)"));
    }

    #[test]
    fn what_is_observed_has_its_time_and_what_fails_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let health = Reporter::builder("camera").dir(dir.path()).record_panics(false).start().unwrap();
        let capture = health.check("capture");
        assert_eq!(capture.observe(|| Ok::<_, String>(7)), Ok(7));
        let duration = |check: &CheckHandle| check.cell.read(|latest| latest.duration).flatten();
        assert!(duration(&capture).is_some());
        capture.healthy();
        assert_eq!(capture.observe(|| Err::<(), _>("dark")), Err("dark"));
        capture.error("darker");
        let recent = health.shared.errors.read(crate::errors::ErrorLog::recent).unwrap();
        let told: Vec<_> =
            recent.iter().map(|error| (error.message.as_str(), error.check.as_deref())).collect();
        assert_eq!(told, [("dark", Some("capture")), ("darker", Some("capture"))]);
        assert_eq!(health.overall_status(), Status::Error);
        capture.healthy();
        assert_eq!(health.overall_status(), Status::Healthy);
    }
}
