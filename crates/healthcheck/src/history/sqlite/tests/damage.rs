use super::*;
use crate::history::suite::{beat, changed};
use health_reporter::Status;
use std::fs;

const FLIPS: u64 = 500;

/// What each story of these tests is made of.
fn tell(teller: &mut Teller, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let (name, time) =
            (format!("service-{}", number % 11), format!("12:{:02}:{:02}", number / 60, number % 60));
        let (from, to) =
            if number % 2 == 0 { (Status::Healthy, Status::Error) } else { (Status::Error, Status::Healthy) };
        teller.tells([
            changed(number + 1, &name, from, to, &time),
            beat("core", &format!("task {}", number % 5), &time),
        ]);
    }
}

/// A directory as a killed monitor leaves it: a database, and a log beside it.
fn left_behind() -> tempfile::TempDir {
    let [live, dir] = [tempfile::tempdir_in("/dev/shm").unwrap(), tempfile::tempdir_in("/dev/shm").unwrap()];
    tell(&mut teller(live.path()), 0..60);
    let mut teller = returned(live.path());
    tell(&mut teller, 60..80);
    copy(live.path(), dir.path());
    assert_eq!(names_in(dir.path()), ["history.db", "history.db-shm", "history.db-wal"]);
    dir
}

fn copy(from: &Path, to: &Path) {
    for name in names_in(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

/// Each may be as large as a history may be.
#[test]
fn one_that_was_damaged_is_kept() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    for number in 1..=3 {
        fs::write(database(dir.path()), "no database ".repeat(1_000)).unwrap();
        serves(dir.path());
        let names = names_in(dir.path());
        let aside: Vec<_> = names.iter().filter(|name| name.contains("corrupt")).collect();
        assert_eq!(aside, [&format!("history.db.corrupt-{number}")]);
    }
}

/// Goes on after an error from where the store is then. What was told of it.
#[track_caller]
fn serves(dir: &Path) -> Option<String> {
    let mut teller = teller(dir);
    let mut errors = Vec::new();
    let is_written = (0..4).any(|_| {
        let story = || -> Result<(), HistoryError> {
            teller.position = teller.store.position(&teller.origin)?;
            let portion = teller.portion(vec![
                changed(900, "camera", Status::Healthy, Status::Error, "13:00:00"),
                beat("camera", "again", "13:01:00"),
            ]);
            teller.store.write(&portion)?;
            teller.store.statuses(&Selection::default())?;
            let always = Window { from: Timestamp::MIN, to: Timestamp::MAX };
            teller.store.judged(&Selection::default(), always)?;
            teller.store.runs(&Selection::default(), always, &mut |_| true)?;
            teller.store.stock().map(drop)
        };
        let mut story = story;
        story().map_err(|error| errors.push(error.to_string())).is_ok()
    });
    assert!(is_written, "{errors:?}");
    assert_eq!(teller.status("camera").unwrap().status, Status::Healthy, "{errors:?}");
    let told = teller.store.remark();
    drop(teller);
    let mut again = returned(dir);
    assert_eq!((again.position.transition, again.status("camera").is_some()), (900, true), "{errors:?}");
    assert_eq!(again.store.remark(), None, "{errors:?}");
    told
}

#[test]
fn five_hundred_databases_with_flipped_bytes_end_in_service() {
    let good = left_behind();
    let (mut moved, mut told) = (0, 0);
    for seed in 1..=FLIPS {
        let (dir, mut dice) = (tempfile::tempdir_in("/dev/shm").unwrap(), Dice(seed * 0x9e37_79b9));
        copy(good.path(), dir.path());
        for _ in 0..[1, 4, 64][dice.below(3)] {
            let name = ["history.db", "history.db", "history.db-wal", "history.db-shm"][dice.below(4)];
            let path = dir.path().join(name);
            let mut bytes = fs::read(&path).unwrap();
            let at = if dice.below(3) == 0 { dice.below(200) } else { dice.below(bytes.len()) };
            bytes[at] ^= 1 << dice.below(8);
            fs::write(&path, bytes).unwrap();
        }
        let is_told = serves(dir.path()).is_some();
        let is_moved = dir.path().join("history.db.corrupt-1").exists();
        assert!(is_told || !is_moved, "{seed}: nobody was told");
        (moved, told) = (moved + u64::from(is_moved), told + u64::from(is_told));
    }
    println!("{FLIPS} databases with flipped bytes: {moved} moved aside, {told} told");
    assert!(moved > FLIPS / 20 && moved < FLIPS, "{moved} {told}");
}

#[test]
fn a_good_database_is_not_moved_aside() {
    let dir = left_behind();
    let mut teller = returned(dir.path());
    assert_eq!((teller.position.transition, teller.position.batch), (80, 80));
    assert_eq!(teller.runs("core").iter().map(|run| run.heartbeats).sum::<u64>(), 80);
    drop(teller);
    assert_eq!(serves(dir.path()), None);
}

#[test]
fn what_is_no_database_is_moved_aside_with_its_log_told_and_begun_anew() {
    type Spoil = fn(&Path);
    let ways: [(&str, Spoil); 3] = [
        ("half", |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("nothing", |path| fs::write(path, "").unwrap()),
        ("text", |path| fs::write(path, "no database ".repeat(1000)).unwrap()),
    ];
    for (way, spoil) in ways {
        let dir = left_behind();
        spoil(&database(dir.path()));
        // Of the others the log has what is asked for.
        if way == "text" {
            let error = Sqlite::to_read(database(dir.path())).hosts().unwrap_err().to_string();
            assert!(error.contains("history.db") && error.contains("healthcheck monitor"), "{way}: {error}");
        }
        let mut teller = returned(dir.path());
        assert_eq!(teller.position, Position::default(), "{way}");
        let told = teller.store.remark().unwrap();
        assert!(told.contains("moved aside as history.db.corrupt-1, and another one begun"), "{way}: {told}");
        assert!(names_in(dir.path()).iter().any(|name| name == "history.db.corrupt-1-wal"), "{way}");
        tell(&mut teller, 0..80);
        drop(teller);
        assert_eq!(serves(dir.path()), None, "{way}");
    }
}

/// A url with a slip in it must not cost another program its data.
#[test]
fn what_never_was_a_history_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let database = |path: &Path| {
        Connection::open(path).unwrap().execute_batch("CREATE TABLE meta (key, value)").unwrap();
    };
    for (name, make) in
        [("app.db", database as fn(&Path)), ("notes.txt", |path| fs::write(path, "precious").unwrap())]
    {
        let path = dir.path().join(name);
        make(&path);
        let before = fs::read(&path).unwrap();
        let mut store = Sqlite::to_write(path.clone());
        let error = store.hosts().unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("name another file"), "{error}");
        drop(store);
        assert_eq!(fs::read(&path).unwrap(), before, "{name}");
    }
}

