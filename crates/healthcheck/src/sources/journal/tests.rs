use super::*;
use crate::sources::systemd::tests::support::Systemd;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const PATIENCE: Duration = Duration::from_secs(20);
const ID: &str = "4933807baa7a45928d5ee677cb8e7568";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn ask(program: &[&str], run: &Run, timeout: Duration) -> Result<Lines, ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Journal::read_by(words(program)).last_lines(run, timeout))
}

fn run_of(pid: u32) -> Run {
    let started = Timestamp::from_second(1_795_333_041).unwrap();
    Run {
        pid,
        invocation_id: None,
        unit: None,
        is_user: false,
        owner_uid: None,
        started,
        asks_for_kernel: false,
    }
}

fn run_of_unit() -> Run {
    Run { invocation_id: Some(ID.to_owned()), unit: Some("cam.service".to_owned()), ..run_of(57) }
}

fn lines(run: &Run, records: &[&str]) -> Lines {
    Lines::of(run, &records.iter().filter_map(|json| Record::parse(json)).collect::<Vec<_>>())
}

/// A program in the place of journalctl.
fn script(dir: &Path, text: &str) -> String {
    let path = dir.join("journalctl");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

mod real {
    use super::*;

    /// A machine whose journal is read from outside of it.
    struct Machine(Systemd);

    impl Machine {
        fn journalctl(&self) -> Vec<String> {
            let pid = self.0.pid().to_string();
            words(&["nsenter", "--target", &pid, "--all", "journalctl"])
        }

        fn last_lines(&self, run: &Run) -> Lines {
            let program = self.journalctl();
            ask(&program.iter().map(String::as_str).collect::<Vec<_>>(), run, PATIENCE).unwrap()
        }

        /// The last run of a unit that has failed.
        fn failed(&self, unit: &str, command: &str) -> Run {
            let before = Timestamp::now();
            self.0.starts(unit, &format!("ExecStart={command}"));
            self.0.becomes(unit, "ActiveState", "failed");
            Run {
                invocation_id: Some(self.0.property(unit, "InvocationID")),
                unit: Some(unit.to_owned()),
                started: before,
                ..run_of(self.0.property(unit, "ExecMainPID").parse().unwrap())
            }
        }
    }

    #[test]
    fn a_run_is_told_from_the_one_before_and_its_secrets_are_not_told() {
        let machine = Machine(Systemd::of_a_machine());
        let command = "sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo line $i; done; \
                       printf \"\\033[31mpassword\\033[0m=hunter2 https://u:hunter2@host\\n\"; kill -SEGV $$$$'";
        let first = machine.failed("camera.service", command);
        let seen = machine.last_lines(&first);
        let last = ["line 3", "line 4", "line 5", "line 6", "line 7", "line 8", "line 9"];
        assert_eq!(seen.lines[..7], last);
        assert_eq!(seen.lines[7..], ["password=*** https://***@host"]);
        assert_eq!((seen.exit, &seen.oom), (Some(Exit::Signal(11)), &None));

        let second = machine.failed("camera.service", "sh -c 'echo >&2 no camera; exit 7'");
        let seen = machine.last_lines(&second);
        assert_eq!((seen.lines, seen.exit), (words(&["no camera"]), Some(Exit::Code(7))));
        assert_eq!(machine.last_lines(&first).exit, Some(Exit::Signal(11)), "by its invocation");

        let by_pid = Run { invocation_id: None, ..second.clone() };
        let seen = machine.last_lines(&by_pid);
        assert_eq!((seen.lines, seen.exit), (words(&["no camera"]), Some(Exit::Code(7))));
        let alone = Run { unit: None, ..by_pid };
        assert_eq!(machine.last_lines(&alone).lines, ["no camera"]);
        assert_eq!(machine.last_lines(&Run { asks_for_kernel: true, ..alone }).oom, None);
    }

    #[test]
    fn who_may_not_read_it_is_told_the_cure() {
        let machine = Machine(Systemd::of_a_machine());
        machine.failed("camera.service", "false");
        let mut program = machine.journalctl();
        program.splice(4..4, words(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]));
        let program: Vec<_> = program.iter().map(String::as_str).collect();
        let error = ask(&program, &run_of(4_000_000), PATIENCE).unwrap_err().to_string();
        let cure =
            "no last lines from the journal: permission denied: add this user to the group systemd-journal";
        assert_eq!(error, cure);
    }
}

