//! A real systemd is asked.

use super::support::Systemd;
use super::*;
use healthcheck_core::Exit;
use std::future::Future;
use std::os::unix::net::UnixListener;

const PATIENCE: Duration = Duration::from_secs(10);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

fn ask(bus: &str, unit: &str) -> UnitFacts {
    block_on(async {
        let manager = Manager::connect(&Bus::Address(bus.to_owned()), PATIENCE).await.unwrap();
        manager.unit(unit, PATIENCE).await.unwrap()
    })
}

fn troubled(bus: &str) -> Vec<String> {
    block_on(async {
        let manager = Manager::connect(&Bus::Address(bus.to_owned()), PATIENCE).await.unwrap();
        manager.troubled(PATIENCE).await.unwrap()
    })
}

#[test]
fn a_manager_shows_the_same_by_its_bus_and_by_its_own_socket() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", "ExecStart=sleep 1000\nRestart=on-failure");
    let link = tempfile::tempdir().unwrap();
    let other_name = link.path().join("socket");
    let private = systemd.private();
    std::os::unix::fs::symlink(private.trim_start_matches("unix:path="), &other_name).unwrap();
    let pid = systemd.property("camera", "MainPID").parse().unwrap();
    // Under another name it is told by its silence, when half of the time is over.
    for bus in [systemd.bus(), private, format!("unix:path={}", other_name.display())] {
        let facts = ask(&bus, "camera");
        assert_eq!((facts.name.as_str(), facts.active), ("camera.service", UnitActive::Active), "{bus}");
        assert_eq!((facts.sub.as_str(), facts.result.as_str()), ("running", "success"));
        assert_eq!((facts.main_pid, facts.exit, facts.was_active), (Some(pid), None, true));
        assert!(facts.is_restarted && facts.since.unwrap() < Duration::from_secs(600));
        assert_eq!((facts.owner_uid, facts.file_state.as_str()), (None, "static"));
        assert_eq!(troubled(&bus), [""; 0]);
    }
    let bus = Bus::Address(String::new());
    let unit = unit_of_process(Path::new("/proc"), &bus, u64::from(pid));
    assert_eq!(unit.as_deref(), Some("camera.service"));
    assert_eq!(unit_of_process(Path::new("/proc"), &bus, u64::from(systemd.pid())), None);
}

#[test]
fn each_end_of_a_service_is_told() {
    let systemd = Systemd::of_a_user();
    systemd.starts("exits.service", "ExecStart=sh -c 'exit 7'");
    systemd.starts("killed.service", "ExecStart=sh -c 'kill -9 $$$$'");
    systemd.starts("loops.service", "ExecStart=false\nRestart=always\nRestartSec=1h");
    systemd.starts("once.service", "ExecStart=true\nType=oneshot\nRemainAfterExit=yes");
    for unit in ["exits", "killed"] {
        systemd.becomes(unit, "ActiveState", "failed");
    }
    systemd.becomes("loops", "SubState", "auto-restart");
    let bus = systemd.private();
    let exits = ask(&bus, "exits");
    assert_eq!((exits.active, exits.result.as_str()), (UnitActive::Failed, "exit-code"));
    assert_eq!((exits.exit, exits.is_restarted), (Some(Exit::Code(7)), false));
    assert_eq!(ask(&bus, "killed.service").exit, Some(Exit::Signal(9)));
    let loops = ask(&bus, "loops");
    assert_eq!((loops.active, loops.sub.as_str()), (UnitActive::Activating, "auto-restart"));
    assert!(loops.is_restarted && loops.exit == Some(Exit::Code(1)));
    let once = ask(&bus, "once");
    assert_eq!(
        (once.active, once.sub.as_str(), once.exit),
        (UnitActive::Active, "exited", Some(Exit::Code(0)))
    );
    assert!(once.is_oneshot && !loops.is_oneshot);
    assert_eq!(troubled(&bus), ["exits.service", "killed.service", "loops.service"]);
}

/// Most of the time it is starting, and only for a moment between two starts it waits.
#[test]
fn what_fails_in_its_start_again_and_again_is_in_trouble_also_while_it_starts() {
    let systemd = Systemd::of_a_user();
    let slow =
        "ExecStart=true\nExecStartPre=sh -c 'test -e %t/again && exec sleep 1000; touch %t/again; exit 1'";
    systemd.has_unit("loops.service", &format!("[Service]\n{slow}\nRestart=always\nRestartSec=0\n"));
    systemd.has_unit("slow.service", "[Service]\nExecStartPre=sleep 1000\nExecStart=true\n");
    systemd.systemctl(&["start", "--no-block", "loops", "slow"]);
    systemd.becomes("slow", "SubState", "start-pre");
    systemd.becomes("loops", "NRestarts", "1");
    systemd.becomes("loops", "SubState", "start-pre");
    assert_eq!(troubled(&systemd.private()), ["loops.service"]);
}

#[test]
fn what_does_not_exist_is_a_fact() {
    let systemd = Systemd::of_a_user();
    for bus in [systemd.bus(), systemd.private()] {
        for name in [
            "nosuch",
            "nosuch.timer",
            "template@.service",
            "a b",
            "",
            "x/../y",
            &"n".repeat(400),
            "\u{1b}[2J",
        ] {
            let facts = ask(&bus, name);
            assert_eq!((facts.load, facts.active), (UnitLoad::NotFound, UnitActive::Inactive), "{name}");
            assert!(!facts.was_active && facts.name.len() <= 255);
        }
    }
}

