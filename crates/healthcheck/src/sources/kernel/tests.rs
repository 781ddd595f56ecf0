use super::*;
use crate::sources::footprint::Footprint;
use crate::sources::systemd::tests::eventually;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const PATIENCE: Duration = Duration::from_secs(20);

fn killed(facility: u32, pid: u32) -> String {
    format!(
        "{},1,1,-;Out of memory: Killed process {pid} (camera) total-vm:1kB\n DEVICE=x\n",
        facility * 8 + 3
    )
}

/// A pipe in the place of the log, and who writes to it.
fn pipe() -> (tempfile::TempDir, PathBuf, fs::File) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kmsg");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let writer = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (dir, path, writer)
}

/// A group that gets 16 MiB, in whichever version memory is limited here.
struct Group(PathBuf);

impl Group {
    fn new() -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let is_v1 = root.join("memory/cgroup.procs").exists();
        let parent = if is_v1 { root.join("memory") } else { root.to_owned() };
        if !is_v1 {
            fs::write(root.join("cgroup.subtree_control"), "+memory").unwrap();
        }
        let group = Self(parent.join(format!("health-oom-{}", std::process::id())));
        fs::create_dir(&group.0).unwrap();
        let limit = if is_v1 { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(group.0.join(limit), "16M").unwrap();
        // Only version 2 has the one, only version 1 the other.
        let _ = fs::write(group.0.join("memory.swap.max"), "0");
        let _ = fs::write(group.0.join("memory.swappiness"), "0");
        group
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let started = Instant::now();
        while fs::remove_dir(&self.0).is_err() && started.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Joins the group, and wants more than it has when it is told to go on.
fn hungry(group: &Group) -> Child {
    let script = r#"echo $$ >"$1/cgroup.procs"; read -r go; exec python3 -c 'bytearray(200 << 20); input()'"#;
    let mut hungry = Command::new("sh");
    let child = hungry.args(["-c", script, "sh"]).arg(&group.0).stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    eventually("it to join its group", || {
        let members = fs::read_to_string(group.0.join("cgroup.procs")).unwrap();
        members.lines().any(|member| member == pid).then_some(())
    });
    child
}

fn forges(pid: u32) {
    let mut log = OpenOptions::new().write(true).open("/dev/kmsg").unwrap();
    let line = format!("<3>Out of memory: Killed process {pid} (camera) total-vm:1kB");
    log.write_all(line.as_bytes()).unwrap();
}

#[test]
fn the_real_kernel_tells_of_the_process_that_it_kills_and_no_other_is_believed() {
    let mut kernel = Kernel::open(Path::new("/dev/kmsg")).unwrap();
    let group = Group::new();
    let mut hungry = hungry(&group);
    let pid = hungry.id();
    forges(pid);
    assert_eq!(kernel.oom_of(pid), None);
    let footprint = Footprint::of_process(Path::new("/proc"), pid, 7);
    assert_eq!(footprint.oom_kills(), Some(0));
    writeln!(hungry.stdin.as_mut().unwrap(), "go").unwrap();
    assert!(!hungry.wait().unwrap().success());
    let line = kernel.oom_of(pid).unwrap();
    assert!(line.starts_with(&format!("Memory cgroup out of memory: Killed process {pid} (")), "{line}");
    assert_eq!(footprint.oom_kills(), Some(1));
    drop(group);
    assert_eq!(footprint.oom_kills(), None);
}

#[test]
fn a_flood_is_bounded_and_the_newest_are_kept() {
    let (_dir, path, mut writer) = pipe();
    let mut kernel = Kernel::open(&path).unwrap();
    writer.write_all(killed(1, 7).as_bytes()).unwrap();
    writer.write_all(killed(0, 8).as_bytes()).unwrap();
    assert!(kernel.oom_of(8).is_some());
    let flood: String = (1_000..1_600).map(|pid| killed(0, pid)).collect();
    writer.write_all(flood.as_bytes()).unwrap();
    assert!(kernel.oom_of(1_599).is_some() && kernel.oom_of(1_000).is_none() && kernel.oom_of(7).is_none());
    assert_eq!(kernel.recent.len(), MAX_KEPT);
}

#[test]
fn a_log_that_ends_is_read_no_more() {
    let (_dir, path, writer) = pipe();
    let mut kernel = Kernel::open(&path).unwrap();
    drop(writer);
    assert!(kernel.oom_of(1).is_none() && kernel.has_ended);
}

#[test]
fn why_it_is_not_read_comes_with_the_cure() {
    let why = |path: &str| Kernel::open(Path::new(path)).err().unwrap().to_string();
    assert!(why("/nothing/kmsg").starts_with("cannot read /nothing/kmsg: No such file or directory"));
    assert!(
        why_not_opened(Errno::PERM)
            .ends_with("give the monitor CAP_SYSLOG, and its user the right to read it")
    );
}
