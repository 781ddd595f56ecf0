use super::*;
use crate::sources::systemd::tests::eventually;
use health_reporter::clock::{boottime, start_ticks};
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A directory with a program of its own, which runs until this goes out of scope.
struct Service {
    dir: TempDir,
    child: Option<Child>,
}

impl Service {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy("/bin/sleep", &dir.path().join("app"));
        for file in ["app.toml", "app.log"] {
            fs::write(dir.path().join(file), "x").unwrap();
        }
        Self { dir, child: None }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn runs(&mut self, program: &str, words: &[&str]) -> u32 {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.dir.path()).stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        self.child = Some(child);
        // Its words are there a moment later than it is.
        eventually("the program to be executed", || {
            let cmdline = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            (!cmdline.is_empty()).then_some(())
        });
        pid
    }

    /// A program that names the file in its command line, and lives.
    fn runs_app(&mut self, file: &str) -> u32 {
        copy("/usr/bin/tail", &self.at("app"));
        let app = self.at("app");
        self.runs(app.to_str().unwrap(), &["-f", file])
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Another process copies, so that nobody here has the program open for writing.
fn copy(from: &str, to: &Path) {
    assert!(Command::new("cp").args(["--", from]).arg(to).status().unwrap().success());
}

/// By its modification time; the other one cannot be set.
fn is_old(path: &Path) {
    let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

fn no_mounts() -> MayHang {
    MayHang::at([])
}

/// As if it had been started long after its files were made, so that only what is done from now on is new.
fn taken(pid: u32) -> Footprint {
    let ticks = start_ticks(pid).unwrap() + (2 * BEFORE_THE_START.as_secs()) * clock_ticks_per_second();
    Footprint::with_mounts(Path::new("/proc"), pid, ticks, &no_mounts())
}

fn told(changes: Vec<Change>) -> Vec<(Part, String, bool)> {
    let is_now = |at: Timestamp| Timestamp::now().duration_since(at).abs().as_secs() < 60;
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    changes
        .into_iter()
        .map(|change| (change.part, name(&change.path), change.at.is_some_and(is_now)))
        .collect()
}

#[test]
fn what_was_left_as_it_was_is_not_told() {
    let mut service = Service::new();
    let pid = service.runs_app("app.toml");
    let footprint = taken(pid);
    assert_eq!(footprint.pieces.len(), 2);
    assert_eq!(footprint.changes(&[]), []);
}

#[test]
fn the_start_is_counted_back_from_now() {
    let started =
        Footprint::of_process(Path::new("/proc"), 1, start_ticks(std::process::id()).unwrap()).started();
    let age = Timestamp::now().duration_since(started).as_secs_f64();
    let first = start_ticks(1).unwrap();
    assert!((0.0..600.0).contains(&age), "{age}");
    assert!(Footprint::of_process(Path::new("/proc"), 1, first).started() < started);
}

#[test]
fn a_program_that_is_replaced_while_it_runs_is_told() {
    let mut service = Service::new();
    let pid = service.runs_app("app.toml");
    let footprint = taken(pid);
    copy("/bin/sleep", &service.at("app.new"));
    fs::rename(service.at("app.new"), service.at("app")).unwrap();
    assert_eq!(told(footprint.changes(&[])), [(Part::Executable, "app".to_owned(), true)]);
    // Taken only now, it is the running one that is no longer there.
    let late = taken(pid);
    assert_eq!(told(late.changes(&[])), [(Part::Executable, "app".to_owned(), true)]);
    fs::remove_file(service.at("app")).unwrap();
    let gone = Change { part: Part::Executable, path: service.at("app").display().to_string(), at: None };
    assert_eq!([footprint.changes(&[]), taken(pid).changes(&[])], [[gone.clone()], [gone]]);
}

#[test]
fn a_configuration_that_is_written_replaced_or_removed_is_told() {
    let mut service = Service::new();
    let pid = service.runs_app("app.toml");
    let config = service.at("app.toml");
    let is_told = |footprint: &Footprint| {
        assert_eq!(told(footprint.changes(&[])), [(Part::Configuration, "app.toml".to_owned(), true)]);
    };
    let footprint = taken(pid);
    fs::write(&config, "another").unwrap();
    is_told(&footprint);
    let footprint = taken(pid);
    fs::write(service.at("new"), "x").unwrap();
    fs::rename(service.at("new"), &config).unwrap();
    is_told(&footprint);
    // Its modification time alone would say nothing.
    let footprint = taken(pid);
    is_old(&config);
    is_told(&footprint);
    fs::remove_file(&config).unwrap();
    let gone = Change { part: Part::Configuration, path: config.display().to_string(), at: None };
    assert_eq!(footprint.changes(&[]), [gone]);
}

#[test]
fn what_changed_shortly_before_the_start_is_told_and_what_is_older_is_not() {
    let mut service = Service::new();
    let pid = service.runs_app("app.toml");
    let started = |later: Duration| {
        let ticks = start_ticks(pid).unwrap() + later.as_secs() * clock_ticks_per_second();
        Footprint::with_mounts(Path::new("/proc"), pid, ticks, &no_mounts()).changes(&[]).len()
    };
    assert_eq!(started(Duration::from_secs(300)), 2);
    assert_eq!(started(Duration::from_secs(1_200)), 0);
    let footprint = taken(pid);
    assert_eq!(footprint.changes_beside(&MayHang::at([service.dir.path().to_owned()]), &[]), []);
}

#[test]
fn a_link_to_another_version_is_a_change_since_it_was_made() {
    let mut service = Service::new();
    for version in ["1", "2"] {
        fs::create_dir(service.at(version)).unwrap();
        copy("/usr/bin/tail", &service.at(version).join("app"));
    }
    symlink("1", service.at("current")).unwrap();
    let app = service.at("current/app");
    let pid = service.runs(app.to_str().unwrap(), &["-f", "app.toml"]);
    let footprint = taken(pid);
    assert_eq!(footprint.changes(&[]), []);
    symlink("2", service.at("next")).unwrap();
    fs::rename(service.at("next"), service.at("current")).unwrap();
    let changes = footprint.changes(&[]);
    assert_eq!(changes[0].path, app.display().to_string());
    assert_eq!(told(changes), [(Part::Executable, "app".to_owned(), true)]);
}

#[test]
fn a_script_is_the_program_too() {
    let mut service = Service::new();
    fs::write(service.at("app.py"), "open('running', 'w').close(); input()").unwrap();
    let pid = service.runs("python3", &["-u", "app.py", "--config=app.toml", "-x", "nothing.toml"]);
    eventually("the script to run", || service.at("running").exists().then_some(()));
    let footprint = taken(pid);
    let parts: Vec<_> =
        footprint.pieces.iter().map(|piece| (piece.part, piece.path.file_name().unwrap())).collect();
    assert_eq!(
        parts[1..],
        [(Part::Executable, "app.py".as_ref()), (Part::Configuration, "app.toml".as_ref())]
    );
    fs::write(service.at("app.py"), "input()\n").unwrap();
    assert_eq!(told(footprint.changes(&[])), [(Part::Executable, "app.py".to_owned(), true)]);
}

#[test]
fn what_it_writes_itself_is_no_change() {
    let mut service = Service::new();
    let script = "open('state.bin', 'w').close(); f = open('app.data', 'a'); print('x'); input()";
    fs::write(service.at("app.py"), script).unwrap();
    fs::write(service.at("app.data"), "").unwrap();
    is_old(&service.at("app.toml"));
    let pid = service.runs("python3", &["app.py", "app.data", "state.bin", "app.log", "app.toml"]);
    eventually("its own files", || service.at("state.bin").exists().then_some(()));
    let fd = PathBuf::from(format!("/proc/{pid}/fd"));
    let is_open = || {
        fs::read_dir(&fd)
            .unwrap()
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|link| link.ends_with("app.data")))
    };
    eventually("its data to be open", || is_open().then_some(()));
    let footprint = Footprint::of_process(Path::new("/proc"), pid, start_ticks(pid).unwrap());
    let names: Vec<_> = footprint.pieces.iter().map(|piece| piece.path.file_name().unwrap()).collect();
    assert_eq!(names[1..], ["app.py", "app.toml"]);
}

