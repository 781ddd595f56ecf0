//! A monitor that is only pretended, and peers that are not.

use super::pretended::Pretended;
use super::{Answer, Question, bind, connect};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// What is answered at once, is answered within this time also on a busy machine.
const SOON: Duration = Duration::from_millis(900);

trait Peer {
    fn connect(&self) -> UnixStream;
    fn ask(&self, line: &str) -> String;
    fn assert_answers_soon(&self);
}

impl Peer for Pretended {
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, line: &str) -> String {
        answer_to(&mut self.connect(), line)
    }

    /// The question of somebody honest is answered at once.
    #[track_caller]
    fn assert_answers_soon(&self) {
        let started = Instant::now();
        assert_eq!(self.ask("{\"ask\":\"snapshot\"}"), "\"done\"");
        let took = started.elapsed();
        assert!(took < SOON, "it took {took:?}");
    }
}

fn answer_to(stream: &mut UnixStream, line: &str) -> String {
    // Whoever is refused before he has said all cannot say the rest.
    let _ = stream.write_all(format!("{line}\n").as_bytes());
    let mut answer = String::new();
    let _ = BufReader::new(stream).read_line(&mut answer);
    answer.trim_end().to_owned()
}

/// Waits until the other side has ended the conversation, and returns after how long.
#[track_caller]
fn ended_after(mut stream: &UnixStream) -> Duration {
    let started = Instant::now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(started.elapsed() < PATIENCE, "it is not ended");
    started.elapsed()
}

