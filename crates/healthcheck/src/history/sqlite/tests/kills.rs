use super::*;
use crate::history::suite::{beat, changed};
use health_reporter::Status;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const PORTIONS: usize = 6;
const WRITER: [&str; 4] =
    ["--ignored", "--exact", "--nocapture", "history::sqlite::tests::kills::the_one_who_is_killed"];

/// Hands over a few portions, and prints the number of each that was taken in.
#[test]
#[ignore = "another test starts it, and kills it"]
fn the_one_who_is_killed() {
    let Some(dir) = std::env::var_os("HISTORY_TEST_DIR") else { return };
    let mut teller = returned(Path::new(&dir));
    for _ in 0..PORTIONS {
        tell(&mut teller);
        writeln!(std::io::stdout(), "kept {}", teller.position.batch).unwrap();
    }
    let stock = teller.store.stock().unwrap();
    teller.store.prune(&stock.slices[0], 3).unwrap();
}

/// A change and a heartbeat of a service; which they are follows from how much was taken in.
fn tell(teller: &mut Teller) {
    let number = i64::try_from(teller.position.batch).unwrap();
    let (name, day) = (format!("service-{}", number % 3), 10 + number);
    let time = format!("2025-01-{day}T12:00:00Z");
    let (from, to) =
        if number % 2 == 0 { (Status::Unknown, Status::Error) } else { (Status::Error, Status::Healthy) };
    teller.tells([changed(number + 1, &name, from, to, &time), beat("core", "a", &time)]);
}

/// As many rows as there were portions, but for those that were dropped; and all goes on.
#[track_caller]
fn is_whole(dir: &Path, said: u64, what: &str) {
    let mut teller = returned(dir);
    let taken = teller.position;
    assert!((said..=said + 1).contains(&taken.batch), "{what}: {taken:?}, {said} were said to be taken in");
    assert_eq!(taken.transition, i64::try_from(taken.batch).unwrap(), "{what}");
    let count = |teller: &mut Teller| -> (usize, u64) {
        let changes = (0..3).map(|service| teller.runs(&format!("service-{service}")).len()).sum();
        (changes, teller.runs("core").iter().map(|run| run.heartbeats).sum())
    };
    let (changes, beats) = count(&mut teller);
    let batches = usize::try_from(taken.batch).unwrap();
    let dropped = batches - changes;
    assert!(dropped == 0 || (taken.batch == 6 && dropped <= 3), "{what}: {changes} of {taken:?}");
    assert!(beats == taken.batch, "{what}: {beats} of {taken:?}");
    for service in 0..3 {
        let name = format!("service-{service}");
        let last = teller.runs(&name).pop().filter(|_| dropped == 0);
        let status = teller.status(&name);
        assert!(last.is_none_or(|last| last.status == status.unwrap().status), "{what}");
    }
    tell(&mut teller);
    assert_eq!(count(&mut teller), (changes + 1, beats + 1), "{what}");
    assert_eq!(teller.store.remark(), None, "{what}");
}

/// What the store does to its files, from the first opening to the last closing.
const CALLS: [&str; 7] =
    ["openat", "pwrite64", "fsync,fdatasync", "ftruncate", "unlink,unlinkat", "fcntl", "fchmod,chmod"];

/// Whether there was such a call; if so, it was the last.
fn kill_at(call: &str, nth: usize) -> bool {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let history = dir.path().join("history");
    std::fs::create_dir(&history).unwrap();
    let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(dir.path().join("trace")).args(["-e", &inject]);
    for name in ["history.db", "history.db-wal", "history.db-shm", "history.db-journal"] {
        strace.arg("-P").arg(history.join(name));
    }
    let writer = strace.arg(std::env::current_exe().unwrap()).args(WRITER);
    let output = writer.env("HISTORY_TEST_DIR", &history).output().unwrap();
    let what = format!("{call} {nth}");
    let was_killed = output.status.signal() == Some(9);
    assert!(was_killed || output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = BufReader::new(&*output.stdout).lines().map_while(Result::ok);
    let said = lines.filter_map(|line| line.split("kept ").nth(1)?.parse().ok()).max().unwrap_or(0);
    is_whole(&history, said, &what);
    was_killed
}

#[test]
fn f18_a_kill_at_any_call_loses_nothing_and_takes_nothing_in_twice() {
    let kills = |call| (1..500).take_while(|nth| kill_at(call, *nth)).count();
    let all: Vec<_> = CALLS.iter().map(|call| (*call, kills(call))).collect();
    println!("kills at each call: {all:?}");
    let of = |call| all.iter().find(|(name, _)| *name == call).unwrap().1;
    assert!(of("pwrite64") > 30 && of("fsync,fdatasync") >= 3 && of("openat") >= 3, "{all:?}");
}
