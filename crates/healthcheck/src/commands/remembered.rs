//! What a history store is asked for, by whichever command.

#[cfg(test)]
pub(super) mod fake;

use super::why::unknown;
use crate::config::units;
use crate::history::{HistoryError, HistoryStore, Judged, Selection, StatusRow};
use crate::render::named;
use healthcheck_core::history::{Course, Window};
use healthcheck_core::{Gap, GapReason, Kind, Subject};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What is told of ends where the last look was taken in, if that was just now: what is on its way to the store is not
/// time in which nobody looked.
pub(super) const ON_ITS_WAY: SignedDuration = SignedDuration::from_mins(2);
/// Longer ago than this, nothing is kept anywhere.
const MAX_SINCE: Duration = Duration::from_secs(3_660 * 86_400);

/// What is kept of one machine.
pub(super) struct Remembered<'a> {
    pub(super) store: &'a mut dyn HistoryStore,
    pub(super) host: &'a str,
    pub(super) now: Timestamp,
    /// Until when it is known what happened; nothing where the machine is not known.
    pub(super) observed_until: Option<Timestamp>,
    /// What was before is not kept.
    pub(super) kept_since: Timestamp,
}

impl<'a> Remembered<'a> {
    pub(super) fn of(store: &'a mut dyn HistoryStore, host: &'a str, now: Timestamp) -> anyhow::Result<Self> {
        let known = store.hosts()?.into_iter().find(|known| known.name == host);
        let observed_until = known.map(|known| known.last_seen);
        Ok(Self { store, host, now, observed_until, kept_since: Timestamp::MIN })
    }

    /// The window of this length that ends now, or when somebody looked just before.
    pub(super) fn last(&self, length: Duration) -> Window {
        let lately = |until: &Timestamp| *until <= self.now && self.now.duration_since(*until) <= ON_ITS_WAY;
        let to = self.observed_until.filter(lately).unwrap_or(self.now);
        let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        Window { from: to.checked_sub(length).unwrap_or(Timestamp::MIN), to }
    }

    pub(super) fn selection(&self, subject: Option<&Subject>) -> Selection {
        Selection { host: Some(self.host.to_owned()), subject: subject.cloned() }
    }

    pub(super) fn statuses(&mut self, subject: Option<&Subject>) -> Result<Vec<StatusRow>, HistoryError> {
        let selection = self.selection(subject);
        self.store.statuses(&selection)
    }

    pub(super) fn judged(
        &mut self,
        subject: Option<&Subject>,
        window: Window,
    ) -> Result<Vec<Judged>, HistoryError> {
        let selection = self.selection(subject);
        self.store.judged(&selection, window)
    }

    pub(super) fn gaps(&mut self, window: Window) -> Result<Vec<Gap>, HistoryError> {
        let kept_until = self.kept_since.min(window.to);
        let is_older = kept_until > window.from;
        let older = Gap { from: window.from, to: kept_until, reason: GapReason::NotKept };
        let mut gaps = self.store.gaps(self.host, window)?;
        gaps.retain(|gap| !is_older || gap.to > kept_until);
        gaps.splice(..0, is_older.then_some(older));
        Ok(gaps)
    }

    pub(super) fn course(&self, judged: &Judged, gaps: &[Gap]) -> Course {
        let until = self.observed_until.unwrap_or(Timestamp::MIN);
        Course::new(&judged.marks, &judged.maintenance, gaps, until)
    }

    /// The subject that is called so, now or at some time in a window.
    pub(super) fn subject(&mut self, name: &str, window: Window) -> anyhow::Result<Subject> {
        let known: Vec<Subject> = self.statuses(None)?.into_iter().map(|row| row.subject).collect();
        if let Some(subject) = called(name, &known) {
            return Ok(subject.clone());
        }
        let past: Vec<Subject> = self.judged(None, window)?.into_iter().map(|row| row.subject).collect();
        let names = || known.iter().map(|it| named(it.kind, &it.name)).collect::<Vec<_>>();
        called(name, &past).cloned().ok_or_else(|| unknown(name, &names()))
    }
}

/// A service by its name; anything else by its name, with its kind before it where several have the same.
fn called<'a>(name: &str, subjects: &'a [Subject]) -> Option<&'a Subject> {
    let only = |is_it: &dyn Fn(&Subject) -> bool| {
        let mut found = subjects.iter().filter(|subject| is_it(subject));
        found.next().filter(|_| found.next().is_none())
    };
    only(&|it| it.kind == Kind::Service && *it.name == *name)
        .or_else(|| only(&|it| named(it.kind, &it.name) == name))
        .or_else(|| only(&|it| *it.name == *name))
}

/// How far back is told, as people write it.
pub(super) fn since(text: &str) -> Result<Duration, String> {
    let since = units::parse_duration(text).map_err(|error| error.to_string())?;
    if since.is_zero() || since > MAX_SINCE {
        return Err("must be above 0 and at most ten years (3660d)".to_owned());
    }
    Ok(since)
}

#[cfg(test)]
mod tests {
    use super::fake::{Fake, now};
    use super::*;

    #[test]
    fn a_subject_is_found_by_its_name_or_with_its_kind() {
        let subject = |kind, name| Subject::new(kind, name);
        let known = [
            subject(Kind::Service, "camera"),
            subject(Kind::Zmq, "camera"),
            subject(Kind::Zmq, "events"),
            subject(Kind::Probe, "site"),
            subject(Kind::Zmq, "site"),
        ];
        let kind = |name| called(name, &known).map(|it| it.kind);
        assert_eq!((kind("camera"), kind("zmq camera")), (Some(Kind::Service), Some(Kind::Zmq)));
        assert_eq!((kind("events"), kind("site"), kind("x")), (Some(Kind::Zmq), None, None));
    }

    #[test]
    fn a_window_ends_with_the_last_look_if_that_was_lately() {
        let mut fake = Fake::default();
        let mut end = |seconds: Option<i64>| {
            fake.last_seen = seconds.map(|seconds| now() - SignedDuration::from_secs(seconds));
            let remembered = Remembered::of(&mut fake, "deimos", now()).unwrap();
            now().duration_since(remembered.last(Duration::from_secs(60)).to).as_secs()
        };
        assert_eq!((end(Some(7)), end(Some(121)), end(Some(-50)), end(None)), (7, 0, 0, 0));
        assert_eq!(Remembered::of(&mut fake, "phobos", now()).unwrap().observed_until, None);
    }

    #[test]
    fn no_time_at_all_is_refused() {
        assert!(since("30d").is_ok() && since("0s").is_err() && since("99999999d").is_err());
    }
}
