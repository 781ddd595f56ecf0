use super::{Machine, PATIENCE, Process};
use rustix::process::Signal;
use serde_json::Value;
use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A monitor that runs, and everything that it has said.
#[derive(Debug)]
pub(crate) struct Monitor {
    process: Process,
    told: RefCell<Vec<Value>>,
}

/// What a process takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) own_bytes: u64,
    pub(crate) descriptors: usize,
    pub(crate) cpu: Duration,
}

impl Cost {
    #[track_caller]
    pub(crate) fn of(pid: u32) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        let (status, stat) = (read("status"), read("stat"));
        // How much of the program itself is in memory is up to the machine.
        let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        let kib: u64 = own.trim().trim_end_matches(" kB").parse().unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Self {
            own_bytes: kib * 1024,
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            cpu: Duration::from_millis(ticks * 10),
        }
    }
}

impl Machine {
    /// A monitor of this machine that is ready.
    #[track_caller]
    pub(crate) fn monitors(&self) -> Monitor {
        Monitor::from_command(&mut self.command(&["monitor"]))
    }
}

impl Monitor {
    #[track_caller]
    pub(crate) fn from_command(command: &mut Command) -> Self {
        let monitor = Self::starting(command);
        monitor.event("the monitor to be ready", |event| event["type"] == "started");
        monitor
    }

    /// One that need not become ready.
    #[track_caller]
    pub(crate) fn starting(command: &mut Command) -> Self {
        let log = std::env::var_os("MONITOR_LOG")
            .map(|path| std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap());
        command.stderr(log.map_or_else(Stdio::null, Stdio::from));
        Self { process: Process::start(command), told: RefCell::default() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Everything that was said so far.
    pub(crate) fn told(&self) -> Vec<Value> {
        while let Some(line) = self.process.try_line() {
            self.note(&line);
        }
        self.told.borrow().clone()
    }

    fn note(&self, line: &str) {
        let event = serde_json::from_str(line);
        self.told.borrow_mut().push(event.unwrap_or_else(|error| panic!("no JSON: {error}: {line}")));
    }

    /// The next event that fits, of those that were not waited for yet.
    #[track_caller]
    pub(crate) fn event(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.event_within(what, PATIENCE, fits)
    }

    #[track_caller]
    pub(crate) fn event_within(
        &self,
        what: &str,
        patience: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(line) = self.process.line_or_none(left) else {
                panic!("waited in vain for {what}; told: {:#?}", self.told.borrow());
            };
            self.note(&line);
            let event = self.told.borrow().last().cloned().unwrap();
            if fits(&event) {
                return event;
            }
        }
    }

    /// The next transition of a subject to this status and cause.
    #[track_caller]
    pub(crate) fn transition(&self, subject: &str, to: &str, cause: &str) -> Value {
        self.event(&format!("{subject} to be {to}, {cause}"), |event| {
            (&event["type"], &event["subject"]) == (&"transition".into(), &subject.into())
                && (&event["to"], &event["cause"]) == (&to.into(), &cause.into())
        })
    }

    /// All transitions of a subject so far, as `from→to cause`.
    pub(crate) fn story_of(&self, subject: &str) -> Vec<String> {
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let told = self.told();
        let own = told.iter().filter(|event| event["type"] == "transition" && event["subject"] == subject);
        own.map(|event| format!("{}→{} {}", text(event, "from"), text(event, "to"), text(event, "cause")))
            .collect()
    }

    /// Ends it as systemd does, and returns how long that took.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Duration {
        let began = Instant::now();
        self.signal(Signal::TERM);
        let status = self.process.ended();
        assert!(status.success(), "the monitor ended with {status}");
        began.elapsed()
    }

    /// Ends it as the kernel does.
    pub(crate) fn kill(self) {
        self.process.kill();
    }

    /// Ends it as the kernel does, and returns everything that it said before.
    #[track_caller]
    pub(crate) fn killed(mut self) -> Vec<Value> {
        if !self.has_ended() {
            self.signal(Signal::KILL);
        }
        self.process.ended();
        while let Some(line) = self.process.line_or_none(PATIENCE) {
            self.note(&line);
        }
        self.told.take()
    }

    /// What it takes now.
    #[track_caller]
    pub(crate) fn cost(&self) -> Cost {
        Cost::of(self.pid())
    }

    /// Whether it is not there any more.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// How it ended by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> i32 {
        self.process.ended().code().unwrap_or(-1)
    }
}
