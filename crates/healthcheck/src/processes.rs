//! The programs that we started, and whatever they started: all of it ends with them.
//!
//! A program is ended with its process group. Who left the group is found by its parent: we are the reaper of all
//! orphans below us, so that whoever loses its parent becomes a child of ours. A child that we did not start is a
//! leftover of a program that has ended, unless a program still runs that is older than it.

use health_reporter::clock::start_ticks;
use rustix::fs::Access;
use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, Once, PoisonError};

static FAMILY: Mutex<Family> =
    Mutex::new(Family { adopts: None, running: BTreeMap::new(), dying: Vec::new() });

struct Family {
    /// Whether orphans are ours to end; nothing before the first program.
    adopts: Option<bool>,
    /// What runs, and since when, in clock ticks.
    running: BTreeMap<u32, u64>,
    /// What was killed and has not ended yet.
    dying: Vec<Child>,
}

fn family<T>(with: impl FnOnce(&mut Family) -> T) -> T {
    with(&mut FAMILY.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Nobody who is started from here gets what we were started with open.
pub(crate) fn close_inherited_on_exec() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| close_fds::set_fds_cloexec(3, &[]));
}

/// Debian's.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that is to lead a group of its own, in an environment that says only where programs are, and with nothing
/// open of what we were started with. It is looked for here, which may take as long as a dead mount does not answer:
/// whoever is started from its place shares our memory until then. Otherwise it would be a copy of us, and then each page
/// that we write to costs a fault.
pub(crate) fn clean(argv: &[String]) -> Command {
    close_inherited_on_exec();
    let (name, arguments) = argv.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut command = Command::new(placed(name, &path).unwrap_or_else(|| name.into()));
    command.arg0(name).args(arguments).process_group(0);
    command.env_clear().env("PATH", path).env("LANG", "C.UTF-8");
    command
}

/// Where the path leads to a program of this name; nothing where it does not, or need not be asked. What the kernel does
/// not execute by itself, such as a script that does not say by what, is left to whoever knows what to do with it.
fn placed(name: &str, path: &OsStr) -> Option<PathBuf> {
    let may_be_executed =
        |place: &PathBuf| place.is_file() && rustix::fs::access(place, Access::EXEC_OK).is_ok();
    let is_named = !name.is_empty() && !name.contains('/');
    let mut places = std::env::split_paths(path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    let place = if is_named { places.find(may_be_executed) } else { None };
    place.filter(|place| is_of_known_format(place))
}

fn is_of_known_format(place: &Path) -> bool {
    let mut begin = [0; 4];
    let read = File::open(place).and_then(|mut file| file.read(&mut begin));
    read.is_ok() && (begin == *b"\x7fELF" || begin.starts_with(b"#!"))
}

/// Starts a program that leads a process group of its own; whoever starts one buries it.
pub(crate) fn start(command: &mut Command) -> io::Result<Child> {
    family(Family::adopt);
    let child = command.spawn()?;
    let pid = child.id();
    family(|family| family.running.insert(pid, start_ticks(pid).unwrap_or_default()));
    Ok(child)
}

/// Kills a program that was not reaped yet, with its group.
pub(crate) fn kill(pid: u32) {
    let Ok(pid) = pid_of(pid) else { return };
    // It may have gone to another group by itself.
    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    let _ = rustix::process::kill_process(pid, Signal::KILL);
}

/// Takes a program that was killed, and reaps it as soon as it has ended.
pub(crate) fn bury(child: Child) {
    family(|family| {
        family.running.remove(&child.id());
        family.dying.push(child);
        family.reap();
    });
}

/// Kills and reaps what the ended left behind, and returns how many of them are still there.
pub(crate) fn end_leftovers() -> usize {
    family(Family::end_orphans)
}

pub(crate) fn pid_of(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl Family {
    /// Becomes the reaper of orphans. Whoever is the first process of a system, or was handed children when it was
    /// executed, has orphans below it that are none of ours, and leaves all of them alone.
    fn adopt(&mut self) {
        if self.adopts.is_none() {
            let is_alone = std::process::id() != 1 && children().is_some_and(|children| children.is_empty());
            let pid = rustix::process::getpid();
            self.adopts = Some(is_alone && rustix::process::set_child_subreaper(Some(pid)).is_ok());
        }
    }

    fn reap(&mut self) {
        self.dying.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    fn end_orphans(&mut self) -> usize {
        self.reap();
        if self.adopts != Some(true) {
            return self.dying.len();
        }
        let is_own =
            |pid: &u32| self.running.contains_key(pid) || self.dying.iter().any(|dying| dying.id() == *pid);
        let orphans = children().unwrap_or_default().into_iter().filter(|pid| !is_own(pid));
        let left = orphans.filter(|pid| self.is_left_behind(*pid) && !end(*pid)).count();
        left + self.dying.len()
    }

    /// Whoever was born while a program ran that still runs may be its own.
    fn is_left_behind(&self, pid: u32) -> bool {
        let born = start_ticks(pid).unwrap_or_default();
        self.running.values().all(|started| born < *started)
    }
}

/// Whether it is gone.
fn end(pid: u32) -> bool {
    let Ok(pid) = pid_of(pid) else { return true };
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    !matches!(rustix::process::waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
}

/// The children of the first thread: it is the one that gets the orphans. What others start is theirs. Not every
/// kernel tells.
fn children() -> Option<Vec<u32>> {
    let path = format!("/proc/self/task/{}/children", std::process::id());
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_is_started_from_its_place_under_the_name_that_it_was_called() {
        let argv = ["sh", "-c", "echo $0"].map(str::to_owned);
        let mut command = clean(&argv);
        assert!(command.get_program().to_str().unwrap().starts_with('/'), "{command:?}");
        assert_eq!(command.output().unwrap().stdout, b"sh\n");
        for name in ["no-such-program", "", "./sh", "/bin/sh"] {
            assert_eq!(clean(&[name.to_owned()]).get_program(), name);
        }
    }

    #[test]
    fn what_cannot_be_executed_is_passed_over() {
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        std::fs::create_dir(dirs[0].path().join("tool")).unwrap();
        for (dir, mode) in [(&dirs[1], 0o644), (&dirs[2], 0o755)] {
            let place = dir.path().join("tool");
            std::fs::write(&place, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths(dirs.iter().map(tempfile::TempDir::path)).unwrap();
        assert_eq!(placed("tool", &path), Some(dirs[2].path().join("tool")));
        assert_eq!(placed("tool", OsStr::new("")), None);
        std::fs::write(dirs[2].path().join("tool"), "echo $0\n").unwrap();
        assert_eq!(placed("tool", &path), None, "a shell knows what to do with it");
    }
}
