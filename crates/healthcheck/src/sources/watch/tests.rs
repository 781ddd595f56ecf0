//! Real directories, real events, and in namespaces of their own real mounts and limits.

use super::*;
use crate::sources::shelf::{Attached, Shelf};
use health_reporter::write::{Claim, Writer};
use health_reporter::{HealthReport, MAX_REPORT_BYTES, Status};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);

/// A watch whose bell is counted and waited for.
struct Eye {
    watch: Watch,
    bell: Receiver<()>,
    rings: Arc<AtomicUsize>,
}

impl Eye {
    fn on(dirs: &[&Path]) -> Self {
        let (ring, bell) = channel();
        let rings = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rings);
        let dirs: Vec<_> = dirs.iter().map(|dir| dir.to_path_buf()).collect();
        let watch = Watch::start(&dirs, move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = ring.send(());
        });
        Self { watch, bell, rings }
    }

    /// The next hints, at the bell.
    fn next(&self) -> Hints {
        self.bell.recv_timeout(SOON).expect("a bell");
        self.watch.take()
    }

    /// All hints until they are as wanted.
    fn until(&self, wanted: impl Fn(&Hints) -> bool) -> Hints {
        let (mut all, deadline) = (Hints::default(), Instant::now() + SOON);
        while !wanted(&all) {
            assert!(Instant::now() < deadline, "only {all:?}, {:?}", self.watch.problems());
            let _ = self.bell.recv_timeout(Duration::from_millis(100));
            let mut hints = self.watch.take();
            all.names.append(&mut hints.names);
            all.dirs.append(&mut hints.dirs);
            all.files |= hints.files;
        }
        all
    }

    fn until_name(&self, name: &str) -> Hints {
        self.until(|hints| hints.names.contains(&of(0, name)))
    }

    fn until_dir(&self, dir: usize) -> Hints {
        self.until(|hints| hints.dirs.contains(&dir))
    }

    /// Hints that are there, without any that come of themselves: a report in `dir` marks the end.
    fn up_to_now(&self, dir: &Path) -> Hints {
        fs::write(dir.join("end-mark.json"), "{}").unwrap();
        let mut hints = self.until_name("end-mark");
        hints.names.remove(&of(0, "end-mark"));
        hints
    }
}

fn of(dir: usize, name: &str) -> (usize, ServiceName) {
    (dir, name.parse().unwrap())
}

fn named(name: &str) -> Hints {
    Hints { names: [of(0, name)].into(), ..Hints::default() }
}

/// As other programs write: staged beside it, then renamed.
fn replace(dir: &Path, name: &str, text: &str) {
    let stage = dir.join(format!(".{name}.stage"));
    fs::write(&stage, text).unwrap();
    fs::rename(&stage, dir.join(format!("{name}.json"))).unwrap();
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_heartbeat_is_one_hint_and_reading_it_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::claim(dir.path(), &"camera".parse().unwrap(), Claim::Exactly).unwrap();
    writer.write(&HealthReport::new(Status::Healthy)).unwrap();
    let mut shelf = Shelf::at(dir.path().to_owned());
    let eye = Eye::on(&[dir.path()]);
    for _ in 0..50 {
        writer.write(&HealthReport::new(Status::Healthy)).unwrap();
        assert_eq!(eye.next(), named("camera"));
        assert!(shelf.read(writer.name(), MAX_REPORT_BYTES).is_ok());
        assert!(shelf.list(|_| false).is_ok() && shelf.changed(|_| false).is_ok());
    }
    assert_eq!(eye.rings.load(Ordering::SeqCst), 50);
    assert_eq!(eye.up_to_now(dir.path()), Hints::default());
    assert_eq!(eye.watch.problems(), [""; 0]);
}

