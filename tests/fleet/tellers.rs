//! Who tells people of machines: one watcher of three, whatever becomes of it.

use crate::support::etcd::EtcdServer;
use crate::support::lane::Lane;
use crate::support::ntfy::{Ntfy, Received};
use crate::support::{Dice, Machine, Monitor, PATIENCE, Process, beat_of, eventually};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const PREFIX: &str = "/health";
const TTL: Duration = Duration::from_secs(3);
/// A channel that was told twenty times gathers what is due for up to a minute.
const TOLD_WITHIN: Duration = Duration::from_secs(90);
/// What one channel is told of.
const DEATHS_OF_ONE_CHANNEL: usize = 20;
const AT_ONCE: &str = "[alerts]\ngrace = \"0s\"\ngroup_wait = \"200ms\"\nrestart_wait = \"0s\"\ncooldown = \"0s\"\nreminder = \"0s\"\n";

/// Other machines, as etcd has them: what a test makes them say.
struct Others {
    url: String,
    leases: Mutex<BTreeMap<String, String>>,
}

impl Others {
    fn of(etcd: &EtcdServer) -> Self {
        Self { url: etcd.url(), leases: Mutex::default() }
    }

    #[track_caller]
    fn ask(&self, path: &str, question: &Value) -> Value {
        let url = format!("{}/v3/{path}", self.url);
        let mut answer = ureq::post(&url).send(question.to_string()).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// One that lives from now on.
    #[track_caller]
    fn begin(&self, host: &str) {
        let granted = self.ask("lease/grant", &json!({ "TTL": 600 }));
        let lease = granted["ID"].as_str().unwrap().to_owned();
        let value = json!({
            "host": host, "hostname": format!("{host}.lan"), "status": "healthy", "services": 0,
            "interval_s": 1.0, "ttl_s": 3,
        });
        let (key, value) = (encoded(&format!("{PREFIX}/hosts/{host}")), encoded(&value.to_string()));
        self.ask("kv/put", &json!({ "key": key, "value": value, "lease": lease }));
        self.leases.lock().unwrap().insert(host.to_owned(), lease);
    }

    /// Its lease ends.
    #[track_caller]
    fn end(&self, host: &str) {
        let lease = self.leases.lock().unwrap().remove(host).unwrap();
        self.ask("lease/revoke", &json!({ "ID": lease }));
    }

    /// Who tells, and since which revision.
    fn teller(&self) -> Option<(String, String)> {
        let found = self.ask("kv/range", &json!({ "key": encoded(&format!("{PREFIX}/teller")) }));
        let entry = found["kvs"].as_array()?.first()?;
        let name = BASE64_STANDARD.decode(entry["value"].as_str()?).unwrap();
        Some((String::from_utf8(name).unwrap(), entry["create_revision"].as_str()?.to_owned()))
    }
}

fn encoded(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// A watcher on a machine of its own name, with its own way to etcd.
struct Watcher {
    name: String,
    machine: Machine,
    lane: Lane,
    monitor: Option<Monitor>,
}

impl Watcher {
    fn new(name: &str, etcd: &EtcdServer, more: &str) -> Self {
        let (machine, lane) = (Machine::new(), Lane::to(etcd.port()));
        let etcd = format!(
            "[fleet.etcd]\nendpoints = [\"http://127.0.0.1:{}\"]\nttl = \"{}s\"\ninterval = \"1s\"\nwatch = true\n",
            lane.port(),
            TTL.as_secs()
        );
        machine.configures(&format!("{etcd}{more}"));
        let mut watcher = Self { name: name.to_owned(), machine, lane, monitor: None };
        watcher.go();
        watcher
    }

    fn go(&mut self) {
        let script = format!("hostname {}; exec \"$0\" monitor", self.name);
        let words = ["-u", "sh", "-ec", &script, env!("CARGO_BIN_EXE_healthcheck")];
        self.monitor = Some(Monitor::from_command(&mut self.machine.any_command("unshare", &words)));
    }

    fn monitor(&self) -> &Monitor {
        self.monitor.as_ref().unwrap()
    }

    /// What it answers, as JSON.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> Value {
        let outcome = self.machine.run(&[&["--format", "json"], arguments].concat());
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }

    /// Why nobody is told of a machine, or that somebody was.
    fn says_because(&self, host: &str, because: &str) {
        eventually(&format!("{} to say of {host}: {because}", self.name), || {
            (self.says(&["why", host])["channels"][0]["because"] == because).then_some(())
        });
    }

    /// How a machine is as it sees it.
    fn sees(&self, host: &str, status: &str) {
        eventually(&format!("{} to see that {host} is {status}", self.name), || {
            (self.says(&["fleet"])["machines"][host]["status"] == status).then_some(())
        });
    }
}

/// An etcd, three watchers and the phones that they share.
struct Stage {
    etcd: EtcdServer,
    others: Others,
    phone: Ntfy,
    watchers: Vec<Watcher>,
    _dir: Machine,
}

impl Stage {
    fn new(channels: usize) -> Self {
        let dir = Machine::new();
        let (etcd, phone) = (EtcdServer::start(&dir.root().join("etcd")), Ntfy::new());
        let others = Others::of(&etcd);
        let more = channels_of(&phone, channels);
        let watchers = ["w1", "w2", "w3"].map(|name| Watcher::new(name, &etcd, &more)).into();
        Self { etcd, others, phone, watchers, _dir: dir }
    }

