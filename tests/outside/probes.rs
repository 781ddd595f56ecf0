//! Probes: commands, web servers, containers, ports, processes and files. Each is real, but the container engine.

use super::engine::{Engine, Says, ago, container};
use crate::support::web::{Authority, WebServer, answer};
use crate::support::{Machine, PATIENCE, Process, Snapshot, copy_program, eventually};
use serde_json::json;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

/// What the program sees, with this environment.
#[track_caller]
pub(super) fn look(machine: &Machine, environment: &[(&str, &str)]) -> Snapshot {
    let mut command = machine.command(&["--format", "json"]);
    let output = command.envs(environment.iter().copied()).output().unwrap();
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("no JSON: {error}\n{output:?}"));
    Snapshot { json, code: output.status.code().unwrap_or(-1) }
}

/// Status and cause.
#[track_caller]
pub(super) fn verdict<'a>(snapshot: &'a Snapshot, section: &str, name: &str) -> (&'a str, &'a str) {
    let view = &snapshot.json[section][name];
    let text = |key: &str| {
        view[key].as_str().unwrap_or_else(|| panic!("no {key} of {name} in {section}: {:#}", snapshot.json))
    };
    (text("status"), text("cause"))
}

pub(super) fn message<'a>(snapshot: &'a Snapshot, section: &str, name: &str) -> &'a str {
    snapshot.json[section][name]["message"].as_str().unwrap_or_default()
}

type Verdict = (&'static str, &'static str);

const WELL: Verdict = ("healthy", "self_reported");
const WARNS: Verdict = ("warning", "probe_failed");
const BAD: Verdict = ("error", "probe_failed");
const UNSURE: Verdict = ("unknown", "probe_failed");
/// It could not be looked at.
const UNSEEN: Verdict = ("unknown", "probe_unavailable");

/// A probe, what it is configured by, the verdict on it, and a word of its message.
type Expected<'a> = (&'a str, String, Verdict, &'a str);