#[test]
fn without_a_journal_it_is_said_so() {
    let empty = tempfile::tempdir().unwrap();
    let dir = format!("--directory={}", empty.path().display());
    let error = ask(&["journalctl", &dir], &run_of(1), PATIENCE).unwrap_err().to_string();
    assert_eq!(error, "no last lines from the journal: there is none on this machine");
    let error = ask(&["/nothing/journalctl"], &run_of(1), PATIENCE).unwrap_err().to_string();
    let wanted = "no last lines from the journal: cannot run /nothing/journalctl: no such file or directory";
    assert!(error.to_lowercase().starts_with(wanted) && error.contains("install it"), "{error}");
}

#[test]
fn the_journal_of_this_machine_has_nothing_of_one_who_never_was() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(last_lines(&run_of(4_194_305), PATIENCE)) {
        Ok(lines) => assert_eq!(lines, Lines::default()),
        Err(error) => assert!(error.to_string().ends_with("there is none on this machine"), "{error}"),
    }
}

#[test]
fn a_journal_that_lags_behind_is_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked");
    let text = format!(r#"test -e {0} && echo '{{"MESSAGE":"late"}}'; echo $* >>{0}"#, asked.display());
    let program = script(dir.path(), &text);
    let seen = ask(&[&program], &run_of(7), PATIENCE).unwrap();
    assert_eq!(seen.lines, ["late"]);
    let asked = fs::read_to_string(asked).unwrap();
    let once = format!("--no-pager --output=json {FIELDS} --lines=20 --since=@1795333040 _PID=7\n");
    assert_eq!(asked, once.repeat(2));
}

