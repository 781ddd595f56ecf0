//! The machine's own numbers, again and again, on a thread of their own: a disk may take its time.

use crate::sources::machine::Machine;
use healthcheck_core::{Observation, Resources};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
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
}

/// Looks until it is dropped.
#[derive(Debug)]
pub(super) struct Measuring {
    _until_dropped: Sender<()>,
}

impl Measuring {
    pub(super) fn start(numbers: mpsc::Sender<Numbers>) -> io::Result<Self> {
        let (_until_dropped, is_over) = channel();
        Builder::new().name("resources".to_owned()).spawn(move || measure(&numbers, &is_over))?;
        Ok(Self { _until_dropped })
    }
}

fn measure(numbers: &mpsc::Sender<Numbers>, is_over: &Receiver<()>) {
    let mut machine = Machine::at("/");
    loop {
        let seen = machine.look();
        let observations = seen.observations();
        if numbers.blocking_send(Numbers { resources: seen.resources, observations }).is_err() {
            return;
        }
        if is_over.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}