#[test]
fn every_way_of_writing_a_report_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let eye = Eye::on(&[dir.path()]);
    let ways: [&dyn Fn(); 7] = [
        &|| fs::write(at("a.json"), "{}").unwrap(),
        &|| fs::write(at("a.json"), "{ }").unwrap(),
        &|| replace(dir.path(), "a", "{}"),
        &|| fs::rename(at("a.json"), at("gone")).unwrap(),
        &|| fs::hard_link(at("gone"), at("a.json")).unwrap(),
        &|| fs::set_permissions(at("a.json"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap(),
        &|| fs::remove_file(at("a.json")).unwrap(),
    ];
    for (index, way) in ways.iter().enumerate() {
        assert_eq!(eye.up_to_now(dir.path()), Hints::default(), "before {index}");
        way();
        assert_eq!(eye.up_to_now(dir.path()), named("a"), "{index}");
    }
}

#[test]
fn what_is_no_report_wakes_nobody_and_what_is_no_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let eye = Eye::on(&[dir.path()]);
    let rings = eye.rings.load(Ordering::SeqCst);
    for name in [".a.json", "a", "a.json.tmp", "a b.json", ".json", "a\n.json", "a.JSON"] {
        fs::write(at(name), "{}").unwrap();
    }
    fs::write(
        dir.path().join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff.json")),
        "",
    )
    .unwrap();
    fs::create_dir(at(".staging-0")).unwrap();
    fs::write(at(".staging-0/a.json"), "{}").unwrap();
    assert_eq!(eye.up_to_now(dir.path()), Hints::default());
    assert!(eye.rings.load(Ordering::SeqCst) <= rings + 1, "somebody was woken for nothing");
    fs::create_dir(at("folder.json")).unwrap();
    symlink("/etc/passwd", at("link.json")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let hints = eye.up_to_now(dir.path());
    assert_eq!(hints.names, ["folder", "link", "pipe"].map(|name| of(0, name)).into());
}

#[test]
fn who_writes_all_the_time_delays_nobody_and_is_told_of_a_bounded_number_of_times() {
    let dir = tempfile::tempdir().unwrap();
    let eye = Eye::on(&[dir.path()]);
    let (is_over, dir) = (AtomicBool::new(false), dir.path());
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            fs::create_dir(dir.join(".flood")).unwrap();
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                fs::write(dir.join(".flood/x"), "{}").unwrap();
                fs::rename(dir.join(".flood/x"), dir.join("flood.json")).unwrap();
                count += 1;
            }
            count
        });
        let (started, mut late) = (Instant::now(), 0);
        for beat in 0..60 {
            let name = format!("quiet-{beat}");
            replace(dir, &name, "{}");
            let written = Instant::now();
            let hints = eye.until_name(&name);
            late += usize::from(written.elapsed() > Duration::from_millis(200));
            assert!(hints.names.len() <= 2 && hints.dirs.is_empty(), "{hints:?}");
        }
        let took = started.elapsed();
        is_over.store(true, Ordering::Relaxed);
        let (replaces, rings) = (flood.join().unwrap(), eye.rings.load(Ordering::SeqCst));
        let bound = 100 + usize::try_from(took.as_millis()).unwrap() * 16 / 10;
        assert!(rings <= bound, "{rings} rings in {took:?} for {replaces} replaces");
        assert!(late <= 3, "{late} of 60 were late");
    });
}

#[test]
fn twenty_thousand_renames_at_once_are_all_told() {
    let dir = tempfile::tempdir().unwrap();
    let eye = Eye::on(&[dir.path()]);
    for index in 0..20_000 {
        fs::write(dir.path().join(".stage"), "{}").unwrap();
        fs::rename(dir.path().join(".stage"), dir.path().join(format!("burst-{index}.json"))).unwrap();
    }
    eye.until(|hints| hints.dirs.contains(&0) || hints.names.len() == 20_000);
    let mut shelf = Shelf::at(dir.path().to_owned());
    assert_eq!(shelf.changed(|_| false).unwrap().names.len(), 20_000);
    settle(&eye, dir.path());
}

/// Who is told is held until the kernel's queue is full; only two names are written, so that it is not their number.
#[test]
fn a_full_queue_leads_to_another_look_at_everything() {
    let root = tempfile::tempdir().unwrap();
    let (dir, moved) = (root.path().join("health"), root.path().join("moved"));
    fs::create_dir(&dir).unwrap();
    let (ring, bell) = channel();
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let at_the_gate = Arc::clone(&gate);
    let watch = Watch::start(std::slice::from_ref(&dir), move || {
        let _ = ring.send(());
        drop(at_the_gate.lock());
    });
    replace(&dir, "first", "{}");
    bell.recv_timeout(SOON).unwrap();
    assert_eq!(watch.take(), named("first"));
    let most: u32 =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for index in 0..most {
        replace(&dir, if index % 2 == 0 { "even" } else { "odd" }, "{}");
    }
    // Nothing tells of these any more.
    replace(&dir, "lost", "{}");
    fs::rename(&dir, moved).unwrap();
    fs::create_dir(&dir).unwrap();
    drop(held);
    let eye = Eye { watch, bell, rings: Arc::default() };
    let hints = eye.until_dir(0);
    assert!(hints.names.len() <= 2, "{hints:?}");
    settle(&eye, &dir);
}

