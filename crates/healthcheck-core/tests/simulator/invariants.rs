//! What must be judged, told from the truth by the table of causes, and not by the code of the judge.

use crate::clock::{Clock, Stamp};
use crate::files::{Content, File};
use crate::script::{Garble, GaugePlan, Level, MINUTE, ServicePlan, Writer};
use crate::service::Truth;
use health_reporter::{State as Life, Status};
use healthcheck_core::{Cause, FileSystem};
use std::time::Duration;

/// No verdict is one too.
pub(crate) type Judged = Option<(Status, Cause)>;

/// A deadline is met within this time.
pub(crate) const TOLERANCE: Duration = Duration::from_millis(2);
const TORN_FOR: Duration = Duration::from_millis(100);
pub(crate) const UNKNOWN_AFTER: Duration = Duration::from_secs(300);
const STOPPED_AFTER: Duration = Duration::from_secs(3_600);
const GRACE: Duration = MINUTE;
const LOOP_WINDOW: Duration = Duration::from_secs(600);

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
    /// When runs took the place of others that had said no goodbye, as time awake.
    reruns: Vec<Duration>,
}

/// The last report that could be used.
#[derive(Debug, Clone, Copy)]
struct Reading {
    content: Content,
    /// When the monitor first saw it.
    seen: Stamp,
    /// Its age is known to the file system's clock only, and that one was set.
    is_loose: bool,
    /// How much of its age the machine slept is not known: nobody looked meanwhile.
    is_vague: bool,
    /// Time in which nobody could have seen whether there is another one: until it is read again it counts for nothing.
    unwatched: Duration,
    lives: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Obstacle {
    garble: Option<Garble>,
    /// As time awake.
    since: Duration,
}

/// All that bears on a service.
pub(crate) struct View<'a> {
    pub(crate) plan: &'a ServicePlan,
    pub(crate) known: &'a Known,
    pub(crate) clock: &'a Clock,
    /// Whether an instance of it reported.
    pub(crate) has_instance: bool,
    pub(crate) sleeps: &'a [Sleep],
}

/// The machine slept between two instants at which the monitor looked at the clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sleep {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Known {
    /// Takes in what a look shows.
    pub(crate) fn look(&mut self, truth: &Truth, at: usize, sleeps: &[Sleep]) {
        self.enter(&truth.clock);
        let service = &truth.services[at];
        (self.version, self.disk) = (service.version, truth.disk);
        match service.file {
            File::Good(content) => self.read(content, truth, at, sleeps),
            File::Missing => self.hinder(None, truth.clock.stamp().awake),
            File::Unusable(garble) => self.hinder(Some(garble), truth.clock.stamp().awake),
        }
    }

    /// What was seen before the boot says nothing.
    pub(crate) fn enter(&mut self, clock: &Clock) {
        if self.boot != clock.boot {
            let has_ever = self.has_ever;
            *self = Self { boot: clock.boot, has_ever, ..Self::default() };
        }
    }

    /// Nobody looked for so long: that counts against nobody.
    pub(crate) fn after_gap(&mut self, lasted: Duration) {
        self.obstacle.iter_mut().for_each(|obstacle| obstacle.since += lasted);
        self.reading.iter_mut().for_each(|reading| reading.unwatched += lasted);
    }

    fn read(&mut self, content: Content, truth: &Truth, at: usize, sleeps: &[Sleep]) {
        let (clock, writer) = (&truth.clock, truth.services[at].plan.writer);
        let has_id = clock.has_boot_id() && !writer.has_file_times_only();
        let lives = truth.lives(at, &content);
        self.count(&content, writer, clock);
        let reading = match self.reading.filter(|former| former.content.id == content.id) {
            Some(former) => Reading { lives, unwatched: Duration::ZERO, ..former },
            None => Reading {
                content,
                seen: clock.stamp(),
                is_loose: self.reading.is_none()
                    && clock.has_stepped
                    && !(has_id && content.boot == clock.boot),
                is_vague: sleeps.iter().any(|sleep| (sleep.from..=sleep.to).contains(&content.written.t)),
                unwatched: Duration::ZERO,
                lives,
            },
        };
        self.reading = Some(reading);
        self.is_doubtful = reading.is_loose && !has_id;
        self.has_reported |= content.boot == clock.boot;
        (self.has_ever, self.obstacle) = (true, None);
    }

    /// Counts the runs that took the place of others.
    fn count(&mut self, content: &Content, writer: Writer, clock: &Clock) {
        let is_goodbye = |life: Life| matches!(life, Life::Stopped | Life::Finished);
        let names_process = writer.has_pid() || writer == Writer::Foreign;
        let is_rerun = self.reading.is_some_and(|former| {
            let former = former.content;
            former.pid != content.pid && former.boot == content.boot && !is_goodbye(former.life)
        });
        if is_rerun && names_process {
            self.reruns.push(clock.stamp().awake);
        }
        if is_goodbye(content.life) {
            self.reruns.clear();
        }
    }

    pub(crate) fn lives(&self) -> Option<bool> {
        self.reading?.lives
    }

    /// Whether the age of its report cannot be known.
    pub(crate) fn is_uncertain(&self) -> bool {
        self.is_doubtful || self.reading.is_some_and(|reading| reading.is_loose)
    }

    fn hinder(&mut self, garble: Option<Garble>, awake: Duration) {
        let former = self.obstacle.filter(|former| former.garble.is_none() == garble.is_none());
        let since = former.map_or(awake, |former| former.since);
        self.obstacle = Some(Obstacle { garble, since });
    }
}

