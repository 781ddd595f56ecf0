//! When a content of a report was written, as far as this machine can know.

use crate::sleeps::Sleeps;
use crate::{Now, wording};
use health_reporter::read::ReportFile;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One content of a report: its age when it was first seen. From then on it ages on a clock that cannot be
/// set. What the machine slept, and the time in which nobody looked, makes nobody late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sight {
    modified: Timestamp,
    changed: Timestamp,
    seen_boottime: Duration,
    age: Duration,
    /// How much of the age the machine slept.
    #[serde(default)]
    asleep: Duration,
    /// Since it was seen: time in which nobody looked whether it was replaced.
    #[serde(default)]
    unwatched: Duration,
    /// How long the machine had been suspended when it was seen.
    #[serde(default)]
    suspended: Duration,
    pub(crate) evidence: AgeEvidence,
    pub(crate) is_before_boot: bool,
}

/// The times of a file, by which one content of it is told from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileTimes {
    modified: Timestamp,
    changed: Timestamp,
}

/// What was seen before a look at a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before<'a> {
    /// In the same boot.
    pub(crate) sight: Option<&'a Sight>,
    /// In an earlier boot.
    pub(crate) past: Option<&'a Past>,
}

impl Before<'_> {
    /// What was known of this very content before the machine booted.
    fn past_of(&self, file: &ReportFile) -> Option<&Past> {
        self.past.filter(|past| past.times == FileTimes::of(file))
    }
}

/// A content of a report as it was known before the machine booted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    times: FileTimes,
    /// How old it was at least.
    age: Duration,
}

impl Past {
    /// A boot later, in which nobody looked.
    pub(crate) fn aged(self, by: Duration) -> Self {
        Self { age: self.age + by, ..self }
    }
}

/// Where an age comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgeEvidence {
    Written,
    SeenChange,
    Modified,
    Changed,
    FirstSight,
}

impl AgeEvidence {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Written => "the report's own boot time",
            Self::SeenChange => "the change of the file was seen",
            Self::Modified => "the file's modification time",
            Self::Changed => "the file's change time",
            Self::FirstSight => "the first sight of the file",
        }
    }

    /// What a person should know about an age that rests on second-best evidence.
    pub(crate) const fn caveat(self) -> Option<&'static str> {
        match self {
            Self::Written | Self::SeenChange | Self::Modified => None,
            Self::Changed => Some("its times lie in the future: its age is from the file's change time"),
            Self::FirstSight => Some("its times lie in the future: its age is from when it was first seen"),
        }
    }
}

impl Sight {
    pub(crate) fn of(file: &ReportFile, before: Before<'_>, sleeps: &Sleeps, now: &Now) -> Self {
        let former = before.sight;
        let (age, evidence) = written_age(file, before, now)
            .filter(|_| !former.is_some_and(|former| former.has_disproved(file)))
            .or_else(|| former.and_then(|former| former.age_of(file, now)))
            .unwrap_or_else(|| age_at_first_sight(file, before, now));
        Self {
            modified: file.modified,
            changed: file.changed,
            seen_boottime: now.boottime,
            age,
            asleep: slept(file, former, age, sleeps, now),
            unwatched: Duration::ZERO,
            suspended: now.suspended,
            evidence,
            is_before_boot: is_before_boot(file, before, now),
        }
    }

    /// How old the content is.
    pub(crate) fn age(&self, now: &Now) -> Duration {
        self.age + now.boottime.saturating_sub(self.seen_boottime)
    }

    /// How much of its age the machine slept.
    pub(crate) fn asleep(&self, now: &Now) -> Duration {
        let since = now.suspended.saturating_sub(self.suspended);
        (self.asleep + since).min(self.age(now))
    }

    /// How much of its age the writer had for another content, as far as somebody looked.
    pub(crate) fn counted_age(&self, now: &Now) -> Duration {
        self.age(now).saturating_sub(self.asleep(now)).saturating_sub(self.unwatched)
    }

    /// Nobody looked for so long whether another content appeared, the machine being awake.
    pub(crate) fn leave_unwatched(&mut self, lasted: Duration) {
        self.unwatched += lasted;
    }

    /// The boot time at which the content reaches an age; zero if that was before the boot.
    pub(crate) fn instant_of_age(&self, age: Duration) -> Duration {
        (self.seen_boottime + age).saturating_sub(self.age)
    }

    /// When the content was written, as boot time; nothing if that was before the boot.
    pub(crate) fn written_boottime(&self) -> Option<Duration> {
        self.seen_boottime.checked_sub(self.age)
    }

