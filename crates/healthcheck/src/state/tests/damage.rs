use super::*;
use std::fs;

const FLIPS: u64 = 500;

/// A directory as a killed monitor leaves it: a database, and a log beside it. `in_log` are the last changes.
fn left_behind(in_log: usize) -> (tempfile::TempDir, State) {
    let (live, dir) = (tempfile::tempdir().unwrap(), quick_dir());
    let mut monitor = Monitor::start(live.path());
    let change = |monitor: &mut Monitor, number: usize| {
        monitor.pass(Duration::from_secs(1));
        let status = if number.is_multiple_of(2) { Status::Error } else { Status::Healthy };
        monitor.sees(&format!("service-{}", number % 11), status);
    };
    (0..60).for_each(|number| change(&mut monitor, number));
    drop(std::mem::replace(&mut monitor.store, Store::nowhere(live.path())));
    monitor.store = Store::open(live.path()).unwrap().0;
    (0..in_log).for_each(|number| change(&mut monitor, number));
    copy(live.path(), dir.path());
    (dir, monitor.state)
}

/// Where a flush costs nothing.
fn quick_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn copy(from: &Path, to: &Path) {
    for name in names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// Opens it, writes, and opens it again: whatever it is, it ends in service. Whether anything was told.
#[track_caller]
fn serves(dir: &Path) -> bool {
    let mut monitor = Monitor::start(dir);
    monitor.pass(Duration::from_hours(1));
    monitor.gets_by("camera", Status::Error);
    monitor.pass(Duration::from_secs(1));
    monitor.gets_by("camera", Status::Healthy);
    let (camera, told) = (Subject::service("camera"), !monitor.store.problems().is_empty());
    assert!(!monitor.store.is_read_only(), "{:?}", monitor.store.problems());
    let last = monitor.store.last_transitions(&camera, 1).unwrap();
    let (state, known) = (monitor.state.clone(), all_of(&monitor.alerts));
    drop(monitor);
    let (store, again, alerts) = Store::open(dir).unwrap();
    assert_eq!(
        (again.verdict(&camera), again.len()),
        (state.verdict(&camera), state.len()),
        "{:?}",
        store.problems()
    );
    assert_eq!(store.last_transitions(&camera, 1).unwrap(), last);
    let again = all_of(&alerts);
    let differs = again.iter().zip(&known).find(|(again, known)| again != known);
    assert!(alerts.instance().len() == 8 && differs.is_none(), "{differs:?}, {:?}", store.problems());
    assert_eq!(again.len(), known.len());
    told
}

#[test]
fn five_hundred_databases_with_flipped_bytes_end_in_service() {
    let (good, _) = left_behind(20);
    let (mut moved, mut told) = (0, 0);
    for seed in 1..=FLIPS {
        let (dir, mut dice) = (quick_dir(), Dice(seed * 0x9e37_79b9));
        copy(good.path(), dir.path());
        for _ in 0..[1, 4, 64][dice.below(3)] {
            let name = ["state.db", "state.db", "state.db-wal", "state.db-shm"][dice.below(4)];
            let path = dir.path().join(name);
            let mut bytes = fs::read(&path).unwrap();
            let at = if dice.below(3) == 0 { dice.below(200) } else { dice.below(bytes.len()) };
            bytes[at] ^= 1 << dice.below(8);
            fs::write(&path, bytes).unwrap();
        }
        told += u64::from(serves(dir.path()));
        moved += u64::from(dir.path().join("state.db.corrupt-1").exists());
    }
    println!("{FLIPS} databases with flipped bytes: {moved} moved aside, {told} told");
    assert!(moved > FLIPS / 20 && told >= moved && moved < FLIPS, "{moved} {told}");
}

#[test]
fn a_good_database_is_not_moved_aside() {
    let (dir, state) = left_behind(20);
    assert_eq!(kept(dir.path()), state);
    assert!(!serves(dir.path()));
}

#[test]
fn what_is_no_database_is_moved_aside_with_its_log_and_told() {
    type Spoil = fn(&Path);
    let ways: [(&str, Spoil); 5] = [
        ("half", |path| cut(path, 2)),
        ("a page", |path| fs::write(path, &fs::read(path).unwrap()[..4096]).unwrap()),
        ("nothing", |path| fs::write(path, "").unwrap()),
        ("text", |path| fs::write(path, "no database ".repeat(1000)).unwrap()),
        ("noise", |path| {
            let mut dice = Dice(4711);
            let noise: Vec<u8> = (0..20_000).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            fs::write(path, noise).unwrap();
        }),
    ];
    for (way, spoil) in ways {
        let (dir, _) = left_behind(1);
        spoil(&database(dir.path()));
        let monitor = Monitor::start(dir.path());
        let told = monitor.store.problems();
        assert!(
            told[0].contains("moved aside as state.db.corrupt-1, and another one begun"),
            "{way}: {told:?}"
        );
        assert!(monitor.state.is_empty(), "{way}");
        let aside = ["state.db.corrupt-1", "state.db.corrupt-1-wal"];
        assert!(aside.iter().all(|name| names(dir.path()).iter().any(|is| is == name)), "{way}");
        drop(monitor);
        assert!(!serves(dir.path()), "{way}");
    }
}

fn cut(path: &Path, parts: usize) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / parts]).unwrap();
}

