//! The units that are followed, and when each is to be looked at next.

use super::super::{full_name, path_label};
use healthcheck_core::{Subject, UnitActive, UnitFacts};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Questions at once: one that is not answered must not keep the others waiting.
const MAX_ASKED: usize = 64;
/// Questions at once while only units are left that were looked at just now: whatever queues up at systemd, one
/// that was calm until now has to wait for.
const MAX_BUSY: usize = 8;
/// What was not looked at for so long is calm.
const CALM: Duration = Duration::from_secs(10);

/// All units that are wanted, by their whole names.
#[derive(Debug)]
pub(super) struct Watched {
    units: BTreeMap<String, Unit>,
    /// The part of an object path by which signals tell of a unit, and the unit: of an alias there are two.
    labels: BTreeSet<(String, String)>,
    /// By the instants at which they are due.
    waiting: BTreeSet<(Instant, String)>,
    /// Those that are due, the ones before the others that were left alone for longer.
    ready: BTreeSet<(Option<Instant>, String)>,
    /// Between the beginnings of two looks at one unit.
    pause: Duration,
}

#[derive(Debug, Default)]
struct Unit {
    subjects: BTreeSet<Subject>,
    due: Option<Instant>,
    is_forced: bool,
    is_looking: bool,
    began: Option<Instant>,
    /// It is not active, so that systemd may forget it, and would tell of each look that loads it again.
    rests: bool,
    has_failed: bool,
}

/// A look that is to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) name: String,
    /// Whether it is looked at also if systemd has forgotten it.
    pub(super) is_forced: bool,
}

impl Watched {
    pub(super) fn new(pause: Duration) -> Self {
        let (waiting, ready) = (BTreeSet::new(), BTreeSet::new());
        Self { units: BTreeMap::new(), labels: BTreeSet::new(), waiting, ready, pause }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Follows these from now on; returns the subjects that are new, whose units are due.
    pub(super) fn want(&mut self, wanted: &BTreeMap<Subject, String>, now: Instant) -> Vec<Subject> {
        let mut units = BTreeMap::<String, BTreeSet<Subject>>::new();
        for (subject, name) in wanted {
            units.entry(full_name(name)).or_default().insert(subject.clone());
        }
        self.units.retain(|name, _| units.contains_key(name));
        self.labels.retain(|(_, name)| units.contains_key(name));
        self.waiting.retain(|(_, name)| units.contains_key(name));
        self.ready.retain(|(_, name)| units.contains_key(name));
        units.into_iter().flat_map(|(name, subjects)| self.want_one(&name, subjects, now)).collect()
    }

    fn want_one(&mut self, name: &str, subjects: BTreeSet<Subject>, now: Instant) -> Vec<Subject> {
        self.labels.insert((path_label(name), name.to_owned()));
        let unit = self.units.entry(name.to_owned()).or_default();
        let new: Vec<Subject> = subjects.difference(&unit.subjects).cloned().collect();
        unit.subjects = subjects;
        if !new.is_empty() {
            self.schedule(name, true, now);
        }
        new
    }

    /// Whether the object with this label is one of them.
    pub(super) fn has(&self, label: &str) -> bool {
        self.of(label).next().is_some()
    }

    fn of(&self, label: &str) -> impl Iterator<Item = &String> {
        let from = (label.to_owned(), String::new());
        self.labels.range(from.clone()..).take_while(move |(of, _)| *of == from.0).map(|(_, name)| name)
    }

    /// Something happened to the object with this label.
    pub(super) fn hear(&mut self, label: &str, now: Instant) {
        let names: Vec<String> = self.of(label).cloned().collect();
        names.iter().for_each(|name| self.schedule(name, false, now));
    }

    /// Anything may have happened to each of them.
    pub(super) fn all(&mut self, now: Instant) {
        let names: Vec<String> = self.units.keys().cloned().collect();
        names.iter().for_each(|name| self.schedule(name, true, now));
    }

    /// Those that could not be looked at are looked at again.
    pub(super) fn failed(&mut self, now: Instant) {
        let failed = self.units.iter().filter(|(_, unit)| unit.has_failed);
        let names: Vec<String> = failed.map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.schedule(name, true, now));
    }

