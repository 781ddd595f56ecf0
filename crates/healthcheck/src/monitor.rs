//! `healthcheck monitor`: one loop owns everything that is known. Facts come in one by one, and each is judged, kept and
//! told before the next.

mod answers;
pub(crate) mod control;
pub(crate) mod dead_man;
mod desk;
pub(crate) mod drill;
mod footprints;
mod gathering;
mod historian;
mod learn;
mod ledger;
mod membership;
mod operator;
mod outside;
mod own;
mod posts;
pub(crate) mod published;
mod remembering;
mod resources;
mod runs;
mod settings;
mod telling;
mod voice;

pub(crate) use historian::Keeper;
pub(crate) use settings::Settings;

use crate::commands::store::record;
use crate::commands::telling::channels;
use crate::commands::units::FoundUnits;
use crate::fleet::News as FleetNews;
use crate::history::Presence;
use crate::sources::alarm::Alarm;
use crate::sources::kernel::Kernel;
use crate::state::Store;
use anyhow::Context;
use control::Asked;
use dead_man::DeadMan;
use desk::Desk;
use drill::Drill;
use footprints::{Footprints, Taken};
use gathering::Gathering;
use health_reporter::clock;
use health_reporter::directory::Environment;
use healthcheck_core::alerts::Alerts;
use healthcheck_core::{Kind, Now, Resources, State, Subject, Transition};
use historian::Historian;
use jiff::Timestamp;
use ledger::Ledger;
use membership::Membership;
use outside::{News, Outside};
use own::Own;
use posts::{Delivered, Posts};
use published::{Places, Publication};
use resources::{Measuring, Numbers};
use runs::Runs;
use serde_json::json;
use std::io::Stdout;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tracing::{info, warn};
use voice::Voice;

/// Transitions that are kept together, where many come at once.
const PORTION: usize = 256;
/// What happens within this time of a commit is kept with the next one.
const TOGETHER: Duration = Duration::from_millis(2);
/// How long reports are read before something else has its turn.
const TURN: Duration = Duration::from_millis(10);

/// Reads the configuration again.
pub(crate) type Load<'a> = &'a dyn Fn() -> anyhow::Result<Settings>;

/// Watches until a signal ends it; returns the exit code.
pub(crate) fn run(load: Load<'_>, env: &Environment) -> anyhow::Result<u8> {
    let settings = load()?;
    crate::sources::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot begin to wait for events: is there a descriptor left?")?;
    let (store, state, alerts) = Store::open(&settings.config.state_dir)?;
    let ended = LocalSet::new().block_on(&runtime, async {
        let mut monitor = Monitor::begin(settings, env, store, (state, alerts))?;
        monitor.await_teller();
        monitor.own.come_out();
        monitor.open_control(env);
        monitor.begin_history();
        monitor.note_own_machine(Presence::Online);
        monitor.first_look();
        monitor.begin_membership();
        monitor.begin_dead_man();
        let why = monitor.go_on(load).await;
        monitor.stop(why);
        Ok(0)
    });
    // A dead mount may hold a look's thread for long.
    runtime.shutdown_background();
    ended
}

/// Everything that is known, and everything that it is learned by.
struct Monitor {
    settings: Settings,
    state: State,
    alerts: Alerts,
    /// Somebody may have to be told something by now.
    is_plan_due: bool,
    posts: Posts,
    drill: Drill,
    dead_man: DeadMan,
    env: Environment,
    boot_id: Option<Arc<str>>,
    desk: Desk,
    runs: Runs,
    ledger: Ledger,
    voice: Voice<Stdout>,
    own: Own,
    gathering: Gathering,
    historian: Option<Historian>,
    membership: Membership,
    outside: Outside,
    units: FoundUnits,
    units_problem: Option<String>,
    resources: Option<Resources>,
    inputs: Inputs,
    /// Transitions that are neither kept nor told yet.
    news: Vec<Transition>,
    pulse_at: Duration,
    settled_boottime: Duration,
    last_error: Option<String>,
    started: Instant,
}

/// Where events come from.
struct Inputs {
    bell: Arc<Notify>,
    alarm: Alarm,
    outside: mpsc::Receiver<News>,
    taken: mpsc::Receiver<Taken>,
    delivered: mpsc::UnboundedReceiver<Delivered>,
    fleet: mpsc::UnboundedReceiver<FleetNews>,
    numbers: mpsc::Receiver<Numbers>,
    measuring: Option<Measuring>,
    asked: mpsc::Receiver<Asked>,
    asking: Option<mpsc::Sender<Asked>>,
    kernel: Option<Kernel>,
    published: Option<Publication>,
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// The configuration may have changed.
    reload: Notify,
}

