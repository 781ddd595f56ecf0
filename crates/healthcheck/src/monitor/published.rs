//! `monitor.json`: a running monitor says what it watches and where it is spoken with.
use super::control::{self, Listener};
use health_reporter::clock;
use health_reporter::directory::Environment;
use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tracing::{debug, warn};

const FILE: &str = "monitor.json";
const SOCKET: &str = "control.sock";
const SYSTEM_RUNTIME_DIR: &str = "/run/healthcheck";
const RUNTIME_NAME: &str = "healthcheck";
const MAX_BYTES: u64 = 64 * 1024;
const READABLE_BY_ALL: Mode = Mode::from_raw_mode(0o644);
const WRITABLE_BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;

/// What a running monitor says of itself. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) pid: u32,
    /// When the process started: a pid alone may be another's by now.
    pub(crate) pid_start_ticks: u64,
    pub(crate) health_dirs: Vec<PathBuf>,
    pub(crate) state_dir: PathBuf,
    pub(crate) control_socket: PathBuf,
    pub(crate) started_at: Timestamp,
    /// Of the program.
    pub(crate) version: String,
}

/// Where a monitor publishes itself, and where it is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    state_dir: PathBuf,
    /// The nearest first.
    runtime_dirs: Vec<PathBuf>,
}

/// The files in which this process is published. They are removed with it.
#[derive(Debug)]
pub(crate) struct Publication {
    published: Published,
    files: Vec<PathBuf>,
}

impl Places {
    pub(crate) fn of(state_dir: &Path, env: &Environment) -> Self {
        // systemd names several directories with colons between them; the first is ours.
        let given = env.get("RUNTIME_DIRECTORY").and_then(|dirs| dirs.split(':').find(|dir| !dir.is_empty()));
        let own = env.get("XDG_RUNTIME_DIR").map(|dir| Path::new(dir).join(RUNTIME_NAME));
        let system = Some(PathBuf::from(SYSTEM_RUNTIME_DIR));
        let named = [given.map(PathBuf::from), system, own].into_iter().flatten();
        let mut runtime_dirs: Vec<_> = named.filter(|dir| dir.is_absolute()).collect();
        runtime_dirs.dedup();
        Self::at(state_dir, runtime_dirs)
    }

    pub(crate) fn at(state_dir: &Path, runtime_dirs: Vec<PathBuf>) -> Self {
        Self { state_dir: state_dir.to_owned(), runtime_dirs }
    }

    /// The files that a monitor may have published, the nearest first.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        [&self.state_dir].into_iter().chain(&self.runtime_dirs).map(|dir| dir.join(FILE))
    }

    /// Opens the control socket in the state directory; where its file system has no sockets, in a runtime directory.
    ///
    /// # Errors
    ///
    /// What was wrong with the state directory, where no place will do; `AddrInUse` if another monitor listens.
    pub(crate) fn listen(&self) -> io::Result<Listener> {
        let first = match control::bind(&absolute(&self.state_dir.join(SOCKET))) {
            Err(error) if error.kind() != ErrorKind::AddrInUse => error,
            bound => return bound,
        };
        let elsewhere = |dir: &PathBuf| {
            make(dir).ok()?;
            control::bind(&dir.join(SOCKET)).ok()
        };
        self.runtime_dirs.iter().find_map(elsewhere).ok_or(first)
    }

    /// Publishes this process in the state directory and in the first runtime directory that takes it. Where it
    /// cannot be published it is less easily found, and works all the same.
    pub(crate) fn publish(&self, health_dirs: &[PathBuf], control_socket: &Path) -> Publication {
        let pid = std::process::id();
        let published = Published {
            pid,
            pid_start_ticks: clock::start_ticks(pid).unwrap_or(0),
            health_dirs: health_dirs.iter().map(|dir| canonical(dir)).collect(),
            state_dir: canonical(&self.state_dir),
            control_socket: absolute(control_socket),
            started_at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut files = Vec::new();
        match replace(&self.state_dir, &published) {
            Ok(file) => files.push(file),
            Err(error) => warn!("cannot publish {FILE} in {}: {error}", self.state_dir.display()),
        }
        files.extend(self.runtime_dirs.iter().find_map(|dir| publish_in(dir, &published)));
        Publication { published, files }
    }
}