#[test]
fn damage_that_is_found_while_it_is_used_is_told_and_everything_is_wanted_again() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut teller = teller(dir.path());
    for first in (0..40_000).step_by(2_000) {
        let entries =
            (first..first + 2_000).map(|number| beat(&format!("service-{number}"), "a", "12:00:00"));
        teller.tells(entries.collect::<Vec<_>>());
    }
    drop(teller);
    let mut teller = returned(dir.path());
    let mut bytes = fs::read(database(dir.path())).unwrap();
    let pages = bytes.len() / 4096;
    bytes[(pages / 2) * 4096..].fill(0xa5);
    fs::write(database(dir.path()), bytes).unwrap();
    let always = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let error = teller.store.runs(&Selection::default(), always, &mut |_| true).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert_eq!(teller.store.position(&teller.origin).unwrap(), Position::default());
    assert!(teller.store.remark().unwrap().contains("corrupt-1"));
    teller.position = Position::default();
    teller.tells([beat("camera", "a", "12:00:00")]);
}

#[test]
fn a_database_that_is_removed_is_begun_anew_and_told() {
    let dir = left_behind();
    let mut teller = returned(dir.path());
    fs::remove_file(database(dir.path())).unwrap();
    let position = teller.store.position(&teller.origin);
    let position = position.or_else(|_| teller.store.position(&teller.origin)).unwrap();
    assert_eq!(position, Position::default());
    assert!(teller.store.remark().unwrap().contains("removed or replaced"));
}
