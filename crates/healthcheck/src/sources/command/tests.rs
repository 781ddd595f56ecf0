use super::*;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn run(words: &[&str], timeout: Duration) -> Result<CommandFacts, ProbeError> {
    match runtime().block_on(look(&argv(words), timeout))? {
        ProbeFacts::Command(facts) => Ok(facts),
        other => panic!("{other:?}"),
    }
}

fn shell(script: &str) -> CommandFacts {
    run(&["sh", "-c", script], LONG).unwrap()
}

/// Runs the story in a process of its own, for it is about the whole process.
fn alone(test: &str, story: fn()) {
    const ALONE: &str = "HEALTHCHECK_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return story();
    }
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "--nocapture", &format!("sources::command::tests::{test}")]).env(ALONE, "1");
    let output = process.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    print!("{text}");
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LONG, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_exit_code_comes_with_what_was_written() {
    let facts = shell("echo err >&2; printf out; exit 3");
    assert_eq!((facts.end, facts.output.as_str()), (CommandEnd::Exited(3), "out\nerr\n"));
    assert_eq!(shell("kill -9 $$").end, CommandEnd::Killed(9));
    assert_eq!(
        shell("head -c 1 || exit 7; exit 8").end,
        CommandEnd::Exited(8),
        "the standard input is empty"
    );
}

#[test]
fn arguments_are_not_for_a_shell() {
    let facts = run(&["printf", "%s", "$HOME;`id`"], LONG).unwrap();
    assert_eq!(facts.output, "$HOME;`id`");
}

#[test]
fn nothing_of_our_environment_arrives_but_what_says_where_and_who() {
    let output = run(&["env"], LONG).unwrap().output;
    let names: Vec<&str> = output.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(names.contains(&"PATH") && output.contains("LANG=C.UTF-8\n"), "{output}");
    let expected = ["PATH", "LANG", "HOME", "USER", "LOGNAME", "TZ"];
    assert!(names.iter().all(|name| expected.contains(name)), "{output}");
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something that must not arrive");
}

#[test]
fn output_is_kept_to_8_kib_and_ended_at_1_mib() {
    let facts = shell("head -c 100000 /dev/zero | tr '\\0' x; printf '\\377' >&2");
    assert_eq!((facts.end, facts.output.len()), (CommandEnd::Exited(0), 8192));
    let flood = run(&["yes"], LONG).unwrap();
    assert_eq!((flood.end, flood.output.len()), (CommandEnd::Flooded(MAX_OUTPUT_BYTES), 8192));
    assert_eq!(shell("printf 'a\\377b'").output, "a\u{fffd}b");
}

#[test]
fn what_was_written_last_is_not_lost() {
    for _ in 0..50 {
        assert_eq!(shell("printf first; printf last >&2").output, "first\nlast");
    }
}

#[test]
fn a_program_that_ignores_sigterm_ends_at_its_time_out() {
    let started = Instant::now();
    let facts = run(&["sh", "-c", "trap '' TERM INT HUP; echo up; sleep 300; sleep 300"], SHORT).unwrap();
    assert_eq!((facts.end, facts.output.as_str()), (CommandEnd::TimedOut(SHORT), "up\n"));
    assert!(started.elapsed() < LONG / 3);
}

#[test]
fn a_grandchild_that_holds_the_pipe_delays_nothing_and_ends() {
    let started = Instant::now();
    for script in [
        "sleep 300 & echo $!",
        "setsid sh -c 'sleep 300 & echo $!'",
        "setsid sh -c 'trap \"\" TERM; (setsid sh -c \"echo \\$\\$; exec sleep 300\" &) ; sleep 0.3'",
    ] {
        let facts = shell(script);
        assert_eq!(facts.end, CommandEnd::Exited(0));
        let pid: u32 = facts.output.trim().parse().unwrap();
        eventually("its end", || !Path::new(&format!("/proc/{pid}")).exists());
    }
    assert!(started.elapsed() < LONG);
}

#[test]
fn what_cannot_be_started_is_no_failure_of_what_it_looks_at() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (program, cure) in [
        ("no-such-program".to_owned(), "install it, or give its whole path"),
        (dir.path().join("none").to_str().unwrap().to_owned(), "correct the path"),
        (file("data", "", 0o644), "let this user execute it"),
        (file("script", "#!/no/such/interpreter\n", 0o755), "correct the path"),
    ] {
        let error = run(&[&program, "--password=canary"], LONG).unwrap_err();
        assert_eq!(error.kind, Some(ProbeKind::Command));
        assert!(error.to_string().contains(cure) && !error.to_string().contains("canary"), "{error}");
    }
    assert!(why_not_started("x", &Errno::AGAIN.into()).contains("TasksMax"));
}

#[test]
fn without_descriptors_nothing_is_said_of_the_service() {
    alone("without_descriptors_nothing_is_said_of_the_service", || {
        let runtime = runtime();
        let limit =
            rustix::process::Rlimit { current: Some(open_descriptors() as u64 + 2), maximum: Some(1024) };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        let error = runtime.block_on(look(&argv(&["true"]), LONG)).unwrap_err();
        assert!(error.to_string().contains("LimitNOFILE"), "{error}");
    });
}

