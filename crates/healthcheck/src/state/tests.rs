//! What is kept is there again, whatever happens to the process, the disk and the file.

mod costs;
mod damage;
mod disks;
mod keeping;
mod kills;
mod places;
mod versions;

use super::{Effects, Store, StoreError};
use health_reporter::read::{Dialect, ReportFile};
use health_reporter::{HealthReport, Status};
use healthcheck_core::{Facts, Now, Observation, Policy, ServiceFacts, State, Subject, Transition, step};
use jiff::SignedDuration;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Judges, and has what it judged kept.
struct Monitor {
    store: Store,
    state: State,
    now: Now,
}

impl Monitor {
    #[track_caller]
    fn start(dir: &Path) -> Self {
        let (store, state) = Store::open(dir).unwrap();
        let now = Now {
            wall: "2025-06-01T12:00:00.25Z".parse().unwrap(),
            boottime: Duration::from_secs(10_000),
            suspended: Duration::ZERO,
            boot_id: Some("boot-1".into()),
        };
        Self { store, state, now }
    }

    fn pass(&mut self, time: Duration) {
        self.now.wall += SignedDuration::try_from(time).unwrap();
        self.now.boottime += time;
    }

    /// What follows from a report.
    fn judge(&mut self, name: &str, status: Status) -> Vec<Transition> {
        let (state, transitions) = step(
            std::mem::take(&mut self.state),
            said(name, status, &self.now),
            &self.now,
            &Policy::default(),
        );
        self.state = state;
        transitions
    }

    fn commit(&mut self, name: &str, transitions: &[Transition]) -> Result<Vec<i64>, StoreError> {
        let (subject, head) = (Subject::service(name), self.state.head());
        let records = vec![(&subject, self.state.record(&subject))];
        self.store.commit(&Effects { head: &head, records, transitions, gap: None })
    }

    #[track_caller]
    fn sees(&mut self, name: &str, status: Status) -> Vec<(i64, Transition)> {
        let transitions = self.judge(name, status);
        let ids = self.commit(name, &transitions).unwrap();
        ids.into_iter().zip(transitions).collect()
    }

    /// As [`Monitor::sees`], by one who writes everything if that is wanted.
    #[track_caller]
    fn gets_by(&mut self, name: &str, status: Status) {
        let transitions = self.judge(name, status);
        let kept = self.commit(name, &transitions).or_else(|error| {
            assert!(error.wants_everything(), "{error}");
            self.store.rewrite(&self.state)?;
            self.commit(name, &transitions)
        });
        kept.unwrap();
    }
}

fn said(name: &str, status: Status, now: &Now) -> Observation {
    let mut report = HealthReport::new(status);
    report.current_task = Some(format!("is {status}"));
    let file = ReportFile {
        report,
        dialect: Dialect::HealthReport,
        modified: now.wall,
        changed: now.wall,
        owner_uid: 0,
    };
    let facts = ServiceFacts::of_report(Ok(file));
    Observation {
        subject: Subject::service(name),
        outcome: Ok(Facts::Service(Box::new(facts))),
        took: Duration::ZERO,
    }
}

/// What a monitor that starts now knows.
#[track_caller]
fn kept(dir: &Path) -> State {
    Store::open(dir).unwrap().1
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn database(dir: &Path) -> PathBuf {
    dir.join("state.db")
}

/// xorshift: the same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}
