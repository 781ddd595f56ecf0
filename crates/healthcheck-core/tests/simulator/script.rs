//! What happens in a world, drawn from a seed: a plan of who lives there, and events that can be left out one by one.

use crate::random::Random;
use health_reporter::Status;
use healthcheck_core::{FileSystem, Limits, Policy, ProbeKind, Quantity, ServicePolicy, Subject};
use std::time::Duration;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
const TEN_MINUTES: Duration = Duration::from_secs(600);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A world before it runs.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    pub(crate) plan: Plan,
    /// In order of time; each of them makes sense without the others.
    pub(crate) events: Vec<(Duration, Event)>,
}

/// Who lives in a world.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How long the machine has been up when the world begins.
    pub(crate) uptime: Duration,
    /// Whether the kernel tells the id of the boot.
    pub(crate) has_boot_id: bool,
    /// Whether the health directory is empty after a boot.
    pub(crate) is_volatile: bool,
    pub(crate) services: Vec<ServicePlan>,
    pub(crate) looks: Vec<LookPlan>,
    pub(crate) gauges: Vec<GaugePlan>,
    /// How often a file that did not change is read again all the same.
    pub(crate) full_rescan: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct ServicePlan {
    pub(crate) name: &'static str,
    pub(crate) writer: Writer,
    pub(crate) interval: Duration,
    pub(crate) declared_s: Option<u32>,
    pub(crate) configured: Option<Duration>,
    /// Whether the configuration names it, so that it is looked for.
    pub(crate) is_listed: bool,
    /// Whether an entry of the configuration covers it.
    pub(crate) is_expected: bool,
    /// The limit of its watched loop, where it has one.
    pub(crate) loop_limit: Option<Duration>,
}

/// What a writer tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Everything.
    Full,
    /// A pid, and not when its process started.
    NoTicks,
    /// A pid of another namespace.
    Foreign,
    /// A boot time, and no process.
    NoPid,
    /// Nothing but a file, as a shell script does.
    Bare,
    /// Times that lie hours ahead.
    Ahead,
    /// Whatever comes to its mind: nothing can be expected, except that the judge stays in order.
    Wild,
}

#[derive(Debug, Clone)]
pub(crate) struct LookPlan {
    pub(crate) name: &'static str,
    pub(crate) kind: ProbeKind,
    pub(crate) interval: Duration,
    pub(crate) retries: u8,
}

#[derive(Debug, Clone)]
pub(crate) struct GaugePlan {
    pub(crate) quantity: Quantity,
    pub(crate) hold: Duration,
}

/// Something that happens. What cannot happen just now does nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    Service(usize, Act),
    /// The wall clock is set by so many seconds.
    ClockStep(i64),
    /// The machine goes down, comes up after a while, and starts the monitor.
    Boot {
        down: Duration,
        monitor_after: Duration,
    },
    /// The machine sleeps for so long.
    Suspend(Duration),
    /// The monitor is killed after so many more effects, and started again after a while.
    Kill {
        fuse: u8,
        down: Duration,
    },
    /// The monitor hears nothing of files, or of deaths; or hears again.
    Deaf {
        files: bool,
        deaths: bool,
    },
    Disk(FileSystem),
    Look(usize, Answer),
    Gauge(usize, Level),
}

impl Event {
    pub(crate) fn is_of_service(&self, which: usize) -> bool {
        matches!(self, Self::Service(at, _) if *at == which)
    }
}

/// What a service does, or what is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Start,
    Crash(End),
    /// Nobody keeps the zombie, or whoever took its pid.
    Reap,
    /// Stopped by a signal.
    Freeze,
    /// It lives, and does not write any more.
    Stall,
    Thaw,
    /// Its watched loop stands still.
    Silence,
    Revive,
    Goodbye,
    /// Its job is done.
    Finish(Status),
    Say(Status),
    /// From now on it writes what nobody can use.
    Garble(Garble),
    Mend,
    Remove,
}

/// What is left of a process that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Gone,
    Zombie,
    /// Its pid is another's at once.
    Reused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Garble {
    Torn,
    Newer,
    Forbidden,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Good,
    Bad,
    /// It could not be asked.
    Blind,
}

/// Below what clears a limit, between that and the limit, beyond the one, beyond both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Low,
    Middle,
    High,
    Top,
}

impl Level {
    pub(crate) const fn value(self) -> f64 {
        match self {
            Self::Low => 0.5,
            Self::Middle => 0.87,
            Self::High => 0.92,
            Self::Top => 0.99,
        }
    }
}

