//! What is handed over is taken in once and in order, whatever the store does.

use super::*;
use crate::history::{Host, Judged, Pruned, RunRow, Selection, Series, Slice, StatusRow, Stock};
use crate::monitor::gathering::{Beat, Gathering, Ledgered};
use crate::monitor::ledger::Ledger;
use health_reporter::Status;
use healthcheck_core::alerts::Alerts;
use healthcheck_core::history::{Resolution, Window};
use healthcheck_core::{Cause, Evidence, Gap, State, Subject, Transition, Verdict};
use jiff::SignedDuration;
use tempfile::TempDir;

/// What a store has taken in, and how it is for now.
#[derive(Default)]
struct Shown {
    /// Of transitions and gaps, by state; of batches, by run.
    states: BTreeMap<String, (i64, i64)>,
    runs: BTreeMap<String, u64>,
    taken: Vec<Entry>,
    is_away: bool,
    /// A portion is taken in, and nobody hears of it.
    loses_answer: bool,
    hangs_for: Duration,
    portions: usize,
}

/// A store in memory, that is away where that is wanted.
#[derive(Clone, Default)]
struct Pretended(Arc<Mutex<Shown>>);

impl Pretended {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        lock(&self.0)
    }

    /// Everything that was taken in, in words.
    fn story(&self) -> Vec<String> {
        let word = |entry: &Entry| match entry {
            Entry::Transition { transition, .. } => {
                Some(format!("{} {}", transition.subject.name, transition.to))
            }
            Entry::Amended { id, transition } => Some(format!("more of {id}: {}", transition.message)),
            Entry::Beats(beats) => {
                Some(format!("{} beats {} {}", beats.subject.name, beats.count, beats.status))
            }
            _ => None,
        };
        self.shown().taken.iter().filter_map(word).collect()
    }
}

impl HistoryStore for Pretended {
    fn position(&mut self, origin: &Origin) -> Result<Position, HistoryError> {
        let shown = self.shown();
        if shown.is_away {
            return Err(HistoryError::new("nobody answers: start it"));
        }
        let (transition, gap) = shown.states.get(&origin.state).copied().unwrap_or_default();
        let batch = shown.runs.get(&origin.run).copied().unwrap_or_default();
        Ok(Position { transition, gap, batch })
    }

    fn write(&mut self, portion: &Portion) -> Result<(), HistoryError> {
        std::thread::sleep(self.shown().hangs_for);
        let before = self.position(&portion.origin)?;
        let mut shown = self.shown();
        if before != portion.before {
            return Err(HistoryError::elsewhere());
        }
        let Portion { origin, after, .. } = portion;
        shown.states.insert(origin.state.clone(), (after.transition, after.gap));
        shown.runs.insert(origin.run.clone(), after.batch);
        shown.taken.extend(portion.entries.iter().cloned());
        shown.portions += 1;
        match std::mem::take(&mut shown.loses_answer) {
            true => Err(HistoryError::new("the connection was lost")),
            false => Ok(()),
        }
    }

    fn hosts(&mut self) -> Result<Vec<Host>, HistoryError> {
        Ok(Vec::new())
    }

    fn statuses(&mut self, _: &Selection) -> Result<Vec<StatusRow>, HistoryError> {
        Ok(Vec::new())
    }

    fn judged(&mut self, _: &Selection, _: Window) -> Result<Vec<Judged>, HistoryError> {
        Ok(Vec::new())
    }

    fn runs(
        &mut self,
        _: &Selection,
        _: Window,
        _: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        Ok(())
    }

    fn gaps(&mut self, _: &str, _: Window) -> Result<Vec<Gap>, HistoryError> {
        Ok(Vec::new())
    }

    fn series(&mut self, _: &Selection, _: Resolution, _: Window) -> Result<Vec<Series>, HistoryError> {
        Ok(Vec::new())
    }

    fn stock(&mut self) -> Result<Stock, HistoryError> {
        Ok(Stock::default())
    }

    fn prune(&mut self, _: &Slice, _: u32) -> Result<Pruned, HistoryError> {
        Ok(Pruned { rows: 0, is_done: true })
    }

    fn backup(&mut self, _: &Path) -> Result<(), HistoryError> {
        Ok(())
    }
}

/// What the monitor has: its own state, what it gathers, and who remembers.
struct Scene {
    dir: TempDir,
    store: Pretended,
    ledger: Ledger,
    gathering: Gathering,
    historian: Historian,
    second: i64,
}

