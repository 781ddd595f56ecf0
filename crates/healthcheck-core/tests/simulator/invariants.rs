//! What must be judged, told from the truth by the table of causes, and not by the code of the judge.

use crate::clock::Clock;
use crate::files::{Content, File};
use crate::script::{Answer, Garble, GaugePlan, Level, MINUTE, ServicePlan};
use crate::service::Truth;
use health_reporter::{State as Life, Status};
use healthcheck_core::{Cause, FileSystem};
use std::time::Duration;

/// No verdict is one too.
pub(crate) type Judged = Option<(Status, Cause)>;

/// A deadline is met within this time.
const TOLERANCE: Duration = Duration::from_millis(2);
const TORN_FOR: Duration = Duration::from_millis(100);
const UNKNOWN_AFTER: Duration = Duration::from_secs(300);
const STOPPED_AFTER: Duration = Duration::from_secs(3_600);
const GRACE: Duration = MINUTE;

/// What the monitor was shown of a service in this boot. It is kept and lost together with the judge's record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// What was there to see when it looked last.
    pub(crate) version: u64,
    /// Whether it ever saw a report that could be used.
    pub(crate) has_ever: bool,
    /// And in this boot.
    pub(crate) has_reported: bool,
    /// Only the time of a file tells whether it is of this boot, and the wall clock was set.
    pub(crate) is_doubtful: bool,
    boot: u32,
    reading: Option<Reading>,
    obstacle: Option<Obstacle>,
    disk: FileSystem,
}

/// The last report that could be used.
#[derive(Debug, Clone, Copy)]
struct Reading {
    content: Content,
    /// When the monitor first saw it.
    seen: Duration,
    /// Its age is known to the file system's clock only, and that one was set.
    is_loose: bool,
    lives: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Obstacle {
    garble: Option<Garble>,
    since: Duration,
}

/// All that bears on a service.
pub(crate) struct View<'a> {
    pub(crate) plan: &'a ServicePlan,
    pub(crate) known: &'a Known,
    pub(crate) clock: &'a Clock,
    /// Whether an instance of it reported.
    pub(crate) has_instance: bool,
}

impl Known {
    /// Takes in what a look shows.
    pub(crate) fn look(&mut self, truth: &Truth, at: usize) {
        self.enter(&truth.clock);
        let service = &truth.services[at];
        (self.version, self.disk) = (service.version, truth.disk);
        match service.file {
            File::Good(content) => self.read(content, truth, at),
            File::Missing => self.hinder(None, truth.clock.t),
            File::Unusable(garble) => self.hinder(Some(garble), truth.clock.t),
        }
    }

    /// What was seen before the boot says nothing.
    pub(crate) fn enter(&mut self, clock: &Clock) {
        if self.boot != clock.boot {
            let has_ever = self.has_ever;
            *self = Self { boot: clock.boot, has_ever, ..Self::default() };
        }
    }

    fn read(&mut self, content: Content, truth: &Truth, at: usize) {
        let (clock, lives) = (&truth.clock, truth.lives(at, &content));
        let has_id = clock.has_boot_id() && !truth.services[at].plan.writer.has_file_times_only();
        let former = self.reading.filter(|former| former.content.id == content.id);
        let is_first = self.reading.is_none() && clock.has_stepped;
        let is_loose =
            former.map_or(is_first, |former| former.is_loose) && !(has_id && content.boot == clock.boot);
        let seen = former.map_or(clock.t, |former| former.seen);
        self.reading = Some(Reading { content, seen, is_loose, lives });
        self.is_doubtful = is_loose && !has_id;
        self.has_reported |= content.boot == clock.boot;
        (self.has_ever, self.obstacle) = (true, None);
    }

    pub(crate) fn lives(&self) -> Option<bool> {
        self.reading?.lives
    }

    /// Whether the age of its report cannot be known.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.is_doubtful || self.reading.is_some_and(|reading| reading.is_loose)
    }

    fn hinder(&mut self, garble: Option<Garble>, t: Duration) {
        let former = self.obstacle.filter(|former| former.garble.is_none() == garble.is_none());
        let since = former.map_or(t, |former| former.since);
        self.obstacle = Some(Obstacle { garble, since });
    }
}