impl ServicePlan {
    pub(crate) fn deadline(&self) -> Duration {
        let declared = self.declared_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
        declared.or(self.configured.filter(|_| self.is_expected)).unwrap_or(2 * MINUTE)
    }
}

impl Writer {
    /// Whether the age of its report can be had from its file only.
    pub(crate) const fn has_file_times_only(self) -> bool {
        matches!(self, Self::Bare | Self::Ahead | Self::Wild)
    }

    pub(crate) const fn has_pid(self) -> bool {
        matches!(self, Self::Full | Self::NoTicks | Self::Ahead)
    }
}

impl Plan {
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        for service in self.services.iter().filter(|service| service.is_listed) {
            let settings = ServicePolicy { deadline: service.configured, ..ServicePolicy::default() };
            policy.services.insert(service.name.into(), settings);
        }
        for look in self.looks.iter().filter(|look| look.retries > 0) {
            policy.retries.insert(look.subject(), look.retries);
        }
        for gauge in &self.gauges {
            policy.limits.insert(gauge.quantity, gauge.limits());
        }
        policy
    }

    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let services = self.services.iter().map(|service| Subject::service(service.name));
        let looks = self.looks.iter().map(LookPlan::subject);
        services.chain(looks).chain(self.gauges.iter().map(GaugePlan::subject)).collect()
    }

    /// Whether no age in this world rests on the times of files.
    pub(crate) fn is_exact(&self) -> bool {
        self.has_boot_id && self.services.iter().all(|service| !service.writer.has_file_times_only())
    }
}

impl LookPlan {
    pub(crate) fn subject(&self) -> Subject {
        Subject::new(healthcheck_core::Kind::Probe, self.name)
    }
}

impl GaugePlan {
    pub(crate) fn subject(&self) -> Subject {
        Subject::new(healthcheck_core::Kind::Resource, self.quantity.as_str())
    }

    pub(crate) fn interval(&self) -> Duration {
        if self.hold == Duration::ZERO { 5 * MINUTE } else { self.hold.div_f64(2.0).max(MINUTE) }
    }

    const fn limits(&self) -> Limits {
        let (warning, error, clear) = (Some(0.9), Some(0.95), Some(0.85));
        Limits { warning, error, clear, hold: self.hold, is_bad_below: false }
    }
}

impl Script {
    pub(crate) fn day(seed: u64) -> Self {
        Self::drawn(
            seed,
            &Shape {
                length: DAY,
                busy: 1,
                services: 6,
                intervals_s: &[30, 60, 120, 300, 600, 600],
                look_intervals: &[FIVE_MINUTES, HOUR],
                holds: &[Duration::ZERO, TEN_MINUTES],
                full_rescan: Duration::from_secs(1_800),
            },
        )
    }

    /// A year has fewer heartbeats a day, and twenty times as many events as a day.
    pub(crate) fn year(seed: u64) -> Self {
        Self::drawn(
            seed,
            &Shape {
                length: YEAR,
                busy: 20,
                services: 3,
                intervals_s: &[600, 1_800],
                look_intervals: &[HOUR],
                holds: &[HOUR],
                full_rescan: Duration::from_secs(6 * 3_600),
            },
        )
    }

    /// The same without some events.
    pub(crate) fn without(&self, is_left_out: impl Fn(&Event) -> bool) -> Self {
        let mut script = self.clone();
        script.events.retain(|(_, event)| !is_left_out(event));
        script
    }

    fn drawn(seed: u64, shape: &Shape) -> Self {
        let (random, length) = (&mut Random::new(seed), shape.length);
        let plan = plan(random, shape);
        let mut events = Vec::new();
        plan.services.iter().enumerate().for_each(|(at, service)| {
            live(random, shape, at, service, &mut events);
        });
        (0..plan.looks.len()).for_each(|at| answer(random, shape, at, &mut events));
        (0..plan.gauges.len()).for_each(|at| rise_and_fall(random, shape, at, &mut events));
        happen(random, shape, plan.services.len(), &mut events);
        events.retain(|(at, _)| *at < length);
        events.sort_by_key(|(at, _)| *at);
        Self { seed, length, plan, events }
    }
}

/// How large a world may be, and how much may happen in it.
struct Shape {
    length: Duration,
    /// How many times as much happens as in a day.
    busy: u64,
    services: u64,
    intervals_s: &'static [u64],
    look_intervals: &'static [Duration],
    holds: &'static [Duration],
    full_rescan: Duration,
}

const NAMES: [&str; 6] = ["camera", "camera@2", "camera@3", "backup", "agent", "store"];