/// Something to react to.
enum Event {
    Ended(Vec<u32>),
    Hinted,
    Rang,
    /// Reports are still to be read.
    Behind,
    Outside(News),
    Numbers(Numbers),
    Taken(Taken),
    Delivered(Delivered),
    Asked(Asked),
    Fleet(FleetNews),
    Reload,
    Stop(&'static str),
}

impl Inputs {
    fn open(
        outside: mpsc::Receiver<News>,
        taken: mpsc::Receiver<Taken>,
        delivered: mpsc::UnboundedReceiver<Delivered>,
    ) -> anyhow::Result<Self> {
        let (asking, asked) = mpsc::channel(16);
        let (measured, numbers) = mpsc::channel(1);
        let measuring = Measuring::start(measured);
        let measuring =
            measuring.inspect_err(|error| warn!("the machine's numbers are not looked at: {error}"));
        let listen = |kind| signal(kind).context("cannot listen to signals: is there a descriptor left?");
        Ok(Self {
            bell: Arc::default(),
            alarm: Alarm::new().context("cannot set an alarm: is there a descriptor left?")?,
            outside,
            taken,
            delivered,
            // It is another one when there is a fleet.
            fleet: mpsc::unbounded_channel().1,
            numbers,
            measuring: measuring.ok(),
            asked,
            asking: Some(asking),
            kernel: Kernel::open(Path::new("/dev/kmsg"))
                .inspect_err(|error| info!("the journal is asked for the kernel's word: {error}"))
                .ok(),
            published: None,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            reload: Notify::new(),
        })
    }
}

/// What no other run of a monitor on this machine is called.
fn run_name() -> String {
    format!("{}-{}", Timestamp::now().as_nanosecond(), std::process::id())
}

impl Monitor {
    fn begin(
        settings: Settings,
        env: &Environment,
        store: Store,
        kept: (State, Alerts),
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        let (outside, received) = Outside::new(settings.bus.clone());
        let (footprints, taken) = Footprints::new();
        let (mut posts, delivered) = Posts::new();
        posts.open(channels(&settings.config, env));
        let membership = Membership::new(kept.0.last_look());
        let inputs = Inputs::open(received, taken, delivered)?;
        let own = Own::reporting(&settings.dirs[0], own::watchdog());
        let desk = Desk::watching(&settings.dirs, settings.file(), Arc::clone(&inputs.bell));
        let runs =
            Runs::new(clock::pid_namespace(), footprints).context("cannot wait for the end of processes")?;
        Ok(Self {
            boot_id: clock::boot_id().map(Into::into),
            voice: Voice::to(std::io::stdout()),
            ledger: Ledger::of(store),
            gathering: Gathering::of(run_name(), record(&settings.config.history)),
            historian: None,
            membership,
            units: FoundUnits::default(),
            units_problem: None,
            resources: None,
            news: Vec::new(),
            pulse_at: clock::boottime() + own.pulse(),
            settled_boottime: Duration::ZERO,
            last_error: None,
            settings,
            state: kept.0,
            alerts: kept.1,
            is_plan_due: true,
            posts,
            drill: Drill::default(),
            dead_man: DeadMan::default(),
            env: env.clone(),
            desk,
            runs,
            own,
            outside,
            inputs,
            started,
        })
    }

    fn open_control(&mut self, env: &Environment) {
        let Some(asking) = self.inputs.asking.take() else { return };
        let places = Places::of(&self.settings.config.state_dir, env);
        match places.listen() {
            Ok(listener) => {
                let published = places.publish(&self.settings.dirs, listener.path());
                spawn_local(control::serve(listener, asking));
                self.inputs.published = Some(published);
            }
            Err(error) => warn!("other commands look for themselves: {error}"),
        }
    }

    /// Everything is looked at once; then it is said that the monitor is ready.
    fn first_look(&mut self) {
        let (state, gap) = std::mem::take(&mut self.state).resume(&self.now());
        self.state = state;
        self.note_start(gap.as_ref());
        self.look_at_everything();
        self.look_for_the_known();
        self.plan();
        self.agree();
        let now = self.now();
        self.alerts.started(&now);
        self.settle();
        self.ledger.save(&self.state, &mut self.alerts, clock::boottime());
        self.own.ready();
        self.hand_over_all();
        self.tell_own_health();
        let more = json!({
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "health_dirs": self.settings.dirs,
            "state_dir": self.settings.config.state_dir,
            "services": self.state.subjects(Kind::Service).count(),
            "ready_ms": u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "not_observed": gap,
        });
        self.voice.say("started", Timestamp::now(), more);
    }

