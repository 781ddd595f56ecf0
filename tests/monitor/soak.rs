//! Hours of it: what it takes does not grow.

use crate::support::{Cost, Dice, Machine, Monitor, Process, beat_of};
use serde_json::json;
use std::thread::sleep;
use std::time::{Duration, Instant};

const MIB: u64 = 1024 * 1024;
const SERVICES: usize = 12;

/// Services that beat, crash, come back, complain and go; and somebody who asks.
struct Town {
    machine: Machine,
    processes: Vec<Option<Process>>,
    dice: Dice,
    asked: u32,
}

impl Town {
    fn new() -> Self {
        let processes = (0..SERVICES).map(|_| None).collect();
        Self { machine: Machine::new(), processes, dice: Dice::new("soak"), asked: 0 }
    }

    fn begin(&mut self, at: usize) {
        let process = Process::start(&mut self.machine.any_command("sleep", &["6000"]));
        self.processes[at] = Some(process);
        self.report(at, "healthy", "running");
    }

    fn go_on(&mut self) {
        let at = self.dice.one_of(SERVICES);
        match (&self.processes[at], self.dice.below(20)) {
            (None, _) => self.begin(at),
            (Some(_), 0) => self.processes[at].take().unwrap().kill(),
            (Some(_), 1) => {
                self.report(at, "healthy", "stopped");
                self.processes[at].take().unwrap().kill();
            }
            (Some(_), 2) => self.report(at, "warning", "running"),
            (Some(_), 3) => self.machine.puts(&format!("service{at}"), "{\"overall_status\":"),
            (Some(_), 4) => self.vanish(at),
            (Some(_), 5) => self.ask(),
            _ => self.report(at, "healthy", "running"),
        }
    }

    fn vanish(&self, at: usize) {
        // It may have done so before.
        let _ = std::fs::remove_file(self.machine.health_dir().join(format!("service{at}.json")));
    }

    fn report(&self, at: usize, status: &str, state: &str) {
        let mut report = beat_of(self.processes[at].as_ref().unwrap().pid());
        report["overall_status"] = json!(status);
        report["state"] = json!(state);
        self.machine.reports(&format!("service{at}"), &report);
    }

    fn ask(&mut self) {
        assert_eq!(self.machine.snapshot().json["source"], "monitor");
        self.machine.run(&["why", "service0"]);
        self.asked += 1;
    }

    /// The most that the monitor takes meanwhile.
    fn go_on_for(&mut self, time: Duration, monitor: &Monitor) -> Cost {
        let (began, mut most) = (Instant::now(), monitor.cost());
        while began.elapsed() < time {
            self.go_on();
            sleep(Duration::from_millis(self.dice.below(20)));
            let cost = monitor.cost();
            most.own_bytes = most.own_bytes.max(cost.own_bytes);
            most.descriptors = most.descriptors.max(cost.descriptors);
            most.cpu = cost.cpu;
        }
        most
    }
}

/// Ten seconds, or as many minutes as `SOAK_MINUTES` says.
fn how_long() -> Duration {
    let minutes = std::env::var("SOAK_MINUTES").ok().map(|minutes| minutes.parse::<f64>().unwrap());
    minutes.map_or(Duration::from_secs(10), |minutes| Duration::from_secs_f64(minutes * 60.0))
}

#[test]
fn what_it_takes_does_not_grow() {
    let (mut town, time) = (Town::new(), how_long());
    let mut monitor = town.machine.monitors();
    (0..town.processes.len()).for_each(|at| town.begin(at));
    let early = town.go_on_for(time / 3, &monitor);
    town.go_on_for(time / 3, &monitor);
    let late = town.go_on_for(time / 3, &monitor);
    let told = monitor.told();
    let transitions = told.iter().filter(|event| event["type"] == "transition").count();
    println!(
        "within {time:?}, {transitions} transitions and {} questions: {:.1} MiB and {} descriptors at most in the \
         first third, {:.1} MiB and {} in the last; {:?} of a processor",
        town.asked,
        early.own_bytes as f64 / MIB as f64,
        early.descriptors,
        late.own_bytes as f64 / MIB as f64,
        late.descriptors,
        late.cpu
    );
    assert!(transitions > 20 && town.asked > 0, "nothing happened");
    assert!(late.descriptors <= early.descriptors + 4, "{early:?} {late:?}");
    assert!(late.own_bytes <= early.own_bytes + 4 * MIB, "{early:?} {late:?}");
    assert!(monitor.stop() < Duration::from_secs(1));
}