#[test]
fn the_manager_of_a_machine_is_asked_from_outside() {
    let machine = Systemd::of_a_machine();
    machine.starts("broken.service", "ExecStart=sh -c 'exit 3'");
    machine.starts("other.service", "ExecStart=sleep 1000\nUser=65534");
    machine.becomes("broken", "ActiveState", "failed");
    let bus = machine.bus();
    assert_eq!(ask(&bus, "broken").exit, Some(Exit::Code(3)), "{bus}");
    assert_eq!(ask(&bus, "other").owner_uid, Some(65534));
    assert_eq!(troubled(&bus), ["broken.service"]);
    let environment = Environment { run: machine.root().join("run"), ..Environment::default() };
    let facts = block_on(async {
        let manager = Manager::connect_in(&environment, &Bus::System, PATIENCE).await.unwrap();
        manager.unit("broken", PATIENCE).await.unwrap()
    });
    assert_eq!(facts.owner_uid, Some(0), "what names no user is root's");
}

/// A bus that is gone is no reason not to ask systemd itself; one that hangs is not waited for twice.
#[test]
fn a_dead_bus_leaves_the_socket_of_systemd_itself() {
    let systemd = Systemd::of_a_user();
    let runtime_dir = systemd.private().trim_start_matches("unix:path=").replace("/systemd/private", "");
    let dead = tempfile::tempdir().unwrap();
    let dead = format!("unix:path={}", dead.path().join("none").display());
    let runtime_dir = Some(PathBuf::from(runtime_dir));
    let environment = Environment { session_bus: Some(dead), runtime_dir, ..Environment::default() };
    let manager = block_on(Manager::connect_in(&environment, &Bus::User, PATIENCE)).unwrap();
    assert_eq!((manager.destination, manager.address), (None, systemd.private()));
}

#[track_caller]
fn refusal(bus: &Bus) -> (String, Duration) {
    let started = std::time::Instant::now();
    let error = block_on(Manager::connect(bus, Duration::from_millis(300))).unwrap_err();
    assert_eq!(error.kind, Some(ProbeKind::Unit));
    (error.to_string(), started.elapsed())
}

fn at(path: &Path) -> Bus {
    Bus::Address(format!("unix:path={}", path.display()))
}

#[test]
fn each_way_of_being_dead_is_told_with_its_cure() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let (absent, _) = refusal(&at(&path));
    assert!(
        absent.starts_with(&format!("there is no socket for unix:path={}; start it", path.display())),
        "{absent}"
    );
    drop(UnixListener::bind(&path).unwrap());
    let (refused, _) = refusal(&at(&path));
    assert!(refused.starts_with("nothing listens at unix:path="), "{refused}");
    let (nonsense, _) = refusal(&Bus::Address("nonsense".to_owned()));
    assert!(nonsense.contains("nonsense is no D-Bus address"), "{nonsense}");
    let user = Environment::default();
    let error = block_on(Manager::connect_in(&user, &Bus::User, PATIENCE)).unwrap_err();
    assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "{error}");
}

#[test]
fn a_bus_that_never_answers_costs_its_time_out_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().join("bus"), dir.path().join("systemd/private")] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let silent = UnixListener::bind(&path).unwrap();
        let (problem, took) = refusal(&at(&path));
        assert!(
            problem.starts_with("nothing answers at unix:path=") && problem.contains("300ms"),
            "{problem}"
        );
        assert!((Duration::from_millis(290)..Duration::from_secs(5)).contains(&took), "{took:?}");
        drop(silent);
    }
}

/// systemd itself is stopped: it is connected to, and then says no more.
#[test]
fn a_stopped_manager_is_waited_for_no_longer_than_allowed() {
    let systemd = Systemd::of_a_user();
    let pid = rustix::process::Pid::from_raw(i32::try_from(systemd.pid()).unwrap()).unwrap();
    let (unit, all) = block_on(async {
        let manager = Manager::connect(&Bus::Address(systemd.private()), PATIENCE).await.unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let short = Duration::from_millis(200);
        (manager.unit("camera", short).await.unwrap_err(), manager.troubled(short).await.unwrap_err())
    });
    let (problem, _) = refusal(&Bus::Address(systemd.private()));
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    let wanted = format!("systemd at {} did not answer within 200ms", systemd.private());
    assert_eq!((unit.to_string(), all.to_string()), (wanted.clone(), wanted));
    assert!(problem.starts_with("nothing answers"), "{problem}");
}

/// A listener that is no D-Bus: it answers, and then?
#[test]
fn nonsense_instead_of_a_bus_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let answers: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"REJECTED\r\n",
        b"OK 0123456789abcdef0123456789abcdef\r\nl\xff",
    ];
    std::thread::spawn(move || {
        for (at, stream) in listener.incoming().enumerate() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), answers[at % answers.len()]);
        }
    });
    for _ in 0..answers.len() {
        let (problem, _) = refusal(&at(&path));
        assert!(problem.contains(&path.display().to_string()), "{problem}");
    }
}

#[test]
fn many_units_are_asked_at_once() {
    let systemd = Systemd::of_a_user();
    systemd.starts("camera.service", "ExecStart=sleep 1000");
    let started = std::time::Instant::now();
    let found = block_on(async {
        let manager = Manager::connect(&Bus::Address(systemd.private()), PATIENCE).await.unwrap();
        let manager = std::sync::Arc::new(manager);
        let mut looks = tokio::task::JoinSet::new();
        for at in 0..300 {
            let manager = manager.clone();
            let name = if at % 2 == 0 { "camera".to_owned() } else { format!("absent-{at}") };
            looks.spawn(async move { manager.unit(&name, PATIENCE).await.unwrap().load });
        }
        looks.join_all().await.into_iter().filter(|load| *load == UnitLoad::Loaded).count()
    });
    assert_eq!(found, 150);
    println!("300 units in {:?}", started.elapsed());
}
