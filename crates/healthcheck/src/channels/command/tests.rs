use super::super::plain_text::WORDS_BYTES;
use super::super::specimen;
use super::*;
use std::fs;
use std::path::Path;
use std::process::Command;

const LONG: Duration = TIMEOUT;
const SHORT: Duration = Duration::from_millis(300);

fn runner(words: &[&str], timeout: Duration) -> Runner {
    Runner::new(Settings { command: words.iter().map(|word| (*word).to_owned()).collect(), timeout })
}

fn shell(script: &str) -> Outcome {
    runner(&["sh", "-c", script], LONG).send(&specimen::notice())
}

fn failed(error: &str) -> Outcome {
    Outcome::Failed { error: error.to_owned(), retry_after: None }
}

fn refused(error: &str) -> Outcome {
    Outcome::Refused { error: error.to_owned() }
}

/// Runs the story in a process of its own, for it is about the whole process.
fn alone(test: &str, story: fn()) {
    const ALONE: &str = "HEALTHCHECK_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return story();
    }
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "--nocapture", &format!("channels::command::tests::{test}")]).env(ALONE, "1");
    let output = process.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LONG, "not within {LONG:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_exit_code_says_what_became_of_it() {
    assert_eq!(shell("cat >/dev/null"), Outcome::Accepted);
    assert_eq!(shell("exit 1"), failed("sh: exit code 1"));
    assert_eq!(shell("echo one >&2; echo 'two ' >&2; echo >&2; exit 75"), failed("sh: exit code 75: two"));
    assert_eq!(shell("exit 63"), failed("sh: exit code 63"));
    assert_eq!(shell("exit 79"), failed("sh: exit code 79"));
    for code in [64, 65, 74, 76, 77, 78, 126, 127] {
        assert_eq!(shell(&format!("exit {code}")), refused(&format!("sh: exit code {code}")));
    }
    assert_eq!(shell("kill -15 $$"), failed("sh: ended by signal 15"));
    let missing = runner(&["no-such-program"], LONG).send(&specimen::notice());
    assert!(
        matches!(&missing, Outcome::Refused { error } if error.ends_with("install it, or give its whole path"))
    );
    let directory = runner(&["/tmp"], LONG).send(&specimen::notice());
    assert!(matches!(&directory, Outcome::Refused { error } if error.ends_with("let this user execute it")));
}

#[test]
fn the_notice_arrives_as_it_is_meant_and_nothing_of_our_environment() {
    let dir = tempfile::tempdir().unwrap();
    let script = "cat >\"$1/in\"; env -0 >\"$1/env\"; echo out; ls -l /proc/self/fd >\"$1/fds\"";
    let path = dir.path().to_str().unwrap();
    let _open = File::open("/dev/null").unwrap();
    for text in specimen::naughty() {
        let notice = specimen::saying(&text);
        assert_eq!(runner(&["sh", "-c", script, "sh", path], LONG).send(&notice), Outcome::Accepted);
        let read = fs::read_to_string(dir.path().join("in")).unwrap();
        assert_eq!(serde_json::from_str::<Notice>(&read).unwrap(), notice);
        let env = String::from_utf8(fs::read(dir.path().join("env")).unwrap()).unwrap();
        let mut env: Vec<(&str, &str)> =
            env.split_terminator('\0').filter_map(|it| it.split_once('=')).collect();
        env.retain(|(name, _)| *name != "PWD" && *name != "HOME");
        let names: Vec<&str> = env.iter().map(|(name, _)| *name).collect();
        let own = ["HOST", "NOTICE", "REASON", "STATUS", "TITLE"].map(|name| format!("HEALTHCHECK_{name}"));
        let expected: Vec<&str> = own.iter().map(String::as_str).chain(["LANG", "PATH"]).collect();
        assert!(expected.iter().all(|name| names.contains(name)) && names.len() == expected.len(), "{env:?}");
        let title = env.iter().find(|(name, _)| *name == "HEALTHCHECK_TITLE").unwrap().1;
        assert!(!title.chars().any(char::is_control) && title.starts_with("deimos: "), "{title:?}");
        assert!(!title.contains('\u{202e}') && title.len() <= VARIABLE_BYTES, "{title:?}");
        let fds = fs::read_to_string(dir.path().join("fds")).unwrap();
        assert_eq!(fds.matches(" -> ").count(), 4, "{fds}");
    }
    assert!(!Path::new("/tmp/pwned").exists());
}