/// Looks once at all of them, and at each whether it is seen as it should be.
#[track_caller]
fn assert_seen(environment: &[(&str, &str)], expected: &[Expected<'_>]) {
    let machine = Machine::new();
    let section = |(name, keys, _, _): &Expected<'_>| format!("[probes.{name}]\n{keys}\n");
    machine.configures(&expected.iter().map(section).collect::<String>());
    let snapshot = look(&machine, environment);
    for (name, _, expected, word) in expected {
        let message = message(&snapshot, "probes", name);
        assert_eq!(verdict(&snapshot, "probes", name), *expected, "{name}: {message}");
        assert!(message.contains(word), "{name}: \"{message}\" does not say {word}");
    }
}

fn command(argv: &[&str], timeout: &str) -> String {
    format!("kind = \"command\"\ncommand = {argv:?}\ntimeout = \"{timeout}\"")
}

fn http(url: &str) -> String {
    format!("kind = \"http\"\nurl = \"{url}\"\ntimeout = \"3s\"")
}

fn tcp(address: &str) -> String {
    format!("kind = \"tcp\"\naddress = \"{address}\"")
}

#[test]
fn a_command_says_how_it_is_by_its_exit_code_and_as_a_plug_in() {
    let shell = |script: &str| command(&["sh", "-c", script], "10s");
    assert_seen(
        &[],
        &[
            ("fine", shell("echo all is well"), WELL, "all is well"),
            ("fails", shell("echo no queue; exit 1"), BAD, "no queue"),
            ("warns", shell("echo 'DISK WARNING - 9 % left | free=9%'; exit 1"), WARNS, "9 % left"),
            ("critical", shell("echo 'DISK CRITICAL - full'; exit 2"), BAD, "full"),
            ("unsure", shell("echo 'DISK UNKNOWN - no such disk'; exit 3"), UNSURE, "no such disk"),
            ("killed", shell("kill -9 $$"), BAD, "9"),
            ("hangs", command(&["sleep", "300"], "300ms"), BAD, "timed out"),
            ("floods", command(&["yes"], "20s"), BAD, "more than"),
            ("missing", command(&["no-such-program"], "10s"), UNSEEN, "install it"),
        ],
    );
}

#[test]
fn a_command_learns_no_secret_of_ours() {
    let output = format!("/tmp/healthcheck-story-{}", std::process::id());
    let script = format!("env > {output}; ls /proc/self/fd >> {output}");
    assert_seen(
        &[("APP_TOKEN", "canary"), ("TZ", "Europe/Berlin")],
        &[("env", command(&["sh", "-c", &script], "10s"), WELL, "")],
    );
    let text = fs::read_to_string(&output).unwrap();
    fs::remove_file(&output).unwrap();
    assert!(text.contains("TZ=Europe/Berlin") && !text.contains("canary"), "{text}");
    assert!(!text.lines().any(|line| line == "4"), "an inherited descriptor: {text}");
}

#[test]
fn web_servers_are_well_by_status_and_in_time() {
    let server = WebServer::plain(|head, out| {
        let to = |place: &str| format!("HTTP/1.1 301 X\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n");
        match head.split(' ').nth(1).unwrap_or_default() {
            "/well" => out.write_all(answer(200, "well").as_bytes()),
            "/moved" => out.write_all(to("/well").as_bytes()),
            "/round" => out.write_all(to("/round").as_bytes()),
            "/drip" => drip(out),
            _ => out.write_all(answer(500, "ill").as_bytes()),
        }
    });
    let (at, nobody) = (|path: &str| http(&server.url("user:canary@127.0.0.1", path)), free_port());
    assert_seen(
        &[],
        &[
            ("well", at("/well"), WELL, "200"),
            ("moved", at("/moved"), WELL, "200"),
            ("ill", at("/ill"), BAD, "500"),
            ("round", at("/round"), BAD, "redirects"),
            ("drip", at("/drip").replace("3s", "500ms"), BAD, "timed out"),
            ("nobody", http(&format!("http://127.0.0.1:{nobody}/")), BAD, "refused"),
            ("nowhere", http("http://no-such-host.invalid/"), BAD, "no address"),
        ],
    );
}

fn drip(out: &mut dyn std::io::Write) -> std::io::Result<()> {
    for byte in answer(200, &"x".repeat(1000)).bytes() {
        out.write_all(&[byte])?;
        std::thread::sleep(Duration::from_millis(30));
    }
    Ok(())
}

/// Nobody listens there any more.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn certificates_are_looked_at_before_people_are_turned_away_by_them() {
    let (authority, stranger, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let (own, own_pem) = Authority::server_of_its_own("localhost", 90);
    let trusted = dir.path().join("trusted.pem");
    fs::write(&trusted, format!("{}{own_pem}", authority.pem())).unwrap();
    let servers = [
        ("good", WebServer::tls(authority.server("localhost", 90)), WELL, "200"),
        ("soon", WebServer::tls(authority.server("localhost", 5)), WARNS, "5 d"),
        ("expired", WebServer::tls(authority.server("localhost", -2)), BAD, "expired 2 days ago"),
        ("misnamed", WebServer::tls(authority.server("example.org", 90)), BAD, "is for example.org"),
        ("stranger", WebServer::tls(stranger.server("localhost", 90)), BAD, "unknown authority"),
        ("itself", WebServer::tls(own), WELL, "200"),
    ];
    let expected: Vec<_> = servers
        .iter()
        .map(|(name, server, status, word)| (*name, http(&server.url("localhost", "/")), *status, *word))
        .collect();
    assert_seen(&[("SSL_CERT_FILE", trusted.to_str().unwrap())], &expected);
}

#[test]
fn containers_are_what_their_engine_says() {
    let health = |word: &str| json!({"Health": {"Status": word, "Log": [{"Output": "no answer on 80\n"}]}});
    let ended = |code: i64, oom: bool| json!({"Status": "exited", "Running": false, "ExitCode": code, "OOMKilled": oom, "FinishedAt": ago(60)});
    let cases = [
        ("plain", container("plain", &json!({})), ("healthy", "")),
        ("checked", container("checked", &health("healthy")), ("healthy", "")),
        ("begins", container("begins", &health("starting")), ("healthy", "")),
        ("ill", container("ill", &health("unhealthy")), ("error", "probe_failed")),
        ("ended", container("ended", &ended(0, false)), ("healthy", "stopped")),
        ("crashed", container("crashed", &ended(3, false)), ("error", "crashed")),
        ("oom", container("oom", &ended(137, true)), ("error", "oom_killed")),
        ("loops", container("loops", &json!({"Status": "restarting"})), ("fatal", "crash_looping")),
        ("paused", container("paused", &json!({"Status": "paused"})), ("error", "probe_failed")),
        ("garbage", Says::Raw("220 mail.example.org\r\n\r\n"), ("unknown", "probe_unavailable")),
        ("hung", Says::Nothing, ("unknown", "probe_unavailable")),
    ];
    let said: Vec<_> = cases.iter().map(|(name, says, _)| (*name, says.clone())).collect();
    let (engine, machine) = (Engine::with(&said), Machine::new());
    let section = |name: &str| format!("[services.{name}]\ncontainer = \"{name}\"\ntimeout = \"1s\"\n");
    let mut toml: String = cases.iter().map(|(name, ..)| section(name)).collect();
    toml += &section("absent");
    toml += "[probes.none]\nkind = \"container\"\ncontainer = \"absent\"\n";
    machine.configures(&toml);
    let snapshot = look(&machine, &[("DOCKER_HOST", &format!("unix://{}", engine.socket().display()))]);
    for (name, _, (status, cause)) in cases {
        let seen = verdict(&snapshot, "services", name);
        assert_eq!(seen.0, status, "{name}: {}", message(&snapshot, "services", name));
        assert!(cause.is_empty() || seen.1 == cause, "{name}: {seen:?} instead of {cause}");
    }
    assert_eq!(verdict(&snapshot, "services", "absent"), ("error", "never_started"));
    assert_eq!(verdict(&snapshot, "probes", "none"), ("error", "probe_failed"));
    assert!(message(&snapshot, "services", "ill").contains("no answer on 80"));
}

#[test]
fn without_an_engine_no_container_is_called_bad() {
    let container = "kind = \"container\"\ncontainer = \"web\"".to_owned();
    assert_seen(
        &[("DOCKER_HOST", "unix:///no/such/docker.sock")],
        &[("web", container.clone(), UNSEEN, "start the container engine")],
    );
    assert_seen(
        &[("DOCKER_HOST", "tcp://user:canary@10.0.0.1")],
        &[("web", container, UNSEEN, "unix:///path")],
    );
}

#[test]
fn ports_processes_and_files_are_found_or_missed() {
    let (listener, dir) = (TcpListener::bind("127.0.0.1:0").unwrap(), tempfile::tempdir().unwrap());
    let sleeper = dir.path().join("hc-story-sleeper");
    copy_program("/bin/sleep", &sleeper);
    let _sleeper = Process::start(Command::new(&sleeper).arg("300"));
    let hour = Duration::from_secs(3600);
    File::create(dir.path().join("fresh")).unwrap();
    let old = File::create(dir.path().join("old")).unwrap();
    old.set_modified(SystemTime::now() - 2 * hour).unwrap();
    let file = |name: &str| {
        format!("kind = \"file_age\"\nmax_age = \"1h\"\npath = \"{}\"", dir.path().join(name).display())
    };
    let process = |pattern: &str| format!("kind = \"process\"\nprocess = \"{pattern}\"");
    assert_seen(
        &[],
        &[
            ("open", tcp(&listener.local_addr().unwrap().to_string()), WELL, "accepts"),
            ("closed", tcp(&format!("localhost:{}", free_port())), BAD, "refused"),
            ("there", process("hc-story-sleep*"), WELL, "pid"),
            ("line", process(&format!("{} 300", sleeper.display())), WELL, "pid"),
            ("gone", process("hc-story-nobody"), BAD, "no process"),
            ("fresh", file("fresh"), WELL, "old"),
            ("old", file("old"), BAD, "2 h"),
            ("absent", file("absent"), BAD, "not there"),
        ],
    );
}

/// Where the processes of others are hidden, one's own are still seen: only of those that are not is nothing known.
#[test]
fn under_hidepid_what_is_seen_is_well_and_nothing_is_called_bad() {
    let (machine, dir) = (Machine::new(), tempfile::tempdir().unwrap());
    let sleeper = dir.path().join("hc-hidden-sleeper");
    copy_program("/bin/sleep", &sleeper);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let probe =
        |name: &str, pattern: &str| format!("[probes.{name}]\nkind = \"process\"\nprocess = \"{pattern}\"\n");
    machine.configures(&(probe("own", "hc-hidden-sl*") + &probe("other", "hc-hidden-nobody")));
    // In a namespace of its own, where the first process is root's.
    let script = "mount -t proc -o hidepid=2 proc /proc; setpriv --reuid=61235 --regid=61235 --clear-groups \
        sh -c '\"$SLEEPER\" 300 & while grep -q ^sh /proc/$!/comm; do sleep 0.01; done; \
        \"$HEALTHCHECK\" --format json; kill $!'; exit";
    let mut command = machine.any_command("unshare", &["-m", "-p", "-f", "sh", "-c", script]);
    let command = command.env("SLEEPER", &sleeper).env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck"));
    let output = command.output().unwrap();
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("no JSON: {error}\n{output:?}"));
    let snapshot = Snapshot { json, code: output.status.code().unwrap_or(-1) };
    assert_eq!(verdict(&snapshot, "probes", "own"), WELL);
    assert_eq!(verdict(&snapshot, "probes", "other"), UNSEEN);
    assert!(message(&snapshot, "probes", "other").contains("hidepid"), "{:#}", snapshot.json);
}