#[test]
fn a_log_of_noise_takes_only_itself_along() {
    let (dir, state) = left_behind(20);
    fs::write(dir.path().join("state.db-wal"), "noise".repeat(10_000)).unwrap();
    assert_eq!(kept(dir.path()).len(), state.len());
    serves(dir.path());
    let (dir, state) = left_behind(20);
    cut(&dir.path().join("state.db-wal"), 2);
    assert_eq!(kept(dir.path()).len(), state.len());
    serves(dir.path());
}

#[test]
fn a_log_is_never_played_into_another_database() {
    let (dir, _) = left_behind(20);
    fs::remove_file(database(dir.path())).unwrap();
    let monitor = Monitor::start(dir.path());
    assert!(monitor.state.is_empty() && monitor.store.problems()[0].contains("its log is not"));
}

#[test]
fn only_the_last_few_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=6 {
        Monitor::start(dir.path()).sees("camera", Status::Healthy);
        fs::write(database(dir.path()), "no database ".repeat(1000)).unwrap();
        let told = Monitor::start(dir.path()).store.problems();
        assert!(told[0].contains(&format!("state.db.corrupt-{number},")), "{told:?}");
    }
    let aside: Vec<_> = names(dir.path()).into_iter().filter(|name| name.contains("corrupt")).collect();
    assert_eq!(aside, ["state.db.corrupt-4", "state.db.corrupt-5", "state.db.corrupt-6"]);
}

#[test]
fn a_record_that_cannot_be_read_is_lost_alone_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    monitor.sees("camera", Status::Healthy);
    monitor.sees("core", Status::Healthy);
    let connection = rusqlite::Connection::open(database(dir.path())).unwrap();
    connection.execute("UPDATE subjects SET record = '{' WHERE name = 'core'", []).unwrap();
    drop((monitor, connection));
    let monitor = Monitor::start(dir.path());
    assert_eq!(monitor.state.len(), 1);
    assert!(monitor.store.problems()[0].ends_with("1 records cannot be read, they are lost"));
}

/// Damages the pages of a table under a living store.
fn spoil_while_open(monitor: &mut Monitor, dir: &Path, first_page: usize) {
    monitor.store.commits_in_log = u32::MAX / 2;
    monitor.store.tidy();
    let super::super::Keeping::InDatabase(connection) = &monitor.store.keeping else { unreachable!() };
    connection.execute_batch("PRAGMA shrink_memory").unwrap();
    let mut bytes = fs::read(database(dir)).unwrap();
    bytes[first_page * 4096..].fill(0xa5);
    fs::write(database(dir), bytes).unwrap();
}

#[test]
fn damage_that_a_commit_finds_costs_what_was_kept_and_not_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    for number in 0..300 {
        monitor.sees(&format!("service-{number}"), Status::Error);
    }
    spoil_while_open(&mut monitor, dir.path(), 2);
    let transitions = monitor.judge("camera", Status::Error);
    let error = (0..300).find_map(|number| {
        let name = format!("service-{number}");
        monitor.commit(&name, &transitions).err()
    });
    let error = error.unwrap();
    assert!(error.wants_everything(), "{error}");
    assert!(monitor.commit("camera", &transitions).unwrap_err().wants_everything());
    monitor.store.rewrite(&monitor.state, &monitor.alerts).unwrap();
    assert_eq!(monitor.commit("camera", &transitions).unwrap(), [1]);
    assert!(monitor.store.problems()[0].contains("corrupt-1"), "{:?}", monitor.store.problems());
    let Monitor { store, state, .. } = monitor;
    drop(store);
    assert_eq!((kept(dir.path()), state.len()), (state, 301));
}

#[test]
fn damage_that_a_reading_finds_is_dealt_with_at_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    for number in 0..300 {
        monitor.sees(&format!("service-{number}"), Status::Error);
    }
    spoil_while_open(&mut monitor, dir.path(), 2);
    let damaged = |number| {
        let subject = Subject::service(&format!("service-{number}"));
        monitor.store.last_transitions(&subject, 1).is_err()
    };
    assert!((0..300).any(damaged));
    assert!(monitor.commit("service-1", &[]).unwrap_err().wants_everything());
    assert!(dir.path().join("state.db.corrupt-1").exists());
}