#[test]
fn the_files_of_the_unit_are_told_but_those_that_are_written_at_each_reload() {
    let mut service = Service::new();
    let pid = service.runs_app("app.toml");
    let footprint = taken(pid);
    let unit = |path: &str| {
        let path = service.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "[Service]").unwrap();
        path.display().to_string()
    };
    let files = [
        unit("app.service"),
        unit("run/systemd/transient/b.service"),
        unit("run/systemd/generator.late/c.service"),
        service.at("gone.conf").display().to_string(),
        "/bin/sleep".to_owned(),
    ];
    // What is taken lies twenty minutes ahead: the unit's files have to be as new.
    let recent = Footprint { started_boottime: boottime(), pieces: Box::new([]), ooms: None };
    assert_eq!(footprint.changes(&files[..3]), []);
    let wanted = [(Part::Unit, "app.service".to_owned(), true), (Part::Unit, "gone.conf".to_owned(), false)];
    assert_eq!(told(recent.changes(&files)), wanted);
}

/// A process as a folder shows it.
fn shown(root: &Path, exe: &Path, words: &[&str]) -> Footprint {
    let process = root.join("42");
    fs::create_dir_all(&process).unwrap();
    for (name, target) in [("exe", exe), ("cwd", root), ("root", Path::new("/"))] {
        let _ = fs::remove_file(process.join(name));
        symlink(target, process.join(name)).unwrap();
    }
    fs::write(process.join("cmdline"), words.join("\0")).unwrap();
    Footprint::with_mounts(root, 42, 7, &no_mounts())
}

