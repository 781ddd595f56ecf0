//! A machine and its services as they truly are.

use crate::clock::Clock;
use crate::files::{self, Content, File, UID, Word};
use crate::script::{Act, Answer, End, Garble, Level, Plan, ServicePlan};
use health_reporter::{State as Life, Status};
use healthcheck_core::{FileSystem, ProcessCost, ProcessFacts, ProcessState, ServiceFacts};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) type Processes = BTreeMap<u64, ProcessFacts>;
const FIRST_PID: u64 = 300;
/// A reporter that could not write tries again so soon, and one whose loop stands still wakes so much after its limit.
const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(1);

/// How it truly is.
pub(crate) struct Truth {
    pub(crate) clock: Clock,
    pub(crate) services: Vec<Service>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) levels: Vec<Level>,
    pub(crate) disk: FileSystem,
    pub(crate) processes: Processes,
    next_pid: u64,
    contents: u64,
    is_volatile: bool,
}

pub(crate) struct Service {
    pub(crate) plan: ServicePlan,
    pub(crate) file: File,
    /// Counts what can be seen of it.
    pub(crate) version: u64,
    pub(crate) next_beat: Option<Duration>,
    run: Option<Run>,
    /// Who keeps the pid of its last run.
    remains: Option<u64>,
    status: Status,
    garble: Option<Garble>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    pid: u64,
    ticks: u64,
    writes: bool,
    silent_since: Option<Duration>,
}

/// What the kernel tells of it at once to whoever listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sign {
    pub(crate) of_file: bool,
    pub(crate) of_death: bool,
}

impl Truth {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            clock: Clock::new(plan.uptime, plan.has_boot_id),
            services: plan.services.iter().cloned().map(Service::new).collect(),
            answers: vec![Answer::Good; plan.looks.len()],
            levels: vec![Level::Low; plan.gauges.len()],
            disk: FileSystem::Free,
            processes: Processes::new(),
            next_pid: FIRST_PID,
            contents: 0,
            is_volatile: plan.is_volatile,
        }
    }

    /// The machine comes up; nothing runs yet.
    pub(crate) fn boot(&mut self) {
        self.clock.boot();
        self.processes.clear();
        self.next_pid = FIRST_PID;
        for service in &mut self.services {
            (service.run, service.next_beat, service.remains) = (None, None, None);
            service.version += 1;
            if self.is_volatile {
                service.file = File::Missing;
            }
        }
    }

    /// The machine sleeps: no timer goes on meanwhile, and a reporter forgives its loops that silence.
    pub(crate) fn suspend(&mut self, lasts: Duration) {
        self.clock.suspend(lasts);
        for service in &mut self.services {
            let silent_since = service.run.as_mut().and_then(|run| run.silent_since.as_mut());
            let timers = service.next_beat.as_mut().into_iter().chain(silent_since);
            timers.for_each(|at| *at += lasts);
        }
    }

    pub(crate) fn set_disk(&mut self, disk: FileSystem) {
        self.disk = disk;
        let soon = self.clock.t + SECOND;
        for service in &mut self.services {
            service.version += 1;
            if disk == FileSystem::Free && service.writes() {
                service.next_beat = Some(soon);
            }
        }
    }

    /// What a look at the report of a service shows.
    pub(crate) fn facts(&self, at: usize) -> ServiceFacts {
        let service = &self.services[at];
        files::look(&service.file, &service.plan, &self.processes, self.disk, &self.clock)
    }

    /// Whether the writer of this content lives.
    pub(crate) fn lives(&self, at: usize, content: &Content) -> Option<bool> {
        content.lives(&self.services[at].plan, &self.processes)
    }

    /// The next heartbeat of any service.
    pub(crate) fn next_beat(&self) -> Option<Duration> {
        self.services.iter().filter_map(|service| service.next_beat).min()
    }

    pub(crate) fn beat(&mut self, at: usize) -> Sign {
        self.write(at, Life::Running)
    }

    /// Does it, if it can be done.
    pub(crate) fn act(&mut self, at: usize, act: Act) -> Sign {
        let service = &mut self.services[at];
        match act {
            Act::Start => self.start(at),
            Act::Crash(end) => self.end(at, end),
            Act::Reap => self.reap(at),
            Act::Freeze | Act::Stall => self.pause(at, act),
            Act::Thaw => self.thaw(at),
            Act::Silence => service.fall_silent(self.clock.t),
            Act::Revive => service.revive(self.clock.t),
            Act::Goodbye => self.leave(at, Life::Stopped, Status::Healthy),
            Act::Finish(status) => self.leave(at, Life::Finished, status),
            Act::Say(status) => self.say(at, status),
            Act::Garble(garble) => self.garble(at, Some(garble)),
            Act::Mend => self.garble(at, None),
            Act::Remove => self.remove(at),
        }
    }

    fn start(&mut self, at: usize) -> Sign {
        let former = self.end(at, End::Gone);
        let (pid, t) = (self.next_pid, self.clock.t);
        self.next_pid += 1;
        let ticks = ticks(self.clock.boottime());
        self.processes.insert(pid, process(ticks, UID));
        let service = &mut self.services[at];
        service.run = Some(Run { pid, ticks, writes: true, silent_since: None });
        (service.status, service.next_beat) = (Status::Healthy, Some(t));
        self.write(at, Life::Running).and(former)
    }

    /// Its process ends, and leaves its report as it is.
    fn end(&mut self, at: usize, end: End) -> Sign {
        let service = &mut self.services[at];
        let Some(run) = service.run.take() else { return Sign::default() };
        service.next_beat = None;
        service.version += 1;
        service.remains = Some(run.pid);
        let others_ticks = ticks(self.clock.boottime()) + 1;
        match end {
            End::Gone => drop(self.processes.remove(&run.pid)),
            End::Reused => drop(self.processes.insert(run.pid, process(others_ticks, 0))),
            End::Zombie => {
                self.processes.entry(run.pid).and_modify(|process| {
                    (process.state, process.exit) = (ProcessState::Zombie, Some(9));
                });
            }
        }
        Sign { of_death: true, ..Sign::default() }
    }

    fn reap(&mut self, at: usize) -> Sign {
        if let Some(pid) = self.services[at].remains.take() {
            self.processes.remove(&pid);
        }
        Sign::default()
    }

    fn pause(&mut self, at: usize, act: Act) -> Sign {
        let service = &mut self.services[at];
        if let Some(run) = service.run.as_mut() {
            (run.writes, service.next_beat) = (false, None);
            if act == Act::Freeze {
                self.set_state(at, ProcessState::Stopped);
            }
        }
        Sign::default()
    }

    fn thaw(&mut self, at: usize) -> Sign {
        let (service, t) = (&mut self.services[at], self.clock.t);
        if let Some(run) = service.run.as_mut().filter(|run| !run.writes) {
            (run.writes, service.next_beat) = (true, Some(t));
            self.set_state(at, ProcessState::Sleeping);
        }
        Sign::default()
    }

    fn set_state(&mut self, at: usize, state: ProcessState) {
        let Some(run) = self.services[at].run else { return };
        self.processes.entry(run.pid).and_modify(|process| process.state = state);
    }

    /// It says so, and ends.
    fn leave(&mut self, at: usize, life: Life, status: Status) -> Sign {
        if !self.services[at].writes() {
            return Sign::default();
        }
        self.services[at].status = status;
        self.write(at, life).and(self.end(at, End::Gone))
    }

    fn say(&mut self, at: usize, status: Status) -> Sign {
        if !self.services[at].writes() {
            return Sign::default();
        }
        self.services[at].status = status;
        self.write(at, Life::Running)
    }

    fn garble(&mut self, at: usize, garble: Option<Garble>) -> Sign {
        self.services[at].garble = garble;
        if self.services[at].writes() { self.write(at, Life::Running) } else { Sign::default() }
    }

    fn remove(&mut self, at: usize) -> Sign {
        let service = &mut self.services[at];
        service.file = File::Missing;
        service.version += 1;
        Sign { of_file: true, ..Sign::default() }
    }

    /// Writes its report, where the disk takes it.
    fn write(&mut self, at: usize, life: Life) -> Sign {
        let (service, t) = (&mut self.services[at], self.clock.t);
        let Some(run) = service.run.filter(|run| run.writes) else { return Sign::default() };
        service.next_beat = Some(t + service.plan.interval);
        if self.disk != FileSystem::Free {
            return Sign::default();
        }
        self.contents += 1;
        service.version += 1;
        let limit = service.plan.loop_limit.filter(|_| life == Life::Running);
        let silence = limit.map(|_| run.silent_since.map_or(Duration::ZERO, |since| t - since));
        let word = Word { pid: run.pid, ticks: run.ticks, life, status: service.status, silence };
        service.file = match service.garble {
            Some(garble) => File::Unusable(garble),
            None => File::Good(Content::of(&word, self.contents, &service.plan, &self.clock)),
        };
        service.beat_at_limit(t);
        Sign { of_file: true, ..Sign::default() }
    }
}