#[test]
fn an_inherited_descriptor_goes_no_further() {
    alone("an_inherited_descriptor_goes_no_further", || {
        let file = OwnedFd::from(fs::File::open("/etc/passwd").unwrap());
        let leaky = rustix::io::dup(&file).unwrap();
        assert!(rustix::io::fcntl_getfd(&leaky).unwrap().is_empty());
        let facts = shell("ls /proc/self/fd");
        // The last is the listing's own.
        assert_eq!(facts.output, "0\n1\n2\n3\n");
    });
}

/// Whoever hands us children when we are executed has orphans that are theirs.
#[test]
fn a_child_that_was_there_before_is_left_alone() {
    const HANDED: &str = "HEALTHCHECK_TEST_HANDED";
    if let Some(pid) = std::env::var_os(HANDED) {
        let pid: u32 = pid.to_str().unwrap().parse().unwrap();
        let _ends = Ends(pid);
        let is_well = || matches!(state_of(pid), 'S' | 'R' | 'D');
        assert!(is_well(), "it was not handed over");
        shell("setsid sleep 0.2 & exit 0");
        shell("true");
        assert!(is_well(), "it was ended");
        return;
    }
    let name = "sources::command::tests::a_child_that_was_there_before_is_left_alone";
    let script =
        format!("sleep 60 >/dev/null 2>&1 & export {HANDED}=$!; exec \"$0\" --exact {name} --nocapture");
    let mut shell = Command::new("sh");
    let output = shell.arg("-c").arg(script).arg(std::env::current_exe().unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Ends a process that it did not start itself.
struct Ends(u32);

impl Drop for Ends {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0).ok().and_then(rustix::process::Pid::from_raw);
        let _ = rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL);
    }
}

fn state_of(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, after)| after.chars().next()).unwrap_or('-')
}

fn open_descriptors() -> usize {
    // The listing's own is one of them.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Our children, of whatever state, and all processes that have the marker on their command line.
fn left_behind(marker: &str) -> usize {
    let own = std::process::id().to_string();
    let is_left = |dir: &Path| {
        let stat = fs::read_to_string(dir.join("stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map(|(_, after)| after.split_ascii_whitespace());
        let is_child = after.and_then(|mut fields| fields.nth(1)) == Some(own.as_str());
        let line = fs::read(dir.join("cmdline")).unwrap_or_default();
        is_child || String::from_utf8_lossy(&line).contains(marker)
    };
    fs::read_dir("/proc").unwrap().flatten().filter(|entry| is_left(&entry.path())).count()
}

/// One of a thousand, and how it has to end.
fn nuisance(number: usize, sleep: &str) -> (Vec<String>, Duration, CommandEnd) {
    let timed_out = |script: String| (argv(&["sh", "-c", &script]), SHORT, CommandEnd::TimedOut(SHORT));
    match number % 5 {
        0 => (argv(&sleep.split(' ').collect::<Vec<_>>()), SHORT, CommandEnd::TimedOut(SHORT)),
        1 => timed_out(format!("trap '' TERM; {sleep} & setsid {sleep} & while :; do {sleep}; done")),
        2 => timed_out(format!("setsid sh -c '{sleep} & {sleep} & exit' ; (setsid {sleep} &); {sleep}")),
        3 => (argv(&["yes", sleep]), LONG, CommandEnd::Flooded(MAX_OUTPUT_BYTES)),
        _ => {
            let script = format!("{sleep} & setsid {sleep} & (setsid {sleep} &); exit 1");
            (argv(&["sh", "-c", &script]), LONG, CommandEnd::Exited(1))
        }
    }
}

async fn a_thousand(sleep: &str) {
    let permits = Arc::new(Semaphore::new(32));
    let mut looks = Vec::new();
    for number in 0..1000 {
        let permit = permits.clone().acquire_owned().await.unwrap();
        let (argv, timeout, expected) = nuisance(number, sleep);
        looks.push(tokio::spawn(async move {
            let started = Instant::now();
            let facts = look(&argv, timeout).await;
            drop(permit);
            let Ok(ProbeFacts::Command(facts)) = facts else { panic!("{argv:?}: {facts:?}") };
            assert_eq!(facts.end, expected, "{argv:?}");
            started.elapsed().saturating_sub(timeout)
        }));
    }
    let mut late = Vec::new();
    for look in looks {
        late.push(look.await.unwrap());
    }
    late.sort_unstable();
    println!("beyond the time-out: {:?} at the median, {:?} at worst", late[500], late[999]);
}

#[test]
fn a_thousand_that_hang_fork_flood_and_ignore_sigterm_leave_nothing() {
    alone("a_thousand_that_hang_fork_flood_and_ignore_sigterm_leave_nothing", || {
        let runtime = runtime();
        // Its own length marks whose they are; should all fail, they end by themselves.
        let sleep = format!("sleep 300.{}", std::process::id());
        let one = argv(&["true"]);
        runtime.block_on(look(&one, LONG)).unwrap();
        let before = open_descriptors();
        let started = std::time::Instant::now();
        runtime.block_on(a_thousand(&sleep));
        println!("1,000 commands in {:?}; left at once: {}", started.elapsed(), left_behind(&sleep));
        eventually("nothing is left", || {
            runtime.block_on(look(&one, LONG)).unwrap();
            left_behind(&sleep) == 0
        });
        eventually("as many descriptors as before", || open_descriptors() == before);
    });
}