impl View<'_> {
    /// Whether this may be the verdict now.
    pub(crate) fn allows(&self, judged: Judged) -> bool {
        self.known.is_doubtful
            || self.plan.writer == Writer::Wild
            || self.candidates().any(|candidate| candidate == judged)
    }

    /// What the verdict may be now: more than one while a deadline is being met, or where the age of a report is not
    /// known to anybody.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Judged> {
        let now = self.clock.stamp();
        let instants = [now, now.earlier(TOLERANCE), now.later(TOLERANCE)];
        let on_time = instants.into_iter().flat_map(|instant| self.by_any_age(instant));
        on_time.chain(self.is_represented().then_some(None))
    }

    fn by_any_age(&self, instant: Stamp) -> impl Iterator<Item = Judged> {
        let (youngest, oldest) = self.ages(instant);
        [youngest, oldest].into_iter().map(move |age| self.looping(self.judged(instant, age), instant))
    }

    /// How old its report is, at least and at most, the machine being awake; for a job, by the calendar.
    fn ages(&self, instant: Stamp) -> (Duration, Duration) {
        let Some(reading) = self.known.reading else { return Default::default() };
        let (content, is_loose) = (reading.content, reading.is_loose);
        if is_loose {
            return (Duration::ZERO, Duration::MAX);
        }
        let is_vague = self.plan.writer.has_file_times_only() || reading.is_vague;
        let youngest = if is_vague { reading.seen } else { content.written };
        if content.life == Life::Finished {
            let (put_off, written) = (self.put_off(youngest.t), content.written.t);
            let age = |since: Duration| instant.t.saturating_sub(since);
            return (age(youngest.t).saturating_sub(put_off), age(written));
        }
        let age = |since: Stamp| instant.awake.saturating_sub(since.awake + reading.unwatched);
        (age(youngest), age(content.written))
    }

    /// How much later a job may be due because the machine slept when it was.
    fn put_off(&self, written: Duration) -> Duration {
        let due = written + self.plan.deadline();
        let later = self.sleeps.iter().fold(due, |due, sleep| {
            let end = sleep.to + GRACE;
            if sleep.from <= due && due < end { end } else { due }
        });
        later - due
    }

    /// When it may next be another one by time alone, if the machine does not sleep until then.
    pub(crate) fn next_change(&self) -> Option<Duration> {
        let (now, known) = (self.clock.stamp(), self.known);
        let reading = known.reading.into_iter();
        let begins = reading.flat_map(|reading| [reading.content.written, reading.seen]);
        let of_reading =
            begins.flat_map(|begin| [begin.awake + self.plan.deadline(), begin.awake + STOPPED_AFTER]);
        let obstacle = known.obstacle.into_iter();
        let of_obstacle =
            obstacle.flat_map(|obstacle| [obstacle.since + TORN_FOR, obstacle.since + UNKNOWN_AFTER]);
        let of_loop = known.reruns.iter().rev().nth(2).map(|first| *first + LOOP_WINDOW);
        let all = of_reading.chain(of_obstacle).chain(of_loop).chain([self.clock.booted.awake + GRACE]);
        let next = all.map(|at| at + 2 * TOLERANCE).filter(|at| *at > now.awake).min()?;
        Some(now.t + (next - now.awake))
    }

    /// What is started again and again is one crash loop until ten minutes after the first of three times.
    fn looping(&self, judged: Judged, instant: Stamp) -> Judged {
        use Cause::{Crashed, Hung, Missing, Overdue, ReporterCannotWrite, SelfReported};
        let first = self.known.reruns.iter().rev().nth(2);
        let is_loop = first.is_some_and(|first| instant.awake < *first + LOOP_WINDOW);
        match judged {
            Some((_, SelfReported | Crashed | Hung | Overdue | ReporterCannotWrite | Missing)) if is_loop => {
                Some((Status::Fatal, Cause::CrashLooping))
            }
            judged => judged,
        }
    }

    fn judged(&self, instant: Stamp, age: Duration) -> Judged {
        let Some(obstacle) = self.known.obstacle else { return self.by_report(instant, age) };
        let Some(garble) = obstacle.garble else { return self.absent(instant) };
        let lasted = instant.awake.saturating_sub(obstacle.since);
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

    fn absent(&self, instant: Stamp) -> Judged {
        if self.known.has_reported {
            return Some((Status::Error, Cause::Missing));
        }
        if self.is_represented() {
            return Some((Status::Healthy, Cause::SelfReported));
        }
        self.is_expected().then(|| self.not_started(instant))
    }

    fn not_started(&self, instant: Stamp) -> (Status, Cause) {
        if instant.awake < self.clock.booted.awake + GRACE {
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

    fn by_report(&self, instant: Stamp, age: Duration) -> Judged {
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

/// What the monitor was shown, and since when it is that, as time awake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<T> {
    pub(crate) what: T,
    pub(crate) since: Duration,
}

/// What the verdict on a number may be. Between what clears a limit and the limit it depends on what was before.
pub(crate) fn of_gauge(shown: Shown<Level>, plan: &GaugePlan, awake: Duration) -> Vec<Judged> {
    let healthy = Some((Status::Healthy, Cause::SelfReported));
    let [warning, error] = [Status::Warning, Status::Error].map(|status| Some((status, Cause::Threshold)));
    let is_due = awake.saturating_sub(shown.since) > plan.hold + TOLERANCE;
    match shown.what {
        Level::Low => vec![healthy],
        Level::Middle => vec![healthy, warning],
        Level::High if is_due => vec![warning],
        Level::High => vec![healthy, warning],
        Level::Top if is_due => vec![error],
        Level::Top => vec![healthy, warning, error],
    }
}
