//! Remembering, on a thread of its own: batches wait in the spool, transitions in `state.db`, until the history has
//! taken them in. Nobody waits for it.

use crate::history::batch::Batch;
use crate::history::spool::{Front, Spool};
use crate::history::{Entry, HistoryError, HistoryStore, Origin, Portion, Position, Record};
use crate::state::{Reader, Store};
use healthcheck_core::history::retention::{Limits, PrunePlan, PruneStep};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{info, warn};

/// The directory of the spool, beside `state.db`.
const SPOOL: &str = "history-spool";
/// What is taken out of the spool at once, in bytes.
const READ_BYTES: u64 = 4 * 1024 * 1024;
/// What is written at once, about.
const PORTION: usize = 5_000;
/// The least time between two portions: each is one more flush of a disk that transitions are waiting for as well.
const TOGETHER: Duration = Duration::from_millis(200);
/// After a failure it is tried again so much later, twice as late each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Who stops waits so long for what is being written.
const STOPS_WITHIN: Duration = Duration::from_millis(500);
/// Batches that may wait for the thread; it does nothing for longer than one call takes.
const MAX_WAITING: usize = 4_096;

/// How history is kept from now on.
pub(crate) struct Keeper {
    pub(crate) store: Box<dyn HistoryStore>,
    /// For people, without secrets.
    pub(crate) name: String,
    pub(crate) limits: Limits,
}

/// The thread, from outside.
pub(super) struct Historian {
    inbox: Arc<Inbox>,
}

/// What the loop and the thread share. The loop only ever takes `waiting`, which nobody holds while a file is read or
/// written; whoever takes both takes the spool first.
struct Inbox {
    spool: Mutex<Spool>,
    waiting: Mutex<Waiting>,
    bell: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<Batch>,
    asked: Vec<oneshot::Sender<Option<String>>>,
    keeper: Option<Keeper>,
    problem: Option<String>,
    how: String,
    is_over: bool,
    has_ended: bool,
    /// Batches that were dropped because too many waited.
    overrun: u64,
}

impl Historian {
    /// Begins to take in what waits in a state directory.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn begin(keeper: Keeper, state_dir: &Path, host: &str) -> io::Result<Self> {
        let inbox = Arc::new(Inbox {
            spool: Mutex::new(Spool::at(state_dir.join(SPOOL))),
            waiting: Mutex::default(),
            bell: Condvar::new(),
            ended: Condvar::new(),
        });
        let thread = Thread {
            inbox: Arc::clone(&inbox),
            state_dir: state_dir.to_owned(),
            host: host.to_owned(),
            keeper,
            reader: None,
            positions: BTreeMap::new(),
            failed: None,
            lost: None,
            pause: FIRST_PAUSE,
            again: None,
            rest: Instant::now(),
            is_behind: true,
            prune: Pruning::soon(),
        };
        Builder::new().name("history".to_owned()).spawn(move || thread.run())?;
        Ok(Self { inbox })
    }

    /// Hands over a batch.
    pub(super) fn hand(&self, batch: Batch) {
        let mut waiting = lock(&self.inbox.waiting);
        waiting.batches.push_back(batch);
        if waiting.batches.len() > MAX_WAITING {
            waiting.batches.pop_front();
            waiting.overrun += 1;
        }
        // Whoever is woken up needs the lock.
        drop(waiting);
        self.inbox.bell.notify_one();
    }

    /// Goes on with other settings.
    pub(super) fn change(&self, keeper: Keeper) {
        lock(&self.inbox.waiting).keeper = Some(keeper);
        self.inbox.bell.notify_one();
    }

    /// Tells when everything that was handed over is taken in, or why it is not.
    pub(super) fn flush(&self, done: oneshot::Sender<Option<String>>) {
        lock(&self.inbox.waiting).asked.push(done);
        self.inbox.bell.notify_one();
    }

    /// What keeps history from being written.
    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.inbox.waiting).problem.clone()
    }

    /// Where it is written, and what waits.
    pub(super) fn how(&self) -> String {
        lock(&self.inbox.waiting).how.clone()
    }

    /// Waits a moment for what is being written; whatever was not taken then waits in the spool.
    pub(super) fn stop(self) {
        let mut waiting = lock(&self.inbox.waiting);
        waiting.is_over = true;
        self.inbox.bell.notify_one();
        drop(self.inbox.ended.wait_timeout_while(waiting, STOPS_WITHIN, |it| !it.has_ended));
        drop(self.inbox.put_away());
    }
}

