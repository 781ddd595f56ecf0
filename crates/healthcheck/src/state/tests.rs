//! What is kept is there again, whatever happens to the process, the disk and the file.

mod alerting;
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
use healthcheck_core::alerts::{Alerts, Changes, ChannelRules, Outcome, Route, Rules, World};
use healthcheck_core::{Facts, Now, Observation, Policy, ServiceFacts, State, Subject, Transition, step};
use jiff::SignedDuration;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Judges, tells a phone of it, and has all of that kept.
struct Monitor {
    store: Store,
    state: State,
    alerts: Alerts,
    rules: Rules,
    now: Now,
}

impl Monitor {
    #[track_caller]
    fn start(dir: &Path) -> Self {
        let (store, state, alerts) = Store::open(dir).unwrap();
        let now = Now {
            wall: "2025-06-01T12:00:00.25Z".parse().unwrap(),
            boottime: Duration::from_secs(10_000),
            suspended: Duration::ZERO,
            boot_id: Some("boot-1".into()),
        };
        Self { store, state, alerts, rules: at_once(), now }
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
        self.alert(&transitions);
        transitions
    }

    /// What is due then is sent, and every third notice not at the first attempt.
    fn alert(&mut self, transitions: &[Transition]) {
        let world =
            World { state: &self.state, policy: &Policy::default(), rules: &self.rules, now: &self.now };
        transitions.iter().for_each(|transition| self.alerts.note(transition, &world));
        self.alerts.plan(&world);
        while let Some((notice, attempt)) = self.alerts.take_due().pop() {
            let is_lost = notice.id.ends_with(['3', '6', '9']) && attempt == 1;
            let lost = || Outcome::Failed { error: "connection refused".into(), retry_after: None };
            let outcome = if is_lost { lost() } else { Outcome::Accepted };
            self.alerts.delivered("phone", &notice.id, &outcome, &world);
            self.alerts.plan(&world);
        }
    }

    fn commit(&mut self, name: &str, transitions: &[Transition]) -> Result<Vec<i64>, StoreError> {
        let (subject, head) = (Subject::service(name), self.state.head());
        let records = vec![(&subject, self.state.record(&subject))];
        let alerts = &self.alerts.changes();
        let ids = self.store.commit(&Effects { head: &head, records, transitions, gap: None, alerts })?;
        self.alerts.kept();
        Ok(ids)
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
            self.store.rewrite(&self.state, &self.alerts)?;
            self.commit(name, &transitions)
        });
        kept.unwrap();
    }
}

/// Nothing is waited for, and the phone is told of everything.
fn at_once() -> Rules {
    let everything = Route { kinds: Vec::new(), subjects: Vec::new(), level: Status::Warning, quiet: None };
    let phone = ChannelRules { routes: vec![everything], daily_budget: None };
    Rules {
        host: "deimos".into(),
        grace: Duration::ZERO,
        group_wait: Duration::ZERO,
        restart_wait: Duration::ZERO,
        cooldown: Duration::ZERO,
        channels: [("phone".to_owned(), phone)].into(),
        ..Rules::default()
    }
}

/// All that there is to keep of alerts, in lines.
fn all_of(alerts: &Alerts) -> Vec<String> {
    format!("{:?}", alerts.everything()).split("), (").map(str::to_owned).collect()
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

#[track_caller]
fn kept_alerts(dir: &Path) -> Alerts {
    Store::open(dir).unwrap().2
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