    /// What is left of it when the machine has booted; `until` is the last boot time before that.
    pub(crate) fn past(&self, until: Duration) -> Past {
        Past { times: self.times(), age: self.age + until.saturating_sub(self.seen_boottime) }
    }

    const fn times(&self) -> FileTimes {
        FileTimes { modified: self.modified, changed: self.changed }
    }

    pub(crate) const fn modified(&self) -> Timestamp {
        self.modified
    }

    fn is_of(&self, file: &ReportFile) -> bool {
        self.times() == FileTimes::of(file)
    }

    /// Whether the content names a time that lay in the future when it was seen: it does not become fresh when that
    /// time comes.
    fn has_disproved(&self, file: &ReportFile) -> bool {
        self.is_of(file) && self.evidence != AgeEvidence::Written
    }

    /// The same content goes on ageing; another one appeared since this sight, whatever the wall clock says.
    fn age_of(&self, file: &ReportFile, now: &Now) -> Option<(Duration, AgeEvidence)> {
        let unchanged = || (self.age(now), self.evidence);
        Some(if self.is_of(file) { unchanged() } else { (Duration::ZERO, AgeEvidence::SeenChange) })
    }
}

impl FileTimes {
    const fn of(file: &ReportFile) -> Self {
        Self { modified: file.modified, changed: file.changed }
    }
}

/// What is known of the content goes on; of a new one, what is known of the machine.
fn slept(file: &ReportFile, former: Option<&Sight>, age: Duration, sleeps: &Sleeps, now: &Now) -> Duration {
    match former.filter(|former| former.is_of(file)) {
        Some(former) => former.asleep(now).min(age),
        None => sleeps.within(now.boottime.saturating_sub(age), now.boottime),
    }
}

/// A writer that names no boot means this one, if its file is of this boot.
fn written_age(file: &ReportFile, before: Before<'_>, now: &Now) -> Option<(Duration, AgeEvidence)> {
    let is_of_this_boot = match (file.report.boot_id.as_deref(), now.boot_id.as_deref(), before.sight) {
        (Some(theirs), Some(ours), _) => theirs == ours,
        // The wall clock may have been set since it appeared.
        (_, _, Some(former)) if !former.is_of(file) => !is_put_back(file, now),
        _ => !is_of_earlier_boot(file, before, now),
    };
    let written = file.report.written_boottime_s.filter(|_| is_of_this_boot)?;
    Some((now.since_boottime(wording::seconds(written))?, AgeEvidence::Written))
}

/// Whether it was put there just now with the modification time that it had before the boot, as from a backup.
fn is_put_back(file: &ReportFile, now: &Now) -> bool {
    now.is_before_boot(file.modified) && !now.is_before_boot(file.changed)
}

/// What it was before the boot it has not become younger, though the wall clock was set back since.
fn age_at_first_sight(file: &ReportFile, before: Before<'_>, now: &Now) -> (Duration, AgeEvidence) {
    let (age, evidence) = age_by_file_times(file, now);
    match before.past_of(file).map(|past| past.age + now.boottime) {
        Some(known) if known > age => (known, AgeEvidence::SeenChange),
        _ => (age, evidence),
    }
}

fn age_by_file_times(file: &ReportFile, now: &Now) -> (Duration, AgeEvidence) {
    let modified = || Some((now.since_wall(file.modified)?, AgeEvidence::Modified));
    let changed = || Some((now.since_wall(file.changed)?, AgeEvidence::Changed));
    modified().or_else(changed).unwrap_or((Duration::ZERO, AgeEvidence::FirstSight))
}

/// The boot id knows. Without one, a content whose appearance was seen is of this boot, and only of one that
/// was there at the first sight the file's time is asked.
fn is_before_boot(file: &ReportFile, before: Before<'_>, now: &Now) -> bool {
    match (file.report.boot_id.as_deref(), now.boot_id.as_deref(), before.sight) {
        (Some(theirs), Some(ours), _) => theirs != ours,
        (_, _, Some(former)) => former.is_of(file) && former.is_before_boot,
        _ => is_of_earlier_boot(file, before, now),
    }
}

/// What was changed last before the boot was not written after it, whatever modification time its owner gave it. Nor was
/// what was seen before it: the wall clock may have been set back in between.
fn is_of_earlier_boot(file: &ReportFile, before: Before<'_>, now: &Now) -> bool {
    before.past_of(file).is_some() || now.is_before_boot(file.modified.min(file.changed))
}
