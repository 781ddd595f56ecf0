//! What each run is made of, taken on a thread of its own: the kernel may let whoever reads a command line wait for
//! the process.

use crate::sources::footprint::Footprint;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread::Builder;
use tokio::sync::mpsc as tokio_mpsc;

/// What a process is made of.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
    pub(super) footprint: Footprint,
}

/// Asks for footprints. Whoever is asked too much, or is stuck, leaves some out.
#[derive(Debug)]
pub(super) struct Footprints {
    wanted: Option<mpsc::SyncSender<(u32, u64)>>,
    taken: tokio_mpsc::Sender<Taken>,
}

/// Processes that may wait.
const MAX_WAITING: usize = 20_000;

impl Footprints {
    pub(super) fn new() -> (Self, tokio_mpsc::Receiver<Taken>) {
        let (taken, received) = tokio_mpsc::channel(64);
        (Self { wanted: None, taken }, received)
    }

    pub(super) fn take(&mut self, pid: u32, start_ticks: u64) {
        if self.wanted.is_none() {
            self.wanted = start(self.taken.clone()).ok();
        }
        if let Some(wanted) = &self.wanted {
            let _ = wanted.try_send((pid, start_ticks));
        }
    }
}

fn start(taken: tokio_mpsc::Sender<Taken>) -> io::Result<mpsc::SyncSender<(u32, u64)>> {
    let (wanted, asked) = mpsc::sync_channel(MAX_WAITING);
    Builder::new().name("footprints".to_owned()).spawn(move || answer(&asked, &taken))?;
    Ok(wanted)
}

fn answer(asked: &Receiver<(u32, u64)>, taken: &tokio_mpsc::Sender<Taken>) {
    for (pid, start_ticks) in asked {
        let footprint = Footprint::of_process(Path::new("/proc"), pid, start_ticks);
        if taken.blocking_send(Taken { pid, start_ticks, footprint }).is_err() {
            return;
        }
    }
}
