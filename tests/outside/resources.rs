//! What is left of the machine's resources, with real mounts in a mount namespace of its own.

use crate::support::{Machine, Outcome, beat_of, eventually};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

const LOOK: &str = "$HEALTHCHECK --format json || true";

/// A snapshot, and where the mounts are.
struct Sight {
    json: Value,
    root: String,
}

impl Sight {
    /// A shell mounts what it likes, where nobody else sees it, and ends with a look.
    #[track_caller]
    fn after(machine: &Machine, script: &str) -> Self {
        let root = machine.root().to_str().unwrap().to_owned();
        let script = format!("set -e; R={root}; {script}");
        let mut command = machine.any_command("unshare", &["-m", "dash", "-c", &script]);
        let outcome =
            Outcome::of(&command.env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck")).output().unwrap());
        let json = serde_json::from_str(&outcome.out);
        let json = json.unwrap_or_else(|error| panic!("no JSON: {error}\n{outcome:?}"));
        Self { json, root }
    }

    /// The status of what is called so, with `PLACE` below the root of the test; nothing where it is no issue.
    fn issue(&self, what: &str, place: &str) -> Option<&str> {
        let name = format!("{what} {}/{place}", self.root);
        let mut issues = self.json["issues"].as_array().unwrap().iter();
        issues.find(|issue| issue["check"] == name.as_str())?["status"].as_str()
    }

    fn disk(&self, point: &str) -> Option<&Value> {
        self.json["resources"]["disks"].as_array()?.iter().find(|disk| disk["mount_point"] == point)
    }

    fn disk_of(&self, place: &str) -> Option<&Value> {
        self.disk(&format!("{}/{place}", self.root))
    }

    fn resource(&self, name: &str) -> Option<&Value> {
        self.json["resources"].get(name)
    }
}

#[test]
fn f13_a_full_file_system_is_a_warning_wherever_it_is_mounted() {
    let sight = Sight::after(
        &Machine::new(),
        &format!(
            "mkdir full free 'with space'; for d in full free 'with space'; do mount -t tmpfs -o size=4m test \"$d\"; done
            head -c 4063232 /dev/zero >full/x; head -c 3600000 /dev/zero >free/x; head -c 4063232 /dev/zero >'with space/x'
            {LOOK}"
        ),
    );
    assert_eq!(sight.issue("disk", "full"), Some("warning"), "{:#}", sight.json);
    assert_eq!(sight.issue("disk", "with space"), Some("warning"), "{:#}", sight.json);
    assert_eq!(sight.issue("disk", "free"), None, "{:#}", sight.json);
    assert!(sight.disk("/").is_some() && sight.disk_of("free").is_some(), "{:#}", sight.json);
    for view in ["/proc", "/sys", "/dev", "/dev/pts"] {
        assert!(sight.disk(view).is_none(), "{view}");
    }
}

#[test]
fn the_numbers_of_a_file_system_are_those_of_df() {
    let sight = Sight::after(
        &Machine::new(),
        &format!(
            "truncate -s 64M image; mkfs.ext4 -q -m 10 image; mkdir disk; mount -o loop image disk
            head -c 20000000 /dev/zero >disk/x; sync -f disk/x
            df -B1 --output=used,avail,itotal,iavail disk | tail -n 1 >df; {{ {LOOK}; }} >json; umount disk
            python3 -c 'import json; j = json.load(open(\"json\")); j[\"df\"] = open(\"df\").read().split(); print(json.dumps(j))'"
        ),
    );
    let told = |place: usize| sight.json["df"][place].as_str().unwrap().parse::<u64>().unwrap();
    let disk = sight.disk_of("disk").unwrap();
    let number = |key: &str| disk[key].as_u64().unwrap();
    assert_eq!(number("available_bytes"), told(1));
    assert_eq!(number("total_bytes") - number("available_bytes"), told(0));
    assert_eq!((number("inodes_total"), number("inodes_available")), (told(2), told(3)));
    assert_eq!((disk["type"].as_str(), disk["read_only"].as_bool()), (Some("ext4"), Some(false)));
}

#[test]
fn f13_what_the_table_of_file_systems_wants_and_is_not_so_is_named() {
    let sight = Sight::after(
        &Machine::new(),
        &format!(
            "mkdir fine gone maybe stuck wanted
            for d in fine gone maybe wanted; do echo test $R/$d tmpfs OPTIONS_$d 0 0; done >fstab
            sed -i 's/OPTIONS_maybe/defaults,nofail/; s/OPTIONS_wanted/ro/; s/OPTIONS_.*/defaults 0 0/' fstab
            echo $R/image $R/stuck auto loop,errors=remount-ro 0 1 >>fstab; echo test $R/byhand tmpfs noauto >>fstab
            mount --bind fstab /etc/fstab
            truncate -s 8M image; mkfs.ext4 -q image
            mount fine; mount wanted; mount stuck; mount -o remount,ro $R/stuck; {LOOK}"
        ),
    );
    assert_eq!(sight.issue("mount", "gone"), Some("error"), "{:#}", sight.json);
    assert_eq!(sight.issue("mount", "stuck"), Some("error"), "{:#}", sight.json);
    assert_eq!(sight.issue("mount", "maybe"), Some("warning"), "{:#}", sight.json);
    for place in ["fine", "wanted", "byhand"] {
        assert_eq!(sight.issue("mount", place), None, "{place}: {:#}", sight.json);
    }
}

#[test]
fn f13_an_image_is_full_from_the_beginning_and_no_disk() {
    let sight = Sight::after(
        &Machine::new(),
        &format!(
            "mkdir files image frozen; head -c 100000 /dev/urandom >files/x; mksquashfs files squash -quiet -no-progress >&2
            mount -o loop squash image; echo $R/squash $R/image squashfs loop 0 0 >fstab; mount --bind fstab /etc/fstab
            mount -t tmpfs -o size=1m test frozen; head -c 1048576 /dev/zero >frozen/x; mount -o remount,ro frozen; {LOOK}"
        ),
    );
    assert!(sight.disk_of("image").is_none(), "{:#}", sight.json);
    assert_eq!(
        (sight.issue("disk", "image"), sight.issue("mount", "image")),
        (None, None),
        "{:#}",
        sight.json
    );
    // Nor is what nobody can write to too full.
    assert_eq!(sight.disk_of("frozen").unwrap()["used_ratio"], 1.0);
    assert_eq!(sight.issue("disk", "frozen"), None, "{:#}", sight.json);
}

#[test]
fn f13_a_file_system_without_inodes_is_a_warning_though_it_has_space() {
    let machine = Machine::new();
    machine.configures("[resources]\ninodes = { warning = \"90%\" }\n");
    let script =
        "mkdir tiny; mount -t tmpfs -o size=4m,nr_inodes=20 test tiny; cd tiny; touch $(seq 19); cd ..";
    let sight = Sight::after(&machine, &format!("{script}; {LOOK}"));
    assert_eq!(sight.issue("inodes", "tiny"), Some("warning"), "{:#}", sight.json);
    assert_eq!(sight.issue("disk", "tiny"), None, "{:#}", sight.json);
}

/// A look with a dead mount, and how many seconds it took. A server that took the question before it died is the worst:
/// the kernel does not let the asker go, even if killed. The server ends with descriptor 3, which the asker must not have.
#[track_caller]
fn with_a_dead_mount(machine: &Machine) -> (Sight, f64) {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/outside/fuse.py");
    let sight = Sight::after(
        machine,
        &format!(
            "mkdir dead; mkfifo words; python3 {server} $R/dead <words >said & exec 3>words
            until grep -q mounted said; do sleep 0.01; done; echo silent >&3; export DOCKER_HOST=unix://$R/dead/docker
            date +%s.%N >began; {{ timeout -s KILL 20 {LOOK}; }} >json; date +%s.%N >ended; exec 3>&-; wait
            python3 -c 'import json; j = json.load(open(\"json\"))
for word in (\"began\", \"ended\"): j[word] = float(open(word).read())
print(json.dumps(j))'"
        ),
    );
    eventually("the end of whoever asked the dead mount", || (!is_asked(machine.root())).then_some(()));
    let took = sight.json["ended"].as_f64().unwrap() - sight.json["began"].as_f64().unwrap();
    println!("with a dead mount the run took {took:.2} s");
    assert!((1.0..10.0).contains(&took), "{took}");
    (sight, took)
}

#[test]
fn f13_a_dead_mount_costs_its_own_line_and_not_the_run() {
    let machine = Machine::new();
    machine.reports("camera", &beat_of(std::process::id()));
    let (sight, _) = with_a_dead_mount(&machine);
    assert_eq!(sight.issue("mount", "dead"), Some("unknown"), "{:#}", sight.json);
    assert_eq!(sight.json["services"]["camera"]["status"], "healthy", "{:#}", sight.json);
    assert!(sight.disk("/").is_some() && sight.disk_of("dead").is_none(), "{:#}", sight.json);
    assert!(sight.resource("memory").is_some());
}

/// Files, sockets and engines there, and what is trusted by a file there, cannot be looked at; all others are.
#[test]
fn f13_whatever_leads_to_a_dead_mount_is_unknown_and_holds_nobody_up() {
    let (machine, listener) = (Machine::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let root = machine.root().display();
    std::os::unix::fs::symlink("dead", machine.root().join("link")).unwrap();
    let unseen = [
        ("probes", "below", format!("kind = \"file_age\"\nmax_age = \"1h\"\npath = \"{root}/dead/backup\"")),
        ("probes", "linked", format!("kind = \"file_age\"\nmax_age = \"1h\"\npath = \"{root}/link/backup\"")),
        (
            "probes",
            "page",
            format!("kind = \"http\"\nurl = \"https://127.0.0.1:1/\"\nca_file = \"{root}/dead/ca\""),
        ),
        ("services", "unit", "unit = \"web.service\"".to_owned()),
        ("services", "web", "container = \"web\"".to_owned()),
        ("zmq", "events", format!("endpoint = \"ipc://{root}/dead/socket\"")),
    ];
    let section = |(section, name, keys): &_| format!("[{section}.{name}]\n{keys}\ntimeout = \"2s\"\n");
    let port = format!("[probes.port]\nkind = \"tcp\"\naddress = \"{}\"\n", listener.local_addr().unwrap());
    let bus = format!("[systemd]\nbus = \"unix:path={root}/dead/bus\"\n");
    machine.configures(&(unseen.iter().map(section).collect::<String>() + &port + &bus));
    let (sight, took) = with_a_dead_mount(&machine);
    assert_eq!(sight.json["probes"]["port"]["status"], "healthy", "{:#}", sight.json);
    for (section, name, _) in &unseen {
        let section = if *section == "zmq" { "zmq_endpoints" } else { section };
        let (view, unseen) = (&sight.json[section][name], json!(["unknown", "probe_unavailable"]));
        assert_eq!(json!([view["status"], view["cause"]]), unseen, "{view:#}");
        assert!(view["message"].as_str().unwrap().contains("is a mount dead?"), "{view:#}");
    }
    assert!(took >= 2.0, "{took}");
}

/// Whether a process has a path below `root` as an argument.
fn is_asked(root: &Path) -> bool {
    let root = root.to_str().unwrap();
    let has = |process: &Path| {
        std::fs::read(process.join("cmdline")).is_ok_and(|text| {
            String::from_utf8_lossy(&text).split('\0').any(|argument| argument.starts_with(root))
        })
    };
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| has(&process.path()))
}

#[test]
fn f13_a_kernel_without_pressure_shows_none_and_not_zero() {
    let machine = Machine::new();
    assert!(Sight::after(&machine, LOOK).resource("pressure").is_some(), "this kernel has no /proc/pressure");
    let sight = Sight::after(&machine, &format!("mkdir none; mount --bind none /proc/pressure; {LOOK}"));
    assert_eq!(sight.resource("pressure"), None);
    assert!(sight.resource("memory").is_some());
}

#[test]
fn f13_cores_are_those_of_the_machine_and_not_of_this_process() {
    let sight = Sight::after(&Machine::new(), &format!("taskset -c 0 {LOOK}"));
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap().matches("processor\t").count();
    assert_eq!(sight.json["resources"]["load"]["cores"].as_u64().unwrap(), cores as u64);
}

#[test]
fn the_processors_are_looked_at_where_there_is_time_for_a_sample() {
    let machine = Machine::new();
    assert_eq!(Sight::after(&machine, LOOK).resource("cpu"), None);
    let began = Instant::now();
    let sight = Sight::after(&machine, "$HEALTHCHECK --sample 200ms --format json || true");
    assert!(began.elapsed() >= Duration::from_millis(200));
    let busy = sight.json["resources"]["cpu"]["busy_ratio"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&busy), "{busy}");
}