#[test]
fn of_too_many_names_only_their_directory_is_told() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let eye = Eye::on(&[dirs[0].path(), dirs[1].path()]);
    fs::write(dirs[1].path().join("other.json"), "{}").unwrap();
    for index in 0..=MAX_NAMES {
        fs::File::create(dirs[0].path().join(format!("n{index}.json"))).unwrap();
    }
    fs::write(dirs[1].path().join("end.json"), "{}").unwrap();
    wait_for("the end", || eye.watch.shared.pending().hints.names.contains(&of(1, "end")));
    let hints = eye.watch.take();
    assert_eq!((hints.dirs, hints.names), ([0].into(), [of(1, "other"), of(1, "end")].into()));
    // Counted anew after each time.
    fs::write(dirs[0].path().join("one.json"), "{}").unwrap();
    eye.until_name("one");
}

/// The directory is held open by a shelf, as it is by the monitor: then it is not told of its own deletion.
#[test]
fn a_directory_that_is_deleted_and_made_again_is_watched_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("health");
    fs::create_dir(&dir).unwrap();
    let mut shelf = Shelf::at(dir.clone());
    assert!(matches!(shelf.reattach(), Attached::Another));
    let eye = Eye::on(&[&dir]);
    for round in 0..20 {
        fs::remove_dir_all(&dir).unwrap();
        if round % 2 == 0 {
            eye.until_dir(0);
            assert!(matches!(shelf.reattach(), Attached::Not(_)));
        }
        fs::create_dir(&dir).unwrap();
        eye.until_dir(0);
        assert!(matches!(shelf.reattach(), Attached::Another));
        replace(&dir, "camera", "{}");
        eye.until(|hints| hints.names.contains(&of(0, "camera")) || hints.dirs.contains(&0));
        assert!(shelf.changed(|_| false).unwrap().names.contains(&"camera".parse().unwrap()));
    }
    settle(&eye, &dir);
    assert_eq!(eye.watch.problems(), [""; 0]);
}

/// Once everything is in place again, a heartbeat is one hint again.
fn settle(eye: &Eye, dir: &Path) {
    wait_for("a hint", || {
        replace(dir, "settling", "{}");
        thread::sleep(Duration::from_millis(20));
        eye.watch.take().names.contains(&of(0, "settling"))
    });
    wait_for("one hint", || {
        eye.up_to_now(dir);
        replace(dir, "settled", "{}");
        eye.up_to_now(dir) == named("settled")
    });
}

#[test]
fn a_directory_that_is_made_again_all_the_time_ends_up_watched() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs/health");
    fs::create_dir_all(&dir).unwrap();
    let eye = Eye::on(&[&dir]);
    for round in 0..300 {
        fs::remove_dir_all(root.path().join(if round % 3 == 0 { "logs/health" } else { "logs" })).unwrap();
        fs::create_dir_all(&dir).unwrap();
    }
    replace(&dir, "camera", "{}");
    eye.until(|hints| hints.names.contains(&of(0, "camera")) || hints.dirs.contains(&0));
    settle(&eye, &dir);
}

#[test]
fn a_directory_that_is_exchanged_is_watched_at_its_path() {
    let root = tempfile::tempdir().unwrap();
    let (dir, other) = (root.path().join("logs/health"), root.path().join("other/health"));
    fs::create_dir_all(&dir).unwrap();
    fs::create_dir_all(&other).unwrap();
    replace(&other, "theirs", "{}");
    let eye = Eye::on(&[&dir]);
    let mut shelf = Shelf::at(dir.clone());
    assert!(matches!(shelf.reattach(), Attached::Another));
    // It itself, and then the one above it.
    for (ours, theirs) in [(dir.clone(), other), (root.path().join("logs"), root.path().join("other"))] {
        fs::rename(&ours, root.path().join("away")).unwrap();
        fs::rename(&theirs, &ours).unwrap();
        eye.until_dir(0);
        wait_for("another", || matches!(shelf.reattach(), Attached::Another));
        settle(&eye, &dir);
        fs::rename(root.path().join("away"), &theirs).unwrap();
        // What was ours is nobody's now.
        if let Ok(gone) = fs::read_dir(&theirs) {
            gone.flatten().for_each(|entry| drop(fs::write(entry.path().join("stray.json"), "{}")));
        }
        assert_eq!(eye.up_to_now(&dir).names, BTreeSet::new());
    }
}