impl Service {
    const fn new(plan: ServicePlan) -> Self {
        Self {
            plan,
            file: File::Missing,
            version: 1,
            next_beat: None,
            run: None,
            remains: None,
            status: Status::Healthy,
            garble: None,
        }
    }

    fn writes(&self) -> bool {
        self.run.is_some_and(|run| run.writes)
    }

    fn fall_silent(&mut self, t: Duration) -> Sign {
        if let Some(run) = self.run.as_mut().filter(|run| run.silent_since.is_none()) {
            run.silent_since = Some(t);
        }
        self.beat_at_limit(t);
        Sign::default()
    }

    /// The reporter writes as soon as a loop is past its limit.
    fn beat_at_limit(&mut self, t: Duration) {
        let Some(run) = self.run.filter(|run| run.writes) else { return };
        let Some((since, limit)) = run.silent_since.zip(self.plan.loop_limit) else { return };
        let at = since + limit + SOON;
        if at > t {
            self.next_beat = self.next_beat.map(|next| next.min(at));
        }
    }

    fn revive(&mut self, t: Duration) -> Sign {
        let Some(run) = self.run.as_mut() else { return Sign::default() };
        if run.silent_since.take().is_some() && run.writes {
            self.next_beat = Some(t);
        }
        Sign::default()
    }
}

impl Sign {
    const fn and(self, other: Self) -> Self {
        Self { of_file: self.of_file || other.of_file, of_death: self.of_death || other.of_death }
    }
}

fn ticks(boottime: Duration) -> u64 {
    u64::try_from(boottime.as_millis() / 10).unwrap()
}

const fn process(start_ticks: u64, owner_uid: u32) -> ProcessFacts {
    let cost = ProcessCost { cpu_s: 1.5, memory_bytes: 4096, descriptors: None, threads: 1 };
    ProcessFacts { start_ticks, state: ProcessState::Sleeping, exit: None, owner_uid, cost }
}
