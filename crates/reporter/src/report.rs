//! The health report, version 1: what is in the file.
//!
//! Only `overall_status` is required of a writer. Keys that other programs have read for years keep their
//! names (`service_name`, `overall_status`, `checks`, `last_updated`, `uptime`, …).

use crate::{State, Status};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// The version that this crate writes, and the newest that it reads.
pub const SCHEMA_VERSION: u64 = 1;
/// A report larger than this is refused, and never written.
pub const MAX_REPORT_BYTES: usize = 1024 * 1024;
/// Checks in one report.
pub const MAX_CHECKS: usize = 128;
/// Watched loops in one report.
pub const MAX_WATCHED_LOOPS: usize = 32;
/// The newest errors that are kept.
pub const MAX_RECENT_ERRORS: usize = 20;
/// Bytes of a name (check, loop, dependency, version).
pub const MAX_NAME_BYTES: usize = 128;
/// Bytes of a message or a current task; longer ones are cut at a character.
pub const MAX_MESSAGE_BYTES: usize = 1024;
/// Entries in the metadata of one check.
pub const MAX_METADATA_ENTRIES: usize = 32;
/// A deadline for a writer that declares none, in seconds.
pub const DEFAULT_DEADLINE_S: f64 = 120.0;
/// The longest deadline: 35 days, in seconds.
pub const MAX_DEADLINE_S: f64 = 35.0 * 86_400.0;

/// What a service says of itself: the content of one health file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(title = "health report, version 1"))]
pub struct HealthReport {
    /// The version of this format: 1. Absent in hand-written reports and in those of the Python original.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub schema_version: Option<u64>,
    /// The name for people. The identity is the file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub service_name: Option<String>,
    /// The name of the file without its slot and ending.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub service_type: Option<String>,
    /// Which of several processes of one type: 2 in `camera@2.json`, absent in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub instance: Option<u64>,
    /// The machine's host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub host: Option<String>,
    /// The version of the service's own program.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub service_version: Option<String>,
    /// The worst of the latest record of each check. Readers accept any case.
    pub overall_status: Status,
    /// The latest record of each check.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub checks: Vec<Check>,
    /// The newest errors, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub recent_errors: Vec<RecentError>,
    /// Where the service is in its life; running if absent.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub state: State,
    /// What it is doing now, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub current_task: Option<String>,
    /// Services and probes that this one cannot do without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub depends_on: Vec<String>,
    /// When the report was written, RFC 3339 in UTC; for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", default))]
    pub last_updated: Option<Timestamp>,
    /// When a check was last recorded, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", default))]
    pub last_check: Option<Timestamp>,
    /// Seconds between two heartbeats; for display.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub interval_s: Option<f64>,
    /// Seconds after a heartbeat past which the service is late, in (0, 35 days]; 120 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default, extend("exclusiveMinimum" = 0, "maximum" = 3_024_000)))]
    pub deadline_s: Option<f64>,
    /// Seconds since the service started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub uptime: Option<f64>,
    /// Starts that followed an end without a goodbye.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub restart_count: u64,
    /// Errors recorded since the start.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub error_count: u64,
    /// Messages sent since the start, as the service counts them.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub messages_sent: u64,
    /// Messages received since the start.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub messages_received: u64,
    /// Heartbeats written since the start, this one included.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub heartbeat_count: u64,
    /// The process to look at; without it, death is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub pid: Option<u64>,
    /// The inode of the process's pid namespace; a process of another one is not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub pid_namespace: Option<u64>,
    /// When the process started, in clock ticks since boot (`/proc/PID/stat`, field 22).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub pid_start_ticks: Option<u64>,
    /// The boot in which the report was written (`/proc/sys/kernel/random/boot_id`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub boot_id: Option<String>,
    /// `CLOCK_BOOTTIME` when the report was written, in seconds (`/proc/uptime` has it).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub written_boottime_s: Option<f64>,
    /// Loops whose silence means that the service hangs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub watched_loops: Vec<WatchedLoop>,
    /// Writes that failed since the last one that succeeded.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub write_failures: u64,
}

