//! What a supervisor hears by sd_notify.

use super::target::{Target, command};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Half of it is the pace at which the watchdog is fed.
const WATCHDOG: Duration = Duration::from_millis(400);

struct Supervisor {
    socket: UnixDatagram,
    // Its end removes the socket.
    dir: tempfile::TempDir,
}

impl Supervisor {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { socket: UnixDatagram::bind(dir.path().join("notify")).unwrap(), dir }
    }

    fn start(&self, dir: &Path, words: &[&str]) -> Target {
        Target::from_command(dir, self.supervised(&mut command(dir, words)))
    }

    fn supervised<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify"))
    }

    /// The next message, or nothing if there is none for so long.
    fn hears_within(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => return Some(String::from_utf8(buffer[..length].to_vec()).unwrap()),
                // A wait with a time-out is not taken up again after the whole machine was stopped and continued.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[track_caller]
    fn hears(&self, word: &str) -> String {
        for _ in 0..100 {
            let message = self.hears_within(Duration::from_secs(20)).expect("a message");
            if message.lines().any(|line| line.starts_with(word)) {
                return message;
            }
        }
        panic!("100 messages without {word}")
    }
}

#[test]
fn ready_status_and_stopping_follow_the_report() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::new());
    let mut target = supervisor.start(dir.path(), &["starting"]);
    let first = supervisor.hears("STATUS=");
    assert_eq!(first, "STATUS=healthy\n", "not ready yet");
    target.ask("ready");
    assert!(supervisor.hears("READY=1").contains("READY=1\n"));
    target.ask("record lens error stuck");
    assert_eq!(supervisor.hears("STATUS="), "STATUS=error: lens stuck\n");
    target.ask("record lens healthy");
    target.ask("task frame 100");
    supervisor.hears("STATUS=healthy frame 100");
    target.ask("stop the show is over");
    assert!(supervisor.hears("STOPPING=1").starts_with("STOPPING=1\n"));
}

#[test]
fn a_service_is_ready_even_if_its_report_cannot_be_written() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::new());
    let file = dir.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let mut target = supervisor.start(&file.join("health"), &[]);
    assert!(target.ask("flush").contains("failed"));
    supervisor.hears("READY=1");
}

fn watched(supervisor: &Supervisor, dir: &Path) -> Target {
    let script = format!("WATCHDOG_PID=$$ WATCHDOG_USEC={} exec \"$@\"", WATCHDOG.as_micros());
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script, "sh"]).arg(crate::support::example("fault_target")).arg(dir);
    Target::from_command(dir, supervisor.supervised(&mut shell))
}

/// Whether the supervisor would take it for dead.
fn is_starved(supervisor: &Supervisor) -> bool {
    // What was sent before does not count.
    while supervisor.hears_within(Duration::from_millis(1)).is_some() {}
    let quiet_from = std::time::Instant::now();
    while quiet_from.elapsed() < WATCHDOG * 2 {
        if supervisor.hears_within(WATCHDOG).is_some_and(|message| message.contains("WATCHDOG=1")) {
            return false;
        }
    }
    true
}

#[test]
fn the_watchdog_is_fed_until_a_loop_falls_silent() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::new());
    let mut target = watched(&supervisor, dir.path());
    supervisor.hears("WATCHDOG=1");
    target.ask("watch frames 500");
    target.reports("the silent loop", |report| {
        let watched = report.watched_loops.first();
        watched.is_some_and(|it| report.written_boottime_s.unwrap() > it.beat_boottime_s + it.limit_s)
    });
    assert!(is_starved(&supervisor));
    target.ask("watch frames 60000");
    supervisor.hears("WATCHDOG=1");
}

#[test]
fn the_watchdog_is_not_fed_by_a_service_that_is_done_for() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::new());
    let mut target = watched(&supervisor, dir.path());
    supervisor.hears("WATCHDOG=1");
    target.ask("fatal the sensor is dead");
    assert!(is_starved(&supervisor));
    target.ask("recover");
    supervisor.hears("WATCHDOG=1");
}

#[test]
fn the_watchdog_of_another_process_is_not_ours() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::new());
    let mut service = command(dir.path(), &[]);
    service.env("WATCHDOG_PID", "1").env("WATCHDOG_USEC", "100000");
    let mut target = Target::from_command(dir.path(), supervisor.supervised(&mut service));
    target.flushed();
    assert!(is_starved(&supervisor));
}

#[test]
fn a_full_queue_of_the_supervisor_is_not_waited_for() {
    let (dir, supervisor) = (tempfile::tempdir().unwrap(), Supervisor::new());
    let mut target = supervisor.start(dir.path(), &[]);
    for number in 0..400 {
        target.ask(&format!("task message {number} that nobody takes"));
        let answer = target.ask("flush");
        assert!(answer.ends_with(" ok"), "message {number}: {answer}");
    }
    assert_eq!(target.report().current_task.as_deref(), Some("message 399 that nobody takes"));
    while supervisor.hears_within(Duration::from_millis(1)).is_some() {}
    target.ask("flush");
    assert_eq!(supervisor.hears("STATUS="), "STATUS=healthy message 399 that nobody takes\n");
}

#[test]
fn a_socket_may_be_in_no_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let name = format!("healthcheck-stories-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let supervisor = Supervisor { socket: UnixDatagram::bind_addr(&address).unwrap(), dir };
    let mut service = command(supervisor.dir.path(), &[]);
    let _target =
        Target::from_command(supervisor.dir.path(), service.env("NOTIFY_SOCKET", format!("@{name}")));
    supervisor.hears("READY=1");
}
