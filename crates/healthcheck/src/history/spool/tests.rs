use super::*;
use crate::history::Record;
use healthcheck_core::history::Beats;
use healthcheck_core::{Cause, Subject};
use jiff::Timestamp;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

fn batch(number: u64) -> Batch {
    let at = Timestamp::from_second(1_800_000_000 + i64::try_from(number).unwrap()).unwrap();
    let beats = Beats {
        subject: Subject::service("camera"),
        status: health_reporter::Status::Healthy,
        cause: Cause::SelfReported,
        task: Some(format!("frame {number} \"\n")),
        first: at,
        last: at,
        count: 1,
        may_be_known: false,
    };
    Batch {
        run: "r".to_owned(),
        number,
        state: "s".to_owned(),
        after: 7,
        until: at,
        record: Record::Heartbeats,
        gaps: Vec::new(),
        amended: Vec::new(),
        maintenance: Vec::new(),
        beats: vec![beats],
        numbers: Vec::new(),
        forgotten: Vec::new(),
        machines: Vec::new(),
    }
}

fn numbers(found: &[Front]) -> Vec<u64> {
    found.iter().map(|front| front.batch.number).collect()
}

/// Takes everything, a few at a time.
fn drain(spool: &mut Spool) -> Vec<u64> {
    let mut taken = Vec::new();
    while !spool.is_empty() {
        let found = spool.front(200).unwrap();
        taken.extend(numbers(&found));
        match found.last() {
            Some(last) => spool.drop_through(last),
            None => break,
        }
    }
    taken
}

#[test]
fn what_waits_comes_out_as_it_went_in_also_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::at(dir.path().join("spool"));
    assert!(spool.is_empty() && spool.front(1_000).unwrap().is_empty());
    (1..=5).for_each(|number| spool.push(batch(number)));
    let found = spool.front(1).unwrap();
    assert_eq!((numbers(&found), &found[0].batch), (vec![1], &batch(1)));
    spool.drop_through(&found[0]);
    drop(spool);
    // Whoever comes next may be given again what was taken in, and goes on behind what waits.
    let mut spool = Spool::at(dir.path().join("spool"));
    spool.push(batch(6));
    assert_eq!(drain(&mut spool), (1..=6).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(dir.path().join("spool")).unwrap().count(), 0, "nothing is left");
    spool.push(batch(7));
    assert_eq!(drain(&mut spool), [7]);
}

#[test]
fn half_a_line_and_a_strange_one_cost_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::at(dir.path().to_owned());
    (1..=3).for_each(|number| spool.push(batch(number)));
    let path = path_of(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    let middle = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let torn = [&whole[..middle], b"\xff{\n", &whole[middle..whole.len() - 9]].concat();
    fs::write(&path, torn).unwrap();
    let mut spool = Spool::at(dir.path().to_owned());
    spool.push(batch(4));
    assert_eq!((drain(&mut spool), spool.take_dropped()), (vec![1, 2, 4], 1));
    // The one behind all batches counts as well.
    spool.push(batch(5));
    let path = path_of(dir.path(), spool.files[0].number);
    fs::write(&path, [fs::read(&path).unwrap(), b"{}\n{}\n{".to_vec()].concat()).unwrap();
    let mut spool = Spool::at(dir.path().to_owned());
    assert_eq!((drain(&mut spool), spool.take_dropped(), spool.bytes()), (vec![5], 2, 0));
}

#[test]
fn what_cannot_be_read_now_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::at(dir.path().to_owned());
    (1..=3).for_each(|number| spool.push(batch(number)));
    let told = the_other(dir.path(), &["prlimit", "--nofile=64:64"]);
    assert!(told.contains("000000000001.batches: Too many open files"), "{told}");
    assert!(told.contains("then [1, 2, 3], 0 dropped"), "{told}");
}

/// What another process, that is started so, tells of the spool.
fn the_other(dir: &Path, start: &[&str]) -> String {
    let other = std::process::Command::new(start[0])
        .args(&start[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "history::spool::tests::the_one_who_tries"])
        .env("SPOOL_TEST_DIR", dir)
        .output()
        .unwrap();
    String::from_utf8_lossy(&other.stdout).into_owned() + &String::from_utf8_lossy(&other.stderr)
}

#[test]
#[ignore = "another test starts it in another process"]
fn the_one_who_tries() {
    let Some(dir) = std::env::var_os("SPOOL_TEST_DIR") else { return };
    let mut spool = Spool::at(PathBuf::from(dir));
    let hogs: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).take(64).collect();
    println!("first {:?}", spool.front(1_000).map(|found| numbers(&found)));
    drop(hogs);
    println!("{:?}", spool.problem());
    println!("then {:?}, {} dropped", drain(&mut spool), spool.take_dropped());
}

#[test]
fn what_went_from_memory_into_a_file_meanwhile_is_not_dropped_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("spool");
    fs::write(&at, "in the way").unwrap();
    let mut spool = Spool::at(at.clone());
    spool.push(batch(1));
    let early = spool.front(1_000).unwrap();
    fs::remove_file(&at).unwrap();
    spool.push(batch(2));
    fs::remove_dir_all(&at).unwrap();
    fs::write(&at, "in the way").unwrap();
    spool.writing = None;
    spool.push(batch(3));
    spool.drop_through(&early[0]);
    assert_eq!(spool.in_memory.len(), 1);
}

