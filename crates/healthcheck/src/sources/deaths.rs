//! The ends of processes, known at once: a handle on each, whoever its parent is.

use super::processes::Processes;
use healthcheck_core::ProcessSight;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Ends that are taken at one time.
const PORTION: usize = 64;

/// The processes whose end is waited for. All of them cost one wake-up each, when they end.
#[derive(Debug)]
pub(crate) struct Deaths {
    ends: AsyncFd<OwnedFd>,
    handles: HashMap<u32, Handle>,
}

#[derive(Debug)]
struct Handle {
    process: OwnedFd,
    start_ticks: u64,
}

impl Deaths {
    #[expect(deprecated, reason = "its successor is unsafe, for the sake of others than OwnedFd")]
    pub(crate) fn new() -> io::Result<Self> {
        let ends = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { ends: AsyncFd::with_interest(ends, Interest::READABLE)?, handles: HashMap::new() })
    }

    /// Looks at a process, and waits for its end from now on if it lives.
    ///
    /// # Errors
    ///
    /// Its end cannot be waited for: there is no descriptor left.
    pub(crate) fn watch(&mut self, pid: u32, processes: &Processes) -> io::Result<ProcessSight> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(ProcessSight::Gone);
        };
        let opened = pidfd_open(raw, PidfdFlags::empty());
        // Whoever is seen while the handle is held is the one that it holds.
        let sight = processes.look(u64::from(pid));
        let ProcessSight::Seen(seen) = &sight else {
            self.forget(pid);
            return Ok(sight);
        };
        if seen.state.has_ended() || matches!(opened, Err(rustix::io::Errno::SRCH)) {
            self.forget(pid);
            return Ok(sight);
        }
        if self.handles.get(&pid).is_none_or(|handle| handle.start_ticks != seen.start_ticks) {
            self.forget(pid);
            let process = opened?;
            let data = epoll::EventData::new_u64(u64::from(pid));
            epoll::add(&self.ends, &process, data, epoll::EventFlags::IN)?;
            self.handles.insert(pid, Handle { process, start_ticks: seen.start_ticks });
        }
        Ok(sight)
    }

    /// Whether the end of this very process is waited for, and has not come.
    pub(crate) fn is_watched(&self, pid: u32, start_ticks: u64) -> bool {
        self.handles.get(&pid).is_some_and(|handle| handle.start_ticks == start_ticks)
    }

    pub(crate) fn forget(&mut self, pid: u32) {
        if let Some(handle) = self.handles.remove(&pid) {
            // It goes with its handle; nothing else can be wrong with it.
            let _ = epoll::delete(&self.ends, &handle.process);
        }
    }

    /// Waits for the next ends, and tells whose they are. They are not waited for any more then.
    pub(crate) async fn next(&mut self) -> Vec<u32> {
        let ended = self.ended().await;
        ended.iter().for_each(|pid| self.forget(*pid));
        ended
    }

    async fn ended(&self) -> Vec<u32> {
        loop {
            let Ok(mut ready) = self.ends.readable().await else { return Vec::new() };
            let mut events = Vec::with_capacity(PORTION);
            let at_once = Timespec::default();
            let _ = epoll::wait(&self.ends, spare_capacity(&mut events), Some(&at_once));
            if events.is_empty() {
                ready.clear_ready();
                continue;
            }
            return events.iter().filter_map(|event| u32::try_from(event.data.u64()).ok()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap()
    }

    #[test]
    fn each_end_is_told_once_and_a_zombie_is_an_end() {
        runtime().block_on(async {
            let (mut deaths, processes) = (Deaths::new().unwrap(), Processes::at("/proc"));
            let mut children: Vec<_> =
                (0..200).map(|_| Command::new("sleep").arg("600").spawn().unwrap()).collect();
            for child in &children {
                assert!(matches!(deaths.watch(child.id(), &processes), Ok(ProcessSight::Seen(_))));
            }
            children.iter_mut().for_each(|child| child.kill().unwrap());
            let mut ended = Vec::new();
            while ended.len() < children.len() {
                ended.extend(deaths.next().await);
            }
            ended.sort_unstable();
            let mut pids: Vec<u32> = children.iter().map(std::process::Child::id).collect();
            pids.sort_unstable();
            assert_eq!(ended, pids);
            let dead = deaths.watch(pids[0], &processes).unwrap();
            assert!(matches!(dead, ProcessSight::Seen(seen) if seen.state.has_ended()), "not yet reaped");
            children.iter_mut().for_each(|child| drop(child.wait()));
        });
    }

    #[test]
    fn nobody_is_waited_for_who_is_not_there() {
        runtime().block_on(async {
            let (mut deaths, processes) = (Deaths::new().unwrap(), Processes::at("/proc"));
            assert_eq!(deaths.watch(4_194_303, &processes).unwrap(), ProcessSight::Gone);
            assert!(!deaths.is_watched(4_194_303, 0));
        });
    }
}
