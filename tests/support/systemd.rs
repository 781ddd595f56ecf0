//! systemd itself, as the manager of a user or of a whole machine, on any machine that tests run on.

use super::eventually;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Moves itself to a control group of its own, and pretends to itself that this machine was booted with systemd.
const USER: &str = r#"dir=$1; shift
for group in "$@"; do echo $$ >"$group/cgroup.procs" || exit 1; done
mkdir -p /run/systemd && mount -t tmpfs -o mode=755 tmpfs /run/systemd && mkdir /run/systemd/system || exit 1
exec env -i PATH="$PATH" HOME="$dir/home" XDG_RUNTIME_DIR="$dir/run" \
    DBUS_SESSION_BUS_ADDRESS="unix:path=$dir/run/bus" /lib/systemd/systemd --user"#;

/// The programs of this machine with an empty `/var` and `/run`, and its target directory at its own place.
const MACHINE: &str = r#"name=$1; target=$2; shift 2
for group in "$@"; do echo $$ >"$group/cgroup.procs" || exit 1; done
exec systemd-nspawn --machine="$name" --directory=/ --volatile=yes --register=no --keep-unit --private-network \
    --console=pipe --bind-ro="$target" --boot systemd.unit=basic.target systemd.mask=systemd-firstboot.service \
    systemd.mask=nftables.service"#;

/// A manager that ends with its test, and everything with it that it started.
pub(crate) struct Systemd {
    child: Child,
    /// The manager itself.
    pid: u32,
    dir: TempDir,
    groups: Vec<PathBuf>,
    units: PathBuf,
    is_machine: bool,
}

impl Systemd {
    /// A manager of a user, with a bus of that user.
    #[track_caller]
    pub(crate) fn of_a_user() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let units = dir.path().join("home/.config/systemd/user");
        fs::create_dir_all(&units).unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::write(units.with_file_name("user.conf"), "[Manager]\nDefaultTimeoutStopSec=2s\n").unwrap();
        let groups = new_groups();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", USER, "sh"]).arg(dir.path());
        let child = started(command.args(&groups), dir.path());
        let systemd = Self { pid: child.id(), child, dir, groups, units, is_machine: false };
        systemd.wait_until_ready();
        systemd
    }

    /// The first process of a machine of its own, which has the programs of this one.
    #[track_caller]
    pub(crate) fn of_a_machine() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let groups = new_groups();
        let name = groups[0].file_name().unwrap();
        let test = std::env::current_exe().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", MACHINE, "sh"]).arg(name).arg(test.ancestors().nth(2).unwrap());
        let child = started(command.args(&groups), dir.path());
        let mut systemd =
            Self { pid: child.id(), child, dir, groups, units: PathBuf::new(), is_machine: true };
        systemd.pid = eventually("the first process of the machine", || first_process(systemd.child.id()));
        systemd.units = systemd.root().join("run/systemd/system");
        systemd.wait_until_ready();
        systemd
    }

    fn wait_until_ready(&self) {
        let wanted: &[&str] = &["running", "degraded"];
        eventually("systemd to be ready", || {
            let state = self.try_systemctl(&["is-system-running"]);
            wanted.contains(&text(&state.stdout).trim()).then_some(()).or_else(|| self.assert_it_lives())
        });
    }

    fn assert_it_lives(&self) -> Option<()> {
        let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(Path::new("/proc").join(self.pid.to_string()).exists(), "systemd ended: {}", log());
        None
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The root of its file system, as seen from outside.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    /// The address of the bus.
    pub(crate) fn bus(&self) -> String {
        let bus = self.dir.path().join("run/bus");
        let path = if self.is_machine { self.root().join("run/dbus/system_bus_socket") } else { bus };
        format!("unix:path={}", path.display())
    }

    /// The address at which the manager itself listens.
    pub(crate) fn private(&self) -> String {
        let dir = if self.is_machine { self.root() } else { self.dir.path().to_owned() };
        format!("unix:path={}", dir.join("run/systemd/private").display())
    }

    /// A program in the namespaces of the manager, in an environment that only says where it is.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        let pid = self.pid.to_string();
        command.args(["--target", &pid, if self.is_machine { "--all" } else { "--mount" }]);
        command
            .arg(program)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        if !self.is_machine {
            command.env("XDG_RUNTIME_DIR", self.dir.path().join("run"));
        }
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn try_systemctl(&self, arguments: &[&str]) -> Output {
        let scope = if self.is_machine { "--system" } else { "--user" };
        self.command("systemctl", &[&[scope, "--no-pager"], arguments].concat()).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> String {
        let output = self.try_systemctl(arguments);
        assert!(output.status.success(), "systemctl {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// A unit file, which the manager knows from now on.
    #[track_caller]
    pub(crate) fn has_unit(&self, name: &str, content: &str) {
        fs::write(self.units.join(name), content).unwrap();
        self.systemctl(&["daemon-reload"]);
    }

    /// A service that is started now, whatever becomes of it.
    #[track_caller]
    pub(crate) fn starts(&self, name: &str, content: &str) {
        self.has_unit(name, &format!("[Service]\n{content}\n"));
        self.try_systemctl(&["start", name]);
    }

    #[track_caller]
    pub(crate) fn property(&self, unit: &str, property: &str) -> String {
        self.systemctl(&["show", "--property", property, "--value", unit]).trim().to_owned()
    }

    #[track_caller]
    pub(crate) fn becomes(&self, unit: &str, property: &str, value: &str) {
        let what = format!("{unit} to have the {property} {value}");
        eventually(&what, || (self.property(unit, property) == value).then_some(()));
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // A manager of a user stops and reaps what it started; the first process takes all others with it.
        let signal = if self.is_machine { Signal::KILL } else { Signal::TERM };
        let _ = Pid::from_raw(i32::try_from(self.pid).unwrap_or(0)).map(|pid| kill_process(pid, signal));
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && started.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        while !self.groups.iter().all(|group| is_emptied(group)) && started.elapsed() < Duration::from_secs(8)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn started(command: &mut Command, dir: &Path) -> Child {
    let log = fs::File::create(dir.join("log")).unwrap();
    let quiet = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
    quiet.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// A control group in each hierarchy that systemd uses: its own of version 1, the unified one beside it, or only
/// the unified one.
fn new_groups() -> Vec<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("health-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let hierarchies = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    let there = hierarchies.iter().map(Path::new).filter(|root| root.join("cgroup.procs").exists());
    let groups: Vec<PathBuf> = there.map(|root| root.join(&name)).collect();
    assert!(!groups.is_empty(), "no control groups below /sys/fs/cgroup");
    groups.iter().for_each(|group| fs::create_dir(group).unwrap());
    groups
}

/// Kills what is left in a control group, and removes it.
fn is_emptied(group: &Path) -> bool {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        is_emptied(&entry.path());
    }
    let left = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in left.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        let _ = kill_process(pid, Signal::KILL);
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

/// The child that is the first process of its own namespace.
fn first_process(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_ascii_whitespace().find_map(|child| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        let is_first =
            pids.split_ascii_whitespace().next_back() == Some("1") && status.starts_with("Name:\tsystemd\n");
        is_first.then(|| child.parse().ok())?
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