    /// At once, and whatever comes within the pause is one look at its end.
    fn schedule(&mut self, name: &str, is_forced: bool, now: Instant) {
        let Some(unit) = self.units.get_mut(name) else { return };
        unit.is_forced |= is_forced;
        if unit.due.is_none() {
            let due = unit.began.map_or(now, |began| now.max(began + self.pause));
            unit.due = Some(due);
            if !unit.is_looking {
                self.waiting.insert((due, name.to_owned()));
            }
        }
    }

    /// When the next look is due; those that are due already wait for the end of another.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Takes a look that is due, where so many others last.
    pub(super) fn take_due(&mut self, now: Instant, asked: usize) -> Option<Due> {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some((_, name)) = self.waiting.pop_first() else { break };
            let began = self.units.get(&name).and_then(|unit| unit.began);
            self.ready.insert((began, name));
        }
        let is_calm = self.ready.first()?.0.is_none_or(|began| began + CALM <= now);
        if asked >= if is_calm { MAX_ASKED } else { MAX_BUSY } {
            return None;
        }
        let (_, name) = self.ready.pop_first()?;
        let unit = self.units.get_mut(&name)?;
        let is_forced = std::mem::take(&mut unit.is_forced) || !unit.rests;
        (unit.due, unit.is_looking, unit.began) = (None, true, Some(now));
        Some(Due { name, is_forced })
    }

    /// A look is over that showed this; returns whom it concerns.
    pub(super) fn looked(&mut self, name: &str, facts: Option<&UnitFacts>) -> Vec<Subject> {
        let Some(unit) = self.over(name) else { return Vec::new() };
        unit.has_failed = facts.is_none();
        unit.rests = facts.is_some_and(|facts| facts.active == UnitActive::Inactive);
        let subjects = unit.subjects.iter().cloned().collect();
        if let Some(facts) = facts {
            self.labels.insert((path_label(&facts.name), name.to_owned()));
        }
        subjects
    }

    /// A look is over that was not made: systemd had forgotten the unit, and it is what it was.
    pub(super) fn forgotten(&mut self, name: &str) {
        self.over(name);
    }

    fn over(&mut self, name: &str) -> Option<&mut Unit> {
        let unit = self.units.get_mut(name)?;
        unit.is_looking = false;
        if let Some(due) = unit.due {
            self.waiting.insert((due, name.to_owned()));
        }
        Some(unit)
    }

    /// None can be looked at any more; returns the subjects of those that could.
    pub(super) fn fail(&mut self) -> Vec<Subject> {
        self.waiting.clear();
        self.ready.clear();
        let mut subjects = Vec::new();
        for unit in self.units.values_mut() {
            if !unit.has_failed {
                subjects.extend(unit.subjects.iter().cloned());
            }
            *unit =
                Unit { subjects: std::mem::take(&mut unit.subjects), has_failed: true, ..Unit::default() };
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(100);

    fn watched(units: &[&str], now: Instant) -> Watched {
        let mut watched = Watched::new(PAUSE);
        watched.want(&units.iter().map(|unit| (Subject::service(unit), (*unit).to_owned())).collect(), now);
        watched
    }

    fn unit(name: &str, active: UnitActive) -> UnitFacts {
        UnitFacts { name: name.to_owned(), active, ..UnitFacts::default() }
    }

    fn take(watched: &mut Watched, now: Instant) -> Option<(String, bool)> {
        watched.take_due(now, 0).map(|due| (due.name, due.is_forced))
    }

    fn look(name: &str, is_forced: bool) -> Option<(String, bool)> {
        Some((name.to_owned(), is_forced))
    }

    #[test]
    fn a_thousand_signals_are_two_looks() {
        let now = Instant::now();
        let mut watched = watched(&["a"], now);
        assert_eq!(take(&mut watched, now), look("a.service", true));
        watched.looked("a.service", Some(&unit("a.service", UnitActive::Active)));
        for at in 0..1000 {
            let at = now + PAUSE * at / 1000;
            watched.hear("a_2eservice", at);
            assert_eq!(take(&mut watched, at), None);
        }
        assert_eq!(watched.next_due(), Some(now + PAUSE));
        assert_eq!(take(&mut watched, now + PAUSE), look("a.service", true));
        assert_eq!((take(&mut watched, now + PAUSE * 9), watched.next_due()), (None, None));
    }

    #[test]
    fn what_is_heard_during_a_look_is_a_look_after_it() {
        let now = Instant::now();
        let mut watched = watched(&["a"], now);
        assert_eq!(take(&mut watched, now), look("a.service", true));
        watched.hear("a_2eservice", now);
        assert_eq!((take(&mut watched, now + PAUSE * 9), watched.next_due()), (None, None));
        watched.looked("a.service", Some(&unit("a.service", UnitActive::Inactive)));
        let again = take(&mut watched, now + PAUSE * 9);
        assert_eq!(again, look("a.service", false), "one that rests is not loaded for a signal");
        watched.forgotten("a.service");
        watched.all(now + PAUSE * 18);
        assert_eq!(take(&mut watched, now + PAUSE * 18), look("a.service", true));
    }

    #[test]
    fn a_calm_unit_goes_before_those_that_flap_and_needs_no_place_among_them() {
        let now = Instant::now();
        let mut watched = watched(&["b", "c", "a"], now);
        for _ in 0..3 {
            let (name, _) = take(&mut watched, now).unwrap();
            watched.looked(&name, Some(&unit(&name, UnitActive::Active)));
        }
        let later = now + CALM;
        watched.hear("b_2eservice", later - PAUSE);
        assert_eq!(take(&mut watched, later - PAUSE), look("b.service", true));
        watched.looked("b.service", Some(&unit("b.service", UnitActive::Active)));
        watched.hear("b_2eservice", later);
        watched.hear("c_2eservice", later);
        assert_eq!(watched.take_due(later, MAX_ASKED), None);
        assert_eq!(watched.take_due(later, MAX_BUSY).unwrap().name, "c.service");
        assert_eq!(watched.take_due(later, MAX_BUSY), None);
        assert_eq!(watched.take_due(later, MAX_BUSY - 1).unwrap().name, "b.service");
    }

    #[test]
    fn an_alias_is_heard_of_by_both_names_and_only_while_it_is_wanted() {
        let now = Instant::now();
        let mut watched = watched(&["eye", "x.timer"], now);
        while let Some((name, _)) = take(&mut watched, now) {
            watched.looked(&name, Some(&unit("camera.service", UnitActive::Active)));
        }
        assert!(watched.has("camera_2eservice") && watched.has("eye_2eservice") && !watched.has("camera"));
        watched.want(&BTreeMap::new(), now);
        assert!(!watched.has("camera_2eservice") && !watched.has("eye_2eservice") && watched.is_empty());
        assert!(watched.looked("eye.service", None).is_empty(), "nobody waits for it any more");
        assert_eq!(watched.next_due(), None);
    }

    #[test]
    fn each_subject_is_told_of_a_failure_once() {
        let now = Instant::now();
        let mut watched = watched(&["a", "a.service", "b"], now);
        assert_eq!(take(&mut watched, now), look("a.service", true));
        assert_eq!(watched.looked("a.service", None).len(), 2);
        assert_eq!(watched.fail(), [Subject::service("b")]);
        assert_eq!((watched.fail(), watched.next_due()), (Vec::new(), None));
        watched.failed(now);
        assert_eq!(take(&mut watched, now), look("a.service", true));
    }
}