    /// A quiet one: somebody tells, and all see all three.
    fn in_peace() -> Self {
        let stage = Self::new(1);
        stage.teller();
        for (watcher, seen) in stage.watchers.iter().zip(["w2", "w3", "w1"]) {
            watcher.sees(seen, "healthy");
        }
        stage
    }

    #[track_caller]
    fn teller(&self) -> &Watcher {
        let name = eventually("somebody to tell", || self.others.teller()).0;
        self.watchers.iter().find(|watcher| watcher.name == name).unwrap()
    }

    fn those_who_do_not_tell(&self) -> impl Iterator<Item = &Watcher> {
        let teller = self.teller().name.clone();
        self.watchers.iter().filter(move |watcher| watcher.name != teller)
    }

    /// Machines that all watchers see.
    fn begins(&self, hosts: &[&str]) {
        hosts.iter().for_each(|host| self.others.begin(host));
        for (watcher, host) in self.watchers.iter().flat_map(|it| hosts.iter().map(move |host| (it, host))) {
            watcher.sees(host, "healthy");
        }
    }
}

/// Each group of machines has its own, so that none is told too often.
fn channels_of(phone: &Ntfy, count: usize) -> String {
    let channels = (0..count).map(|n| {
        let route =
            format!("[[routes]]\nkinds = [\"host\"]\nsubjects = [\"g{n}-*\"]\nchannels = [\"phone{n}\"]\n");
        format!("{}{}", phone.channel(&format!("phone{n}")), if count > 1 { route } else { String::new() })
    });
    let channels: Vec<String> = channels.collect();
    format!("{AT_ONCE}{}", channels.concat())
}

/// What a message says of machines, in the words of its lines: offline or back.
fn told_in(message: &Received) -> BTreeMap<String, bool> {
    let line = |line: &str| {
        let (_, rest) =
            line.split_once("host ").filter(|(before, _)| before.is_empty() || before.ends_with(": "))?;
        let (name, state) = rest.split_once(' ')?;
        let is_over = ["is back", "was offline and is back"].iter().any(|it| state.starts_with(it));
        let is_told = is_over || state.starts_with("is offline");
        is_told.then(|| (name.to_owned(), !is_over))
    };
    message.text("message").lines().filter_map(line).collect()
}

// What becomes of the teller.

#[derive(Debug, Clone, Copy)]
enum Fate {
    Killed,
    Paused,
    CutOff,
    Stopped,
}

const FATES: [Fate; 4] = [Fate::Killed, Fate::Paused, Fate::CutOff, Fate::Stopped];

impl Watcher {
    fn suffers(&mut self, fate: Fate, dice: &mut Dice) {
        let away = TTL + Duration::from_millis(1_500 + dice.below(2_000));
        match fate {
            Fate::Killed => {
                self.monitor.take().unwrap().kill();
                sleep(Duration::from_millis(dice.below(5_000)));
                self.go();
            }
            Fate::Paused => {
                self.monitor().signal(Signal::STOP);
                sleep(away);
                self.monitor().signal(Signal::CONT);
            }
            Fate::CutOff => {
                self.lane.cut();
                sleep(away);
                self.lane.mend();
            }
            Fate::Stopped => {
                self.monitor.take().unwrap().stop();
                sleep(Duration::from_millis(dice.below(3_000)));
                self.go();
            }
        }
    }
}

/// How all of it ended.
#[derive(Debug, Default)]
struct Figures {
    deaths: usize,
    messages: usize,
    /// Of all channels, and of that with the most.
    repeats: (usize, usize),
    /// Those that were said to have been offline when they were back already.
    late: usize,
    tellers: usize,
    fates: usize,
    slowest: Duration,
}

/// Deaths and returns in small groups, one after the other.
struct Group<'a> {
    name: String,
    others: &'a Others,
    phone: &'a Ntfy,
    dice: Dice,
    slowest: Duration,
}

