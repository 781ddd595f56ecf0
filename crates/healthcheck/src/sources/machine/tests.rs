use super::*;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const STAT: &str = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2\ncpu1 1 2\ncpu2 1 2\ncpu3 1 2\nintr 1\n";
const FILES: [(&str, &str); 9] = [
    ("proc/stat", STAT),
    ("proc/loadavg", "4.00 2.00 1.00 2/182 1294276\n"),
    ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 100 kB\nSwapFree: 90 kB\n"),
    ("proc/pressure/cpu", "some avg10=50.00 avg60=0.90 avg300=1.50 total=1\n"),
    ("proc/pressure/io", "some avg10=25.00 avg60=0.90 avg300=1.50 total=1\nfull avg10=0.00 total=0\n"),
    ("proc/sys/fs/file-nr", "503\t0\t1006\n"),
    (
        "proc/self/mountinfo",
        "29 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 29 8:2 / /image rw - ext4 /dev/sdb ro\n",
    ),
    ("etc/fstab", "/dev/sda1 / ext4 defaults\n/dev/sdb /image ext4 ro\n/dev/sdc /data ext4 defaults\n"),
    ("sys/class/hwmon/hwmon0/temp1_input", "41000\n"),
];

fn put(root: &TempDir, path: &str, text: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn machine() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    FILES.iter().for_each(|(path, text)| put(&root, path, text));
    put(&root, "sys/class/hwmon/hwmon0/name", "k10temp\n");
    fs::create_dir(root.path().join("image")).unwrap();
    root
}

fn value(seen: &Seen, name: &str) -> Option<f64> {
    let all = seen.observations();
    let found = all.iter().find(|observation| &*observation.subject.name == name)?;
    match found.outcome {
        Ok(Facts::Measure(measure)) => Some(measure.value),
        _ => panic!("{found:?}"),
    }
}

#[test]
fn this_machine_has_memory_and_a_root_and_is_not_beyond_them() {
    let resources = Machine::at("/").look().resources;
    assert!(resources.memory.unwrap().total_bytes > 1 << 20);
    assert!((0.01..=1.0).contains(&resources.memory.unwrap().used_ratio()));
    assert!(resources.load.unwrap().cores > 0);
    assert_eq!(resources.disks[0].mount_point, "/");
    assert!((0.001..=1.0).contains(&resources.disks[0].bytes.used_ratio()));
}

#[test]
fn each_number_that_may_have_a_limit_is_an_observation() {
    let root = machine();
    let seen = Machine::at(root.path()).look();
    let wanted = [
        ("memory", 0.75),
        ("swap", 0.1),
        ("load", 0.5),
        ("pressure_cpu", 0.5),
        ("pressure_io", 0.25),
        ("descriptors", 0.5),
        ("temperature k10temp temp1", 41.0),
    ];
    for (name, wanted) in wanted {
        assert!(value(&seen, name).is_some_and(|value| (value - wanted).abs() < 1e-9), "{name}: {seen:?}");
    }
    assert!(value(&seen, "disk /").is_some() && value(&seen, "disk_free /").is_some());
    assert!(value(&seen, "inodes /").is_some());
    assert!(seen.observations().iter().all(|observation| observation.subject.kind == Kind::Resource));
    let mounts: Vec<_> =
        seen.mounts.iter().map(|(point, sight)| (point.as_str(), sight.clone().unwrap())).collect();
    let wanted =
        [("/", MountSight::AsExpected), ("/data", MountSight::Vanished), ("/image", MountSight::AsExpected)];
    assert_eq!(mounts, wanted);
}

#[test]
fn what_nobody_can_write_to_is_listed_and_never_too_full() {
    let seen = Machine::at(machine().path()).look();
    let disks: Vec<_> =
        seen.resources.disks.iter().map(|disk| (&*disk.mount_point, disk.is_read_only)).collect();
    assert_eq!(disks, [("/", false), ("/image", true)]);
    assert_eq!((value(&seen, "disk /image"), value(&seen, "inodes /image")), (None, None));
}

#[test]
fn f13_a_kernel_that_tells_nothing_makes_nothing_zero() {
    let root = tempfile::tempdir().unwrap();
    let seen = Machine::at(root.path()).look();
    assert_eq!(seen.resources, Resources::default());
    assert_eq!(seen.observations(), []);
}