#[test]
fn who_reads_nothing_or_writes_much_hangs_nobody() {
    let big = specimen::saying(&"x".repeat(2 << 20));
    let run = |script: &str| runner(&["sh", "-c", script], LONG).send(&big);
    let started = Instant::now();
    assert_eq!(run("exec <&-; exit 0"), Outcome::Accepted);
    assert_eq!(run("head -c 1 >/dev/null"), Outcome::Accepted);
    assert_eq!(run("head -c 9000000 /dev/zero"), Outcome::Accepted, "its standard output is nobody's");
    assert!(started.elapsed() < LONG);
}

#[test]
fn what_it_says_is_told_harmless_and_short() {
    let said = shell("printf '\\033[31mred \\342\\200\\256 https://u:canary@h/ \\000\\377\\n' >&2; exit 1");
    assert_eq!(said, failed("sh: exit code 1: [31mred  https://***@h/ \u{fffd}"));
    let long = shell("head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1");
    assert!(
        long.error().is_some_and(|error| error.len() <= WORDS_BYTES + 50 && error.ends_with('…')),
        "{long:?}"
    );
    let flood = shell("yes >&2");
    assert_eq!(
        flood.error().unwrap().split(':').nth(1),
        Some(" killed, since it wrote more than 1 MiB of errors")
    );
}

#[test]
fn who_does_not_end_is_ended_with_all_that_it_started() {
    alone("who_does_not_end_is_ended_with_all_that_it_started", || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pids");
        let script = "trap '' TERM INT HUP; echo up >&2; sleep 300 & echo $! >\"$1\"; \
                      setsid sh -c 'echo $$ >>\"$1\"; exec sleep 300' sh \"$1\" & wait; sleep 300";
        let started = Instant::now();
        let outcome =
            runner(&["sh", "-c", script, "sh", path.to_str().unwrap()], SHORT).send(&specimen::notice());
        assert_eq!(outcome, failed("sh: killed, since it ran for 300ms: up"));
        assert!(started.elapsed() < LONG / 3);
        for pid in fs::read_to_string(&path).unwrap().lines() {
            eventually("its end", || !Path::new("/proc").join(pid).exists());
        }
    });
}

#[test]
fn two_hundred_that_misbehave_leave_nothing_behind() {
    alone("two_hundred_that_misbehave_leave_nothing_behind", || {
        let open = || fs::read_dir("/proc/self/fd").unwrap().count();
        shell("exit 0");
        let before = open();
        let scripts = [
            "sleep 300 & exit 0",
            "setsid sleep 300 & exit 3",
            "(setsid sh -c 'trap \"\" TERM; sleep 300' &); exit 75",
            "exec <&- >&- 2>&-; exit 64",
            "kill -9 $$",
            "exec sleep 300",
            "yes >&2",
            "kill -STOP $$",
        ];
        for (index, script) in scripts.iter().cycle().take(200).enumerate() {
            let timeout = if index % 8 == 5 || index % 8 == 7 { Duration::from_millis(50) } else { LONG };
            let outcome = runner(&["sh", "-c", script], timeout).send(&specimen::notice());
            assert_eq!(outcome == Outcome::Accepted, index % 8 == 0, "{script}: {outcome:?}");
        }
        assert_eq!(open(), before);
        eventually("nobody is left", || {
            processes::end_leftovers();
            children().is_empty()
        });
    });
}

/// The living and the dead of all threads.
fn children() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let lists =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default());
    lists.flat_map(|list| list.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What left its group is ended by whoever looks next, and never one that still runs.
#[test]
fn nobody_takes_the_exit_code_of_another() {
    alone("nobody_takes_the_exit_code_of_another", || {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                std::thread::spawn(move || {
                    for round in 0..25 {
                        let code = 1 + (thread * 25 + round) % 60;
                        let script = format!("(setsid sleep 0.05 &); sleep 0.01; exit {code}");
                        assert_eq!(shell(&script), failed(&format!("sh: exit code {code}")));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