impl Group<'_> {
    fn lives(mut self, deaths: usize) -> Duration {
        let mut left = deaths;
        while left > 0 {
            let together = 1 + self.dice.one_of(3.min(left));
            let hosts: Vec<String> = (left - together..left).map(|n| format!("{}-{n}", self.name)).collect();
            self.dies_and_returns(&hosts);
            left -= together;
        }
        self.slowest
    }

    fn dies_and_returns(&mut self, hosts: &[String]) {
        self.pauses(800);
        for host in hosts {
            self.others.end(host);
            self.pauses(300);
        }
        self.until_told(hosts, true);
        self.pauses(800);
        for host in hosts {
            self.others.begin(host);
            self.pauses(300);
        }
        self.until_told(hosts, false);
    }

    fn pauses(&mut self, most: u64) {
        sleep(Duration::from_millis(self.dice.below(most)));
    }

    fn until_told(&mut self, hosts: &[String], are_offline: bool) {
        let began = Instant::now();
        loop {
            let told: Vec<_> = self.phone.messages().iter().map(told_in).collect();
            let is_told = |host: &String| told.iter().any(|it| it.get(host) == Some(&are_offline));
            if hosts.iter().all(is_told) {
                self.slowest = self.slowest.max(began.elapsed());
                return;
            }
            let words = if are_offline { "offline" } else { "back" };
            if began.elapsed() >= TOLD_WITHIN {
                let of_them = |it: &Received| hosts.iter().any(|host| it.raw.contains(host.as_str()));
                let told: Vec<_> = self.phone.messages().into_iter().filter(of_them).collect();
                panic!("nobody is told that {hosts:?} are {words}: {told:#?}");
            }
            sleep(Duration::from_millis(100));
        }
    }
}

/// Who told, one after the other, until it is over.
fn tellers(others: &Others, is_over: &AtomicBool) -> usize {
    let mut seen = BTreeSet::new();
    while !is_over.load(Ordering::SeqCst) {
        seen.extend(others.teller().map(|(_, since)| since));
        sleep(Duration::from_millis(50));
    }
    seen.len()
}

/// One fate after the other for whoever tells, until it is over.
fn haunt(watchers: &mut [Watcher], others: &Others, is_over: &AtomicBool, mut dice: Dice) -> usize {
    let mut fates = 0;
    while !is_over.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(1_000 + dice.below(4_000)));
        let teller = others.teller().map(|(name, _)| name);
        if let Some(watcher) = watchers.iter_mut().find(|it| Some(&it.name) == teller.as_ref()) {
            watcher.suffers(FATES[fates % FATES.len()], &mut dice);
            fates += 1;
        }
    }
    fates
}