impl View<'_> {
    /// Whether this may be the verdict now.
    pub(crate) fn allows(&self, judged: Judged) -> bool {
        self.known.is_doubtful
            || self.plan.writer == crate::script::Writer::Wild
            || self.candidates().any(|candidate| candidate == judged)
    }

    /// What the verdict may be now: more than one while a deadline is being met, or where the age of a report is not
    /// known to anybody.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Judged> {
        let t = self.clock.t;
        let instants = [t, t.saturating_sub(TOLERANCE), t + TOLERANCE];
        let on_time = instants.into_iter().flat_map(|instant| self.by_any_age(instant));
        on_time.chain(self.is_represented().then_some(None))
    }

    fn by_any_age(&self, instant: Duration) -> impl Iterator<Item = Judged> {
        let (youngest, oldest) = self.ages(instant);
        [youngest, oldest].into_iter().map(move |age| self.judged(instant, age))
    }

    /// How old its report is, at least and at most.
    fn ages(&self, instant: Duration) -> (Duration, Duration) {
        let Some(reading) = self.known.reading else { return Default::default() };
        let (written, seen) =
            (instant.saturating_sub(reading.content.written), instant.saturating_sub(reading.seen));
        let has_file_times = self.plan.writer.has_file_times_only();
        match reading {
            Reading { is_loose: true, .. } => (Duration::ZERO, Duration::MAX),
            _ if has_file_times => (seen, written),
            _ => (written, written),
        }
    }

    /// When it may next be another one by time alone.
    pub(crate) fn next_change(&self) -> Option<Duration> {
        let reading = self.known.reading.into_iter();
        let begins = reading.flat_map(|reading| [reading.content.written, reading.seen]);
        let of_reading = begins.flat_map(|begin| [begin + self.plan.deadline(), begin + STOPPED_AFTER]);
        let obstacle = self.known.obstacle.into_iter();
        let of_obstacle =
            obstacle.flat_map(|obstacle| [obstacle.since + TORN_FOR, obstacle.since + UNKNOWN_AFTER]);
        let all = of_reading.chain(of_obstacle).chain([self.clock.booted + GRACE]);
        all.map(|at| at + 2 * TOLERANCE).filter(|at| *at > self.clock.t).min()
    }

    fn judged(&self, instant: Duration, age: Duration) -> Judged {
        let Some(obstacle) = self.known.obstacle else { return self.by_report(instant, age) };
        let Some(garble) = obstacle.garble else { return self.absent(instant) };
        let lasted = instant.saturating_sub(obstacle.since);
        if garble == Garble::Torn && lasted < TORN_FOR && self.known.reading.is_some() {
            return self.by_report(instant, age);
        }
        let cause = match garble {
            Garble::Torn => Cause::ReportUnreadable,
            Garble::Newer => Cause::NewerVersion,
            Garble::Forbidden => Cause::NotPermitted,
        };
        let is_too_long = self.is_expected() && lasted >= UNKNOWN_AFTER;
        Some((if is_too_long { Status::Error } else { Status::Unknown }, cause))
    }

    fn absent(&self, instant: Duration) -> Judged {
        if self.known.has_reported {
            return Some((Status::Error, Cause::Missing));
        }
        if self.is_represented() {
            return Some((Status::Healthy, Cause::SelfReported));
        }
        self.is_expected().then(|| self.not_started(instant))
    }

    fn not_started(&self, instant: Duration) -> (Status, Cause) {
        if instant < self.clock.booted + GRACE {
            (Status::Unknown, Cause::NotObserved)
        } else {
            (Status::Error, Cause::NeverStarted)
        }
    }

    fn is_represented(&self) -> bool {
        let is_missing = self.known.obstacle.is_some_and(|obstacle| obstacle.garble.is_none());
        is_missing && self.has_instance && !self.known.has_ever
    }

    const fn is_expected(&self) -> bool {
        self.plan.is_expected || self.known.has_ever
    }

    fn by_report(&self, instant: Duration, age: Duration) -> Judged {
        let reading = self.known.reading?;
        let content = &reading.content;
        let (is_late, status) = (age >= self.plan.deadline(), content.status);
        Some(match (content.life, reading.lives) {
            (Life::Finished, _) if is_late => (Status::Error, Cause::Overdue),
            (Life::Finished, _) => finished(status),
            _ if content.boot != self.clock.boot => self.not_started(instant),
            (Life::Stopped, _) if age >= STOPPED_AFTER => (Status::Warning, Cause::Stopped),
            (Life::Stopped, _) => (Status::Healthy, Cause::Stopped),
            (_, Some(false)) => (Status::Error, Cause::Crashed),
            _ if content.is_silent => (Status::Error, Cause::Hung),
            (_, lives) if is_late => (Status::Error, self.silence(lives.is_some())),
            _ => (status, Cause::SelfReported),
        })
    }

    fn silence(&self, lives: bool) -> Cause {
        match self.known.disk {
            _ if !lives => Cause::Overdue,
            FileSystem::Free => Cause::Hung,
            _ => Cause::ReporterCannotWrite,
        }
    }
}

const fn finished(status: Status) -> (Status, Cause) {
    match status {
        Status::Healthy => (status, Cause::Finished),
        Status::Error | Status::Fatal => (Status::Error, Cause::Crashed),
        _ => (status, Cause::SelfReported),
    }
}

/// What the monitor was shown by the looks from outside, or of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<T> {
    pub(crate) what: T,
    /// Since when, without a gap; for a number, since when it is at least that.
    pub(crate) since: Duration,
}

/// What the verdict on a look may be.
pub(crate) fn of_look(shown: Shown<Answer>, t: Duration) -> Vec<Judged> {
    let lasted = t.saturating_sub(shown.since);
    let mut all = Vec::new();
    match shown.what {
        Answer::Good => all.push(Some((Status::Healthy, Cause::SelfReported))),
        Answer::Bad => all.push(Some((Status::Error, Cause::ProbeFailed))),
        Answer::Blind => {
            if lasted <= UNKNOWN_AFTER + TOLERANCE {
                all.push(Some((Status::Unknown, Cause::ProbeUnavailable)));
            }
            if lasted + TOLERANCE >= UNKNOWN_AFTER {
                all.push(Some((Status::Error, Cause::ProbeUnavailable)));
            }
        }
    }
    all
}

/// What the verdict on a number may be. Between what clears a limit and the limit it depends on what was before.
pub(crate) fn of_gauge(shown: Shown<Level>, plan: &GaugePlan, t: Duration) -> Vec<Judged> {
    let healthy = Some((Status::Healthy, Cause::SelfReported));
    let [warning, error] = [Status::Warning, Status::Error].map(|status| Some((status, Cause::Threshold)));
    let is_due = t.saturating_sub(shown.since) > plan.hold + TOLERANCE;
    match shown.what {
        Level::Low => vec![healthy],
        Level::Middle => vec![healthy, warning],
        Level::High if is_due => vec![warning],
        Level::High => vec![healthy, warning],
        Level::Top if is_due => vec![error],
        Level::Top => vec![healthy, warning, error],
    }
}
