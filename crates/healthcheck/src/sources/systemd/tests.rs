use super::cgroup::unit_of_cgroup;
use super::*;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use zbus::Variant;

mod followed;
#[path = "../../../../../tests/support/patience.rs"]
mod patience;
mod real;
#[path = "../../../../../tests/support/systemd.rs"]
pub(in crate::sources) mod support;

pub(in crate::sources) use patience::eventually;

mod groups {
    use super::*;

    const V2: &str = "0::/system.slice/system-core.slice/core@experimance.service\n";
    const V1: &str = "12:pids:/system.slice/ssh.service\n11:memory:/system.slice/other.service\n\
                      2:cpu,cpuacct:/\n1:name=systemd:/system.slice/ssh.service\n";
    const HYBRID: &str = "9:name=systemd:/system.slice/ssh.service\n8:pids:/\n0::/system.slice/ssh.service\n";
    const HYBRID_UNMANAGED_V2: &str = "9:name=systemd:/system.slice/ssh.service\n4:memory:/x\n0::/\n";
    const USER: &str = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/camera.service\n";
    const SESSION: &str = "0::/user.slice/user-1000.slice/session-2.scope\n";
    const APP: &str = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-1.scope\n";
    const OWN_INIT: &str = "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n";
    const NSPAWN: &str = "0::/machine.slice/systemd-nspawn@box.service/payload/system.slice/web.service\n";
    const NSPAWN_INIT: &str = "0::/machine.slice/systemd-nspawn@box.service/payload/init.scope\n";
    const MACHINE_SCOPE: &str = "0::/machine.slice/machine-box.scope/payload/system.slice/web.service\n";
    const DOCKER: &str = "0::/system.slice/docker-0123456789abcdef.scope\n";
    const DOCKER_V1: &str = "1:name=systemd:/docker/0123456789abcdef\n";
    const DELEGATED: &str = "0::/system.slice/core.service/workers/3\n";
    const DELETED: &str = "0::/system.slice/core.service (deleted)\n";
    const ESCAPED: &str = "0::/system.slice/_cpu.service\n";

    const NESTED: &str = "0::/user.slice/user@1000.service/app.slice/box.service/payload/web.service\n";

    /// For the manager of the machine, and for one at an address.
    fn units(cgroup: &str) -> (Option<String>, Option<String>) {
        let at_address = unit_of_cgroup(&Bus::Address("unix:path=/x".to_owned()), cgroup);
        (unit_of_cgroup(&Bus::System, cgroup), at_address)
    }

    fn unit_of_user(cgroup: &str) -> Option<String> {
        unit_of_cgroup(&Bus::User, cgroup)
    }

