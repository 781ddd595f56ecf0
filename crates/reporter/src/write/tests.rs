use super::*;
use crate::report::{Check, RecentError, WatchedLoop};
use crate::{Status, read};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn camera() -> ServiceName {
    "camera".parse().unwrap()
}

fn claim(dir: &Path) -> Writer {
    Writer::claim(dir, &camera(), Claim::LowestFree).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Enough chance for a test: the same in each run, so that what fails once fails again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.roll()).unwrap() % choices.len()]
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| make(self))
    }

    fn text(&mut self) -> String {
        let letters =
            ['a', 'Z', '"', '\\', '/', '\n', '\t', ' ', 'é', '😀', '\u{2028}', '<', '\u{fffd}', '0'];
        (0..self.below(30)).map(|_| self.one_of(&letters)).collect()
    }

    fn count(&mut self) -> u64 {
        let choices = [0, 1, self.below(1 << 20), self.below(1 << 53), u64::MAX];
        self.one_of(&choices)
    }

    /// With as many digits as are read exactly: 15.
    fn number(&mut self) -> f64 {
        let choices = [0.0, 1.5, 1e-9, 1e300, self.below(1 << 48) as f64 / 1e3];
        self.one_of(&choices)
    }

    fn time(&mut self) -> Timestamp {
        let nanos = i32::try_from(self.below(1_000_000_000)).unwrap();
        Timestamp::new(i64::try_from(self.below(4_000_000_000)).unwrap(), nanos).unwrap()
    }

    fn status(&mut self) -> Status {
        self.one_of(&[Status::Healthy, Status::Unknown, Status::Warning, Status::Error, Status::Fatal])
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(5)).map(|_| make(self)).collect()
    }

    fn value(&mut self) -> Value {
        match self.below(6) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.roll()),
            3 => json!(-i64::try_from(self.below(1 << 40)).unwrap()),
            4 => json!({ "inner": [self.text(), self.number()] }),
            _ => json!(self.text()),
        }
    }

    fn check(&mut self) -> Check {
        Check {
            message: self.maybe(Self::text),
            timestamp: self.maybe(Self::time),
            metadata: (0..self.below(4)).map(|at| (format!("{at}{}", self.text()), self.value())).collect(),
            duration_ms: self.maybe(Self::number),
            since: self.maybe(Self::time),
            count: self.maybe(Self::count),
            ..Check::new(self.text(), self.status())
        }
    }

    fn error(&mut self) -> RecentError {
        RecentError {
            message: self.text(),
            timestamp: self.maybe(Self::time),
            fatal: self.below(2) == 0,
            check: self.maybe(Self::text),
        }
    }

    fn watched(&mut self) -> WatchedLoop {
        WatchedLoop { name: self.text(), beat_boottime_s: self.number(), limit_s: self.number().max(1e-3) }
    }

    fn report(&mut self) -> HealthReport {
        let states = [State::Starting, State::Running, State::Stopping, State::Stopped, State::Finished];
        HealthReport {
            service_name: self.maybe(Self::text),
            service_type: self.maybe(Self::text),
            instance: self.maybe(Self::count),
            host: self.maybe(Self::text),
            service_version: self.maybe(Self::text),
            checks: self.list(Self::check),
            recent_errors: self.list(Self::error),
            state: self.one_of(&states),
            current_task: self.maybe(Self::text),
            depends_on: self.list(Self::text),
            last_updated: self.maybe(Self::time),
            last_check: self.maybe(Self::time),
            interval_s: self.maybe(Self::number),
            deadline_s: self.maybe(|dice| dice.below(3_024_000) as f64 + 0.5),
            uptime: self.maybe(Self::number),
            restart_count: self.count(),
            error_count: self.count(),
            messages_sent: self.count(),
            messages_received: self.count(),
            heartbeat_count: self.count(),
            pid: self.maybe(|dice| dice.below(1 << 22) + 1),
            pid_namespace: self.maybe(Self::count),
            pid_start_ticks: self.maybe(Self::count),
            boot_id: self.maybe(Self::text),
            written_boottime_s: self.maybe(Self::number),
            watched_loops: self.list(Self::watched),
            write_failures: self.count(),
            ..HealthReport::new(self.status())
        }
    }
}

#[test]
fn whatever_is_written_is_read_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = claim(dir.path());
    for seed in 1..=2_000 {
        let report = Dice(seed * 0x9e37_79b9).report();
        writer.serialise(&report).unwrap();
        let (read, dialect) =
            read::parse(&writer.text).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!((read, dialect), (report, read::Dialect::HealthReport), "seed {seed}");
    }
    let report = Dice(4).report();
    writer.write(&report).unwrap();
    let file = read::one(dir.path(), &camera()).unwrap();
    assert_eq!((file.report, file.owner_uid), (report, rustix::process::geteuid().as_raw()));
}

