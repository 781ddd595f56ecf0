//! An etcd of three members, each on a machine of its own as far as the network shows it: what happens between them can
//! be broken piece by piece.

use super::Host;
use super::eventually;
use super::run;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

const COUNT: usize = 3;

/// Three members, and whoever else is in their network. Nothing of it is left when it goes out of scope.
pub(crate) struct Members {
    net: Net,
    dir: TempDir,
    children: [Option<Child>; COUNT],
}

/// Network namespaces on one bridge, which has a namespace too.
struct Net {
    /// Their names begin with it.
    name: String,
    places: Vec<String>,
}

/// How a member, or whoever else, is kept from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// From everybody.
    Everything,
    /// From the other members, and not from their clients.
    Members,
    /// Three of ten packets of etcd are lost.
    Loss,
}

impl Cut {
    const fn rules(self) -> [&'static str; 2] {
        match self {
            Self::Everything => ["iifname e0 drop", "oifname e0 drop"],
            Self::Members => {
                ["tcp dport 2380 drop\ntcp sport 2380 drop", "tcp dport 2380 drop\ntcp sport 2380 drop"]
            }
            Self::Loss => ["tcp dport { 2379, 2380 } numgen random mod 100 < 30 drop", "accept"],
        }
    }
}

impl Net {
    #[track_caller]
    fn new(places: &[&str]) -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        remove_forsaken();
        let name = format!("hc-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let mut net = Self { name, places: Vec::new() };
        let hub = net.add("hub");
        net.inside("hub", &["ip", "link", "add", "br0", "type", "bridge"]);
        net.inside("hub", &["ip", "link", "set", "br0", "up"]);
        for (n, place) in places.iter().enumerate() {
            let (port, space) = (format!("v{n}"), net.add(place));
            run("ip", &["link", "add", "e0", "netns", &space, "type", "veth", "peer", &port, "netns", &hub]);
            net.inside("hub", &["ip", "link", "set", &port, "master", "br0", "up"]);
            net.inside(place, &["ip", "address", "add", &format!("{}/24", address(n)), "dev", "e0"]);
            net.inside(place, &["ip", "link", "set", "e0", "up"]);
            net.inside(place, &["ip", "link", "set", "lo", "up"]);
        }
        net
    }

    fn add(&mut self, place: &str) -> String {
        let space = self.space(place);
        run("ip", &["netns", "add", &space]);
        self.places.push(place.to_owned());
        space
    }

    fn space(&self, place: &str) -> String {
        format!("{}-{place}", self.name)
    }

    #[track_caller]
    fn inside(&self, place: &str, words: &[&str]) -> String {
        run("ip", &[&["netns", "exec", &self.space(place)], words].concat())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for place in &self.places {
            let _ = Command::new("ip").args(["netns", "del", &self.space(place)]).status();
        }
    }
}

/// What was left behind by whoever was killed in the middle of it.
fn remove_forsaken() {
    for line in run("ip", &["netns", "list"]).lines() {
        let space = line.split(' ').next().unwrap();
        let pid = space.strip_prefix("hc-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test may do so as well.
            let _ = Command::new("ip").args(["netns", "del", space]).stderr(Stdio::null()).status();
        }
    }
}

fn address(n: usize) -> String {
    format!("10.98.0.{}", n + 1)
}

fn member(n: usize) -> String {
    format!("m{n}")
}

impl Members {
    /// Three members that have a leader, and the names of those who are in their network as well.
    #[track_caller]
    pub(crate) fn start(others: &[&str]) -> Self {
        let own: Vec<String> = (0..COUNT).map(member).collect();
        let places: Vec<&str> = own.iter().map(String::as_str).chain(others.iter().copied()).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut members = Self { net: Net::new(&places), dir, children: [const { None }; COUNT] };
        (0..COUNT).for_each(|n| members.go(n));
        eventually("a leader", || members.leader());
        members
    }