#[test]
fn a_directory_that_does_not_exist_yet_is_watched_as_soon_as_it_does() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("var/cache/health");
    let eye = Eye::on(&[&dir]);
    assert_eq!(eye.watch.problems(), [""; 0]);
    fs::create_dir_all(&dir).unwrap();
    eye.until_dir(0);
    settle(&eye, &dir);
    // Somebody stands in the directory above: nobody is told that it is deleted.
    let held = fs::File::open(root.path().join("var/cache")).unwrap();
    fs::remove_dir_all(root.path().join("var")).unwrap();
    eye.until_dir(0);
    fs::create_dir_all(root.path().join("var/cache")).unwrap();
    fs::create_dir(&dir).unwrap();
    eye.until_dir(0);
    settle(&eye, &dir);
    drop(held);
    // A file in its place is none.
    fs::remove_dir_all(&dir).unwrap();
    eye.until_dir(0);
    fs::write(&dir, "").unwrap();
    fs::remove_file(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    eye.until_dir(0);
    settle(&eye, &dir);
}

#[test]
fn links_on_the_way_are_followed_wherever_they_are_set_to() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    for dir in ["one/health", "two/health", "three"] {
        fs::create_dir_all(at(dir)).unwrap();
    }
    symlink("one", at("current")).unwrap();
    symlink(at("current"), at("app")).unwrap();
    let dir = at("app/health");
    let eye = Eye::on(&[&dir]);
    settle(&eye, &dir);
    // At once, by a rename over it.
    symlink("two", at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    eye.until_dir(0);
    settle(&eye, &dir);
    assert!(at("two/health/settled.json").exists());
    // With a gap, to where there is none, and then there is.
    fs::remove_file(at("current")).unwrap();
    eye.until_dir(0);
    symlink("three", at("current")).unwrap();
    fs::create_dir(at("three/health")).unwrap();
    eye.until_dir(0);
    settle(&eye, &dir);
    // Round and round.
    fs::remove_file(at("app")).unwrap();
    eye.until_dir(0);
    symlink("app", at("app")).unwrap();
    wait_for("a problem", || !eye.watch.problems().is_empty());
    fs::remove_file(at("app")).unwrap();
    symlink("one/../two", at("app")).unwrap();
    eye.until_dir(0);
    wait_for("no problem", || eye.watch.problems().is_empty());
    settle(&eye, &dir);
}

#[test]
fn directories_that_are_one_or_lie_in_one_another_are_told_apart() {
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("inner");
    fs::create_dir(&inner).unwrap();
    symlink("inner", root.path().join("link")).unwrap();
    let link = root.path().join("link");
    let eye = Eye::on(&[root.path(), &inner, &link]);
    replace(&inner, "twice", "{}");
    eye.until(|hints| hints.names == [of(1, "twice"), of(2, "twice")].into());
    replace(root.path(), "once", "{}");
    assert_eq!(eye.next(), named("once"));
    fs::remove_dir_all(&inner).unwrap();
    eye.until(|hints| hints.dirs == [1, 2].into());
    fs::create_dir(&inner).unwrap();
    eye.until(|hints| hints.dirs == [1, 2].into());
    replace(root.path(), "once", "{}");
    eye.until_name("once");
}

#[test]
fn a_file_is_watched_however_it_is_replaced() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir(at("health")).unwrap();
    let eye = Eye::on(&[&at("health")]);
    eye.watch.watch_file(&at("healthcheck.toml"));
    eye.watch.watch_file(&at("healthcheck.toml"));
    assert_eq!(eye.watch.shared.places().all.len(), 2);
    let files = || drop(eye.until(|hints| hints.files));
    let walks = eye.watch.shared.places().walks;
    wait_for("a walk", || eye.watch.shared.places().walks > walks);
    fs::write(at("healthcheck.toml"), "a").unwrap();
    files();
    fs::write(at("healthcheck.toml"), "b").unwrap();
    files();
    for round in 0..20 {
        fs::write(at("stage"), "c").unwrap();
        fs::rename(at("stage"), at("healthcheck.toml")).unwrap();
        files();
        if round % 3 == 0 {
            fs::remove_file(at("healthcheck.toml")).unwrap();
            files();
        }
    }
    let rings = eye.rings.load(Ordering::SeqCst);
    fs::write(at("something.toml"), "").unwrap();
    eye.up_to_now(&at("health"));
    assert!(eye.rings.load(Ordering::SeqCst) <= rings + 1);
}