impl HealthReport {
    /// A report that says nothing but its overall status.
    ///
    /// ```
    /// use health_reporter::{HealthReport, Status};
    ///
    /// let report = HealthReport::new(Status::Healthy);
    /// assert_eq!(report.deadline_s(), 120.0);
    /// ```
    #[must_use]
    pub const fn new(overall_status: Status) -> Self {
        Self {
            schema_version: Some(SCHEMA_VERSION),
            service_name: None,
            service_type: None,
            instance: None,
            host: None,
            service_version: None,
            overall_status,
            checks: Vec::new(),
            recent_errors: Vec::new(),
            state: State::Running,
            current_task: None,
            depends_on: Vec::new(),
            last_updated: None,
            last_check: None,
            interval_s: None,
            deadline_s: None,
            uptime: None,
            restart_count: 0,
            error_count: 0,
            messages_sent: 0,
            messages_received: 0,
            heartbeat_count: 0,
            pid: None,
            pid_namespace: None,
            pid_start_ticks: None,
            boot_id: None,
            written_boottime_s: None,
            watched_loops: Vec::new(),
            write_failures: 0,
        }
    }

    /// The deadline in seconds, the default included.
    #[must_use]
    pub fn deadline_s(&self) -> f64 {
        self.deadline_s.unwrap_or(DEFAULT_DEADLINE_S)
    }

    /// The worse of what the report says overall and what its checks say.
    ///
    /// ```
    /// use health_reporter::{Check, HealthReport, Status};
    ///
    /// let mut report = HealthReport::new(Status::Healthy);
    /// report.checks.push(Check::new("database", Status::Error));
    /// assert_eq!(report.worst_status(), Status::Error);
    /// ```
    #[must_use]
    pub fn worst_status(&self) -> Status {
        self.checks.iter().map(|check| check.status).fold(self.overall_status, Status::max)
    }
}

/// A named thing inside a report, with its own status.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// Unique within the report.
    pub name: String,
    /// How it is.
    pub status: Status,
    /// Why, for people.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub message: Option<String>,
    /// When it was last recorded, RFC 3339 in UTC.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", default))]
    pub timestamp: Option<Timestamp>,
    /// Whatever the service wants to add.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub metadata: Map<String, Value>,
    /// How long the observed work took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub duration_ms: Option<f64>,
    /// Since when it has this status, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", default))]
    pub since: Option<Timestamp>,
    /// Records since the start of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub count: Option<u64>,
}

impl Check {
    /// A check with a name and a status, and nothing else.
    ///
    /// ```
    /// use health_reporter::{Check, Status};
    ///
    /// assert_eq!(Check::new("database", Status::Healthy).message, None);
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, status: Status) -> Self {
        Self {
            name: name.into(),
            status,
            message: None,
            timestamp: None,
            metadata: Map::new(),
            duration_ms: None,
            since: None,
            count: None,
        }
    }
}

/// An error that was recorded, kept for whoever asks what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecentError {
    /// What went wrong.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub message: String,
    /// When, RFC 3339 in UTC.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", default))]
    pub timestamp: Option<Timestamp>,
    /// Whether the service cannot go on by itself.
    #[cfg_attr(feature = "schema", schemars(default))]
    pub fatal: bool,
    /// The check that it belongs to, if it was recorded with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub check: Option<String>,
}

/// A loop that promised to beat; its silence is a hang even while the reporter's own thread lives.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WatchedLoop {
    /// Unique within the report.
    pub name: String,
    /// `CLOCK_BOOTTIME` of its last beat, in seconds.
    pub beat_boottime_s: f64,
    /// Seconds of silence that are too many.
    pub limit_s: f64,
}

/// Cuts `text` to at most `limit` bytes, at a character, and marks the cut; control characters other than
/// line feed and tab become U+FFFD, so that no text grows when it is written as JSON.
///
/// ```
/// assert_eq!(health_reporter::bounded("a long message", 9), "a long…");
/// ```
#[must_use]
pub fn bounded(text: &str, limit: usize) -> String {
    // Nearly every text is short and plain, and is only copied.
    if text.len() <= limit && is_plain(text) {
        return text.to_owned();
    }
    let clean = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    let mut out: String = text[..text.floor_char_boundary(limit)].chars().map(clean).collect();
    if text.len() > limit || out.len() > limit {
        out.truncate(out.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
        out.push('…');
    }
    out
}

/// Whether it has no control character for sure: of those beyond ASCII each begins with the byte 0xc2.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' && byte != 0x7f && byte != 0xc2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_at_a_character() {
        let cut = bounded(&"é".repeat(1000), MAX_MESSAGE_BYTES);
        assert!(cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with("é…"), "{cut}");
        assert_eq!(bounded("short\u{1b}[31m", 100), "short\u{fffd}[31m");
    }
}