/// Lets machines die while the teller is haunted.
fn story(stage: &mut Stage, deaths: usize, groups: usize) -> Figures {
    let is_over = AtomicBool::new(false);
    let (others, phone, watchers) = (&stage.others, &stage.phone, &mut stage.watchers);
    let each = deaths / groups;
    for host in (0..groups).flat_map(|n| (0..each).map(move |k| format!("g{n}-{k}"))) {
        others.begin(&host);
    }
    let mut dice = Dice::new("tellers");
    let dices: Vec<Dice> = (0..groups).map(|_| Dice::seeded(dice.below(u64::MAX))).collect();
    // Nobody who is there from the beginning is missed because he came late.
    sleep(TTL);
    let (mut figures, over) = (Figures { deaths: each * groups, ..Figures::default() }, &is_over);
    scope(|scope| {
        let counted = scope.spawn(move || tellers(others, over));
        let haunted = scope.spawn(move || haunt(watchers, others, over, dice));
        let lives: Vec<_> = dices
            .into_iter()
            .enumerate()
            .map(|(n, dice)| {
                let group = Group { name: format!("g{n}"), others, phone, dice, slowest: Duration::ZERO };
                scope.spawn(move || group.lives(each))
            })
            .collect();
        let ended: Vec<_> = lives.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::SeqCst);
        figures.fates = haunted.join().unwrap();
        figures.tellers = counted.join().unwrap();
        figures.slowest = ended.into_iter().map(Result::unwrap).max().unwrap_or_default();
    });
    figures
}

/// Of each machine it is told that it is offline and then that it is back, and nothing twice but whole messages.
/// Returns how many messages there were, and how many of them were repeats, of all channels and of that with the most.
fn judged(messages: &[Received]) -> (usize, (usize, usize)) {
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut repeats: BTreeMap<&str, usize> = BTreeMap::new();
    for message in messages {
        let told = told_in(message);
        assert!(!told.is_empty(), "what does this tell? {message:?}");
        let is_repeat = |(host, offline): (&String, &bool)| known.get(host) == Some(offline);
        *repeats.entry(message.text("topic")).or_default() += usize::from(told.iter().any(is_repeat));
        for (host, offline) in told {
            let is_known = offline || known.contains_key(&host);
            assert!(is_known, "{host} is back, and nobody was told before: {message:?}");
            let is_stale = offline && known.get(&host) == Some(&false);
            assert!(!is_stale, "{host} died once, and is told to be offline after its return: {message:?}");
            known.insert(host, offline);
        }
    }
    let open: Vec<_> = known.iter().filter(|(_, offline)| **offline).collect();
    assert!(open.is_empty(), "nobody was told that they are back: {open:?}");
    (messages.len(), (repeats.values().sum(), repeats.into_values().max().unwrap_or_default()))
}

/// `TELLER_DEATHS=200` for more.
#[test]
fn f28_each_death_is_told_whatever_becomes_of_the_teller() {
    let deaths: usize = std::env::var("TELLER_DEATHS").ok().and_then(|it| it.parse().ok()).unwrap_or(32);
    let groups = deaths.div_ceil(DEATHS_OF_ONE_CHANNEL).max(4);
    let mut stage = Stage::new(groups);
    stage.teller();
    let began = Instant::now();
    let mut figures = story(&mut stage, deaths, groups);
    // Whoever was still about to repeat something has done so.
    sleep(TTL);
    let messages = stage.phone.messages();
    (figures.messages, figures.repeats) = judged(&messages);
    figures.late =
        messages.iter().filter(|it| it.text("message").contains("was offline and is back")).count();
    println!("{figures:?} in {:?}", began.elapsed());
    let told: BTreeSet<String> = messages.iter().flat_map(|it| told_in(it).into_keys()).collect();
    assert_eq!(told.len(), figures.deaths);
    assert!(figures.fates >= 3 && figures.tellers > 2, "this shows nothing: {figures:?}");
    // One a channel whenever somebody else tells.
    assert!(figures.repeats.1 < figures.tellers, "{figures:?}");
}

#[test]
fn in_peace_one_watcher_tells_and_the_others_say_that_it_does() {
    let stage = Stage::in_peace();
    stage.begins(&["phobos", "mars"]);
    stage.others.end("phobos");
    let down = stage.phone.message(&["phobos is offline"]);
    assert!(down.text("title").starts_with(&format!("{}: ", stage.teller().name)), "{down:?}");
    for watcher in &stage.watchers {
        watcher.sees("phobos", "error");
        assert_eq!(watcher.says(&["fleet"])["teller"], stage.teller().name, "{}", watcher.name);
    }
    for watcher in stage.those_who_do_not_tell() {
        let incidents = watcher.says(&["incidents"]);
        let subject = &incidents["incidents"][0]["subjects"][0];
        assert_eq!((&subject["kind"], &subject["name"]), (&json!("host"), &json!("phobos")), "{incidents}");
        // What it was told through another one it knows.
        watcher.says_because("phobos", "told");
    }
    let why = stage.teller().says(&["why", "host phobos"]);
    assert_eq!((&why["kind"], &why["channels"][0]["because"]), (&json!("host"), &json!("told")), "{why}");
    let message = why["message"].as_str().unwrap();
    assert!(message.starts_with("its lease ended, last seen ") && message.contains(" s ago"), "{message}");
    stage.others.begin("phobos");
    stage.phone.message(&["phobos is back"]);
    // What is told of another one proves that nothing more was told before.
    stage.others.end("mars");
    stage.phone.message(&["mars is offline"]);
    assert_eq!(stage.phone.messages().len(), 3, "{:#?}", stage.phone.messages());
}