/// A name server that never answers costs its own line, at its deadline, and does not keep us from ending.
#[test]
fn a_name_server_that_never_answers_holds_nobody_up() {
    let machine = Machine::new();
    let probe = |name: &str, keys: &str| format!("[probes.{name}]\n{keys}\ntimeout = \"1s\"\n");
    machine.configures(&format!(
        "{}{}{}[zmq.events]\nendpoint = \"tcp://example.org:1\"\ntimeout = \"1s\"\n",
        probe("site", "kind = \"http\"\nurl = \"http://example.org/\""),
        probe("port", "kind = \"tcp\"\naddress = \"example.org:1\""),
        probe("fine", "kind = \"command\"\ncommand = [\"true\"]")
    ));
    fs::write(machine.root().join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:20 attempts:1\n")
        .unwrap();
    fs::write(machine.root().join("nsswitch.conf"), "hosts: dns\n").unwrap();
    let script = "ip link set lo up; mount --bind resolv.conf /etc/resolv.conf; \
        mount --bind nsswitch.conf /etc/nsswitch.conf; exec python3 -c 'import os, socket, subprocess, sys; \
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((\"127.0.0.1\", 53)); \
        sys.exit(subprocess.call([os.environ[\"HEALTHCHECK\"], \"--format\", \"json\"]))'";
    let mut command = machine.any_command("unshare", &["-n", "-m", "sh", "-c", script]);
    let started = Instant::now();
    let output = command.env("HEALTHCHECK", env!("CARGO_BIN_EXE_healthcheck")).output().unwrap();
    let took = started.elapsed();
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("no JSON: {error}\n{output:?}"));
    let snapshot = Snapshot { json, code: output.status.code().unwrap_or(-1) };
    for (section, name) in [("probes", "site"), ("probes", "port"), ("zmq_endpoints", "events")] {
        assert_eq!(verdict(&snapshot, section, name), UNSEEN);
        let message = message(&snapshot, section, name);
        assert!(message.contains("no name server answers"), "{:#}", snapshot.json);
    }
    assert_eq!(verdict(&snapshot, "probes", "fine").0, "healthy");
    assert!(took < Duration::from_secs(15), "{took:?}, for the name server's 20 s were waited out");
}