impl Inbox {
    /// Moves what was handed over to where it outlasts us.
    fn put_away(&self) -> MutexGuard<'_, Spool> {
        let mut spool = lock(&self.spool);
        let batches = std::mem::take(&mut lock(&self.waiting).batches);
        batches.into_iter().for_each(|batch| spool.push(batch));
        spool
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread, from inside.
struct Thread {
    inbox: Arc<Inbox>,
    state_dir: PathBuf,
    host: String,
    keeper: Keeper,
    /// The state that was last read, by its name.
    reader: Option<(String, Reader)>,
    /// How far each origin was taken in, where that is known.
    positions: BTreeMap<(String, String), Position>,
    /// Why it is not written.
    failed: Option<String>,
    /// What became of a history that was damaged.
    lost: Option<String>,
    pause: Duration,
    /// When to try again after a failure.
    again: Option<Instant>,
    /// Until then what comes is gathered in the spool.
    rest: Instant,
    /// Something was not taken in yet.
    is_behind: bool,
    prune: Pruning,
}

impl Thread {
    fn run(mut self) {
        loop {
            let (asked, is_over) = self.wait();
            if self.is_due() || !asked.is_empty() || is_over {
                self.rest = Instant::now() + TOGETHER;
                self.is_behind = false;
                let outcome = self.take_in();
                if outcome.is_err() {
                    self.reader = None;
                }
                self.note(outcome);
            }
            asked.into_iter().for_each(|asked| drop(asked.send(self.failed.clone())));
            if is_over {
                break;
            }
            self.prune_if_due();
        }
        // The last one who has a database open tidies it up, and who only reads cannot.
        self.reader = None;
        lock(&self.inbox.waiting).has_ended = true;
        self.inbox.ended.notify_all();
    }

    fn is_due(&self) -> bool {
        let now = Instant::now();
        self.is_behind && self.rest <= now && self.again.is_none_or(|again| again <= now)
    }

    /// Until there is something to do.
    fn wait(&mut self) -> (Vec<oneshot::Sender<Option<String>>>, bool) {
        let mut waiting = lock(&self.inbox.waiting);
        let next = self.is_behind.then(|| self.again.map_or(self.rest, |again| again.max(self.rest)));
        let due = [next, Some(self.prune.at)].into_iter().flatten().min();
        let pause = due.map_or(Pruning::EACH, |at| at.saturating_duration_since(Instant::now()));
        let is_idle = |it: &mut Waiting| {
            it.batches.is_empty() && it.asked.is_empty() && it.keeper.is_none() && !it.is_over
        };
        if is_idle(&mut waiting) {
            let woken = self.inbox.bell.wait_timeout_while(waiting, pause, |it| is_idle(it));
            waiting = woken.map_or_else(|poisoned| poisoned.into_inner().0, |woken| woken.0);
        }
        let (asked, is_over) = (std::mem::take(&mut waiting.asked), waiting.is_over);
        let keeper = waiting.keeper.take();
        self.is_behind |= !waiting.batches.is_empty() || keeper.is_some();
        drop(waiting);
        drop(self.inbox.put_away());
        if let Some(keeper) = keeper {
            self.keeper = keeper;
            self.positions.clear();
            (self.again, self.prune) = (None, Pruning::soon());
        }
        (asked, is_over)
    }

    /// Takes in everything that waits.
    fn take_in(&mut self) -> Result<(), HistoryError> {
        loop {
            let found = self.front()?;
            if found.is_empty() {
                return Ok(());
            }
            let taken = match self.take_some(&found) {
                Err(error) if error.is_elsewhere() => {
                    self.positions.clear();
                    self.take_some(&found)?
                }
                taken => taken?,
            };
            if let Some(last) = taken.checked_sub(1).and_then(|last| found.get(last)) {
                lock(&self.inbox.spool).drop_through(last);
            }
        }
    }