/// An entry for `camera` covers `camera@2`, unless that one has its own.
fn cover_instances(services: &mut [ServicePlan]) {
    let Some(camera) = services.iter().find(|it| it.name == "camera" && it.is_listed).cloned() else {
        return;
    };
    let is_instance = |it: &&mut ServicePlan| it.name.starts_with("camera@") && !it.is_listed;
    for instance in services.iter_mut().filter(is_instance) {
        (instance.is_expected, instance.configured) = (true, camera.configured);
    }
}

fn plan(random: &mut Random, shape: &Shape) -> Plan {
    let count = usize::try_from(1 + random.below(shape.services)).unwrap();
    let first = usize::try_from(random.below(6)).unwrap();
    let names = NAMES.iter().cycle().skip(first).take(count);
    let mut services: Vec<_> = names.map(|name| service(random, name, shape.intervals_s)).collect();
    cover_instances(&mut services);
    let hold = random.pick(shape.holds);
    let gauges = [Quantity::Memory, Quantity::Cpu].map(|quantity| GaugePlan { quantity, hold });
    let looks = ["site", "mail"].map(|name| look(random, name, shape.look_intervals));
    Plan {
        uptime: random.pick(&[5, 40, 3_000, 4_000_000].map(Duration::from_secs)),
        has_boot_id: random.percent(85),
        is_volatile: random.percent(30),
        services,
        looks: looks.into_iter().take(usize::try_from(random.below(3)).unwrap()).collect(),
        gauges: gauges.into_iter().take(usize::try_from(random.below(3)).unwrap()).collect(),
        full_rescan: shape.full_rescan,
    }
}

fn look(random: &mut Random, name: &'static str, intervals: &[Duration]) -> LookPlan {
    let retries = random.pick(&[0, 1, 3]);
    let kind = random.pick(&[ProbeKind::Tcp, ProbeKind::Command, ProbeKind::Zmq, ProbeKind::Unit]);
    LookPlan { name, kind, interval: random.pick(intervals), retries }
}

fn service(random: &mut Random, name: &'static str, intervals: &[u64]) -> ServicePlan {
    use Writer::{Ahead, Bare, Foreign, Full, NoPid, NoTicks, Wild};
    let writer =
        random.pick(&[Full, Full, Full, Full, Full, NoTicks, Foreign, NoPid, Bare, Bare, Ahead, Wild]);
    let seconds = random.pick(intervals);
    let deadline_s = u32::try_from(seconds * random.pick(&[2, 3, 10])).unwrap();
    let is_expected = random.percent(60);
    // Who declares nothing has two minutes, unless somebody configured it.
    let (declared_s, configured) = match random.below(4) {
        0 if seconds < 60 => (None, None),
        1 if is_expected => (None, Some(Duration::from_secs(u64::from(deadline_s)))),
        _ => (Some(deadline_s), None),
    };
    let is_watched = writer == Full && random.percent(40);
    ServicePlan {
        name,
        writer,
        interval: Duration::from_secs(seconds),
        declared_s,
        configured,
        is_listed: is_expected,
        is_expected,
        loop_limit: is_watched.then(|| random.pick(&[5, 30, 200].map(Duration::from_secs))),
    }
}

type Events = Vec<(Duration, Event)>;

/// The life of one service: it starts, and now and then something happens, which most often ends some time later.
fn live(random: &mut Random, shape: &Shape, at: usize, plan: &ServicePlan, events: &mut Events) {
    let length = shape.length;
    let mut say = |when: Duration, act: Act| events.push((when, Event::Service(at, act)));
    if random.percent(90) {
        say(random.span(length), Act::Start);
    }
    // A third of all services is well all the time.
    let troubles = if random.percent(33) { 0 } else { random.below(12 * shape.busy) };
    for _ in 0..troubles {
        let begin = random.before(length);
        if random.percent(8) {
            loop_for_a_while(random, begin, &mut say);
            continue;
        }
        let end = begin + random.span(DAY);
        let (trouble, cure) = trouble(random, plan);
        say(begin, trouble);
        if let Some(cure) = cure.filter(|_| random.percent(90)) {
            say(end, cure);
        }
    }
}

/// It dies and is started again, a few times.
fn loop_for_a_while(random: &mut Random, begin: Duration, say: &mut impl FnMut(Duration, Act)) {
    let mut at = begin;
    let pause = random.pick(&[2, 60, 200].map(Duration::from_secs));
    for _ in 0..random.below(12) {
        say(at, Act::Crash(End::Gone));
        at += random.before(pause);
        say(at, Act::Start);
        at += random.before(pause);
    }
}