#[test]
fn a_silence_at_the_teller_keeps_a_machine_quiet() {
    let stage = Stage::in_peace();
    stage.begins(&["phobos", "mars"]);
    let wanted = ["silence", "phobos", "--for", "2h", "--reason", "a move", "--author", "ann"];
    assert_eq!(stage.teller().says(&wanted)["muted"], 1);
    stage.others.end("phobos");
    sleep(Duration::from_millis(500));
    stage.others.end("mars");
    stage.phone.message(&["mars is offline"]);
    let told: Vec<_> = stage.phone.messages().iter().flat_map(|it| told_in(it).into_keys()).collect();
    assert_eq!(told, ["mars"]);
    stage.teller().says_because("phobos", "muted by silence 1");
    stage.those_who_do_not_tell().for_each(|it| it.says_because("phobos", "another watcher tells"));
    assert_eq!(stage.teller().machine.run(&["unsilence", "1"]).code, 0);
    stage.phone.message(&["phobos is offline"]);
}

#[test]
fn without_etcd_each_machine_still_tells_of_itself() {
    let mut stage = Stage::in_peace();
    let services = stage.watchers.iter().map(|watcher| {
        let process = Process::start(&mut watcher.machine.any_command("sleep", &["600"]));
        watcher.machine.reports("camera", &beat_of(process.pid()));
        watcher.monitor().transition("camera", "healthy", "self_reported");
        process
    });
    let services: Vec<Process> = services.collect();
    stage.etcd.kill();
    services.into_iter().for_each(Process::kill);
    for watcher in &stage.watchers {
        watcher.monitor().transition("camera", "error", "crashed");
    }
    for watcher in &stage.watchers {
        let title = format!("{}: camera is down", watcher.name);
        let is_told = || stage.phone.messages().iter().any(|it| it.text("title").starts_with(&title));
        eventually(&title, || is_told().then_some(()));
    }
    // And nobody is said to be offline because nobody can look, then and afterwards.
    sleep(TTL + Duration::from_secs(1));
    stage.etcd.go();
    eventually("somebody to tell again", || stage.others.teller());
    sleep(TTL);
    let messages = stage.phone.messages();
    assert!(messages.iter().all(|it| told_in(it).is_empty()), "{messages:#?}");
}

#[test]
fn who_has_no_way_to_tell_people_never_becomes_the_teller() {
    let dir = Machine::new();
    let (etcd, phone) = (EtcdServer::start(&dir.root().join("etcd")), Ntfy::new());
    let others = Others::of(&etcd);
    let mute = Watcher::new("mute", &etcd, AT_ONCE);
    let dry = format!("{}{AT_ONCE}dry_run = true\n", phone.channel("phone"));
    let dry = Watcher::new("dry", &etcd, &dry);
    mute.sees("dry", "healthy");
    dry.sees("mute", "healthy");
    let end = Instant::now() + TTL + Duration::from_secs(1);
    while Instant::now() < end {
        assert_eq!(others.teller(), None);
        sleep(Duration::from_millis(50));
    }
    let late = Watcher::new("late", &etcd, &channels_of(&phone, 1));
    assert_eq!(eventually("the third to tell", || others.teller()).0, "late");
    others.begin("phobos");
    [&mute, &dry, &late].iter().for_each(|watcher| watcher.sees("phobos", "healthy"));
    others.end("phobos");
    let down = phone.message_within(&["phobos is offline"], PATIENCE);
    assert!(down.text("title").starts_with("late: "), "{down:?}");
    assert_eq!(phone.messages().len(), 1, "{:#?}", phone.messages());
}