#[test]
fn the_busy_share_is_that_since_the_sample_before() {
    let root = machine();
    let mut machine = Machine::at(root.path());
    assert_eq!(machine.look().resources.cpu_ratio, None);
    put(&root, "proc/stat", &STAT.replace("cpu  100 0 100 800", "cpu  190 0 100 810"));
    assert_eq!(value(&machine.look(), "cpu"), Some(0.9));
    machine.sample_cpu();
    put(&root, "proc/stat", &STAT.replace("cpu  100 0 100 800", "cpu  190 0 100 910"));
    assert_eq!(machine.look().resources.cpu_ratio, Some(0.0));
    put(&root, "proc/stat", STAT);
    assert_eq!(machine.look().resources.cpu_ratio, None);
}

#[test]
fn of_no_limit_there_is_no_share() {
    assert_eq!(descriptors("503\t0\t9223372036854775807\n"), None);
    assert_eq!(descriptors("503 0 1000\n"), Some(Descriptors { open: 503, max: 1000 }));
    for text in ["", "1", "1 2", "1 2 x", "-1 0 5", "1 0 0"] {
        assert_eq!(descriptors(text), None, "{text}");
    }
}

#[test]
fn the_mode_is_what_the_folder_says() {
    let root = tempfile::tempdir().unwrap();
    assert!(!is_booted_with_systemd(root.path()));
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    assert!(is_booted_with_systemd(root.path()));
}

/// A FUSE file system in a mount namespace of its own; it ends with this.
struct Server(Child);

impl Server {
    /// Its server, whose file system is at `/dead` of the machine.
    fn on(root: &TempDir) -> Self {
        let (script, point) =
            (concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/outside/fuse.py"), root.path().join("there"));
        fs::create_dir(&point).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "python3", script]).arg(&point).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n");
        let seen_by_it = format!("/proc/{}/root{}", child.id(), point.display());
        symlink(seen_by_it, root.path().join("dead")).unwrap();
        put(
            root,
            "proc/self/mountinfo",
            "29 1 8:1 / / rw - ext4 a rw\n30 29 0:9 / /dead rw - fuse.sshfs me@there: rw\n",
        );
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
fn a_dead_mount_costs_a_second_once_and_comes_back() {
    let root = machine();
    let mut server = Server::on(&root);
    let mut machine = Machine::at(root.path());
    let sight_of =
        |seen: &Seen| seen.mounts.iter().find(|(point, _)| point == "/dead").map(|(_, sight)| sight.clone());
    let alive = machine.look();
    let dead = &alive.resources.disks[1];
    assert_eq!((&*dead.mount_point, dead.bytes.total_bytes), ("/dead", 900 * 4096));
    assert_eq!((sight_of(&alive), value(&alive, "disk /dead").map(|share| share > 0.4)), (None, Some(true)));

    server.is_told("silent");
    let began = Instant::now();
    let mut first = machine.look();
    // It may answer once more before it hears.
    while sight_of(&first).is_none() {
        assert!(began.elapsed() < Duration::from_secs(20));
        first = machine.look();
    }
    assert!(first.took >= Duration::from_secs(1));
    let problem = sight_of(&first).unwrap().unwrap_err().to_string();
    assert_eq!(problem, "no answer within 1 s: fuse.sshfs of me@there:");
    assert_eq!(first.resources.disks.len(), 1);
    assert_eq!(first.resources.memory, alive.resources.memory);
    // Its thread still waits: no other is sent.
    let threads =
        || fs::read_dir("/proc/self/task").unwrap().filter(|task| name_of(task) == "statvfs\n").count();
    let waiting = threads();
    let second = machine.look();
    assert!(second.took < Duration::from_secs(1) && sight_of(&second).unwrap().is_err());
    assert!(threads() <= waiting);

    server.is_told("answer");
    let began = Instant::now();
    while machine.look().resources.disks.len() == 1 {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn name_of(task: &std::io::Result<fs::DirEntry>) -> String {
    fs::read_to_string(task.as_ref().unwrap().path().join("comm")).unwrap_or_default()
}

/// Runs itself again in a mount namespace of its own.
#[test]
fn what_is_mounted_later_is_known() {
    const ALONE: &str = "HEALTHCHECK_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut again = Command::new("unshare");
        again.args(["-m", "--propagation", "private"]).arg(std::env::current_exe().unwrap());
        again.args(["--exact", "sources::machine::tests::what_is_mounted_later_is_known"]).env(ALONE, "1");
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(!may_hang().has(dir.path()));
    assert!(Arc::ptr_eq(&may_hang(), &may_hang()), "nothing is read twice");
    let mut server = Command::new("python3");
    server.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/outside/fuse.py")).arg(dir.path());
    let mut server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(may_hang().has(dir.path()));
    assert!(Command::new("umount").arg("--lazy").arg(dir.path()).status().unwrap().success());
    assert!(!may_hang().has(dir.path()));
    drop(server.stdin.take());
    server.wait().unwrap();
}