/// As configurations are mounted into containers: a link over a link to a directory that is exchanged.
#[test]
fn a_file_is_watched_behind_links() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let eye = Eye::on(&[]);
    let files = || drop(eye.until(|hints| hints.files));
    fs::create_dir_all(at("v1")).unwrap();
    fs::create_dir_all(at("v2")).unwrap();
    fs::write(at("v1/it"), "").unwrap();
    fs::write(at("v2/it"), "").unwrap();
    symlink("v1", at("data")).unwrap();
    symlink("data/it", at("healthcheck.toml")).unwrap();
    eye.watch.watch_file(&at("healthcheck.toml"));
    files();
    symlink("v2", at("next")).unwrap();
    fs::rename(at("next"), at("data")).unwrap();
    files();
    fs::write(at("v2/it"), "other").unwrap();
    files();
}

fn threads() -> Vec<(String, u64)> {
    let all = fs::read_dir("/proc/self/task").unwrap().flatten();
    let status = all.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let field = |status: &str, key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| value.trim().to_owned()).unwrap_or_default()
    };
    let ours = status.filter(|status| field(status, "Name:").starts_with("report "));
    ours.map(|status| (field(&status, "Name:"), field(&status, "voluntary_ctxt_switches:").parse().unwrap()))
        .collect()
}