/// Another monitor that lives was first: it stays the one of the machine.
fn publish_in(runtime_dir: &Path, published: &Published) -> Option<PathBuf> {
    let other = Published::read(&runtime_dir.join(FILE)).ok().map(|(other, _)| other);
    if let Some(other) = other.filter(|other| !other.is_same_process(published) && other.may_live()) {
        debug!("{} is of the monitor with pid {}", runtime_dir.display(), other.pid);
        return None;
    }
    let replaced = make(runtime_dir).and_then(|()| replace(runtime_dir, published));
    replaced.inspect_err(|error| debug!("not published in {}: {error}", runtime_dir.display())).ok()
}

impl Publication {
    #[cfg(test)]
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl Drop for Publication {
    /// What somebody else has put there meanwhile is not ours to remove.
    fn drop(&mut self) {
        for file in &self.files {
            if Published::read(file).is_ok_and(|(found, _)| found.is_same_process(&self.published)) {
                let _ = fs::remove_file(file);
            }
        }
    }
}

impl Published {
    /// What stands in the file at `path`, and whose the file is.
    ///
    /// # Errors
    ///
    /// The system's; `PermissionDenied` where others than the owner could have written it; `InvalidData`.
    pub(crate) fn read(path: &Path) -> io::Result<(Self, u32)> {
        // A FIFO does not block, and a link is not followed.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text)?;
        Ok((serde_json::from_slice(&text)?, metadata.uid()))
    }

    /// Whether its process may still run. Under `hidepid` the start of another's process is not seen.
    pub(crate) fn may_live(&self) -> bool {
        match clock::start_ticks(self.pid) {
            Some(ticks) => ticks == self.pid_start_ticks,
            None => is_there(self.pid),
        }
    }

