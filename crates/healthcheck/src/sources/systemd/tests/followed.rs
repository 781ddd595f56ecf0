//! A real systemd is followed.

use super::super::follow::{Pace, USUAL, follow_at};
use super::support::Systemd;
use super::*;
use healthcheck_core::{Exit, Facts, Observation, ProbeFacts, Subject};
use rustix::process::{Pid, Signal, kill_process};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Fast enough to wait for whatever comes by itself.
const QUICK: Pace = Pace { round: Duration::from_millis(300), patience: Duration::from_millis(500), ..USUAL };
const STAYS: &str = "ExecStart=sleep 1000";

/// One who follows, and what was told so far.
struct Followed {
    wanted: Option<watch::Sender<Wanted>>,
    news: Receiver<(Instant, News)>,
    thread: Option<JoinHandle<()>>,
    /// The folder of its thread.
    proc: PathBuf,
    /// How many looks there were, and what the last one at each showed.
    looks: Cell<usize>,
    last: RefCell<BTreeMap<Box<str>, UnitActive>>,
}

impl Followed {
    fn at(pace: Option<Pace>, bus: &str, units: &[&str]) -> Self {
        let (wanted, receiver) = watch::channel(wanting(units));
        let (sender, news) = channel();
        let (id_sender, id) = channel();
        let bus = Bus::Address(bus.to_owned());
        let thread = std::thread::spawn(move || {
            id_sender.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let tell = move |news| drop(sender.send((Instant::now(), news)));
            LocalSet::new().block_on(&runtime, async {
                match pace {
                    None => follow(bus, receiver, tell).await,
                    Some(pace) => follow_at(pace, bus, receiver, tell).await,
                }
            });
        });
        let proc = Path::new("/proc").join(id.recv().unwrap());
        Self {
            wanted: Some(wanted),
            news,
            thread: Some(thread),
            proc,
            looks: Cell::new(0),
            last: RefCell::default(),
        }
    }

    fn of(bus: &str, units: &[&str]) -> Self {
        Self::at(None, bus, units)
    }

    fn want(&self, wanted: Wanted) {
        self.wanted.as_ref().unwrap().send(wanted).unwrap();
    }

    fn next(&self, patience: Duration) -> Option<(Instant, News)> {
        let news = match self.news.recv_timeout(patience) {
            Ok(news) => news,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => panic!("it has ended"),
        };
        if let News::Looked(Observation { subject, .. }) = &news.1 {
            self.looks.set(self.looks.get() + 1);
            let active = seen(&news.1, &subject.name).map(|facts| facts.active);
            self.last.borrow_mut().insert((*subject.name).into(), active.unwrap_or(UnitActive::Other));
        }
        Some(news)
    }

    /// Whatever was told until nothing is told for a while.
    #[track_caller]
    fn rest(&self) -> Vec<News> {
        let began = Instant::now();
        let mut told = Vec::new();
        while let Some((_, news)) = self.next(Duration::from_millis(700)) {
            told.push(news);
            assert!(began.elapsed() < patience::PATIENCE, "it never rests: {} news", told.len());
        }
        told
    }

    #[track_caller]
    fn until<T>(&self, what: &str, mut find: impl FnMut(&News) -> Option<T>) -> (Instant, T) {
        let deadline = Instant::now() + patience::PATIENCE;
        let mut told = Vec::new();
        while let Some((at, news)) = self.next(deadline.saturating_duration_since(Instant::now())) {
            if let Some(found) = find(&news) {
                return (at, found);
            }
            told.push(news);
        }
        panic!("waited in vain for {what}; told: {told:#?}");
    }

    #[track_caller]
    fn until_unit(&self, subject: &str, what: impl Fn(&UnitFacts) -> bool) -> (Instant, UnitFacts) {
        self.until(subject, |news| seen(news, subject).filter(|facts| what(facts)).cloned())
    }

    #[track_caller]
    fn until_error(&self, subject: &str) -> String {
        let of = |news: &News| match news {
            News::Looked(Observation { subject: of, outcome: Err(error), .. }) if *of.name == *subject => {
                Some(error.to_string())
            }
            _ => None,
        };
        self.until("an error", of).1
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.wanted = None;
        let ended = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || ended.is_ok());
    }
}