    fn front(&self) -> Result<Vec<Front>, HistoryError> {
        self.inbox.put_away().front(READ_BYTES).map_err(unread)
    }

    /// Takes in as many of these as belong together; how many that were.
    fn take_some(&mut self, found: &[Front]) -> Result<usize, HistoryError> {
        let first = &found[0].batch;
        let origin = Origin { host: self.host.clone(), state: first.state.clone(), run: first.run.clone() };
        let before = self.position(&origin)?;
        self.find_reader(&origin.state)?;
        let reader = self.reader.as_ref().map(|(_, reader)| reader);
        let mut building = Building::after(before);
        let together = found.iter().take_while(|it| {
            (&it.batch.run, &it.batch.state, it.batch.record) == (&first.run, &first.state, first.record)
        });
        let mut taken = 0;
        for Front { batch, .. } in together {
            if !building.add(batch, reader)? {
                break;
            }
            taken += 1;
        }
        self.write(origin, before, first.record, building)?;
        Ok(taken)
    }

    fn write(
        &mut self,
        origin: Origin,
        before: Position,
        record: Record,
        building: Building,
    ) -> Result<(), HistoryError> {
        let Building { entries, after, .. } = building;
        if after == before {
            return Ok(());
        }
        let known = (origin.state.clone(), origin.run.clone());
        let portion = Portion { origin, before, after, record, entries };
        self.keeper.store.write(&portion).inspect_err(|_| self.positions.clear())?;
        self.positions.insert(known, after);
        Ok(())
    }

    fn position(&mut self, origin: &Origin) -> Result<Position, HistoryError> {
        let key = (origin.state.clone(), origin.run.clone());
        if let Some(known) = self.positions.get(&key) {
            return Ok(*known);
        }
        let position = self.keeper.store.position(origin)?;
        self.positions.clear();
        self.positions.insert(key, position);
        Ok(position)
    }

    /// The state in which transitions are numbered so, if it is still there. It stays open as long as it is the same one.
    fn find_reader(&mut self, state: &str) -> Result<(), HistoryError> {
        if self.reader.as_ref().is_some_and(|(known, reader)| known == state && !reader.is_outdated()) {
            return Ok(());
        }
        self.reader = None;
        if !state.is_empty() {
            let reader = Store::read_only(&self.state_dir).map_err(unread)?;
            let name = reader.database().map_err(unread)?;
            self.reader = (name == state).then_some((name, reader));
        }
        Ok(())
    }

    fn prune_if_due(&mut self) {
        if self.prune.at > Instant::now() {
            return;
        }
        if let Err(error) = self.prune.go_on(&mut self.keeper) {
            info!("history: what is too old is dropped later: {error}");
            self.prune = Pruning { at: Instant::now() + LONGEST_PAUSE * 10, steps: Vec::new() };
        }
    }

    /// Makes known how it went.
    fn note(&mut self, outcome: Result<(), HistoryError>) {
        if let Some(remark) = self.keeper.store.remark() {
            warn!("history: {remark}");
            self.lost = Some(remark);
        }
        let (bytes, dropped, unwritten) = {
            let mut spool = lock(&self.inbox.spool);
            (spool.bytes(), spool.take_dropped(), spool.problem().map(str::to_owned))
        };
        let dropped = dropped + std::mem::take(&mut lock(&self.inbox.waiting).overrun);
        if dropped > 0 {
            warn!(
                "history: {dropped} batches of heartbeats and numbers were dropped: no room for them, or damaged"
            );
        }
        self.note_failure(outcome.err().map(|error| error.to_string()));
        let mut waiting = lock(&self.inbox.waiting);
        waiting.how = match bytes {
            0 => self.keeper.name.clone(),
            bytes => format!("{}, {} KiB wait", self.keeper.name, bytes.div_ceil(1_024)),
        };
        waiting.problem = self.failed.clone().or_else(|| self.lost.clone()).or(unwritten);
    }