    fn some(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn the_unit_is_found_under_each_layout_of_control_groups() {
        assert_eq!(units(V2).0, some("core@experimance.service"));
        assert_eq!(units(V1).0, some("ssh.service"), "only systemd's own hierarchy counts");
        assert_eq!(units(HYBRID).0, some("ssh.service"));
        assert_eq!(units(HYBRID_UNMANAGED_V2).0, some("ssh.service"));
    }

    #[test]
    fn groups_below_the_unit_belong_to_it() {
        assert_eq!(units(DELEGATED).0, some("core.service"));
        assert_eq!(units(DELETED).0, some("core.service"), "it ended just now");
        assert_eq!(units(ESCAPED).0, some("cpu.service"));
    }

    #[test]
    fn a_process_of_a_user_has_a_unit_for_that_user_only() {
        assert_eq!(units(USER), (None, some("camera.service")));
        assert_eq!(units(SESSION), (None, None));
        assert_eq!(units(APP), (None, None));
        assert_eq!(units(OWN_INIT), (None, None));
        assert_eq!((unit_of_user(USER), unit_of_user(NESTED)), (some("camera.service"), some("box.service")));
        for other in [V2, V1, HYBRID, DELEGATED, SESSION, APP, OWN_INIT, NSPAWN, MACHINE_SCOPE, DOCKER] {
            assert_eq!(unit_of_user(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_of_a_container_belongs_to_whoever_started_its_manager() {
        assert_eq!(units(NSPAWN), (some("systemd-nspawn@box.service"), some("web.service")));
        assert_eq!(units(NSPAWN_INIT), (some("systemd-nspawn@box.service"), None));
        assert_eq!(units(MACHINE_SCOPE), (None, some("web.service")));
        assert_eq!(units(DOCKER), (None, None));
        assert_eq!(units(DOCKER_V1), (None, None));
    }

    #[test]
    fn hostile_text_names_no_unit() {
        let long = format!("0::/{}.service", "a".repeat(300));
        let hostile = [
            "",
            "0",
            "0:",
            "0::",
            "::::::",
            "0::/..",
            "0::/.service",
            "0::/@.service",
            "0::/a\u{1b}[31mb.service",
            "0::/a b.service",
            "0::/\u{202e}x.service",
            "5:name=systemdx:/a.service",
            "\u{0}0::/a.service",
            &long,
        ];
        for text in hostile {
            assert_eq!((units(text), unit_of_user(text)), ((None, None), None), "{text:?}");
        }
        let deep = "0::".to_owned() + &"/a".repeat(100_000) + "/b.service";
        assert_eq!(units(&deep).0, some("b.service"));
    }

    #[test]
    fn the_folder_of_a_process_is_read_and_bounded() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("42")).unwrap();
        let path = root.path().join("42/cgroup");
        std::fs::write(&path, V1).unwrap();
        assert_eq!(unit_of_process(root.path(), &Bus::System, 42), some("ssh.service"));
        std::fs::write(&path, "x".repeat(1 << 20) + "\n" + V2).unwrap();
        assert_eq!(unit_of_process(root.path(), &Bus::System, 42), None);
        assert_eq!(unit_of_process(root.path(), &Bus::System, 43), None);
        assert_eq!(unit_of_process(Path::new("/proc"), &Bus::System, u64::MAX), None);
    }
}

mod facts {
    use super::*;
    use healthcheck_core::Exit;

    const NOW: Clock = Clock { monotonic: Duration::from_secs(1000), suspended: Duration::from_secs(7200) };

    /// As systemd 252 shows a service whose main process was killed, and that was given up after its restarts.
    fn killed() -> HashMap<&'static str, Variant<'static>> {
        HashMap::from([
            ("Id", Variant::new("camera.service")),
            ("LoadState", Variant::new("loaded")),
            ("ActiveState", Variant::new("failed")),
            ("SubState", Variant::new("failed")),
            ("Result", Variant::new("signal")),
            ("UnitFileState", Variant::new("enabled")),
            ("Restart", Variant::new("on-failure")),
            ("NRestarts", Variant::new(4_u32)),
            ("MainPID", Variant::new(0_u32)),
            ("ExecMainPID", Variant::new(4242_u32)),
            ("ExecMainCode", Variant::new(2_i32)),
            ("ExecMainStatus", Variant::new(9_i32)),
            ("ExecMainStartTimestampMonotonic", Variant::new(900_000_000_u64)),
            ("ExecMainExitTimestampMonotonic", Variant::new(990_000_000_u64)),
            ("ActiveEnterTimestampMonotonic", Variant::new(900_000_000_u64)),
            ("InactiveEnterTimestampMonotonic", Variant::new(991_000_000_u64)),
            ("StateChangeTimestampMonotonic", Variant::new(992_000_000_u64)),
            ("StatusText", Variant::new("")),
            ("MemoryCurrent", Variant::new(u64::MAX)),
            ("CPUUsageNSec", Variant::new(1_500_000_000_u64)),
            ("WatchdogUSec", Variant::new(u64::MAX)),
            ("UID", Variant::new(u32::MAX)),
            ("User", Variant::new("")),
            ("FragmentPath", Variant::new("/etc/systemd/system/camera.service")),
            ("DropInPaths", Variant::new(vec!["/run/systemd/system/camera.service.d/a.conf"])),
            ("SourcePath", Variant::new("")),
            ("InvocationID", Variant::new(vec![0xa0_u8; 16])),
        ])
    }

    fn facts(shown: HashMap<&'static str, Variant<'static>>) -> UnitFacts {
        Properties::new(shown).unit("camera", NOW, Some(0))
    }

    fn with(changes: impl IntoIterator<Item = (&'static str, Variant<'static>)>) -> UnitFacts {
        let mut shown = killed();
        shown.extend(changes);
        facts(shown)
    }

    #[test]
    fn each_property_becomes_a_fact() {
        let facts = facts(killed());
        assert_eq!((facts.name.as_str(), facts.load), ("camera.service", UnitLoad::Loaded));
        assert_eq!((facts.active, facts.sub.as_str()), (UnitActive::Failed, "failed"));
        assert_eq!((facts.result.as_str(), facts.exit), ("signal", Some(Exit::Signal(9))));
        assert_eq!((facts.main_pid, facts.restarts, facts.is_restarted), (Some(4242), 4, true));
        assert_eq!((facts.since, facts.was_active), (Some(Duration::from_secs(9)), true));
        assert_eq!((facts.suspended, facts.is_oneshot), (Duration::from_secs(7200), false));
        assert_eq!((facts.memory_bytes, facts.cpu_s, facts.watchdog), (None, Some(1.5), None));
        assert_eq!((facts.status_text, facts.file_state.as_str()), (None, "enabled"));
        assert_eq!(facts.owner_uid, Some(0));
    }

    #[test]
    fn a_unit_names_its_files_and_its_run() {
        let facts = facts(killed());
        let files = ["/etc/systemd/system/camera.service", "/run/systemd/system/camera.service.d/a.conf"];
        assert_eq!((facts.files.as_slice(), facts.invocation_id), (&files.map(str::to_owned)[..], some_id()));
        let many = vec![format!("/{}", "x".repeat(511)); 100];
        assert_eq!(with([("DropInPaths", Variant::new(many))]).files.len(), 16);
        let bad = vec![format!("/{}", "x".repeat(512)), "relative".to_owned(), String::new()];
        assert_eq!(with([("DropInPaths", Variant::new(bad))]).files.len(), 1);
        let id = |bytes: Vec<u8>| with([("InvocationID", Variant::new(bytes))]).invocation_id;
        assert_eq!((id(vec![]), id(vec![1; 15]), id(vec![1; 100_000])), (None, None, None));
    }

    fn some_id() -> Option<String> {
        Some("a0".repeat(16))
    }

    #[test]
    fn the_end_of_a_process_is_told_only_where_it_ended() {
        let exited = [("ExecMainCode", Variant::new(1_i32)), ("ExecMainStatus", Variant::new(3_i32))];
        assert_eq!(with(exited).exit, Some(Exit::Code(3)));
        assert_eq!(
            with([("ExecMainCode", Variant::new(3_i32))]).exit,
            Some(Exit::Signal(9)),
            "with a core dump"
        );
        assert_eq!(with([("MainPID", Variant::new(4243_u32))]).exit, None, "the next one runs");
        assert_eq!(with([("ExecMainExitTimestampMonotonic", Variant::new(0_u64))]).exit, None);
        assert_eq!(with([("ExecMainCode", Variant::new(0_i32))]).exit, None);
    }

    #[test]
    fn its_age_is_that_of_its_active_state() {
        let since =
            |state: &'static str| with([("ActiveState", Variant::new(state))]).since.unwrap().as_secs();
        assert_eq!((since("active"), since("reloading"), since("failed")), (100, 100, 9));
        assert_eq!(since("activating"), 8, "the last change, where nothing better is known");
        assert_eq!(since("maintenance"), 8);
        let future = with([("InactiveEnterTimestampMonotonic", Variant::new(5_000_000_000_u64))]);
        assert_eq!(future.since, Some(Duration::ZERO));
    }

    #[test]
    fn a_job_that_ends_is_told_from_what_stays() {
        let is_oneshot = |kind: &'static str| with([("Type", Variant::new(kind))]).is_oneshot;
        assert!(is_oneshot("oneshot") && !is_oneshot("simple") && !is_oneshot(""));
    }

    #[test]
    fn the_time_of_suspension_is_what_the_monotonic_clock_lacks() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let clock = Clock::now();
        let both = (clock.monotonic + clock.suspended).as_secs_f64();
        assert!((uptime - 0.1..uptime + 60.0).contains(&both), "{clock:?}, and up for {uptime} s");
    }

    #[test]
    fn a_policy_restarts_only_after_what_it_names() {
        let restarted = |policy: &'static str, result: &'static str| {
            with([("Restart", Variant::new(policy)), ("Result", Variant::new(result))]).is_restarted
        };
        for result in ["success", "exit-code", "signal", "watchdog", "start-limit-hit"] {
            assert!(restarted("always", result) && restarted("on-failure", result), "{result}");
            assert!(!restarted("no", result) && !restarted("on-success", result), "{result}");
        }
        assert!(restarted("on-abnormal", "timeout") && !restarted("on-abnormal", "exit-code"));
        assert!(restarted("on-abort", "core-dump") && !restarted("on-abort", "watchdog"));
        assert!(restarted("on-watchdog", "watchdog") && !restarted("on-watchdog", "signal"));
    }

    #[test]
    fn an_owner_is_told_only_where_it_is_known() {
        assert_eq!(with([("UID", Variant::new(1000_u32))]).owner_uid, Some(1000));
        assert_eq!(with([("User", Variant::new("nosuchuser"))]).owner_uid, None);
        assert_eq!(with([("User", Variant::new("nobody"))]).owner_uid, Some(65534), "not running, and known");
        assert_eq!(with([("User", Variant::new("4242"))]).owner_uid, Some(4242));
        assert_eq!(with([("DynamicUser", Variant::new(true))]).owner_uid, None);
        assert_eq!(Properties::new(killed()).unit("camera", NOW, None).owner_uid, None);
    }

    #[test]
    fn what_a_service_says_of_itself_is_one_bounded_line() {
        let text =
            with([("StatusText", Variant::new("\u{1b}[2Jgood\nbad\u{9b}1m <b>"))]).status_text.unwrap();
        assert_eq!(text, "\u{fffd}[2Jgood bad\u{fffd}1m <b>");
        let long = with([("StatusText", Variant::new("日".repeat(10_000)))]).status_text.unwrap();
        assert!(long.len() <= 512, "{}", long.len());
        assert_eq!(with([("StatusText", Variant::new("\n\t "))]).status_text, None);
    }

    #[test]
    fn long_words_are_cut() {
        let facts = with(
            ["Id", "SubState", "Result", "UnitFileState"].map(|key| (key, Variant::new("x".repeat(9999)))),
        );
        for text in [&facts.name, &facts.sub, &facts.result, &facts.file_state] {
            assert!(text.len() <= 255, "{}", text.len());
        }
    }

    /// The properties of another version of systemd, or of no systemd at all.
    #[test]
    fn what_is_absent_or_of_another_type_is_not_known() {
        let none = facts(HashMap::new());
        assert_eq!((none.name.as_str(), none.main_pid, none.exit), ("camera", None, None));
        assert!(!none.was_active && !none.is_restarted && none.since.is_none());
        assert!(none.files.is_empty() && none.invocation_id.is_none());
        for value in [Variant::new(true), Variant::new("x"), Variant::new(vec!["x"]), Variant::new(-1_i64)] {
            let keys = killed().into_keys().map(|key| (key, value.try_clone().unwrap()));
            let facts = facts(keys.collect());
            assert_eq!((facts.exit, facts.since, facts.memory_bytes, facts.cpu_s), (None, None, None, None));
        }
    }

    #[test]
    fn load_states_are_told_apart() {
        let load = |word: &'static str| with([("LoadState", Variant::new(word))]).load;
        assert_eq!((load("loaded"), load("merged")), (UnitLoad::Loaded, UnitLoad::Loaded));
        assert_eq!((load("not-found"), load("masked")), (UnitLoad::NotFound, UnitLoad::Masked));
        assert_eq!((load("bad-setting"), load("error")), (UnitLoad::Broken, UnitLoad::Broken));
    }
}

mod names {
    use super::*;

    #[test]
    fn a_name_without_a_kind_is_a_service() {
        assert_eq!(full_name("core"), "core.service");
        assert_eq!(full_name("core@a.b"), "core@a.b.service");
        assert_eq!(full_name("backup.timer"), "backup.timer");
        assert_eq!(full_name("x.service"), "x.service");
    }

    #[test]
    fn paths_are_labelled_as_systemd_labels_them() {
        assert_eq!(path_label("core@a-b.service"), "core_40a_2db_2eservice");
        assert_eq!(path_label("9a.mount"), "_39a_2emount");
    }
}

mod doors {
    use super::*;

    fn environment() -> Environment {
        Environment {
            system_bus: None,
            session_bus: None,
            runtime_dir: Some(PathBuf::from("/run/user/7")),
            run: PathBuf::from("/run"),
        }
    }

    fn addresses(environment: &Environment, bus: &Bus) -> Vec<String> {
        environment.doors(bus).into_iter().map(|door| door.address).collect()
    }

    #[test]
    fn the_usual_bus_comes_before_the_socket_of_systemd_itself() {
        let usual = environment();
        let system = ["unix:path=/run/dbus/system_bus_socket", "unix:path=/run/systemd/private"];
        assert_eq!(addresses(&usual, &Bus::System), system);
        let user = ["unix:path=/run/user/7/bus", "unix:path=/run/user/7/systemd/private"];
        assert_eq!(addresses(&usual, &Bus::User), user);
    }

    #[test]
    fn the_environment_names_another_bus() {
        let named = Environment {
            system_bus: Some("unix:path=/a;unix:path=/b".to_owned()),
            session_bus: Some("unix:path=/c".to_owned()),
            ..environment()
        };
        let system = ["unix:path=/a", "unix:path=/b", "unix:path=/run/systemd/private"];
        assert_eq!(addresses(&named, &Bus::System), system);
        assert_eq!(addresses(&named, &Bus::User)[0], "unix:path=/c");
    }

    #[test]
    fn a_configured_address_is_the_only_one() {
        assert_eq!(
            addresses(&environment(), &Bus::Address("tcp:host=a,port=1".to_owned())),
            ["tcp:host=a,port=1"]
        );
    }
}