fn wanting(units: &[&str]) -> Wanted {
    let units = units.iter().map(|unit| (Subject::service(unit), (*unit).to_owned()));
    Wanted { units: units.collect(), troubled: false }
}

fn seen<'n>(news: &'n News, subject: &str) -> Option<&'n UnitFacts> {
    let News::Looked(Observation { subject: of, outcome: Ok(Facts::Probe(ProbeFacts::Unit(facts))), .. }) =
        news
    else {
        return None;
    };
    (*of.name == *subject).then_some(&**facts)
}

fn is_running(facts: &UnitFacts) -> bool {
    facts.active == UnitActive::Active && facts.sub == "running"
}

fn send(signal: Signal, pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

fn main_pid(systemd: &Systemd, unit: &str) -> u32 {
    systemd.property(unit, "MainPID").parse().unwrap()
}

fn dead_after_signal(signal: i64) -> impl Fn(&UnitFacts) -> bool {
    move |facts| facts.active == UnitActive::Failed && facts.exit == Some(Exit::Signal(signal))
}

#[test]
fn a_killed_service_is_told_at_once_with_its_signal() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", &format!("{STAYS}\n[Unit]\nStartLimitIntervalSec=0"));
    for bus in [systemd.private(), systemd.bus()] {
        let followed = Followed::of(&bus, &["camera"]);
        let (mut delays, mut known) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            systemd.systemctl(&["restart", "camera"]);
            let pid = main_pid(&systemd, "camera");
            let (_, facts) = followed.until_unit("camera", |facts| facts.main_pid == Some(pid));
            // What is told of its beginning is over.
            while followed.next(Duration::from_millis(150)).is_some() {}
            let killed = Instant::now();
            send(Signal::SEGV, facts.main_pid.unwrap());
            let (at, facts) = followed.until_unit("camera", dead_after_signal(11));
            assert_eq!(facts.result, "signal");
            delays.push(at - killed);
            known.push(facts.since.unwrap());
        }
        delays.sort_unstable();
        known.sort_unstable();
        let (p50, most) = (delays[20], delays[39]);
        println!(
            "{bus}: looked at {p50:?} after its end, at most {most:?}; systemd knew for {:?}",
            known[20]
        );
        assert!(p50 < Duration::from_millis(100), "{delays:?}");
    }
}

#[test]
fn a_restart_is_seen_while_it_is_waited_for() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", &format!("{STAYS}\nRestart=always\nRestartSec=1h"));
    let followed = Followed::of(&systemd.private(), &["camera.service"]);
    let (_, facts) = followed.until_unit("camera.service", is_running);
    let files = [format!("{}/camera.service", systemd.property("camera", "FragmentPath"))];
    assert!(files[0].starts_with(&facts.files[0]), "{facts:?}");
    assert_eq!(facts.invocation_id, Some(systemd.property("camera", "InvocationID")));
    send(Signal::SEGV, facts.main_pid.unwrap());
    let (_, waits) = followed.until_unit("camera.service", |facts| facts.sub == "auto-restart");
    assert_eq!((waits.exit, waits.active), (Some(Exit::Signal(11)), UnitActive::Activating));
}

#[test]
fn f14_a_crash_loop_is_followed_to_its_end() {
    let systemd = Systemd::of_a_user();
    systemd.has_unit(
        "loops.service",
        "[Unit]\nStartLimitBurst=5\nStartLimitIntervalSec=60\n[Service]\n\
         ExecStart=sh -c 'sleep 0.2; exit 1'\nRestart=always\nRestartSec=150ms\n",
    );
    let followed = Followed::of(&systemd.bus(), &["loops"]);
    followed.until_unit("loops", |facts| facts.active == UnitActive::Inactive);
    systemd.systemctl(&["start", "loops"]);
    let states = RefCell::new(Vec::new());
    let is_end = |facts: &UnitFacts| {
        states.borrow_mut().push((facts.restarts, facts.sub.clone()));
        facts.active == UnitActive::Failed && facts.restarts == 5
    };
    let (_, end) = followed.until_unit("loops", is_end);
    assert_eq!((end.exit, end.is_restarted), (Some(Exit::Code(1)), true));
    let states = states.into_inner();
    assert!(states.is_sorted_by_key(|(restarts, _)| *restarts), "{states:?}");
    for restarts in 1..5 {
        for sub in ["running", "auto-restart"] {
            assert!(states.contains(&(restarts, sub.to_owned())), "{restarts} {sub}: {states:?}");
        }
    }
}

