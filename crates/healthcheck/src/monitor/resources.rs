//! The machine's own numbers, and what processes take, again and again, on a thread of their own: a disk may take its
//! time.

use crate::sources::machine::Machine;
use crate::sources::processes::Processes;
use healthcheck_core::{Observation, ProcessFacts, ProcessSight, Resources, Subject};
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use tokio::sync::mpsc;

/// The machine is looked at so often.
const INTERVAL: Duration = Duration::from_secs(30);

/// What one look at the machine showed.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) resources: Resources,
    pub(super) observations: Vec<Observation>,
    /// What the processes take that were asked for.
    pub(super) costs: Vec<(Subject, ProcessFacts)>,
}

/// A process whose cost is wanted.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) subject: Subject,
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Measuring {
    watched: Arc<Mutex<Vec<Watched>>>,
    _until_dropped: Sender<()>,
}

impl Measuring {
    pub(super) fn start(numbers: mpsc::Sender<Numbers>) -> io::Result<Self> {
        let (_until_dropped, is_over) = channel();
        let watched = Arc::default();
        let wanted = Arc::clone(&watched);
        Builder::new().name("resources".to_owned()).spawn(move || measure(&numbers, &wanted, &is_over))?;
        Ok(Self { watched, _until_dropped })
    }

    /// Asks for the cost of these processes, with the next look and once.
    pub(super) fn watch(&self, watched: Vec<Watched>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = watched;
    }
}

fn measure(numbers: &mpsc::Sender<Numbers>, wanted: &Mutex<Vec<Watched>>, is_over: &Receiver<()>) {
    let (mut machine, processes) = (Machine::at("/"), Processes::at("/proc"));
    loop {
        let seen = machine.look();
        let observations = seen.observations();
        let wanted = std::mem::take(&mut *wanted.lock().unwrap_or_else(PoisonError::into_inner));
        let costs = costs(wanted, &processes);
        if numbers.blocking_send(Numbers { resources: seen.resources, observations, costs }).is_err() {
            return;
        }
        if is_over.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Whoever reports of several services is looked at once.
fn costs(wanted: Vec<Watched>, processes: &Processes) -> Vec<(Subject, ProcessFacts)> {
    let mut sights = BTreeMap::new();
    let cost = |Watched { subject, pid, start_ticks }| {
        let sight = sights.entry(pid).or_insert_with(|| processes.look(u64::from(pid)));
        let ProcessSight::Seen(seen) = sight else { return None };
        let is_it = seen.start_ticks == start_ticks && !seen.state.has_ended();
        is_it.then(|| (subject, seen.clone()))
    };
    wanted.into_iter().filter_map(cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_of_a_process_that_lives_is_told_its_cost() {
        let pid = std::process::id();
        let start_ticks = health_reporter::clock::start_ticks(pid).unwrap();
        let watched =
            |name: &str, pid, start_ticks| Watched { subject: Subject::service(name), pid, start_ticks };
        let wanted = vec![
            watched("audio", pid, start_ticks),
            watched("camera", pid, start_ticks),
            watched("former", pid, start_ticks - 1),
            watched("gone", 4_194_304, 1),
        ];
        let costs = costs(wanted, &Processes::at("/proc"));
        let names: Vec<&str> = costs.iter().map(|(subject, _)| &*subject.name).collect();
        assert_eq!(names, ["audio", "camera"]);
        assert!(costs.iter().all(|(_, process)| process.cost.memory_bytes > 0));
    }
}