fn trouble(random: &mut Random, plan: &ServicePlan) -> (Act, Option<Act>) {
    let status = random.pick(&[Status::Healthy, Status::Warning, Status::Error, Status::Fatal]);
    let garble = random.pick(&[Garble::Torn, Garble::Torn, Garble::Newer, Garble::Forbidden]);
    match random.below(13) {
        0..3 => (Act::Crash(end(random, plan)), Some(Act::Start)),
        3 => (Act::Crash(End::Zombie), Some(Act::Reap)),
        4 => (Act::Freeze, Some(Act::Thaw)),
        5 => (Act::Stall, Some(Act::Thaw)),
        6 => (Act::Silence, Some(Act::Revive)),
        7 => (Act::Goodbye, Some(Act::Start)),
        8 => (Act::Finish(status), Some(Act::Start)),
        9 => (Act::Say(status), Some(Act::Say(Status::Healthy))),
        10 => (Act::Garble(garble), Some(Act::Mend)),
        11 => (Act::Remove, None),
        _ => (Act::Start, None),
    }
}

/// Of a process that does not say when it started, nobody can tell another one that has its pid at once.
fn end(random: &mut Random, plan: &ServicePlan) -> End {
    let ends = [End::Gone, End::Zombie, End::Reused];
    random.pick(if plan.writer == Writer::Full { &ends } else { &ends[..2] })
}

fn answer(random: &mut Random, shape: &Shape, at: usize, events: &mut Events) {
    for _ in 0..random.below(6 * shape.busy) {
        let begin = random.before(shape.length);
        let answer = random.pick(&[Answer::Bad, Answer::Blind]);
        events.push((begin, Event::Look(at, answer)));
        events.push((begin + random.span(DAY), Event::Look(at, Answer::Good)));
    }
}

fn rise_and_fall(random: &mut Random, shape: &Shape, at: usize, events: &mut Events) {
    for _ in 0..random.below(8 * shape.busy) {
        let begin = random.before(shape.length);
        let level = random.pick(&[Level::Middle, Level::High, Level::Top]);
        events.push((begin, Event::Gauge(at, level)));
        events.push((begin + random.span(DAY), Event::Gauge(at, Level::Low)));
    }
}

/// What happens to the machine and to the monitor.
fn happen(random: &mut Random, shape: &Shape, services: usize, events: &mut Events) {
    for _ in 0..random.below(8 * shape.busy) {
        events.push((random.before(shape.length), Event::ClockStep(clock_step(random))));
    }
    for _ in 0..random.below(10 * shape.busy) {
        let down = random.span(DAY);
        let fuse = u8::try_from(random.below(8)).unwrap();
        events.push((random.before(shape.length), Event::Kill { fuse, down }));
    }
    for _ in 0..random.below(4 * shape.busy) {
        let lasts = Duration::from_secs(2) + random.span(DAY);
        events.push((random.before(shape.length), Event::Suspend(lasts)));
    }
    for _ in 0..(random.below(3).saturating_sub(1) * shape.busy) {
        boot(random, shape.length, services, events);
    }
    for _ in 0..random.below(3 * shape.busy) {
        let (begin, (files, deaths)) =
            (random.before(shape.length), random.pick(&[(true, true), (true, false), (false, true)]));
        events.push((begin, Event::Deaf { files, deaths }));
        events.push((begin + random.span(DAY), Event::Deaf { files: false, deaths: false }));
    }
    for _ in 0..random.below(2 * shape.busy) {
        let begin = random.before(shape.length);
        events.push((begin, Event::Disk(random.pick(&[FileSystem::Full, FileSystem::ReadOnly]))));
        events.push((begin + random.span(DAY), Event::Disk(FileSystem::Free)));
    }
}

/// An hour as at the end of summer time, a second, anything up to years; forwards and back.
fn clock_step(random: &mut Random) -> i64 {
    let longest = random.pick(&[3, 120, 86_400, 3 * 365 * 86_400]);
    let seconds = if random.percent(40) { 3_600 } else { i64::try_from(random.below(longest)).unwrap() };
    if random.percent(50) { seconds } else { -seconds }
}

fn boot(random: &mut Random, length: Duration, services: usize, events: &mut Events) {
    let (begin, down) = (random.before(length), Duration::from_secs(5 + random.below(600)));
    let monitor_after = Duration::from_secs(2 + random.below(90));
    events.push((begin, Event::Boot { down, monitor_after }));
    for at in 0..services {
        if random.percent(85) {
            let start = begin + down + Duration::from_secs(1 + random.below(90));
            events.push((start, Event::Service(at, Act::Start)));
        }
    }
}