/// In a process of its own, where no other test has threads of these names.
#[test]
fn where_everything_is_watched_nobody_wakes_up() {
    if !is_alone("where_everything_is_watched_nobody_wakes_up", &["env"]) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("logs/health");
    // While there is none, more has to be watched.
    let eye = Eye::on(&[&dir]);
    fs::create_dir_all(&dir).unwrap();
    settle(&eye, &dir);
    let mut before = Vec::new();
    wait_for("rest", || {
        thread::sleep(Duration::from_millis(100));
        let last = std::mem::replace(&mut before, threads());
        last == before
    });
    assert_eq!(before.len(), 2, "{before:?}");
    // What others do beside it, `state.db` among them, is not ours.
    for _ in 0..35 {
        fs::write(root.path().join("logs/state.db-wal"), "x").unwrap();
        fs::write(root.path().join("temporary"), "x").unwrap();
        fs::remove_file(root.path().join("temporary")).unwrap();
        assert!(fs::read_dir(&dir).unwrap().count() > 0);
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(threads(), before);
}

/// Runs this very test alone, by another program. Whether this process is it.
fn is_alone(test: &str, by: &[&str]) -> bool {
    if std::env::var_os("WATCH_TEST_ALONE").is_some() {
        return true;
    }
    let (program, arguments) = by.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(arguments).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture"]).arg(format!("sources::watch::tests::{test}"));
    let output = command.env("WATCH_TEST_ALONE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

const OWN_USERS_AND_MOUNTS: [&str; 4] = ["unshare", "--user", "--map-root-user", "--mount"];

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

#[test]
fn what_is_mounted_over_a_directory_is_watched_and_what_is_below_again_afterwards() {
    if !is_alone(
        "what_is_mounted_over_a_directory_is_watched_and_what_is_below_again_afterwards",
        &OWN_USERS_AND_MOUNTS,
    ) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (above, dir) = (root.path().join("cache"), root.path().join("cache/health"));
    fs::create_dir_all(&dir).unwrap();
    let eye = Eye::on(&[&dir]);
    let mut shelf = Shelf::at(dir.clone());
    assert!(matches!(shelf.reattach(), Attached::Another));
    for point in [&dir, &above] {
        let point = point.to_str().unwrap();
        run("mount", &["-t", "tmpfs", "tmpfs", point]);
        eye.until_dir(0);
        fs::create_dir_all(&dir).unwrap();
        wait_for("the mounted", || !matches!(shelf.reattach(), Attached::Not(_)));
        settle(&eye, &dir);
        run("umount", &["--lazy", point]);
        eye.until_dir(0);
        assert!(matches!(shelf.reattach(), Attached::Another));
        settle(&eye, &dir);
    }
    assert_eq!(eye.watch.problems(), [""; 0]);
}

fn limit(name: &str, most: usize) {
    fs::write(format!("/proc/sys/user/max_inotify_{name}"), most.to_string()).unwrap();
}

#[test]
fn without_inotify_it_is_looked_at_each_two_seconds_until_there_is_some() {
    let test = "without_inotify_it_is_looked_at_each_two_seconds_until_there_is_some";
    if !is_alone(test, &OWN_USERS_AND_MOUNTS) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (what, word) in [("instances", "max_user_instances"), ("watches", "max_user_watches")] {
        limit(what, 0);
        let eye = Eye::on(&[dir.path()]);
        let problems = eye.watch.problems();
        assert!(problems.len() == 1 && problems[0].contains(word), "{problems:?}");
        assert!(problems[0].ends_with("looked at each 2 s"), "{problems:?}");
        let started = Instant::now();
        for _ in 0..2 {
            assert_eq!(eye.next(), Hints { dirs: [0].into(), ..Hints::default() });
        }
        assert!(started.elapsed() > Duration::from_secs(2), "{:?}", started.elapsed());
        limit(what, 1_000);
        wait_for("no problem", || eye.watch.problems().is_empty());
        eye.until_dir(0);
        settle(&eye, dir.path());
    }
}

/// A file system of another machine; it ends with this.
struct Server(Child);

impl Server {
    fn at(point: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/outside/fuse.py");
        let mut command = Command::new("python3");
        let mut child =
            command.arg(script).arg(point).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n");
        Self(child)
    }

    fn is_told(&mut self, word: &str) {
        // In one piece, as it is read.
        self.0.stdin.as_mut().unwrap().write_all(format!("{word}\n").as_bytes()).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[test]
fn a_network_file_system_is_polled_and_a_dead_one_holds_nobody_up() {
    let test = "a_network_file_system_is_polled_and_a_dead_one_holds_nobody_up";
    if !is_alone(test, &["unshare", "--mount"]) {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (dir, remote): (&TempDir, &TempDir) = (&dirs[0], &dirs[1]);
    let mut server = Server::at(remote.path());
    let eye = Eye::on(&[dir.path(), remote.path()]);
    for _ in 0..2 {
        assert_eq!(eye.next(), Hints { dirs: [1].into(), ..Hints::default() });
    }
    drop(eye);
    server.is_told("silent");
    let started = Instant::now();
    let eye = Eye::on(&[remote.path(), dir.path()]);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    wait_for("a problem", || eye.watch.problems().iter().any(|problem| problem.contains("is a mount dead?")));
    drop(eye.watch.take());
    replace(dir.path(), "camera", "{}");
    let hints = eye.until(|hints| hints.names.contains(&of(1, "camera")));
    assert_eq!(hints.dirs, BTreeSet::new());
    server.is_told("answer");
    eye.until_dir(0);
    wait_for("no problem", || eye.watch.problems().is_empty());
}

#[test]
#[ignore = "figures, not a verdict: rename to bell, to what is taken, and to what is read"]
fn figures() {
    for place in ["/dev/shm", "/tmp"] {
        let dir = tempfile::tempdir_in(place).unwrap();
        let eye = Eye::on(&[dir.path()]);
        let mut writer = Writer::claim(dir.path(), &"camera".parse().unwrap(), Claim::Exactly).unwrap();
        let mut shelf = Shelf::at(dir.path().to_owned());
        let mut took = [(); 3].map(|()| Vec::new());
        for _ in 0..2_000 {
            thread::sleep(Duration::from_millis(1));
            writer.write(&HealthReport::new(Status::Healthy)).unwrap();
            let written = Instant::now();
            eye.bell.recv_timeout(SOON).unwrap();
            took[0].push(written.elapsed());
            let hints = eye.watch.take();
            took[1].push(written.elapsed());
            assert!(hints.names.iter().all(|(_, name)| shelf.read(name, MAX_REPORT_BYTES).is_ok()));
            took[2].push(written.elapsed());
        }
        for (what, mut took) in ["bell", "taken", "read"].into_iter().zip(took) {
            took.sort();
            println!("{place} {what}: p50 {:?} p99 {:?}", took[1_000], took[1_980]);
        }
    }
}