#[test]
fn it_fits_into_one_kib_whatever_the_command_line_is() {
    let root = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..100).map(|n| format!("{n}-{}", "x".repeat(200))).collect();
    let paths: Vec<_> = names.iter().map(|name| root.path().join(name).display().to_string()).collect();
    paths.iter().for_each(|path| fs::write(path, "").unwrap());
    paths.iter().for_each(|path| is_old(Path::new(path)));
    let words: Vec<_> = ["app"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let footprint = shown(root.path(), Path::new("/bin/sleep"), &words);
    assert!((2..5).contains(&footprint.pieces.len()));
    let pieces = footprint.pieces.iter().map(|piece| size_of::<Piece>() + piece.path.as_os_str().len());
    assert!(size_of::<Footprint>() + pieces.sum::<usize>() + 200 <= 1024);
    assert!(size_of::<Footprint>() + 5 * size_of::<Piece>() + 512 <= 1024);
}

#[test]
fn what_is_in_another_root_is_not_looked_for_here() {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("app.toml");
    fs::write(&config, "").unwrap();
    is_old(&config);
    let words = ["/bin/sleep", config.to_str().unwrap()];
    shown(root.path(), Path::new("/bin/sleep"), &words);
    let process = root.path().join("42");
    fs::remove_file(process.join("root")).unwrap();
    symlink(root.path(), process.join("root")).unwrap();
    assert_eq!(Footprint::with_mounts(root.path(), 42, 7, &no_mounts()).pieces.len(), 1);
    fs::remove_file(process.join("exe")).unwrap();
    assert_eq!(Footprint::with_mounts(root.path(), 42, 7, &no_mounts()).pieces.len(), 0);
    fs::remove_file(process.join("root")).unwrap();
    assert_eq!(
        Footprint::with_mounts(root.path(), 42, 7, &no_mounts()).pieces.len(),
        2,
        "by how it was called"
    );
}

#[test]
fn what_is_no_file_is_left_out() {
    let root = tempfile::tempdir().unwrap();
    let fifo = root.path().join("pipe.toml");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let words =
        ["app", fifo.to_str().unwrap(), "/dev/zero", "/proc", "./\u{fffd}", "=", "--=", "../../..", "/"];
    assert_eq!(shown(root.path(), Path::new("/bin/sleep"), &words).pieces.len(), 1);
    assert_eq!(shown(root.path(), Path::new("/memfd:x (deleted)"), &[]).pieces.len(), 0);
    assert_eq!(Footprint::of_process(Path::new("/proc"), 4_194_305, 7).pieces.len(), 0);
}

/// Not a test: `cargo test … -- --ignored --nocapture what_it_costs`.
#[test]
#[ignore = "it measures"]
fn what_it_costs() {
    let mut service = Service::new();
    let pid = service.runs_app("app.toml");
    let footprint = taken(pid);
    let ticks = start_ticks(pid).unwrap();
    let units = ["/etc/fstab", "/etc/passwd", "/etc/group", "/etc/hosts"].map(str::to_owned);
    let median = |what: &str, work: &dyn Fn()| {
        let mut times: Vec<_> = (0..2_000)
            .map(|_| {
                let began = std::time::Instant::now();
                work();
                began.elapsed()
            })
            .collect();
        times.sort();
        println!("{what}: p50 {:?}, p99 {:?}", times[1_000], times[1_980]);
    };
    median("of_process", &|| drop(Footprint::of_process(Path::new("/proc"), pid, ticks)));
    median("changes", &|| drop(footprint.changes(&units)));
    let mounts = MayHang::at([PathBuf::from("/nothing/here")]);
    median("changes beside a mount that may hang", &|| drop(footprint.changes_beside(&mounts, &units)));
}
