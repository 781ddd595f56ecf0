//! Every answer is the same, whenever a row is written.

use super::{ALWAYS, Fresh, Teller, at, machine, window};
use crate::history::{Entry, Presence, Record, Selection};
use health_reporter::Status;
use healthcheck_core::history::{Beats, Bin, Resolution, Window};
use healthcheck_core::{Cause, Evidence, Gap, GapReason, Subject, Transition};
use jiff::{SignedDuration, Timestamp};

const STORIES: u64 = 12;
const SUBJECTS: [&str; 3] = ["camera", "core", "wall"];
const TASKS: [Option<&str>; 3] = [None, Some("indexing"), Some("moving")];
const VERDICTS: [(Status, Cause); 4] = [
    (Status::Healthy, Cause::SelfReported),
    (Status::Healthy, Cause::Stopped),
    (Status::Error, Cause::Crashed),
    (Status::Unknown, Cause::NotPermitted),
];

pub(super) fn every(fresh: Fresh<'_>) {
    for seed in 1..=STORIES {
        println!("both ways of recording answer the same, story {seed}");
        let mut tellers = [Record::Changes, Record::Heartbeats].map(|record| Teller::new(fresh(), record));
        let mut story = Story::new(seed);
        for _ in 0..20 {
            let entries = story.portion();
            tellers.iter_mut().for_each(|teller| teller.tells(entries.clone()));
        }
        let [changes, heartbeats] = tellers.each_mut();
        for (one, other) in answers(changes).iter().zip(answers(heartbeats)) {
            assert_eq!(*one, other, "story {seed}");
        }
        let counts = tellers.map(|mut teller| count(&mut teller));
        assert_eq!([counts[0], counts[1]], [story.beats; 2], "story {seed}");
    }
}

fn count(teller: &mut Teller) -> u64 {
    teller.runs_in(&Selection::default(), ALWAYS).iter().map(|run| run.heartbeats).sum()
}

/// Everything but the rows themselves.
fn answers(teller: &mut Teller) -> Vec<String> {
    let of = Selection::default();
    let part = window("2025-06-01T00:20:00Z", "2025-06-01T01:00:00Z");
    let mut answers = vec![
        format!("{:?}", teller.store.statuses(&of).unwrap()),
        format!("{:?}", teller.store.judged(&of, ALWAYS).unwrap()),
        format!("{:?}", teller.store.judged(&of, part).unwrap()),
        format!("{:?}", teller.store.gaps("deimos", part).unwrap()),
        format!("{:?}", teller.store.hosts().unwrap()),
    ];
    let series = Resolution::ALL.map(|it| teller.store.series(&of, it, part).unwrap());
    answers.push(format!("{series:?}"));
    answers.extend(SUBJECTS.map(|name| format!("{:?}", tasks(teller, name))));
    answers
}

/// From when on it said that it was doing what.
fn tasks(teller: &mut Teller, name: &str) -> Vec<(Timestamp, Status, Cause, Option<String>)> {
    let runs = teller.runs(name).into_iter();
    let mut tasks: Vec<_> =
        runs.map(|run| (run.begun_at, run.status, run.cause, run.current_task, run.opens)).collect();
    tasks.dedup_by(|later, one| !later.4 && (later.1, later.2, &later.3) == (one.1, one.2, &one.3));
    tasks.into_iter().map(|(at, status, cause, task, _)| (at, status, cause, task)).collect()
}

/// What happens to a few services, by chance.
struct Story {
    dice: u64,
    now: Timestamp,
    transitions: i64,
    beats: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        Self { dice: seed * 0x9e37_79b9, now: at("2025-06-01T00:00:00Z"), transitions: 0, beats: 0 }
    }

    fn below(&mut self, end: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice >> 11).unwrap() % end
    }

    fn portion(&mut self) -> Vec<Entry> {
        let size = self.below(30);
        (0..size).map(|_| self.entry()).collect()
    }

    fn entry(&mut self) -> Entry {
        let seconds = i64::try_from(self.below(20)).unwrap();
        self.now += SignedDuration::from_secs(seconds);
        let subject = Subject::service(SUBJECTS[self.below(3)]);
        let hence = Window { from: self.now, to: self.now + SignedDuration::from_secs(seconds) };
        match self.below(20) {
            0 => Entry::Gap(Gap { from: hence.from, to: hence.to, reason: GapReason::Suspended }),
            1 => Entry::Maintenance { subject, window: hence },
            2 => Entry::Forgotten { subject, at: self.now },
            3 => Entry::Seen(self.now),
            19 => Entry::Machine(machine(SUBJECTS[self.below(3)], Presence::Offline, self.now)),
            4 => {
                let bin = Bin::of(
                    Resolution::Minute.begin_of(self.now),
                    f64::from(u32::try_from(seconds).unwrap()),
                );
                Entry::Numbers { subject, metric: "latency_ms".into(), bin }
            }
            5..8 => self.transition(subject),
            _ => self.beats(subject),
        }
    }

    fn transition(&mut self, subject: Subject) -> Entry {
        self.transitions += 1;
        let (to, cause) = VERDICTS[self.below(4)];
        let transition = Transition {
            subject,
            from: Status::Unknown,
            to,
            cause,
            at: self.now,
            message: format!("message {}", self.transitions),
            since: self.now,
            reasons: Vec::new(),
            evidence: Evidence::default(),
            is_healed_by_supervisor: false,
            is_flapping: false,
        };
        Entry::Transition { id: self.transitions, transition }
    }

    /// Mostly of the same verdict and the same task.
    fn beats(&mut self, subject: Subject) -> Entry {
        let (status, cause) = VERDICTS[if self.below(4) > 0 { 0 } else { self.below(4) }];
        let task = TASKS[if self.below(3) > 0 { 1 } else { self.below(3) }].map(str::to_owned);
        let count = 1 + u64::try_from(self.below(3)).unwrap();
        self.beats += count;
        let last = self.now + SignedDuration::from_secs(i64::try_from(count).unwrap());
        Entry::Beats(Beats {
            subject,
            status,
            cause,
            task,
            first: self.now,
            last,
            count,
            may_be_known: false,
        })
    }
}
