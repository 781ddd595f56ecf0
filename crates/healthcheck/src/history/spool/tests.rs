use super::*;
use crate::history::Record;
use healthcheck_core::history::Beats;
use healthcheck_core::{Cause, Subject};
use jiff::Timestamp;
use std::os::unix::fs::PermissionsExt;

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

#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other");
    fs::write(&other, serde_json::to_string(&batch(1)).unwrap()).unwrap();
    let spool_dir = dir.path().join("spool");
    fs::create_dir(&spool_dir).unwrap();
    std::os::unix::fs::symlink(&other, path_of(&spool_dir, 1)).unwrap();
    let mut spool = Spool::at(spool_dir);
    assert!(spool.front(1_000).unwrap().is_empty());
    spool.push(batch(2));
    assert_eq!(drain(&mut spool), [2]);
    assert!(other.exists());
}