    fn note_failure(&mut self, failed: Option<String>) {
        self.again = failed.is_some().then(|| Instant::now() + self.pause);
        self.is_behind |= failed.is_some();
        self.pause = if failed.is_some() { (self.pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        if failed != self.failed {
            match &failed {
                Some(problem) => warn!("history: {problem}; until then it waits here"),
                None => info!("history is written again"),
            }
        }
        self.failed = failed;
    }
}

/// The first look at what is too old or too much comes soon after the start, then one each day.
struct Pruning {
    at: Instant,
    /// What is left of the last plan, the next step last.
    steps: Vec<PruneStep>,
}

impl Pruning {
    const FIRST: Duration = Duration::from_secs(120);
    const EACH: Duration = Duration::from_secs(24 * 3_600);
    const BETWEEN: Duration = Duration::from_millis(100);
    /// Rows that are dropped at once: nobody waits for them for long.
    const AT_ONCE: u32 = 2_000;

    fn soon() -> Self {
        Self { at: Instant::now() + Self::FIRST, steps: Vec::new() }
    }

    /// Drops a little, or finds out what is to be dropped.
    fn go_on(&mut self, keeper: &mut Keeper) -> Result<(), HistoryError> {
        self.at = Instant::now() + Self::EACH;
        let Some(step) = self.steps.last() else {
            let plan = PrunePlan::of(&keeper.store.stock()?, &keeper.limits, Timestamp::now());
            self.steps = plan.steps;
            self.steps.reverse();
            self.hurry();
            return Ok(());
        };
        if keeper.store.prune(&step.slice, Self::AT_ONCE)?.is_done {
            info!("history: dropped {step}");
            self.steps.pop();
        }
        self.hurry();
        Ok(())
    }

    fn hurry(&mut self) {
        if !self.steps.is_empty() {
            self.at = Instant::now() + Self::BETWEEN;
        }
    }
}

fn unread(error: impl std::fmt::Display) -> HistoryError {
    HistoryError::new(error.to_string())
}

/// A portion that grows.
struct Building {
    after: Position,
    entries: Vec<Entry>,
}

impl Building {
    const fn after(position: Position) -> Self {
        Self { after: position, entries: Vec::new() }
    }

    /// Adds a batch, and what happened before it; not the batch itself if that is enough for one portion.
    fn add(&mut self, batch: &Batch, reader: Option<&Reader>) -> Result<bool, HistoryError> {
        if batch.number <= self.after.batch {
            return Ok(true);
        }
        if self.entries.len() >= PORTION {
            return Ok(false);
        }
        if let Some(reader) = reader
            && !self.catch_up(batch.after, reader)?
        {
            return Ok(false);
        }
        for id in &batch.amended {
            let transition = reader.map(|reader| reader.transition(*id)).transpose().map_err(unread)?;
            let transition = transition.flatten();
            self.entries.extend(transition.map(|transition| Entry::Amended { id: *id, transition }));
        }
        self.entries.extend(batch.clone().into_entries());
        self.after.batch = batch.number;
        Ok(true)
    }

    /// Adds the transitions up to one, and the gaps; whether these are all.
    fn catch_up(&mut self, last: i64, reader: &Reader) -> Result<bool, HistoryError> {
        while self.after.transition < last {
            let room = PORTION.saturating_sub(self.entries.len());
            if room == 0 {
                return Ok(false);
            }
            let found = reader.transitions_after(self.after.transition, room).map_err(unread)?;
            // What cannot be read is left out of a page, so only an empty one is the last.
            let is_last = found.is_empty() || found.iter().any(|(id, _)| *id >= last);
            for (id, transition) in found.into_iter().take_while(|(id, _)| *id <= last) {
                self.after.transition = id;
                self.entries.push(Entry::Transition { id, transition });
            }
            if is_last {
                // Those that were not found are not kept any more.
                self.after.transition = last;
            }
        }
        let gaps = reader.gaps_after(self.after.gap, PORTION).map_err(unread)?;
        for (id, gap) in gaps {
            self.after.gap = id;
            self.entries.push(Entry::Gap(gap));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