#[test]
fn when_no_process_can_be_started_nothing_is_called_bad() {
    let machine = Machine::new();
    let probe = |name: &str, keys: &str| format!("[probes.{name}]\n{keys}\n");
    let file = format!("kind = \"file_age\"\npath = \"{}\"\nmax_age = \"1h\"", machine.root().display());
    let looks = [
        ("true", command(&["true"], "2s")),
        ("file", file),
        ("page", http("http://localhost:1/")),
        ("port", tcp("localhost:1")),
        ("process", "kind = \"process\"\nprocess = \"x\"".to_owned()),
    ];
    let probes: String = looks.iter().map(|(name, keys)| probe(name, keys)).collect();
    machine.configures(&format!("{probes}[zmq.events]\nendpoint = \"tcp://localhost:1\"\n"));
    let program = env!("CARGO_BIN_EXE_healthcheck");
    let limited = ["--nproc=1:1", "setpriv", "--reuid=61234", "--regid=61234", "--clear-groups", program];
    let output =
        machine.any_command("prlimit", &[&limited[..], &["--format", "json"]].concat()).output().unwrap();
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("no JSON: {error}\n{output:?}"));
    let snapshot = Snapshot { json, code: output.status.code().unwrap_or(-1) };
    let probes = looks.iter().map(|(name, _)| ("probes", *name));
    for (section, name) in probes.chain([("zmq_endpoints", "events")]) {
        assert_eq!(verdict(&snapshot, section, name), UNSEEN, "{:#}", snapshot.json);
        assert!(message(&snapshot, section, name).contains("ulimit -u"), "{:#}", snapshot.json);
    }
    assert_eq!(snapshot.code, 3);
}