#[test]
fn the_oldest_are_dropped_where_there_is_no_room_and_that_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::at(dir.path().to_owned());
    let big = |number| Batch { state: "x".repeat(900_000), ..batch(number) };
    let early = {
        spool.push(big(1));
        spool.front(1).unwrap()
    };
    (2..=100).for_each(|number| spool.push(big(number)));
    assert!(spool.bytes() <= MAX_BYTES, "{} bytes", spool.bytes());
    // What is dropped meanwhile cannot be taken out again.
    spool.drop_through(&early[0]);
    let dropped = spool.take_dropped();
    let left = drain(&mut spool);
    assert_eq!(left, (dropped + 1..=100).collect::<Vec<_>>());
    assert!((25..=40).contains(&dropped), "{dropped}");
    assert_eq!(spool.take_dropped(), 0);
}

#[test]
fn what_no_file_takes_waits_in_memory_and_only_so_much_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("spool");
    fs::write(&at, "in the way").unwrap();
    let mut spool = Spool::at(at.clone());
    (1..=300).for_each(|number| spool.push(batch(number)));
    assert!(spool.problem().unwrap().contains("spool"), "{:?}", spool.problem());
    assert_eq!((spool.take_dropped(), numbers(&spool.front(1_000).unwrap())), (44, vec![45]));
    fs::remove_file(&at).unwrap();
    spool.push(batch(301));
    assert_eq!(spool.problem(), None);
    assert_eq!(drain(&mut spool), (45..=301).collect::<Vec<_>>());
    assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Nothing of it is used, which is told, and what comes waits in memory, until it is gone.
#[track_caller]
fn is_refused(dir: &Path, told: &str) {
    let mut spool = Spool::at(dir.to_owned());
    assert_eq!(numbers(&spool.front(1_000).unwrap()), [0; 0]);
    spool.push(batch(2));
    let problem = spool.problem().unwrap().replace(dir.to_str().unwrap(), "D");
    assert_eq!(problem, told);
    assert_eq!(numbers(&spool.front(1_000).unwrap()), [2]);
    match fs::symlink_metadata(dir).unwrap().is_dir() {
        true => fs::remove_dir_all(dir).unwrap(),
        false => fs::remove_file(dir).unwrap(),
    }
    spool.push(batch(3));
    assert_eq!(spool.problem(), None);
    assert_eq!(drain(&mut spool), [2, 3]);
    fs::remove_dir_all(dir).unwrap();
}

/// The directory of a spool with one batch in one file.
fn planted(dir: &Path) -> PathBuf {
    Spool::at(dir.to_owned()).push(batch(1));
    path_of(dir, 1)
}

#[test]
fn nothing_of_a_stranger_is_used() {
    let around = tempfile::tempdir().unwrap();
    let other = planted(&around.path().join("other"));
    let dir = around.path().join("spool");
    let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    symlink(around.path().join("other"), &dir).unwrap();
    is_refused(&dir, "D: not used: is not a directory: remove it");
    planted(&dir);
    chown(&dir, Some(4711), None).unwrap();
    is_refused(&dir, "D: not used: belongs to uid 4711: remove it");
    planted(&dir);
    allow(&dir, 0o770);
    is_refused(&dir, "D: not used: can be written by others (mode 770): remove it");
    let file = "D/000000000001.batches";
    chown(planted(&dir), Some(4711), None).unwrap();
    is_refused(&dir, &format!("{file}: not used: belongs to uid 4711: remove it"));
    allow(&planted(&dir), 0o602);
    is_refused(&dir, &format!("{file}: not used: can be written by others (mode 602): remove it"));
    fs::remove_file(planted(&dir)).unwrap();
    symlink(&other, path_of(&dir, 1)).unwrap();
    is_refused(&dir, &format!("{file}: not used: is not a regular file: remove it"));
    fs::create_dir(&dir).unwrap();
    fs::hard_link(&other, path_of(&dir, 1)).unwrap();
    is_refused(&dir, &format!("{file}: not used: has a second name: remove it"));
    assert!(other.exists());
}

#[test]
fn what_a_stranger_puts_in_place_later_is_not_read_either() {
    let around = tempfile::tempdir().unwrap();
    let dir = around.path().join("spool");
    let path = planted(&dir);
    let mut spool = Spool::at(dir);
    chown(&path, Some(4711), None).unwrap();
    assert_eq!(numbers(&spool.front(1_000).unwrap()), [0; 0]);
    assert!(spool.problem().unwrap().contains("uid 4711"), "{:?}", spool.problem());
    chown(&path, Some(0), None).unwrap();
    assert_eq!((numbers(&spool.front(1_000).unwrap()), spool.problem()), (vec![1], None));
}

#[test]
fn what_belongs_to_whom_the_state_directory_does_is_used_by_root_and_not_by_others() {
    let around = tempfile::tempdir().unwrap();
    let dir = around.path().join("spool");
    let path = planted(&dir);
    for path in [&path, &dir] {
        chown(path, Some(4711), None).unwrap();
    }
    fs::set_permissions(around.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    for path in [&path, &dir] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let told = the_other(&dir, &["setpriv", "--reuid=815", "--clear-groups", "--inh-caps=-all"]);
    assert!(told.contains("first Ok([])") && told.contains("not used: belongs to uid 4711"), "{told}");
    chown(around.path(), Some(4711), None).unwrap();
    assert_eq!(drain(&mut Spool::at(dir)), [1]);
}