#[test]
fn whether_it_may_be_read_is_not_asked_at_each_death() {
    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked");
    let text = format!(
        "echo $* >>{}\ncase $* in *=short*) echo No journal files were found;; esac",
        asked.display()
    );
    let journal = Journal::read_by(vec![script(dir.path(), &text)]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for pid in [7, 8] {
        let error = runtime.block_on(journal.last_lines(&run_of(pid), PATIENCE)).unwrap_err();
        assert!(error.to_string().ends_with("there is none on this machine"), "{error}");
    }
    let asked = fs::read_to_string(asked).unwrap();
    let is_short = |line: &&str| line.contains("--output=short");
    assert_eq!((asked.lines().count(), asked.lines().filter(is_short).count()), (5, 1), "{asked}");
}

#[test]
fn one_that_hangs_costs_its_time_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "sleep 1000");
    let began = std::time::Instant::now();
    let error = ask(&[&program], &run_of(7), Duration::from_millis(200)).unwrap_err().to_string();
    assert_eq!(error, "no last lines from the journal: it did not answer in time");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_end_is_only_believed_of_the_manager() {
    const END: &str = r#""MESSAGE":"cam.service: Main process exited, code=killed, status=11/SEGV""#;
    const AT: &str = r#""__REALTIME_TIMESTAMP":"1795333041153798""#;
    let record = |fields: &str| format!("{{{END},{AT},{fields}}}");
    let by_init = record(r#""_PID":"1","UNIT":"cam.service""#);
    let run = run_of_unit();
    assert_eq!(lines(&run, &[&by_init]).exit, Some(Exit::Signal(11)));
    assert_eq!(lines(&run, &[&by_init]).lines, [""; 0]);
    for forged in [r#""_PID":"57","UNIT":"cam.service""#, r#""_PID":"1","UNIT":"other.service""#] {
        let seen = lines(&run, &[&record(forged)]);
        assert_eq!((seen.exit, seen.lines.len()), (None, 1), "{forged}");
    }
    let user = Run { is_user: true, ..run.clone() };
    let by_manager = record(r#""_PID":"98","_SYSTEMD_USER_UNIT":"init.scope","USER_UNIT":"cam.service""#);
    assert_eq!(lines(&user, &[&by_manager]).exit, Some(Exit::Signal(11)));
    let forged = record(r#""_PID":"98","_SYSTEMD_USER_UNIT":"cam.service","USER_UNIT":"cam.service""#);
    assert_eq!(lines(&user, &[&forged]).exit, None);
    assert_eq!(lines(&user, &[&by_init]).exit, None);

    let without_id = Run { invocation_id: None, ..run };
    assert_eq!(lines(&without_id, &[&by_init]).exit, Some(Exit::Signal(11)));
    let later = Run { started: Timestamp::from_second(1_795_333_042).unwrap(), ..without_id };
    assert_eq!(lines(&later, &[&by_init]).exit, None, "the end of the run before");
}

#[test]
fn each_word_of_an_end_is_understood() {
    let told = |word: &str| exit(&format!("cam.service: {word}"));
    assert_eq!(told("Main process exited, code=exited, status=1/FAILURE"), Some(Exit::Code(1)));
    assert_eq!(told("Main process exited, code=dumped, status=6/ABRT"), Some(Exit::Signal(6)));
    assert_eq!(told("main process exited, code=killed, status=9/KILL"), Some(Exit::Signal(9)));
    for other in [
        "Control process exited, code=exited, status=1/FAILURE",
        "Main process exited, code=, status=",
        "Main process exited, code=odd, status=1",
        "Failed with result 'signal'.",
    ] {
        assert_eq!(told(other), None, "{other}");
    }
    let word = |text: &str| format!(r#"{{"MESSAGE":"cam.service: {text}","_PID":"1","UNIT":"cam.service"}}"#);
    for oom in [
        "A process of this unit has been killed by the OOM killer.",
        "systemd-oomd killed 3 process(es) in this unit.",
        "Failed with result 'oom-kill'.",
    ] {
        let seen = lines(&run_of_unit(), &[&word(oom), &word("Failed with result 'oom-kill'.")]);
        assert_eq!(seen.oom, Some(format!("cam.service: {oom}")));
    }
    assert_eq!(lines(&run_of_unit(), &[&word("Failed with result 'signal'.")]).oom, None);
}

#[test]
fn the_kernels_lines_are_looked_for_where_nobody_else_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let said = |facility: u32, pid: u32| {
        format!(
            r#"{{"MESSAGE":"Out of memory: Killed process {pid} (cam)","_TRANSPORT":"kernel","SYSLOG_FACILITY":"{facility}"}}"#
        )
    };
    let text = format!(
        "case \"$*\" in *_TRANSPORT=kernel*) printf '%s\\n' '{}' '{}' '{}';; *) echo '{{\"MESSAGE\":\"x\"}}';; esac",
        said(0, 8),
        said(0, 7),
        said(1, 9)
    );
    let program = script(dir.path(), &text);
    let asks = |pid: u32, asks_for_kernel: bool| {
        ask(&[&program], &Run { asks_for_kernel, ..run_of(pid) }, PATIENCE).unwrap().oom
    };
    assert_eq!(asks(7, true).as_deref(), Some("Out of memory: Killed process 7 (cam)"));
    assert_eq!((asks(7, false), asks(9, true), asks(1, true)), (None, None, None));
}

#[test]
fn what_is_asked_names_the_run_and_nothing_else() {
    let asked = |run: &Run| run.arguments().split_off(5).join(" ");
    let unit = format!("_SYSTEMD_INVOCATION_ID={ID} + _PID=57 + _PID=1 UNIT=cam.service INVOCATION_ID={ID}");
    assert_eq!(asked(&run_of_unit()), unit);
    let user = Run {
        is_user: true,
        owner_uid: Some(1000),
        invocation_id: Some("x + y".to_owned()),
        ..run_of_unit()
    };
    assert_eq!(asked(&user), "_PID=57 + _SYSTEMD_USER_UNIT=init.scope USER_UNIT=cam.service _UID=1000");
}
