//! The monitor is killed at each system call between a verdict and the receipt of it: nothing is lost, and what is
//! told twice is told under the same key.

use super::arrival::{AT_ONCE, sleeper};
use crate::support::ntfy::{Ntfy, Received};
use crate::support::{Machine, Monitor, PATIENCE, Process, beat_of};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is between a verdict and the commit of its delivery: of the loop that judges, of the threads of the channels,
/// and of those of their requests. strace counts for each thread by itself, so whoever has to be told apart is found by
/// the file that it works on.
const CALLS: [&str; 19] = [
    "openat@token",
    "read@token",
    "close@token",
    "pwrite64",
    "fdatasync,fsync",
    "write",
    "clone3,clone",
    "openat",
    "read",
    "close",
    "socket",
    "connect",
    "setsockopt",
    "getsockopt,getpeername,getsockname",
    "sendto,sendmsg",
    "recvfrom,recvmsg",
    "poll,ppoll",
    "epoll_wait,epoll_pwait",
    "futex",
];
/// How far it is gone at most; in the usual run not each of them.
const MOST: usize = 200;
const USUAL: [usize; 5] = [1, 2, 3, 5, 9];
const CHANNELS: [&str; 2] = ["phone", "hook"];

/// How a round ended.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    kills: usize,
    repeats: usize,
}

struct Story {
    machine: Machine,
    server: Ntfy,
    services: BTreeMap<&'static str, Process>,
}

impl Story {
    /// Two services that are well, and two channels to one server.
    fn begin() -> Self {
        let (machine, server) = (Machine::new(), Ntfy::new());
        fs::write(machine.root().join("token"), "tk_1").unwrap();
        let hook = format!("[channels.hook]\nkind = \"webhook\"\nurl = \"{}/hook\"\n", server.url());
        let token = machine.root().join("token");
        let phone = format!("{}token_file = \"{}\"\n", server.channel("phone"), token.display());
        machine.configures(&format!("{phone}{hook}{AT_ONCE}"));
        let services = ["audio", "camera"].map(|name| {
            let process = sleeper(&machine);
            machine.reports(name, &beat_of(process.pid()));
            (name, process)
        });
        Self { machine, server, services: services.into() }
    }

    fn kills(&mut self, service: &str) {
        self.services.remove(service).unwrap().kill();
    }

    /// What a channel's server was told of a service.
    fn told(&self, channel: &str, service: &str) -> Vec<Received> {
        let words = format!("{service} is down");
        let path = if channel == "hook" { "/hook" } else { "/" };
        let of_channel = self.server.messages().into_iter().filter(|it| it.path == path);
        of_channel.filter(|it| it.raw.contains(&words)).collect()
    }

    /// Whether both channels were told of a service.
    fn are_told(&self, service: &str) -> bool {
        CHANNELS.iter().all(|channel| !self.told(channel, service).is_empty())
    }
}

/// Lets strace end the monitor with the call of this number, on this file where one is named.
fn doomed(story: &Story, monitor: &Monitor, call: &str, nth: usize) -> Process {
    let (call, file) = call.split_once('@').map_or((call, None), |(call, file)| (call, Some(file)));
    let mut strace = Command::new("sh");
    strace.args(["-ec", "exec strace \"$@\" 2>&1", "sh", "-f", "-o", "/dev/null", "-p"]);
    strace.arg(monitor.pid().to_string());
    strace.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:signal=SIGKILL:when={nth}")]);
    if let Some(file) = file {
        strace.arg("-P").arg(story.machine.root().join(file));
    }
    let process = Process::start(&mut strace);
    let word = process.line();
    assert!(word.contains("attached"), "strace: {word}");
    process
}

