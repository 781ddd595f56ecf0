//! F19: what the monitor holds and what a look of one's own shows are the same, of everything and at each time.

use crate::support::{Machine, Monitor, Process, beat_of, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;

/// Status and cause of each subject.
type Verdicts = BTreeMap<String, (String, String)>;

fn verdicts(machine: &Machine, arguments: &[&str]) -> (Verdicts, String) {
    let outcome = machine.run(&[&["--format", "json"], arguments].concat());
    let json: Value =
        serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut all = Verdicts::new();
    for section in ["services", "probes", "zmq_endpoints"] {
        for (name, view) in json[section].as_object().into_iter().flatten() {
            all.insert(format!("{section} {name}"), (text(&view["status"]), text(&view["cause"])));
        }
    }
    (all, text(&json["source"]))
}

/// Name, status and cause.
type Expected = (&'static str, &'static str, &'static str);

const FILLED: &[Expected] = &[
    ("services healthy", "healthy", "self_reported"),
    ("services warning", "warning", "self_reported"),
    ("services error", "error", "self_reported"),
    ("services fatal", "fatal", "self_reported"),
    ("services unknown", "unknown", "self_reported"),
    ("services checked", "error", "self_reported"),
    ("services starting", "healthy", "self_reported"),
    ("services goodbye", "healthy", "stopped"),
    ("services finished", "healthy", "finished"),
    ("services failed", "error", "crashed"),
    ("services crashed", "error", "crashed"),
    ("services hung", "error", "hung"),
    ("services overdue", "error", "overdue"),
    ("services never", "error", "never_started"),
    ("services newer", "unknown", "newer_version"),
    ("services stranger", "unknown", "not_permitted"),
    ("services torn", "unknown", "report_unreadable"),
    ("services fifo", "unknown", "report_unreadable"),
    ("services empty", "unknown", "report_unreadable"),
    ("probes door", "healthy", "self_reported"),
    ("probes flag", "healthy", "self_reported"),
    ("probes worried", "error", "probe_failed"),
];

/// Reports of all kinds, and what is looked at from outside.
struct Zoo {
    machine: Machine,
    door: Option<TcpListener>,
    living: Process,
    stopped: Process,
    crashed: Option<Process>,
}

impl Zoo {
    fn new() -> Self {
        let machine = Machine::new();
        let sleeper = || Process::start(&mut machine.any_command("sleep", &["600"]));
        let (living, stopped, crashed) = (sleeper(), sleeper(), Some(sleeper()));
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let quick = "interval = \"300ms\"\nretry_interval = \"100ms\"\ntimeout = \"250ms\"\nretries = 0\n";
        machine.configures(&format!(
            "[alerts]\ngrace = \"0s\"\n[services.never]\n[services.instance]\n
             [probes.door]\nkind = \"tcp\"\naddress = \"{}\"\n{quick}
             [probes.flag]\nkind = \"command\"\ncommand = [\"test\", \"-e\", \"{}/flag\"]\n{quick}
             [probes.worried]\nkind = \"command\"\ncommand = [\"dash\", \"-c\", \"echo so so; exit 1\"]\n{quick}",
            door.local_addr().unwrap(),
            machine.root().display(),
        ));
        std::fs::write(machine.root().join("flag"), "").unwrap();
        Self { machine, door: Some(door), living, stopped, crashed }
    }

    fn report(&self, name: &str, process: &Process, changes: &Value) {
        let mut report = beat_of(process.pid());
        report.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.machine.reports(name, &report);
    }

    fn fill(&self) {
        let (living, stopped) = (&self.living, &self.stopped);
        let days_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(72);
        self.report("healthy", living, &json!({}));
        for status in ["warning", "error", "fatal", "unknown"] {
            self.report(status, living, &json!({ "overall_status": status }));
        }
        let check = json!({"checks": [{"name": "lens", "status": "error", "message": "dirty"}]});
        self.report("checked", living, &check);
        self.report("starting", living, &json!({"state": "starting"}));
        self.report("goodbye", living, &json!({"state": "stopped"}));
        self.report("finished", living, &json!({"state": "finished", "deadline_s": 3_600}));
        self.report(
            "failed",
            living,
            &json!({"state": "finished", "overall_status": "error", "deadline_s": 3_600}),
        );
        self.report("crashed", self.crashed.as_ref().unwrap(), &json!({}));
        self.report("hung", stopped, &json!({"deadline_s": 1}));
        self.report("instance@2", living, &json!({}));
        self.report("newer", living, &json!({"schema_version": 99}));
        self.report("stranger", living, &json!({}));
        std::os::unix::fs::chown(self.machine.health_dir().join("stranger.json"), Some(65_534), None)
            .unwrap();
        self.machine.reports("overdue", &json!({"overall_status": "healthy", "deadline_s": 1}));
        self.machine
            .reports("old", &json!({"overall_status": "healthy", "last_updated": days_ago.to_string()}));
        self.machine.reports(
            "another_boot",
            &json!({"overall_status": "healthy", "pid": 1, "boot_id": "another", "written_boottime_s": 5.0}),
        );
        self.machine.puts("torn", "{\"overall_status\":");
        self.machine.puts("array", "[]");
        let original = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/original-fatal.json");
        std::fs::copy(original, self.machine.health_dir().join("original.json")).unwrap();
        self.machine.shell("mkfifo logs/health/fifo.json; ln -s /etc/passwd logs/health/link.json; touch logs/health/empty.json");
        self.machine.shell("touch 'logs/health/no name.json'");
    }

    fn change(&mut self) {
        self.door = None;
        std::fs::remove_file(self.machine.root().join("flag")).unwrap();
        self.report("warning", &self.living, &json!({}));
        self.report("crashed", &self.living, &json!({}));
        self.machine.reports("torn", &json!({"overall_status": "fatal"}));
        self.report("never", &self.living, &json!({"state": "stopped"}));
    }

    fn change_again(&self) {
        std::fs::write(self.machine.root().join("flag"), "").unwrap();
        self.stopped.signal(Signal::CONT);
        self.report("hung", &self.stopped, &json!({}));
        self.machine.puts("healthy", "{");
        self.report("failed", &self.living, &json!({"state": "running"}));
    }

    /// Waits until the monitor knows what has changed; from then on both agree on all.
    #[track_caller]
    fn agree(&self, expected: &[Expected]) {
        for (name, status, cause) in expected {
            eventually(&format!("{name} to be {status}, {cause}"), || {
                let (held, source) = verdicts(&self.machine, &[]);
                let (held_status, held_cause) = held.get(*name)?;
                (source == "monitor" && held_status == status && held_cause == cause).then_some(())
            });
        }
        self.still_agree();
    }

    #[track_caller]
    fn still_agree(&self) {
        for _ in 0..5 {
            let ((held, held_by), (seen, seen_by)) =
                (verdicts(&self.machine, &[]), verdicts(&self.machine, &["--direct"]));
            assert_eq!((&*held_by, &*seen_by), ("monitor", "direct"));
            let unlike: Vec<_> = held.iter().filter(|(name, held)| seen.get(*name) != Some(held)).collect();
            let unlike =
                unlike.iter().map(|(name, held)| format!("{name}: {held:?}, but {:?}", seen.get(*name)));
            assert_eq!(unlike.collect::<Vec<_>>(), [""; 0]);
            assert_eq!(held.len(), seen.len());
        }
    }

    /// With the monitor gone, whoever asks looks himself.
    #[track_caller]
    fn sees_the_same_without(&self, monitor: Monitor) {
        let (held, _) = verdicts(&self.machine, &[]);
        monitor.kill();
        let (mut seen, source) = verdicts(&self.machine, &[]);
        assert_eq!(source, "direct");
        // Its own report tells of its end.
        seen.insert("services healthcheck".to_owned(), held["services healthcheck"].clone());
        assert_eq!(held, seen);
    }
}

#[test]
fn f19_the_monitor_and_a_look_of_ones_own_never_disagree() {
    let mut zoo = Zoo::new();
    zoo.fill();
    let monitor = zoo.machine.monitors();
    zoo.stopped.signal(Signal::STOP);
    zoo.crashed.take().unwrap().kill();
    zoo.agree(FILLED);
    zoo.change();
    zoo.agree(&[
        ("services warning", "healthy", "self_reported"),
        ("services crashed", "healthy", "self_reported"),
        ("services torn", "fatal", "self_reported"),
        ("services never", "healthy", "stopped"),
        ("probes door", "error", "probe_failed"),
        ("probes flag", "error", "probe_failed"),
    ]);
    zoo.change_again();
    zoo.agree(&[
        ("services hung", "healthy", "self_reported"),
        ("services healthy", "unknown", "report_unreadable"),
        ("services failed", "healthy", "self_reported"),
        ("probes flag", "healthy", "self_reported"),
    ]);
    zoo.sees_the_same_without(monitor);
    let _monitor = zoo.machine.monitors();
    zoo.still_agree();
}