fn keeper(store: &Pretended) -> Keeper {
    let limits = Limits::new(SignedDuration::from_hours(24), None);
    Keeper { store: Box::new(store.clone()), name: "pretended".to_owned(), limits }
}

impl Scene {
    fn begin() -> Self {
        let (dir, store) = (tempfile::tempdir().unwrap(), Pretended::default());
        let (state, _, _) = Store::open(dir.path()).unwrap();
        Self {
            ledger: Ledger::of(state),
            gathering: Gathering::of("first".to_owned(), Record::Changes),
            historian: Historian::begin(keeper(&store), dir.path(), "deimos").unwrap(),
            dir,
            store,
            second: 0,
        }
    }

    fn now(&mut self) -> Timestamp {
        self.second += 1;
        Timestamp::from_second(1_800_000_000 + self.second).unwrap()
    }

    fn beats(&mut self, name: &str, status: Status) {
        let at = self.now();
        let verdict = Verdict {
            status,
            cause: Cause::SelfReported,
            message: String::new(),
            reasons: Vec::new(),
            evidence: Evidence::default(),
            since: at,
        };
        self.gathering.beat(&Subject::service(name), &verdict, None, Beat { at, may_be_known: false });
    }

    /// A verdict changes: it is kept, and handed over with everything else.
    fn changes(&mut self, name: &str, to: Status) -> Option<i64> {
        let (at, subject) = (self.now(), Subject::service(name));
        self.gathering.turn(&subject);
        let transition = Transition {
            subject,
            from: Status::Unknown,
            to,
            cause: Cause::SelfReported,
            at,
            message: "so it is".to_owned(),
            since: at,
            reasons: Vec::new(),
            evidence: Evidence::default(),
            is_healed_by_supervisor: false,
            is_flapping: false,
        };
        let before = self.ledger.ledgered();
        let kept =
            self.ledger.keep(&State::default(), &mut Alerts::new("a"), vec![transition], Duration::ZERO);
        self.beats(name, to);
        self.hand_over(&before);
        kept[0].id
    }

    fn hand_over(&mut self, before: &Ledgered) {
        let at = self.now();
        self.gathering.cut_before(before, at).into_iter().for_each(|batch| self.historian.hand(batch));
        self.historian.hand(self.gathering.cut(&self.ledger.ledgered(), at));
    }

    /// Until everything is taken in, or cannot be: the problem.
    fn flush(&self) -> Option<String> {
        let (done, outcome) = oneshot::channel();
        self.historian.flush(done);
        outcome.blocking_recv().unwrap()
    }

    /// Another monitor goes on where this one ended.
    fn restart(self) -> Self {
        let Self { dir, store, ledger, historian, second, .. } = self;
        historian.stop();
        drop(ledger);
        let (state, _, _) = Store::open(dir.path()).unwrap();
        Self {
            ledger: Ledger::of(state),
            gathering: Gathering::of(format!("run {second}"), Record::Changes),
            historian: Historian::begin(keeper(&store), dir.path(), "deimos").unwrap(),
            dir,
            store,
            second,
        }
    }

    fn spooled(&self) -> usize {
        std::fs::read_dir(self.dir.path().join(SPOOL)).map_or(0, Iterator::count)
    }
}

#[test]
fn heartbeats_and_transitions_are_taken_in_the_order_in_which_they_happened() {
    let mut scene = Scene::begin();
    scene.changes("camera", Status::Healthy);
    scene.beats("camera", Status::Healthy);
    scene.beats("camera", Status::Healthy);
    scene.changes("camera", Status::Error);
    assert_eq!(scene.flush(), None);
    let story = [
        "camera healthy",
        "camera beats 1 healthy",
        "camera beats 2 healthy",
        "camera error",
        "camera beats 1 error",
    ];
    assert_eq!(scene.store.story(), story);
    assert_eq!(scene.spooled(), 0, "nothing waits");
    assert_eq!((scene.historian.problem(), scene.historian.how()), (None, "pretended".to_owned()));
}

