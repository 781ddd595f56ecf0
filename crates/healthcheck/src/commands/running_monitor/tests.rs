//! Whom a command believes, and how long it waits.

use super::{Directories, RunningMonitor};
use crate::commands::snapshot;
use crate::config::{self, Surroundings};
use crate::monitor::control::pretended::Pretended;
use crate::monitor::control::{Answer, Question};
use crate::monitor::published::{Places, Publication, Published};
use crate::render::Source;
use crate::render::why::{Chain, Past};
use health_reporter::clock;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const REPORT: &str =
    r#"{"overall_status":"warning","checks":[{"name":"disk","status":"warning","message":"81 % full"}]}"#;

/// A machine with two health directories, and places for what a monitor publishes.
struct Machine {
    root: tempfile::TempDir,
    places: Places,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for dir in ["state", "health", "other"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        fs::write(root.path().join("health/camera.json"), REPORT).unwrap();
        let places = Places::at(&root.path().join("state"), vec![root.path().join("run")]);
        Self { root, places }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// This very process is a monitor for `health`.
    fn publishes(&self, socket: &Path) -> Publication {
        self.places.publish(&[self.path("health")], socket)
    }

    /// Somebody wrote this into the state directory.
    fn writes(&self, change: impl FnOnce(&mut Published)) {
        let mut published = Published {
            pid: std::process::id(),
            pid_start_ticks: clock::start_ticks(std::process::id()).unwrap(),
            health_dirs: vec![self.path("health")],
            state_dir: self.path("state"),
            control_socket: self.path("state/control.sock"),
            started_at: jiff::Timestamp::now(),
            version: "0".into(),
        };
        change(&mut published);
        let file = self.path("state/monitor.json");
        fs::write(&file, serde_json::to_string(&published).unwrap()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn found(&self) -> Option<RunningMonitor> {
        RunningMonitor::all(&self.places).next()
    }

    fn meant(&self, dirs: &[&Path], are_named: bool) -> (Vec<PathBuf>, bool) {
        let dirs = dirs.iter().map(|dir| dir.to_path_buf()).collect();
        let (meant, monitor) = Directories { dirs, are_named }.watched(&self.places);
        (meant.dirs, monitor.is_some())
    }
}

/// It answers with a look of its own at the directory.
fn watching(dir: PathBuf) -> Pretended {
    Pretended::answering(move |question| {
        let config = config::load(&Surroundings::of_this_process(None, &|_| None)).unwrap();
        let picture = snapshot::look(&config, std::slice::from_ref(&dir), None);
        let answer = match question {
            Question::Why { service } => Chain::of(&picture.snapshot, service, |_| Past::default())
                .map_or(Answer::Unknown { names: vec!["camera".into()] }, |chain| {
                    Answer::Why(Box::new(chain))
                }),
            Question::Snapshot => Answer::Snapshot(Box::new(picture)),
            _ => Answer::Done,
        };
        Some(answer.line())
    })
}

#[test]
fn f19_the_view_of_a_monitor_is_shown_as_it_has_it() {
    let machine = Machine::new();
    let monitor = watching(machine.path("health"));
    let _publication = machine.publishes(&monitor.path());
    let found = machine.found().unwrap();
    let picture = snapshot::of_monitor(&found).unwrap();
    assert_eq!(picture.source, Source::Monitor { pid: std::process::id() });
    let camera = picture.snapshot.service("camera").unwrap();
    assert_eq!(camera.subject.message, "disk: 81 % full");
    let Answer::Why(chain) = found.ask(&Question::Why { service: "camera".into() }).unwrap() else {
        panic!("no chain")
    };
    assert_eq!(chain.view.subject().message, camera.subject.message);
}

#[test]
fn a_monitor_counts_for_its_very_directories() {
    let machine = Machine::new();
    let monitor = Pretended::new();
    let _publication = machine.publishes(&monitor.path());
    let (health, other) = (machine.path("health"), machine.path("other"));
    std::os::unix::fs::symlink("health", machine.path("link")).unwrap();
    for same in [&health, &machine.path("link"), &machine.path("other/../health")] {
        assert_eq!(machine.meant(&[same], true), (vec![same.clone()], true));
    }
    assert!(machine.meant(&[&health, &health], true).1, "a set");
    assert!(!machine.meant(&[&other], true).1 && !machine.meant(&[&health, &other], true).1);
}

#[test]
fn without_a_word_the_directories_of_the_monitor_are_meant() {
    let machine = Machine::new();
    let (health, nowhere) = (machine.path("health"), machine.path("nowhere"));
    assert_eq!(machine.meant(&[&nowhere], false), (vec![nowhere.clone()], false), "there is no monitor");
    let monitor = Pretended::new();
    let publication = machine.publishes(&monitor.path());
    assert_eq!(machine.meant(&[&nowhere], false), (vec![health.clone()], true));
    let usual = Path::new("src");
    assert!(usual.is_dir());
    assert_eq!(machine.meant(&[usual], false), (vec![usual.into()], false), "it is here");
    let writes = |dir: &Path, are_named| {
        Directories { dirs: vec![dir.to_owned()], are_named }.for_a_writer(&machine.places)
    };
    assert_eq!((writes(&nowhere, true), writes(&nowhere, false)), (nowhere.clone(), health.clone()));
    assert_eq!(writes(&machine.path("other/../health"), false), machine.path("other/../health"));
    drop(monitor);
    assert_eq!(machine.meant(&[&nowhere], false), (vec![nowhere.clone()], false), "nobody listens");
    drop(publication);
    assert!(machine.found().is_none());
}

#[test]
fn one_with_two_directories_leaves_a_writer_in_his_own() {
    let machine = Machine::new();
    let monitor = Pretended::new();
    machine.writes(|published| {
        published.health_dirs = vec![machine.path("health"), machine.path("other")];
        published.control_socket = monitor.path();
    });
    let writes = |name: &str| {
        Directories { dirs: vec![machine.path(name)], are_named: false }.for_a_writer(&machine.places)
    };
    assert_eq!(writes("other"), machine.path("other"));
    assert_eq!(writes("nowhere"), machine.path("health"));
}

#[test]
fn who_is_gone_or_another_is_not_believed() {
    let machine = Machine::new();
    let monitor = Pretended::new();
    machine.writes(|published| published.control_socket = monitor.path());
    assert!(machine.found().unwrap().ask(&Question::Snapshot).is_ok(), "this one is right");
    machine.writes(|published| published.pid_start_ticks += 1);
    assert!(machine.found().is_none(), "the pid is another's by now");
    machine.writes(|published| published.pid = 4_194_305);
    assert!(machine.found().is_none(), "no such process");
    machine.writes(|published| published.health_dirs = vec!["logs/health".into()]);
    assert!(machine.found().is_none(), "nobody knows below what");
    machine
        .writes(|published| (published.pid, published.pid_start_ticks) = (1, clock::start_ticks(1).unwrap()));
    let found = machine.found().unwrap();
    assert!(found.ask(&Question::Snapshot).is_err(), "nobody listens");
    machine.writes(|published| {
        (published.pid, published.pid_start_ticks) = (1, clock::start_ticks(1).unwrap());
        published.control_socket = monitor.path();
    });
    let error = machine.found().unwrap().ask(&Question::Snapshot).unwrap_err();
    let problem = format!("process {} of user 0 listens there", std::process::id());
    assert_eq!(error.to_string(), problem, "another process does");
    assert!(!machine.found().unwrap().is_there());
}

#[test]
fn a_file_of_somebody_else_is_not_believed() {
    let machine = Machine::new();
    let monitor = Pretended::new();
    machine.writes(|published| published.control_socket = monitor.path());
    let file = machine.path("state/monitor.json");
    chown(&file, Some(4711), None).unwrap();
    assert!(machine.found().is_none(), "anybody can write into a directory that is open to all");
    chown(machine.path("state"), Some(4711), None).unwrap();
    let error = machine.found().unwrap().ask(&Question::Snapshot).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "the monitor is not his: {error}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(machine.found().is_none());
}

/// Another user's process that listens at `socket`, and answers everything.
struct Squatter(Child);

impl Squatter {
    fn at(socket: &Path) -> Self {
        const SQUAT: &str = r#"use IO::Socket::UNIX; $SIG{PIPE} = "IGNORE"; my $l = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 9) or die $!;
syswrite(STDOUT, "there\n"); while (my $s = $l->accept) { print $s "\"done\"\n"; }"#;
        let words = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "perl", "-e", SQUAT];
        let mut child =
            Command::new("setpriv").args(words).arg(socket).stdout(Stdio::piped()).spawn().unwrap();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        Self(child)
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_squats_on_the_socket_is_not_believed() {
    let machine = Machine::new();
    let open = machine.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    let squatter = Squatter::at(&open.join("control.sock"));
    let pid = squatter.0.id();
    for (pid, ticks) in [std::process::id(), pid].map(|pid| (pid, clock::start_ticks(pid).unwrap())) {
        machine.writes(|published| {
            (published.pid, published.pid_start_ticks) = (pid, ticks);
            published.control_socket = open.join("control.sock");
        });
        let error = machine.found().unwrap().ask(&Question::Snapshot).unwrap_err();
        assert!(error.to_string().contains("of user 65534 listens there"), "{error}");
    }
}

#[test]
fn who_does_not_answer_is_waited_for_a_short_time() {
    let machine = Machine::new();
    let monitor = Pretended::answering(|_| None);
    let _publication = machine.publishes(&monitor.path());
    let started = Instant::now();
    assert!(snapshot::of_monitor(&machine.found().unwrap()).is_none());
    let took = started.elapsed();
    assert!((300..2_000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn an_answer_that_is_none_is_not_shown() {
    let machine = Machine::new();
    for answer in ["", "{", "{\"snapshot\":{}}", "\"done\" \"done\"", "\u{1b}[2J"] {
        let monitor = Pretended::answering(move |_| Some(answer.to_owned()));
        let _publication = machine.publishes(&monitor.path());
        assert!(snapshot::of_monitor(&machine.found().unwrap()).is_none(), "{answer:?}");
    }
    let monitor = Pretended::new();
    let _publication = machine.publishes(&monitor.path());
    assert!(snapshot::of_monitor(&machine.found().unwrap()).is_none(), "it speaks of something else");
}

/// Ends the conversation with the first two, and answers the third.
#[test]
fn who_was_sent_away_asks_again_unless_it_changes_something() {
    let machine = Machine::new();
    let socket = machine.path("state/control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let _publication = machine.publishes(&socket);
    let serve = std::thread::spawn(move || {
        for (number, stream) in listener.incoming().take(4).enumerate() {
            let mut stream = stream.unwrap();
            if number == 2 {
                assert!(stream.read(&mut [0; 64]).unwrap() > 0);
                stream.write_all(b"\"done\"\n").unwrap();
            }
        }
    });
    let found = machine.found().unwrap();
    assert!(matches!(found.ask(&Question::Snapshot), Ok(Answer::Done)));
    let started = Instant::now();
    assert!(found.ask(&Question::Reload).is_err());
    assert!(started.elapsed() < Duration::from_secs(2));
    serve.join().unwrap();
}