    async fn go_on(&mut self, load: Load<'_>) -> &'static str {
        loop {
            self.own.beat();
            self.judge_due();
            self.settle();
            let next = self.next_boottime();
            if let Err(error) = self.inputs.alarm.set(next) {
                self.last_error = Some(format!("the alarm cannot be set: {error}"));
            }
            match self.next().await {
                Event::Stop(why) => return why,
                Event::Reload => self.reload(load),
                // Whatever rings without a pause lets everything else be heard.
                Event::Rang => tokio::task::yield_now().await,
                event => self.take(event),
            }
        }
    }

    async fn next(&mut self) -> Event {
        let is_behind = self.desk.is_behind();
        let inputs = &mut self.inputs;
        tokio::select! {
            biased;
            _ = inputs.terminate.recv() => Event::Stop("terminated"),
            _ = inputs.interrupt.recv() => Event::Stop("interrupted"),
            pids = self.runs.deaths.next() => Event::Ended(pids),
            () = inputs.bell.notified() => Event::Hinted,
            Some(news) = inputs.outside.recv() => Event::Outside(news),
            Some(numbers) = inputs.numbers.recv() => Event::Numbers(numbers),
            Some(taken) = inputs.taken.recv() => Event::Taken(taken),
            Some(delivered) = inputs.delivered.recv() => Event::Delivered(delivered),
            Some(news) = inputs.fleet.recv() => Event::Fleet(news),
            Some(asked) = inputs.asked.recv() => Event::Asked(asked),
            _ = inputs.hangup.recv() => Event::Reload,
            () = inputs.reload.notified() => Event::Reload,
            // What is due is done in each round, whatever the round is for.
            () = inputs.alarm.rings() => Event::Rang,
            // Everything else comes first; and whoever waits for the kernel is let in.
            () = tokio::task::yield_now(), if is_behind => Event::Behind,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Ended(pids) => self.bury(&pids),
            Event::Hinted => self.take_hints(),
            Event::Outside(news) => self.learn(news),
            Event::Numbers(numbers) => self.measure(numbers),
            Event::Taken(taken) => self.runs.learn(taken),
            Event::Delivered(delivered) => self.note_delivered(&delivered),
            Event::Asked(asked) => self.answer(asked),
            Event::Fleet(news) => self.take_news_of_fleet(news),
            Event::Rang | Event::Behind | Event::Reload | Event::Stop(_) => {}
        }
    }

    /// When the loop has something to do, whatever happens until then.
    fn next_boottime(&mut self) -> Option<Duration> {
        let each = [
            self.state.next_deadline(),
            self.alerts.next_deadline(),
            self.desk.next_boottime(),
            self.ledger.next_boottime(),
            self.voice.again(clock::boottime()),
            self.gathering.next_boottime(clock::boottime()),
            self.membership.next_boottime(),
            Some(self.pulse_at),
        ];
        each.into_iter().flatten().min()
    }

    fn now(&self) -> Now {
        Now {
            wall: Timestamp::now(),
            boottime: clock::boottime(),
            suspended: clock::suspended(),
            boot_id: self.boot_id.clone(),
        }
    }

    /// Everything whose time has come.
    fn judge_due(&mut self) {
        self.voice.go_on();
        let now = self.now();
        let (state, gap) = std::mem::take(&mut self.state).pass(&now);
        self.state = state;
        self.gathering.note_clock(&now);
        if let Some(gap) = gap {
            self.voice.gap(now.wall, &gap);
            self.ledger.note_gap(gap, now.boottime);
        }
        self.desk.note_due(now.boottime);
        self.look_at_some();
        let due: Vec<Subject> = self.state.due(now.boottime).cloned().collect();
        due.iter().for_each(|subject| self.judge_at_its_deadline(subject));
        if now.boottime >= self.pulse_at {
            self.pulse_at = now.boottime + self.own.pulse();
            if let Some(kernel) = &mut self.inputs.kernel {
                kernel.catch_up();
            }
            self.look_at_everything();
            self.measure_processes();
            self.hand_over_all();
            self.tell_own_health();
        }
        self.hand_over_due(now.boottime);
        self.publish_due(now.boottime);
        if self.alerts.next_deadline().is_some_and(|at| at <= now.boottime) {
            self.is_plan_due = true;
            self.look_at_channels();
        }
        if self.ledger.next_boottime().is_some_and(|at| at <= now.boottime) {
            self.ledger.save(&self.state, &mut self.alerts, now.boottime);
        }
    }

    /// Keeps and tells what changed before the next fact is looked at; where very much changes at once, together with
    /// what else changes within a few milliseconds.
    fn settle_soon(&mut self) {
        let boottime = clock::boottime();
        if self.settled_boottime + TOGETHER <= boottime || self.news.len() >= PORTION {
            self.settle();
            self.settled_boottime = clock::boottime();
        }
    }

    /// Keeps what changed, and then tells it.
    fn settle(&mut self) {
        if self.news.is_empty() && !self.is_plan_due {
            return;
        }
        let news = std::mem::take(&mut self.news);
        self.tell_people(news);
    }

    fn reload(&mut self, load: Load<'_>) {
        match load() {
            Ok(settings) if settings.is_as(&self.settings) => {
                self.own.tell("configuration", None, "in force");
            }
            Ok(settings) => self.go_on_with(settings),
            Err(error) => {
                let problem =
                    format!("the new configuration is wrong, the old one stays in force: {error:#}");
                warn!("{problem}");
                self.own.tell("configuration", Some(&problem), "");
            }
        }
    }

    fn stop(mut self, why: &str) {
        self.settle();
        self.end_membership(why);
        // Until now somebody looked.
        let (state, _) = std::mem::take(&mut self.state).pass(&self.now());
        self.state = state;
        self.alerts.stop(Timestamp::now());
        self.ledger.save(&self.state, &mut self.alerts, clock::boottime());
        drop(self.inputs.published.take());
        self.end_history();
        self.dead_man.stop();
        self.own.stop(why);
        self.voice.say("stopped", Timestamp::now(), json!({ "reason": why }));
    }
}
