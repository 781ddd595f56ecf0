use super::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const RANDOM_KILLS: usize = 60;
/// Changes of one call series; more than are needed to move the log once.
const CHANGES: usize = 12;
const WRITER: [&str; 4] =
    ["--ignored", "--exact", "--nocapture", "state::tests::kills::the_one_who_is_killed"];

/// Changes the state for ever, or so many times, and prints the id of each transition after it was committed.
#[test]
#[ignore = "another test starts it, and kills it"]
fn the_one_who_is_killed() {
    let Some(dir) = std::env::var_os("STATE_TEST_DIR") else { return };
    let times = std::env::var("STATE_TEST_TIMES").map_or(usize::MAX, |times| times.parse().unwrap());
    let mut monitor = Monitor::start(Path::new(&dir));
    let mut out = std::io::stdout();
    for number in 0..times {
        monitor.pass(Duration::from_secs(1));
        let name = format!("service-{}", number % 5);
        let was_healthy = monitor
            .state
            .verdict(&Subject::service(&name))
            .is_some_and(|verdict| verdict.status == Status::Healthy);
        let told = monitor.sees(&name, if was_healthy { Status::Error } else { Status::Healthy });
        writeln!(out, "kept {}", told[0].0).unwrap();
        out.flush().unwrap();
        if number == CHANGES / 2 {
            monitor.store.commits_in_log = u32::MAX / 2;
            monitor.store.tidy();
        }
    }
}

/// The highest id of which was said that it is kept.
fn said(output: impl std::io::Read) -> i64 {
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("kept ")?.parse().ok()).max().unwrap_or(0)
}

/// What is there: each transition from the first on, at most one more than was said, each record as its last
/// transition says.
#[track_caller]
fn is_whole(dir: &Path, said: i64, what: &str) -> i64 {
    let (store, state, alerts) = Store::open(dir).unwrap();
    assert_eq!(store.problems(), [""; 0], "{what}");
    is_told(&store, &state, &alerts, what);
    drop(store);
    let story = Store::read_only(dir).unwrap().transitions_after(0, 1_000_000).unwrap();
    let ids: Vec<_> = story.iter().map(|(id, _)| *id).collect();
    let last = i64::try_from(ids.len()).unwrap();
    assert_eq!(ids, (1..=last).collect::<Vec<_>>(), "{what}");
    assert!((said..=said + 1).contains(&last), "{what}: {last} are kept, {said} were said to be");
    for (subject, _) in state.records() {
        let of_subject: Vec<_> = story.iter().filter(|(_, told)| told.subject == *subject).collect();
        let verdict = state.verdict(subject).unwrap();
        let (_, newest) = of_subject.last().unwrap();
        assert_eq!((newest.to, newest.cause), (verdict.status, verdict.cause), "{what}: {subject}");
        let chain = of_subject.windows(2).all(|pair| pair[0].1.to == pair[1].1.from);
        assert!(chain, "{what}: {subject}");
    }
    let told = story.iter().map(|(_, told)| &told.subject).collect::<BTreeSet<_>>();
    assert_eq!(told.len(), state.len(), "{what}");
    last
}

/// What is bad is in an open incident, and nothing else is; of what was committed with it there is a notice.
#[track_caller]
fn is_told(store: &Store, state: &State, alerts: &Alerts, what: &str) {
    let suffer = alerts.open_incidents().flat_map(|incident| &incident.members);
    let suffer = suffer.filter(|it| it.recovered.is_none()).map(|it| &it.subject);
    let is_bad = |subject: &&Subject| state.verdict(subject).is_some_and(|it| it.status.is_bad());
    let bad: BTreeSet<_> = state.records().map(|(subject, _)| subject).filter(is_bad).collect();
    assert_eq!(suffer.collect::<BTreeSet<_>>(), bad, "{what}");
    for subject in bad {
        let view = alerts.channels_of(subject).remove(0);
        let is_told = !store.notices_of(subject, 9).unwrap().is_empty();
        assert!(is_told || view.decided.is_some(), "{what}: {subject}: {view:?}");
    }
}

#[test]
fn a_kill_at_any_moment_loses_and_invents_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut dice, mut total) = (Dice(0x5eed), 0);
    for round in 0..RANDOM_KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(WRITER)
            .env("STATE_TEST_DIR", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(writer.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("kept ") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the writer ended by itself");
        }
        std::thread::sleep(Duration::from_micros(u64::try_from(dice.below(30_000)).unwrap()));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let first: i64 = line.trim_start_matches("kept ").trim().parse().unwrap();
        total = is_whole(dir.path(), said(output).max(first), &format!("round {round}"));
    }
    println!("{RANDOM_KILLS} kills, {total} transitions");
    assert!(total > i64::try_from(RANDOM_KILLS).unwrap());
}

/// What the store does to its files, from the first opening to the last closing.
const CALLS: [&str; 9] = [
    "openat",
    "pwrite64",
    "write",
    "fsync,fdatasync",
    "ftruncate",
    "unlink,unlinkat",
    "flock",
    "fcntl",
    "fchmod,chmod",
];

/// Whether there was such a call; if so, it was the last.
fn kill_at(call: &str, nth: usize) -> bool {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let inject = format!("inject={call}:signal=SIGKILL:when={nth}");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(dir.path().join("trace")).args(["-e", &inject]);
    for name in ["", "monitor.lock", "state.db", "state.db-wal", "state.db-shm", "state.db-journal"] {
        strace.arg("-P").arg(if name.is_empty() { state.clone() } else { state.join(name) });
    }
    let output = strace
        .arg(std::env::current_exe().unwrap())
        .args(WRITER)
        .env("STATE_TEST_DIR", &state)
        .env("STATE_TEST_TIMES", CHANGES.to_string())
        .output()
        .unwrap();
    let what = format!("{call} {nth}");
    let was_killed = output.status.signal() == Some(9);
    assert!(was_killed || output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    is_whole(&state, said(&*output.stdout), &what);
    was_killed
}

#[test]
fn a_kill_at_any_call_loses_and_invents_nothing() {
    let kills = |call| (1..500).take_while(|nth| kill_at(call, *nth)).count();
    let all: Vec<_> = CALLS.iter().map(|call| (*call, kills(call))).collect();
    println!("kills at each call: {all:?}");
    let of = |call| all.iter().find(|(name, _)| *name == call).unwrap().1;
    assert!(of("pwrite64") > 40 && of("fsync,fdatasync") >= CHANGES && of("openat") >= 4, "{all:?}");
}