#[test]
fn one_line_in_one_line_out_and_closed() {
    let monitor = Pretended::new();
    let mut stream = monitor.connect();
    assert_eq!(answer_to(&mut stream, r#"{"ask":"why","service":"camera"}"#), "\"done\"");
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "closed");
    for line in [r#"{"ask":"snapshot"}"#, r#"{"ask":"forget","service":"x"}"#, r#"{"ask":"reload"}"#] {
        assert_eq!(monitor.ask(line), "\"done\"");
    }
    let camera = || "camera".to_owned();
    let wanted = [
        Question::Why { service: camera() },
        Question::Snapshot,
        Question::Forget { service: "x".to_owned() },
        Question::Reload,
    ];
    assert_eq!(monitor.asked(), wanted.map(|question| (question, true)), "we are its own user");
    let line = Question::Why { service: camera() }.line();
    assert_eq!(serde_json::from_str::<Question>(&line).unwrap(), Question::Why { service: camera() });
}

#[test]
fn what_is_no_question_is_told_so_and_asks_nobody() {
    let monitor = Pretended::new();
    for line in ["", "{}", "{\"ask\":\"everything\"}", "GET / HTTP/1.1", "\u{0}\u{1b}[2J"] {
        let answer: Answer = serde_json::from_str(&monitor.ask(line)).unwrap();
        assert!(answer.problem().starts_with("no question: "), "{line:?}: {answer:?}");
    }
    assert_eq!(monitor.asked(), []);
}

#[test]
fn a_thousand_who_say_nothing_hold_up_nobody() {
    let monitor = Pretended::new();
    let silent: Vec<_> = (0..1_000).map(|_| monitor.connect()).collect();
    monitor.assert_answers_soon();
    let slowest = silent.iter().map(ended_after).max().unwrap();
    assert!(slowest < Duration::from_secs(3), "the last silent one was there for {slowest:?}");
    monitor.assert_answers_soon();
}

#[test]
fn who_speaks_slowly_is_not_waited_for() {
    let monitor = Pretended::new();
    let drips: Vec<_> = (0..16).map(|_| monitor.connect()).collect();
    let stop = Arc::new(());
    let dripping = Arc::downgrade(&stop);
    let sides: Vec<_> = drips.iter().map(|stream| stream.try_clone().unwrap()).collect();
    let drip = std::thread::spawn(move || {
        while dripping.upgrade().is_some() {
            sides.iter().for_each(|mut side| drop(side.write(b" ")));
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    monitor.assert_answers_soon();
    let slowest = drips.iter().map(ended_after).max().unwrap();
    assert!(slowest < Duration::from_secs(3), "it was listened to for {slowest:?}");
    drop(stop);
    drip.join().unwrap();
}

#[test]
fn a_gibibyte_without_an_end_is_not_read() {
    let monitor = Pretended::new();
    let (mut stream, piece) = (monitor.connect(), vec![b'x'; 1 << 20]);
    let mut said = 0;
    let refused = loop {
        match stream.write(&piece) {
            Ok(count) => said += count,
            Err(error) => break error.kind(),
        }
        assert!(said < 16 << 20, "it reads on");
    };
    assert!(matches!(refused, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{refused:?}");
    monitor.assert_answers_soon();
    let exactly = format!("{{\"ask\":\"snapshot\"}}{}", " ".repeat(4_096 - 18));
    assert_eq!(monitor.ask(&exactly), "\"done\"");
    assert!(monitor.ask(&format!("{exactly} ")).contains("at most 4096 bytes"));
}

#[test]
fn who_does_not_read_holds_up_nobody_and_is_left_in_the_end() {
    let large = Answer::refused("x".repeat(8 << 20)).line();
    let monitor = Pretended::answering(move |question| match question {
        Question::Why { .. } => Some(large.clone()),
        _ => Some(Answer::Done.line()),
    });
    let say = |mut stream: UnixStream| {
        stream.write_all(b"{\"ask\":\"why\",\"service\":\"x\"}\n").unwrap();
        stream
    };
    let mut deaf: Vec<_> = (0..40).map(|_| say(monitor.connect())).collect();
    monitor.assert_answers_soon();
    // The one that came last was not sent away for another: it is left after its time, though it never read.
    let mut last = deaf.pop().unwrap();
    let patience = rustix::event::Timespec::try_from(PATIENCE).unwrap();
    let mut hung_up = [rustix::event::PollFd::new(&last, rustix::event::PollFlags::RDHUP)];
    assert_eq!(rustix::event::poll(&mut hung_up, Some(&patience)).unwrap(), 1);
    let mut read = Vec::new();
    let _ = last.read_to_end(&mut read);
    assert!(read.len() < 8 << 20, "it was waited for");
    let mut whole = String::new();
    say(monitor.connect()).read_to_string(&mut whole).unwrap();
    assert!(whole.len() > 8 << 20, "who reads gets all of it");
}

#[test]
fn a_monitor_that_does_not_answer_is_given_up() {
    let monitor =
        Pretended::answering(|question| (*question == Question::Snapshot).then(|| Answer::Done.line()));
    let mut waiting = monitor.connect();
    waiting.write_all(b"{\"ask\":\"reload\"}\n").unwrap();
    monitor.assert_answers_soon();
    let started = Instant::now();
    let mut answer = String::new();
    BufReader::new(waiting).read_line(&mut answer).unwrap();
    assert!(answer.contains("no answer within 5 s"), "{answer}");
    assert!((4..8).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

/// Says `line` to the socket as another user, and returns the answer.
fn asked_as(uid: u32, socket: &Path, line: &str) -> String {
    const ASK: &str = r#"use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new($ARGV[0]) or die $!;
print $s "$ARGV[1]\n"; $s->flush; print <$s>;"#;
    let uid = uid.to_string();
    let command = ["--reuid", &uid, "--regid", &uid, "--clear-groups", "perl", "-e", ASK];
    let output = Command::new("setpriv").args(command).arg(socket).arg(line).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn anybody_may_look_and_only_its_own_user_may_change() {
    let monitor = Pretended::new();
    let mode = std::fs::symlink_metadata(monitor.path()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o666);
    assert_eq!(asked_as(65_534, &monitor.path(), "{\"ask\":\"snapshot\"}"), "\"done\"");
    assert_eq!(asked_as(65_534, &monitor.path(), r#"{"ask":"why","service":"x"}"#), "\"done\"");
    for line in [r#"{"ask":"forget","service":"x"}"#, "{\"ask\":\"reload\"}"] {
        assert!(asked_as(65_534, &monitor.path(), line).contains("only root and the monitor's own user"));
    }
    let asked = monitor.asked();
    assert_eq!(asked.len(), 2, "what he may not ask is not passed on");
    assert!(asked.iter().all(|(_, may_change)| !may_change));
}

/// One user's crowd sends away nobody but itself.
#[test]
fn there_is_room_beside_the_crowd_of_one_user() {
    const CROWD: &str = r#"use IO::Socket::UNIX; my @crowd;
for (1..200) {
  my $s = IO::Socket::UNIX->new($ARGV[0]) or die $!;
  $s->syswrite('{"ask":"reload"'); push @crowd, $s;
}
syswrite(STDOUT, "there\n"); <STDIN>;"#;
    let monitor = Pretended::new();
    let mut early = monitor.connect();
    let crowd = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "perl", "-e", CROWD];
    let mut crowd = Command::new("setpriv")
        .args(crowd)
        .arg(monitor.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut there = String::new();
    BufReader::new(crowd.stdout.as_mut().unwrap()).read_line(&mut there).unwrap();
    monitor.assert_answers_soon();
    // It said nothing so far, and came before all the others; its second may be over by now on a busy machine.
    let answer = answer_to(&mut early, "{\"ask\":\"snapshot\"}");
    assert!(["\"done\"", ""].contains(&answer.as_str()), "{answer}");
    drop(crowd.stdin.take());
    assert!(crowd.wait().unwrap().success());
}

/// Whoever asks without an end gets only a part of the monitor's time.
#[test]
fn judging_is_not_held_up_by_strangers_who_ask_and_ask() {
    const ASKS: &str = r#"use IO::Socket::UNIX; use Time::HiRes qw(time); my $end = time + 1; my $n = 0;
while (time < $end) {
  my $s = IO::Socket::UNIX->new($ARGV[0]) or die $!;
  $s->syswrite("{\"ask\":\"snapshot\"}\n"); $n++ if <$s>;
}
print $n;"#;
    let monitor = Pretended::answering(|_| {
        std::thread::sleep(Duration::from_millis(10));
        Some(Answer::Done.line())
    });
    let asks = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "perl", "-e", ASKS];
    let output = Command::new("setpriv").args(asks).arg(monitor.path()).output().unwrap();
    let answered: u32 = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    assert!((2..40).contains(&answered), "{answered} answers of 10 ms in a second");
    let started = Instant::now();
    (0..5).for_each(|_| monitor.assert_answers_soon());
    assert!(started.elapsed() < Duration::from_millis(200) * 5, "its own user need not wait");
}

#[test]
fn a_dead_socket_is_replaced_a_living_one_and_other_files_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "nobody listens there any more");
    let listener = bind(&path).unwrap();
    let error = bind(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert_eq!(error.to_string(), format!("another process listens at {}", path.display()));
    assert!(connect(&path).is_ok(), "the living one is still there");
    drop(listener);
    assert!(!path.exists(), "it ends with who listened");
    std::fs::write(&path, "precious").unwrap();
    let error = bind(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("precious", &path).unwrap();
    assert!(bind(&path).is_err() && path.symlink_metadata().unwrap().is_symlink());
}

#[test]
fn a_socket_that_another_put_in_its_place_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let listener = bind(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(path.symlink_metadata().unwrap().file_type().is_socket());
}

#[test]
fn no_path_is_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(200)).join("e".repeat(200));
    std::fs::create_dir_all(&deep).unwrap();
    let path = deep.join("control.sock");
    let listener = bind(&path).unwrap();
    assert_eq!(listener.path(), path);
    assert!(connect(&path).is_ok());
    assert_eq!(bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(path.symlink_metadata().unwrap().mode() & 0o777, 0o666);
    drop(listener);
    assert!(!path.exists());
}

/// The monitor ends: whoever waits is told, and the file is gone.
#[test]
fn who_waits_at_the_end_is_not_left_waiting() {
    let monitor = Pretended::answering(|_| None);
    let path = monitor.path();
    let mut waiting = monitor.connect();
    waiting.write_all(b"{\"ask\":\"snapshot\"}\n").unwrap();
    let (ended, end): (_, Receiver<Duration>) = channel();
    let wait = std::thread::spawn(move || ended.send(ended_after(&waiting)).unwrap());
    let started = Instant::now();
    while monitor.asked().is_empty() && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(monitor);
    assert!(end.recv_timeout(PATIENCE).unwrap() < SOON * 3);
    wait.join().unwrap();
    assert!(!path.exists());
}