    /// A host in their network.
    pub(crate) fn host(&self, name: &str) -> Host {
        Host::within(name, &self.net.space(name))
    }

    pub(crate) fn endpoints() -> Vec<String> {
        (0..COUNT).map(|n| format!("http://{}:2379", address(n))).collect()
    }

    /// Runs, with the data that it had.
    #[track_caller]
    pub(crate) fn go(&mut self, n: usize) {
        let (name, data) = (member(n), self.dir.path().join(member(n)));
        let log = File::options().create(true).append(true).open(self.dir.path().join(format!("{name}.log")));
        let log = log.unwrap();
        let (client, peer) = (format!("http://{}:2379", address(n)), format!("http://{}:2380", address(n)));
        let all = (0..COUNT).map(|n| format!("{}=http://{}:2380", member(n), address(n)));
        let all = all.collect::<Vec<_>>().join(",");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.net.space(&name), "etcd", "--name", &name, "--logger", "zap"]);
        command.arg("--data-dir").arg(&data).args(["--initial-cluster", &all, "--unsafe-no-fsync"]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--heartbeat-interval", "50", "--election-timeout", "300"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.children[n] = Some(command.spawn().unwrap());
    }

    /// Ends at once, as in a power failure.
    pub(crate) fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.children[n].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn signal(&self, n: usize, signal: Signal) {
        kill_process(Pid::from_child(self.children[n].as_ref().unwrap()), signal).unwrap();
    }

    /// The member that leads, as it says itself and another one says too.
    pub(crate) fn leader(&self) -> Option<usize> {
        let said: Vec<(usize, Value)> = (0..COUNT).filter_map(|n| Some((n, self.status(n)?))).collect();
        let leads = |(n, status): &(usize, Value)| {
            let followers = said.iter().filter(|(_, other)| other["leader"] == status["header"]["member_id"]);
            (followers.count() > COUNT / 2).then_some(*n)
        };
        said.iter().find_map(leads)
    }

    fn status(&self, n: usize) -> Option<Value> {
        let url = format!("http://{}:2379/v3/maintenance/status", address(n));
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.net.space(&member(n)),
            "curl",
            "-s",
            "-m",
            "0.5",
            "-d",
            "{}",
            &url,
        ]);
        serde_json::from_slice(&command.output().ok()?.stdout).ok()
    }

    /// The members that somebody has connections to, by how many there are.
    #[track_caller]
    pub(crate) fn asked_by(&self, place: &str) -> Vec<usize> {
        let said = self.net.inside(place, &["ss", "-tnH", "state", "established", "dport", "=", ":2379"]);
        let count = |n: &usize| said.matches(&format!("{}:2379", address(*n))).count();
        let mut asked: Vec<usize> = (0..COUNT).filter(|n| count(n) > 0).collect();
        asked.sort_by_key(|n| std::cmp::Reverse(count(n)));
        asked
    }

    /// Breaks the network of a member.
    #[track_caller]
    pub(crate) fn cut(&self, n: usize, how: Cut) {
        self.cut_off(&member(n), how);
    }

    /// Breaks the network of anybody.
    #[track_caller]
    pub(crate) fn cut_off(&self, place: &str, how: Cut) {
        let [input, output] = how.rules();
        let chain = |hook: &str, rules: &str| {
            format!("chain {hook} {{\ntype filter hook {hook} priority 0\n{rules}\n}}\n")
        };
        let table = format!("table inet cut {{\n{}{}}}\n", chain("input", input), chain("output", output));
        let rules = self.dir.path().join("rules");
        fs::write(&rules, table).unwrap();
        self.net.inside(place, &["nft", "-f", rules.to_str().unwrap()]);
    }

    /// Mends the network of everybody.
    #[track_caller]
    pub(crate) fn heal(&self) {
        self.net.places.iter().for_each(|place| drop(self.net.inside(place, &["nft", "flush", "ruleset"])));
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        (0..COUNT).for_each(|n| self.kill(n));
    }
}