#[test]
fn a_bus_that_is_gone_is_an_error_and_then_the_truth() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", STAYS);
    let followed = Followed::of(&systemd.bus(), &["camera", "nosuch"]);
    followed.until("a connection", connected);
    let pid = followed.until_unit("camera", is_running).1.main_pid.unwrap();
    for dies in [false, true] {
        followed.rest();
        systemd.systemctl(&["stop", "dbus.socket", "dbus.service"]);
        let news = followed.rest();
        let errors = |subject| news.iter().filter(|news| is_error_of(news, subject)).count();
        assert_eq!((errors("camera"), errors("nosuch")), (1, 1), "{news:#?}");
        assert_eq!(news.iter().filter(|news| matches!(news, News::Lost(_))).count(), 1, "{news:#?}");
        // Whoever dies while nobody tells of it is not missed.
        if dies {
            send(Signal::SEGV, pid);
            systemd.becomes("camera", "ActiveState", "failed");
        }
        systemd.systemctl(&["start", "dbus.socket"]);
        followed.until("a connection", connected);
        let (_, facts) = followed.until_unit("camera", |_| true);
        assert_eq!((is_running(&facts), dead_after_signal(11)(&facts)), (!dies, dies), "{facts:?}");
    }
}

/// Not until the truth: systemd that notices the end of its own connection first asks the dead bus, and says nothing
/// to anybody for minutes.
#[test]
fn a_bus_that_is_killed_is_an_error_at_once() {
    let systemd = Systemd::of_a_user();
    let followed = Followed::of(&systemd.bus(), &["nosuch"]);
    followed.until_unit("nosuch", |facts| facts.load == UnitLoad::NotFound);
    systemd.becomes("dbus.service", "ActiveState", "active");
    let bus = main_pid(&systemd, "dbus.service");
    let killed = Instant::now();
    send(Signal::KILL, bus);
    followed.until_error("nosuch");
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
}

fn connected(news: &News) -> Option<()> {
    matches!(news, News::Connected).then_some(())
}

fn is_error_of(news: &News, subject: &str) -> bool {
    matches!(news, News::Looked(Observation { subject: of, outcome: Err(_), .. }) if *of.name == *subject)
}

#[test]
fn a_manager_that_begins_anew_is_an_error_and_then_the_truth() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", STAYS);
    for bus in [systemd.private(), systemd.bus()] {
        let followed = Followed::of(&bus, &["camera"]);
        followed.until_unit("camera", is_running);
        systemd.systemctl(&["daemon-reexec"]);
        let problem = followed.until_error("camera");
        assert!(problem.starts_with(&format!("systemd at {bus} ")), "{problem}");
        followed.until_unit("camera", is_running);
        // It tells again whatever happens.
        systemd.systemctl(&["restart", "camera"]);
        followed.until_unit("camera", is_running);
        systemd.systemctl(&["stop", "camera"]);
        followed.until_unit("camera", |facts| facts.active == UnitActive::Inactive);
        systemd.systemctl(&["start", "camera"]);
    }
}

#[test]
fn a_stopped_manager_is_an_error_by_time_out_and_then_the_truth() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", STAYS);
    for bus in [systemd.private(), systemd.bus()] {
        let followed = Followed::at(Some(QUICK), &bus, &["camera", "nosuch"]);
        let pid = followed.until_unit("camera", is_running).1.main_pid.unwrap();
        send(Signal::STOP, systemd.pid());
        let problem = followed.until_error("camera");
        assert!(problem.contains("did not answer within 500ms"), "{problem}");
        followed.until("the loss", |news| matches!(news, News::Lost(_)).then_some(()));
        // What is wanted meanwhile is an error as well, and at once.
        followed.want(wanting(&["camera", "new"]));
        followed.until_error("new");
        send(Signal::SEGV, pid);
        send(Signal::CONT, systemd.pid());
        followed.until_unit("camera", dead_after_signal(11));
        systemd.systemctl(&["restart", "camera"]);
    }
}