/// Whether the monitor was killed before both deliveries were kept.
fn falls(story: &mut Story, monitor: &mut Monitor, call: &str, nth: usize) -> bool {
    let strace = doomed(story, monitor, call, nth);
    story.kills("camera");
    let deadline = Instant::now() + PATIENCE;
    let is_over = |monitor: &Monitor| {
        let told = monitor.told();
        told.iter().filter(|it| it["type"] == "delivery" && it["outcome"] == "accepted").count()
            == CHANNELS.len()
    };
    loop {
        if monitor.has_ended() {
            drop(strace);
            return true;
        }
        if is_over(monitor) {
            strace.signal(Signal::TERM);
            return false;
        }
        assert!(Instant::now() < deadline, "{call} {nth}: {:#?}", monitor.told());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One kill, and what is told in the end; nothing if there was no such call.
fn kill_at(call: &str, nth: usize) -> Option<Round> {
    let mut story = Story::begin();
    let mut monitor = story.machine.monitors();
    if !falls(&mut story, &mut monitor, call, nth) {
        return None;
    }
    let said = monitor.killed();
    let monitor = story.machine.monitors();
    // What is told of another one afterwards proves that nothing more is to come.
    let deadline = Instant::now() + PATIENCE;
    while !story.are_told("camera") {
        assert!(Instant::now() < deadline, "{call} {nth}: lost\n{said:#?}\n{:#?}", monitor.told());
        std::thread::sleep(Duration::from_millis(1));
    }
    story.kills("audio");
    while !story.are_told("audio") {
        assert!(Instant::now() < deadline, "{call} {nth}: stuck\n{said:#?}\n{:#?}", monitor.told());
        std::thread::sleep(Duration::from_millis(1));
    }
    let repeats = CHANNELS.map(|channel| {
        let told: Vec<Received> = story
            .told(channel, "camera")
            .into_iter()
            .filter(|it| !it.raw.contains("audio is down"))
            .collect();
        let key = |it: &Received| (it.text("sequence_id").to_owned(), it.header("webhook-id").to_owned());
        let is_same = told.iter().all(|it| key(it) == key(&told[0]));
        assert!(is_same && (1..=2).contains(&told.len()), "{call} {nth} {channel}: {told:#?}\n{said:#?}");
        told.len() - 1
    });
    Some(Round { kills: 1, repeats: repeats.iter().sum() })
}

/// Kills at each of a call's numbers until there are no more.
fn kill_at_each(call: &str, is_everything: bool) -> Round {
    let numbers: Vec<usize> = if is_everything { (1..MOST).collect() } else { USUAL.to_vec() };
    let rounds = numbers.into_iter().map_while(|nth| kill_at(call, nth));
    rounds.fold(Round::default(), |sum, round| Round {
        kills: sum.kills + round.kills,
        repeats: sum.repeats + round.repeats,
    })
}

/// `TELLING_KILLS=all` for each number of each call.
#[test]
fn killed_at_any_call_between_verdict_and_receipt_it_loses_nothing_and_repeats_under_the_same_key() {
    let is_everything = std::env::var_os("TELLING_KILLS").is_some_and(|which| which == "all");
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    let work = || {
        let mut done = Vec::new();
        while let Some(call) = CALLS.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((*call, kill_at_each(call, is_everything)));
        }
        done
    };
    let all: BTreeMap<&str, Round> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let kills: usize = all.values().map(|round| round.kills).sum();
    let repeats: usize = all.values().map(|round| round.repeats).sum();
    let each: Vec<String> =
        all.iter().map(|(call, it)| format!("{call} {} ({})", it.kills, it.repeats)).collect();
    println!(
        "{kills} kills in {:?}: nothing lost, {repeats} of {} messages repeated; {}",
        began.elapsed(),
        kills * CHANNELS.len(),
        each.join(", ")
    );
    let of = |call: &str| all[call].kills;
    assert!(
        of("pwrite64") >= 3 && of("fdatasync,fsync") >= 2 && of("connect") >= 1 && of("sendto,sendmsg") >= 1
    );
    assert!(of("recvfrom,recvmsg") >= 1 && repeats > 0, "this shows nothing");
}
