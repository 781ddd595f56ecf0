//! Processes, as `/proc` shows them.

use healthcheck_core::{NotLooked, ProcessCost, ProcessFacts, ProcessSight, ProcessState};
use rustix::process::Pid;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The process file system; its root is a parameter for tests.
#[derive(Debug, Clone)]
pub(crate) struct Processes {
    root: PathBuf,
}

impl Processes {
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Looks at the process with this pid, whoever it is.
    pub(crate) fn look(&self, pid: u64) -> ProcessSight {
        let dir = self.root.join(pid.to_string());
        match fs::read_to_string(dir.join("stat")) {
            Ok(text) => stat_facts(&text, &dir).map_or(ProcessSight::Gone, ProcessSight::Seen),
            Err(error) if is_absent(&error) => hidden_or_gone(pid),
            Err(_) => ProcessSight::NotLooked(NotLooked::NotPermitted),
        }
    }
}

/// The kernel says ESRCH where a process ended between the opening and the reading.
fn is_absent(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// Under `hidepid` the processes of others have no folder, and are not dead for that.
fn hidden_or_gone(pid: u64) -> ProcessSight {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    match pid.map(rustix::process::test_kill_process) {
        Some(Ok(()) | Err(rustix::io::Errno::PERM)) => ProcessSight::NotLooked(NotLooked::NotPermitted),
        _ => ProcessSight::Gone,
    }
}

/// The second field is the command's name in parentheses and may contain anything, so the rest is counted from
/// its end: the state is the first, and field `n` of proc(5) the `n - 2`th.
fn stat_facts(text: &str, dir: &Path) -> Option<ProcessFacts> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    let state = ProcessState::from_letter(fields.first()?.chars().next()?);
    Some(ProcessFacts {
        start_ticks: number(22)?,
        exit: state.has_ended().then(|| number(52)).flatten().and_then(|exit| i32::try_from(exit).ok()),
        state,
        owner_uid: owner(dir)?,
        cost: ProcessCost {
            cpu_s: seconds(number(14)? + number(15)?),
            memory_bytes: number(24)? * rustix::param::page_size() as u64,
            descriptors: descriptors(&dir.join("fd")),
            threads: u32::try_from(number(20)?).ok()?,
        },
    })
}

#[expect(clippy::cast_precision_loss, reason = "2^53 ticks are three million years")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// The folder of a process that may not be dumped belongs to root, whoever it runs as: then its status tells.
fn owner(dir: &Path) -> Option<u32> {
    match fs::metadata(dir).ok()?.uid() {
        0 => {
            fs::read_to_string(dir.join("status")).ok().and_then(|status| effective_uid(&status)).or(Some(0))
        }
        uid => Some(uid),
    }
}

fn effective_uid(status: &str) -> Option<u32> {
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    uids.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Since Linux 6.2 the folder's size is the count; before, it has to be read.
fn descriptors(dir: &Path) -> Option<u32> {
    let count = match fs::metadata(dir).ok()?.size() {
        0 => u64::try_from(fs::read_dir(dir).ok()?.count()).ok()?,
        size => size,
    };
    u32::try_from(count).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (cam) era (x) T 1 4242 4242 0 -1 4194304 190 0 0 0 150 50 0 0 20 0 3 0 178496 \
                        9056256 512 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 9";

    fn machine(stat: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let process = root.path().join("4242");
        fs::create_dir_all(process.join("fd")).unwrap();
        fs::write(process.join("stat"), stat).unwrap();
        fs::write(process.join("status"), "Name:\tx\nUid:\t1000\t1001\t1000\t1000\n").unwrap();
        root
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let root = machine(STAT);
        let ProcessSight::Seen(facts) = Processes::at(root.path()).look(4242) else { panic!("not seen") };
        assert_eq!((facts.start_ticks, facts.state, facts.exit), (178_496, ProcessState::Stopped, None));
        assert_eq!((facts.cost.cpu_s, facts.cost.threads), (2.0, 3));
        assert_eq!(facts.cost.memory_bytes, 512 * rustix::param::page_size() as u64);
    }

    #[test]
    fn a_zombie_tells_how_it_ended() {
        let root = machine(&STAT.replace(") T ", ") Z "));
        let ProcessSight::Seen(facts) = Processes::at(root.path()).look(4242) else { panic!("not seen") };
        assert_eq!((facts.state, facts.exit), (ProcessState::Zombie, Some(9)));
    }

    #[test]
    fn torn_text_is_no_process_and_no_panic() {
        for cut in 0..STAT.len() {
            let root = machine(&STAT[..cut]);
            let _ = Processes::at(root.path()).look(4242);
        }
    }

    #[test]
    fn an_absent_folder_of_a_living_process_is_not_its_death() {
        let empty = tempfile::tempdir().unwrap();
        let own = u64::from(std::process::id());
        assert_eq!(Processes::at(empty.path()).look(own), ProcessSight::NotLooked(NotLooked::NotPermitted));
        assert_eq!(Processes::at("/proc").look(4_194_305), ProcessSight::Gone);
        assert!(matches!(Processes::at("/proc").look(own), ProcessSight::Seen(_)));
    }
}