#[test]
fn the_text_is_one_line_with_the_words_in_lower_case() {
    let dir = tempfile::tempdir().unwrap();
    claim(dir.path()).write(&HealthReport::new(Status::Fatal)).unwrap();
    let text = fs::read_to_string(dir.path().join("camera.json")).unwrap();
    assert!(text.starts_with("{\"schema_version\":1,\"overall_status\":\"fatal\",\"checks\":[]"), "{text}");
    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.ends_with("}\n"));
}

#[test]
fn writers_take_the_lowest_free_slot_and_leave_it_when_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (claim(dir.path()), claim(dir.path()));
    assert_eq!((first.name().as_str(), second.name().as_str()), ("camera", "camera@2"));
    drop(first);
    assert_eq!(claim(dir.path()).name().as_str(), "camera");
    assert_eq!(second.file(), dir.path().join("camera@2.json"));
}

#[test]
fn an_exact_claim_takes_its_slot_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let held = claim(dir.path());
    let refused = Writer::claim(dir.path(), &camera(), Claim::Exactly).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    assert!(refused.to_string().contains("camera.json is held by a living process"), "{refused}");
    drop(held);
    assert!(Writer::claim(dir.path(), &camera(), Claim::Exactly).is_ok());
}

#[test]
fn the_sixty_fifth_process_is_told_that_there_are_enough() {
    let dir = tempfile::tempdir().unwrap();
    let held: Vec<_> = (0..MAX_SLOTS).map(|_| claim(dir.path())).collect();
    assert_eq!(held.last().unwrap().name().as_str(), "camera@64");
    let refused = Writer::claim(dir.path(), &camera(), Claim::LowestFree).unwrap_err();
    assert_eq!(refused.to_string(), "each of the 64 slots of camera is held by another process");
}

#[test]
fn a_report_that_is_too_large_is_refused_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = claim(dir.path());
    writer.write(&HealthReport::new(Status::Healthy)).unwrap();
    let mut large = HealthReport::new(Status::Error);
    large.current_task = Some("x".repeat(MAX_REPORT_BYTES));
    let refused = writer.write(&large).unwrap_err().to_string();
    assert!(refused.contains("the limit is 1048576: record less metadata"), "{refused}");
    assert_eq!(read::one(dir.path(), &camera()).unwrap().report.overall_status, Status::Healthy);
    writer.write(&HealthReport::new(Status::Warning)).unwrap();
    assert_eq!(read::one(dir.path(), &camera()).unwrap().report.overall_status, Status::Warning);
}

#[test]
fn nothing_but_the_report_its_lock_and_an_empty_staging_directory_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = claim(dir.path());
    for _ in 0..10 {
        writer.write(&HealthReport::new(Status::Healthy)).unwrap();
    }
    let staging = format!(".staging-{}", rustix::process::geteuid().as_raw());
    assert_eq!(names(dir.path()), [".camera.lock", &staging, "camera.json"]);
    assert!(names(&dir.path().join(staging)).is_empty());
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("camera.json"), mode(".camera.lock")), (0o644, 0o600));
}

#[test]
fn no_two_stages_have_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = claim(dir.path());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1_000 {
        assert!(is_stage_of(writer.stage_name().as_bytes(), &camera()));
        assert!(seen.insert(writer.stage_name()));
        writer.writes += 1;
    }
    assert_ne!(claim(dir.path()).stage_name(), Writer { writes: 0, ..writer }.stage_name());
}

#[test]
fn a_stage_is_swept_by_the_holder_of_its_slot_only() {
    for (file, ours) in [
        ("camera.0123456789abcdef", true),
        ("camera@2.0123456789abcdef", false),
        ("camera.0123456789abcde", false),
        ("camera.0123456789abcdeg", false),
        ("cameras.0123456789abcdef", false),
        ("camera", false),
        ("", false),
    ] {
        assert_eq!(is_stage_of(file.as_bytes(), &camera()), ours, "{file}");
    }
}

#[test]
fn a_writer_knows_when_its_directory_is_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("health");
    let writer = claim(&path);
    assert!(writer.is_in_place());
    fs::rename(&path, dir.path().join("moved")).unwrap();
    assert!(!writer.is_in_place());
    fs::create_dir(&path).unwrap();
    assert!(!writer.is_in_place());
}

#[test]
fn what_the_last_holder_left_is_there_for_the_next() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(claim(dir.path()).previous(), None);
    let mut report = HealthReport::new(Status::Error);
    report.restart_count = 3;
    claim(dir.path()).write(&report).unwrap();
    assert_eq!(claim(dir.path()).previous().unwrap().report, report);
    fs::write(dir.path().join("camera.json"), "torn").unwrap();
    assert_eq!(claim(dir.path()).previous(), None);
}