/// All processes that have the marker on their command lines.
fn left_behind(marker: &str) -> usize {
    let has_marker = |dir: &Path| {
        let line = fs::read(dir.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(marker)
    };
    fs::read_dir("/proc").unwrap().flatten().filter(|entry| has_marker(&entry.path())).count()
}

#[test]
fn a_thousand_commands_that_misbehave_are_told_apart_and_leave_nothing() {
    let (machine, marker) = (Machine::new(), format!("300.{}", std::process::id()));
    let scripts = [
        (format!("sleep {marker}"), "300ms", "timed out"),
        (
            format!("trap '' TERM; sleep {marker} & setsid sleep {marker} & wait; sleep {marker}"),
            "300ms",
            "timed out",
        ),
        (format!("(setsid sleep {marker} &); setsid sh -c 'sleep {marker} & exit'; exit 4"), "20s", "exit 4"),
        (format!("yes {marker}"), "20s", "more than"),
        (format!("sleep {marker} & echo fine"), "20s", "fine"),
    ];
    let mut toml = String::new();
    for number in 0..1000 {
        let (script, timeout, _) = &scripts[number % scripts.len()];
        writeln!(toml, "[probes.c{number}]\n{}", command(&["sh", "-c", script], timeout)).unwrap();
    }
    machine.configures(&toml);
    let started = Instant::now();
    let snapshot = look(&machine, &[]);
    let took = started.elapsed();
    for number in 0..1000 {
        let (name, (_, _, word)) = (format!("c{number}"), &scripts[number % scripts.len()]);
        let message = message(&snapshot, "probes", &name);
        assert!(message.contains(word), "{name}: \"{message}\" does not say {word}");
    }
    eventually("none of them is left", || (left_behind(&marker) == 0).then_some(()));
    println!("1,000 commands in {took:?}");
    assert!(took < 2 * PATIENCE.max(Duration::from_secs(30)), "{took:?}");
}

#[test]
fn commands_end_with_the_run_that_is_ended() {
    let machine = Machine::new();
    let marker = format!("77{}", std::process::id());
    let probe = command(&["sh", "-c", &format!("sleep {marker} & exec sleep {marker}")], "14s");
    machine.configures(&format!("[probes.long]\n{probe}\n"));
    let running = || {
        let found = Command::new("pgrep").args(["-f", &format!("^sleep {marker}")]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().lines().count()
    };
    let mut run = Process::start(&mut machine.command(&["--format", "json"]));
    eventually("both commands", || (running() == 2).then_some(()));
    run.signal(rustix::process::Signal::TERM);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&run.ended()), Some(15));
    eventually("the end of both", || (running() == 0).then_some(()));
}

#[test]
fn a_closed_pipe_does_not_make_it_well() {
    let machine = Machine::new();
    machine.configures(&format!("[probes.bad]\n{}\n", command(&["false"], "5s")));
    let mut run =
        machine.command(&["--format", "json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(run.stdout.take());
    assert_eq!(run.wait().unwrap().code(), Some(2));
}