    fn is_same_process(&self, other: &Self) -> bool {
        (self.pid, self.pid_start_ticks) == (other.pid, other.pid_start_ticks)
    }
}

fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let signalled = pid.map(rustix::process::test_kill_process);
    matches!(signalled, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

/// Whether a file in `dir` that belongs to `owner` may be believed by `caller`: it is root's or the caller's own, or
/// of the one to whom root gave the directory.
pub(crate) fn is_believed(dir: &Path, owner: u32, caller: u32) -> bool {
    let is_roots =
        |metadata: &fs::Metadata| metadata.uid() == ROOT && metadata.mode() & WRITABLE_BY_OTHERS == 0;
    let is_given = || {
        let dir = absolute(dir);
        let parent = dir.parent().and_then(|parent| fs::metadata(parent).ok())?;
        let dir = fs::metadata(&dir).ok()?;
        Some(dir.uid() == owner && is_roots(&parent))
    };
    [ROOT, caller].contains(&owner) || is_given().unwrap_or(false)
}

/// The path without links, or as much of it as there is.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| absolute(path))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Nobody sees a half file, and nothing that is planted under the name of the stage is opened.
fn replace(dir: &Path, published: &Published) -> io::Result<PathBuf> {
    let text = serde_json::to_vec(published)?;
    let (stage, file) =
        (dir.join(format!(".{FILE}.{:016x}", RandomState::new().hash_one(0))), dir.join(FILE));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut staged = File::from(rustix::fs::openat(CWD, &stage, flags, READABLE_BY_ALL)?);
    // The mask of the process may be narrower.
    let written = rustix::fs::fchmod(&staged, READABLE_BY_ALL).map_err(io::Error::from);
    let replaced = written.and_then(|()| staged.write_all(&text)).and_then(|()| fs::rename(&stage, &file));
    replaced.inspect_err(|_| drop(fs::remove_file(&stage)))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Machine {
        root: tempfile::TempDir,
        places: Places,
    }

    impl Machine {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for dir in ["state", "run", "health"] {
                fs::create_dir(root.path().join(dir)).unwrap();
            }
            let runtime_dirs = vec!["/proc/nowhere".into(), root.path().join("run/healthcheck")];
            let places = Places::at(&root.path().join("state"), runtime_dirs);
            Self { root, places }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn publish(&self) -> Publication {
            self.places.publish(&[self.path("health")], &self.path("state/control.sock"))
        }
    }

    #[test]
    fn a_monitor_is_published_in_both_places_and_withdrawn_with_its_end() {
        let machine = Machine::new();
        let files = [machine.path("state/monitor.json"), machine.path("run/healthcheck/monitor.json")];
        let publication = machine.publish();
        assert_eq!(publication.files(), files);
        for file in &files {
            let (published, owner) = Published::read(file).unwrap();
            assert_eq!(published, publication.published);
            assert!(published.may_live() && published.health_dirs == [machine.path("health")]);
            assert_eq!(owner, rustix::process::geteuid().as_raw());
            assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o644);
            assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no stage is left");
        }
        drop(publication);
        assert!(files.iter().all(|file| !file.exists()));
    }

    #[test]
    fn the_socket_is_in_the_state_directory_or_else_at_run_time() {
        let machine = Machine::new();
        let listener = machine.places.listen().unwrap();
        assert_eq!(listener.path(), machine.path("state/control.sock"));
        assert_eq!(machine.places.listen().unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
        let places = Places { state_dir: "/proc/nowhere".into(), ..machine.places.clone() };
        assert_eq!(places.listen().unwrap().path(), machine.path("run/healthcheck/control.sock"));
        let nowhere = Places { runtime_dirs: Vec::new(), ..places };
        assert_eq!(nowhere.listen().unwrap_err().kind(), ErrorKind::NotFound, "of the state directory");
    }

    #[test]
    fn what_another_put_there_meanwhile_stays() {
        let machine = Machine::new();
        let publication = machine.publish();
        let other = Published { pid_start_ticks: 1, ..publication.published.clone() };
        replace(&machine.path("state"), &other).unwrap();
        drop(publication);
        assert!(machine.path("state/monitor.json").exists());
        assert!(!machine.path("run/healthcheck/monitor.json").exists());
    }

    #[test]
    fn the_monitor_of_the_machine_is_the_first_that_lives() {
        let machine = Machine::new();
        let mut other = machine.publish().published.clone();
        let run = machine.path("run/healthcheck");
        let init = (1, clock::start_ticks(1).unwrap());
        (other.pid, other.pid_start_ticks) = init;
        replace(&run, &other).unwrap();
        assert_eq!(machine.publish().files(), [machine.path("state/monitor.json")]);
        assert_eq!(Published::read(&run.join(FILE)).unwrap().0.pid, 1);
        // The pid is another's by now: nobody is there any more.
        other.pid_start_ticks = init.1 + 1;
        replace(&run, &other).unwrap();
        assert_eq!(machine.publish().files().len(), 2);
    }

    #[test]
    fn a_file_that_anybody_could_have_put_there_is_not_read() {
        let machine = Machine::new();
        let publication = machine.publish();
        let path = machine.path("state/monitor.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(Published::read(&path).unwrap_err().kind(), ErrorKind::PermissionDenied);
        symlink("monitor.json", machine.path("state/link")).unwrap();
        rustix::fs::mknodat(CWD, machine.path("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::write(machine.path("large"), " ".repeat(65 * 1024)).unwrap();
        fs::write(machine.path("torn"), "{\"pid\":").unwrap();
        for name in ["state/link", "fifo", "large", "torn", "state", "nothing"] {
            assert!(Published::read(&machine.path(name)).is_err(), "{name}");
        }
        drop(publication);
    }

    #[test]
    fn believed_are_root_oneself_and_whom_root_gave_the_directory() {
        let machine = Machine::new();
        let state = machine.path("state");
        assert!(is_believed(&state, ROOT, 4711) && is_believed(&state, 4711, 4711));
        assert!(!is_believed(&state, 4711, 815), "the directory is not his");
        std::os::unix::fs::chown(&state, Some(4711), None).unwrap();
        assert!(is_believed(&state, 4711, ROOT) && is_believed(&state, 4711, 815));
        fs::set_permissions(machine.root.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(!is_believed(&state, 4711, ROOT), "anybody could have put the directory there");
        std::os::unix::fs::chown(machine.root.path(), Some(4711), None).unwrap();
        fs::set_permissions(machine.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(!is_believed(&state, 4711, ROOT), "it stands where its owner may put anything");
    }

    #[test]
    fn systemd_says_where_first_then_the_system_then_the_user() {
        let env = |variables: &[(&str, &str)]| variables.iter().copied().collect::<Environment>();
        let dirs = |variables: &[(&str, &str)]| Places::of(Path::new("logs"), &env(variables)).runtime_dirs;
        let dirs =
            |variables| dirs(variables).iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>();
        let (run, own) = ("/run/healthcheck", "/run/user/7/healthcheck");
        assert_eq!(dirs(&[]), [run]);
        assert_eq!(dirs(&[("XDG_RUNTIME_DIR", "/run/user/7")]), [run, own]);
        assert_eq!(dirs(&[("RUNTIME_DIRECTORY", "/run/healthcheck:/run/b")]), [run]);
        assert_eq!(dirs(&[("RUNTIME_DIRECTORY", "/run/a")]), ["/run/a", run]);
        assert_eq!(dirs(&[("XDG_RUNTIME_DIR", "relative")]), [run]);
    }
}