#[test]
fn what_flaps_is_looked_at_in_bounds_and_right_in_the_end() {
    const UNITS: usize = 200;
    let systemd = Systemd::of_a_user();
    let burst = "[Unit]\nStartLimitIntervalSec=0\n[Service]\n";
    systemd.has_unit("flap@.service", &format!("{burst}ExecStart=true\nRestart=always\nRestartSec=0\n"));
    systemd.starts("calm.service", STAYS);
    let names: Vec<String> = (0..UNITS).map(|at| format!("flap@{at}.service")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let followed = Followed::of(&systemd.private(), &[&names[..], &["calm"]].concat());
    let calm = followed.until_unit("calm", is_running).1.main_pid.unwrap();
    systemd.systemctl(&[&["start", "--no-block"], &names[..]].concat());
    let (began, before) = (Instant::now(), followed.looks.get());
    while began.elapsed() < Duration::from_secs(2) {
        followed.next(Duration::from_millis(100));
    }
    // In the middle of it one that is calm dies: nothing of the noise is before it.
    send(Signal::SEGV, calm);
    let killed = Instant::now();
    let (at, facts) = followed.until_unit("calm", dead_after_signal(11));
    let (took, known) = (at - killed, facts.since.unwrap());
    let rate = (followed.looks.get() - before) as f64 / began.elapsed().as_secs_f64();
    println!("among {UNITS} that flap: looked at after {took:?}, {known:?} after its end; {rate:.0} looks/s");
    assert!(rate < (UNITS * 11) as f64, "{rate} looks a second");
    systemd.systemctl(&[&["stop"], &names[..]].concat());
    let stopped = Instant::now();
    let rest = |name: &&str| followed.last.borrow().get(*name) == Some(&UnitActive::Inactive);
    eventually("the truth about all", || {
        while followed.next(Duration::from_millis(200)).is_some() {}
        names.iter().all(rest).then_some(())
    });
    println!("the truth about all within {:?}", stopped.elapsed());
}

/// To look at a unit that is not active loads it, which systemd tells of: nobody must be led around by that.
#[test]
fn a_unit_that_rests_is_looked_at_once() {
    let systemd = Systemd::of_a_user();
    systemd.has_unit("idle.service", &format!("[Service]\n{STAYS}\n"));
    for bus in [systemd.private(), systemd.bus()] {
        let followed = Followed::of(&bus, &["nosuch", "idle", "x.timer", "template@.service", "a b"]);
        let told = followed.rest();
        assert_eq!(told.len(), 6, "{told:#?}");
        let watching = Followed::of(&bus, &[]);
        assert_eq!(watching.rest(), []);
        let used = || cpu_ticks(systemd.pid());
        let before = used();
        std::thread::sleep(Duration::from_secs(1));
        assert!(used() - before <= 2, "systemd was kept busy");
        assert_eq!(followed.rest(), []);
    }
}

fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn what_appears_and_vanishes_is_followed() {
    let systemd = Systemd::of_a_user();
    let followed = Followed::of(&systemd.bus(), &["later", "gone.service"]);
    followed.until_unit("later", |facts| facts.load == UnitLoad::NotFound);
    systemd.has_unit("later.service", "[Service]\nExecStart=sh -c 'exit 3'\n");
    followed.until_unit("later", |facts| facts.load == UnitLoad::Loaded && !facts.was_active);
    systemd.try_systemctl(&["start", "later"]);
    followed.until_unit("later", |facts| facts.exit == Some(Exit::Code(3)));
    systemd.systemctl(&["reset-failed", "later"]);
    followed.until_unit("later", |facts| facts.active == UnitActive::Inactive);
    // One that has no file, and of which nothing is left when it ends.
    let run = ["--user", "--quiet", "--unit=gone.service", "sleep", "1000"];
    assert!(systemd.command("systemd-run", &run).status().unwrap().success());
    followed.until_unit("gone.service", is_running);
    systemd.systemctl(&["stop", "gone.service"]);
    followed.until_unit("gone.service", |facts| facts.load == UnitLoad::NotFound);
}

#[test]
fn an_alias_is_followed_by_the_name_of_its_unit() {
    let systemd = Systemd::of_a_user();
    systemd.has_unit("camera.service", &format!("[Service]\n{STAYS}\n[Install]\nAlias=eye.service\n"));
    systemd.systemctl(&["enable", "--now", "camera"]);
    let followed = Followed::of(&systemd.private(), &["eye", "camera", "camera.service"]);
    let pid = followed.until_unit("eye", is_running).1.main_pid.unwrap();
    followed.rest();
    send(Signal::SEGV, pid);
    let told = followed.rest();
    for subject in ["eye", "camera", "camera.service"] {
        let mut looks = told.iter().filter_map(|news| seen(news, subject));
        assert!(looks.any(dead_after_signal(11)), "{subject}: {told:#?}");
    }
}

#[test]
fn trouble_that_nobody_asked_for_is_told() {
    let systemd = Systemd::of_a_user();
    systemd.starts("old.service", "ExecStart=false");
    systemd.becomes("old", "ActiveState", "failed");
    let followed = Followed::of(&systemd.bus(), &["camera"]);
    let told = |followed: &Followed, names: &[&str]| {
        let is = |news: &News| matches!(news, News::Troubled(told) if told == names).then_some(());
        followed.until(&format!("{names:?}"), is);
    };
    followed.want(Wanted { troubled: true, ..wanting(&["camera"]) });
    told(&followed, &["old.service"]);
    systemd.starts("camera.service", "ExecStart=false");
    systemd.starts("loops.service", "ExecStart=false\nRestart=always\nRestartSec=1h");
    told(&followed, &["loops.service", "old.service"]);
    // Whoever asks for it is told of it in another way.
    followed.want(Wanted { troubled: true, ..wanting(&["camera", "loops"]) });
    assert!(!followed.rest().iter().any(|news| matches!(news, News::Troubled(_))));
    followed.want(Wanted { troubled: true, ..wanting(&["camera"]) });
    told(&followed, &["loops.service", "old.service"]);
    systemd.systemctl(&["reset-failed", "old"]);
    told(&followed, &["loops.service"]);
    systemd.systemctl(&["stop", "loops"]);
    told(&followed, &[]);
}

/// Anybody may send anybody what looks like a signal of systemd.
#[test]
fn signals_of_strangers_are_not_believed() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", STAYS);
    let followed = Followed::of(&systemd.bus(), &["camera"]);
    followed.rest();
    let names = systemd.command("busctl", &["--user", "list", "--unique", "--no-legend"]).output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    let pid = std::process::id().to_string();
    let ours: BTreeSet<&str> = names
        .lines()
        .filter(|line| line.split_ascii_whitespace().nth(1) == Some(&pid))
        .filter_map(|line| line.split_ascii_whitespace().next())
        .collect();
    assert!(!ours.is_empty(), "{names}");
    for name in ours {
        let forged = [
            (
                "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager",
                "Reloading",
                vec!["b", "false"],
            ),
            (
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus",
                "NameOwnerChanged",
                vec!["sss", "org.freedesktop.systemd1", ":1.1", ""],
            ),
        ];
        for (path, interface, member, body) in forged {
            let destination = format!("--destination={name}");
            let head = ["--user", "emit", &destination, path, interface, member];
            let sent = systemd.command("busctl", &[&head[..], &body].concat()).output().unwrap();
            assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        }
    }
    assert_eq!(followed.rest(), []);
}

#[test]
fn what_is_wanted_is_looked_at_at_once_and_what_is_not_no_more() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", STAYS);
    systemd.starts("audio.service", STAYS);
    let followed = Followed::of(&systemd.private(), &[]);
    assert_eq!(followed.rest(), [], "nothing is wanted, so nobody connects");
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    followed.want(wanting(&["camera"]));
    followed.until_unit("camera", is_running);
    followed.want(wanting(&["camera", "audio"]));
    followed.until_unit("audio", is_running);
    followed.want(wanting(&["audio"]));
    systemd.systemctl(&["restart", "camera"]);
    assert_eq!(followed.rest(), []);
    let asleep = voluntary_switches(&followed.proc);
    std::thread::sleep(Duration::from_secs(2));
    assert!(voluntary_switches(&followed.proc) - asleep <= 2, "it wakes up for nothing");
    followed.want(wanting(&[]));
    eventually("the connection to be closed", || (descriptors() <= before).then_some(()));
}

fn voluntary_switches(proc: &Path) -> u64 {
    let status = std::fs::read_to_string(proc.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}