#[test]
fn what_happens_while_the_store_is_away_is_taken_in_once_when_it_is_back() {
    let mut scene = Scene::begin();
    scene.changes("camera", Status::Healthy);
    assert_eq!(scene.flush(), None);
    scene.store.shown().is_away = true;
    (0..50).for_each(|_| {
        scene.changes("camera", Status::Error);
        scene.changes("camera", Status::Healthy);
    });
    assert_eq!(scene.flush().as_deref(), Some("nobody answers: start it"));
    assert!(scene.spooled() > 0 && scene.historian.how().contains("wait"), "{}", scene.historian.how());
    let mut scene = scene.restart();
    assert!(scene.flush().is_some() || scene.spooled() > 0);
    scene.store.shown().is_away = false;
    scene.changes("camera", Status::Warning);
    assert_eq!(scene.flush(), None);
    let told = scene.store.story();
    assert_eq!(told.iter().filter(|it| it.ends_with(" error") && !it.contains("beats")).count(), 50);
    assert_eq!(told.iter().filter(|it| it.contains("beats 1 error")).count(), 50);
    assert_eq!(told.last().map(String::as_str), Some("camera beats 1 warning"));
    assert_eq!(scene.spooled(), 0);
}

#[test]
fn what_was_taken_in_without_an_answer_is_not_taken_in_again() {
    let mut scene = Scene::begin();
    for round in 0..5 {
        scene.store.shown().loses_answer = true;
        scene.changes("camera", if round % 2 == 0 { Status::Healthy } else { Status::Error });
        // It may have been tried before it was asked for.
        let _ = scene.flush();
        assert_eq!(scene.flush(), None);
    }
    assert_eq!(scene.store.story().iter().filter(|it| !it.contains("beats")).count(), 5);
    assert_eq!(scene.store.story().len(), 10);
}

#[test]
fn what_became_known_later_is_taken_in_later() {
    let mut scene = Scene::begin();
    let id = scene.changes("camera", Status::Error).unwrap();
    scene.gathering.amend(id);
    scene.hand_over(&scene.ledger.ledgered());
    assert_eq!(scene.flush(), None);
    assert_eq!(scene.store.story().last(), Some(&format!("more of {id}: so it is")));
}

/// A history that begins anew is filled with what state.db still has.
#[test]
fn a_history_that_begins_anew_is_filled_again() {
    let mut scene = Scene::begin();
    scene.changes("camera", Status::Healthy);
    scene.changes("camera", Status::Error);
    assert_eq!(scene.flush(), None);
    *scene.store.shown() = Shown::default();
    scene.changes("camera", Status::Healthy);
    assert_eq!(scene.flush(), None, "it is seen that the store is elsewhere");
    let transitions: Vec<String> =
        scene.store.story().into_iter().filter(|it| !it.contains("beats")).collect();
    assert_eq!(transitions, ["camera healthy", "camera error", "camera healthy"]);
}

#[test]
fn who_stops_does_not_wait_for_a_store_that_hangs_and_loses_nothing() {
    let mut scene = Scene::begin();
    scene.store.shown().hangs_for = Duration::from_secs(2);
    scene.changes("camera", Status::Healthy);
    std::thread::sleep(Duration::from_millis(100));
    scene.changes("camera", Status::Error);
    let began = Instant::now();
    let (dir, store, ledger) = (scene.dir, scene.store, scene.ledger);
    scene.historian.stop();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    store.shown().hangs_for = Duration::ZERO;
    std::thread::sleep(Duration::from_millis(2_200));
    drop(ledger);
    let historian = Historian::begin(keeper(&store), dir.path(), "deimos").unwrap();
    let (done, outcome) = oneshot::channel();
    historian.flush(done);
    assert_eq!(outcome.blocking_recv().unwrap(), None);
    let story = ["camera healthy", "camera beats 1 healthy", "camera error", "camera beats 1 error"];
    assert_eq!(store.story(), story);
}

#[test]
fn very_many_are_taken_in_by_portions() {
    let mut scene = Scene::begin();
    scene.store.shown().is_away = true;
    for round in 0..40 {
        for service in 0..300 {
            scene.beats(
                &format!("service{service}"),
                if round % 2 == 0 { Status::Healthy } else { Status::Warning },
            );
        }
        scene.hand_over(&scene.ledger.ledgered());
    }
    assert!(scene.flush().is_some());
    scene.store.shown().is_away = false;
    assert_eq!(scene.flush(), None);
    let shown = scene.store.shown();
    let beats = shown.taken.iter().filter(|entry| matches!(entry, Entry::Beats(_))).count();
    assert_eq!(beats, 12_000);
    assert!((3..=40).contains(&shown.portions), "{} portions", shown.portions);
}
