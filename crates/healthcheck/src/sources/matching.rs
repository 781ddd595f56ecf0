//! Processes by pattern: one walk of `/proc` for all patterns.
//!
//! - A word is a process's name: the command name of the kernel, the file name of what was started, or that of the
//!   script where an interpreter was started. With `*` or `?` it is a glob over the same.
//! - A pattern with a blank or a slash is looked for in the whole command line.
//!
//! We never count. Those who started us, and what we started, have the pattern on their command lines because of
//! us (`sh -c 'healthcheck …'`, `pgrep -f …`): they count by their names, and not by their command lines.

use healthcheck_core::{ProcessState, ProcessesFound};
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use wildmatch::WildMatch;

/// What is looked at of a command line.
const MAX_COMMAND_LINE: u64 = 4096;
const MAX_PIDS: usize = 16;
/// `PF_KTHREAD`.
const KERNEL_THREAD: u64 = 0x0020_0000;
const INTERPRETERS: [&str; 12] =
    ["python", "pypy", "sh", "bash", "dash", "zsh", "node", "deno", "java", "perl", "ruby", "php"];

/// That what is not seen may be there all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hidden;

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "none is seen, but those of others are hidden (hidepid): run as root, or in the group of its gid= option",
        )
    }
}

/// Finds the processes that fit each of the patterns, in their order.
pub(crate) fn find(proc_root: &Path, patterns: &[&str]) -> io::Result<Vec<Result<ProcessesFound, Hidden>>> {
    let processes = walk(proc_root)?;
    let own = own_pid(proc_root);
    // Where not even the first process may be seen, not to be seen is not to be absent.
    let are_hidden = !processes.contains_key(&1);
    let find = |pattern: &&str| match Pattern::new(pattern).find(&processes, own) {
        found if are_hidden && found.count == 0 => Err(Hidden),
        found => Ok(found),
    };
    Ok(patterns.iter().map(find).collect())
}

/// Of the process file system's own namespace.
fn own_pid(proc_root: &Path) -> u32 {
    let link = fs::read_link(proc_root.join("self"));
    let pid = link.ok().and_then(|pid| pid.to_str()?.parse().ok());
    pid.unwrap_or_else(std::process::id)
}

struct Process {
    parent: u32,
    name: String,
    arguments: Vec<String>,
}

/// All that live and are not the kernel's own, by pid.
fn walk(proc_root: &Path) -> io::Result<HashMap<u32, Process>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir(proc_root)? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Whoever ended meanwhile is not there.
        if let Some(process) = Process::read(&entry.path()) {
            found.insert(pid, process);
        }
    }
    Ok(found)
}

impl Process {
    fn read(dir: &Path) -> Option<Self> {
        let stat = String::from_utf8_lossy(&read_start(&dir.join("stat")).ok()?).into_owned();
        let (before, after) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let state = ProcessState::from_letter(fields.first()?.chars().next()?);
        let flags: u64 = fields.get(6)?.parse().ok()?;
        let is_counted = !state.has_ended() && flags & KERNEL_THREAD == 0;
        is_counted.then_some(())?;
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            name: before.split_once('(')?.1.to_owned(),
            arguments: arguments(&read_start(&dir.join("cmdline")).unwrap_or_default()),
        })
    }

    fn is_called(&self, is_name: &impl Fn(&str) -> bool) -> bool {
        let program = self.arguments.first().map(|path| file_name(path));
        let script = program.filter(|program| is_interpreter(program)).and_then(|_| self.script());
        is_name(&self.name) || program.is_some_and(is_name) || script.is_some_and(is_name)
    }

    /// The first argument that is no option; code on the command line is no script.
    fn script(&self) -> Option<&str> {
        let is_code = |option: &String| option == "-c" || option == "-e";
        let options = self.arguments[1..].iter().take_while(|argument| argument.starts_with('-'));
        let script = self.arguments.get(1 + options.clone().count())?;
        (!options.clone().any(is_code)).then(|| file_name(script))
    }

    fn command_line(&self) -> String {
        self.arguments.join(" ")
    }
}

fn read_start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(MAX_COMMAND_LINE).read_to_end(&mut start)?;
    Ok(start)
}

fn arguments(command_line: &[u8]) -> Vec<String> {
    let line = command_line.strip_suffix(b"\0").unwrap_or(command_line);
    line.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// A login shell has a hyphen before its name.
fn file_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_prefix('-').unwrap_or(name)
}

/// `python3.11` is `python`.
fn is_interpreter(program: &str) -> bool {
    INTERPRETERS.contains(&program.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.'))
}

enum Pattern<'a> {
    Name(&'a str),
    NameGlob(&'a str, WildMatch),
    Line(&'a str),
    LineGlob(&'a str, WildMatch),
}

impl<'a> Pattern<'a> {
    fn new(text: &'a str) -> Self {
        match (text.contains([' ', '/']), text.contains(['*', '?'])) {
            (false, false) => Self::Name(text),
            (false, true) => Self::NameGlob(text, WildMatch::new(text)),
            (true, false) => Self::Line(text),
            (true, true) => Self::LineGlob(text, WildMatch::new(&format!("*{text}*"))),
        }
    }

    fn text(&self) -> &'a str {
        match self {
            Self::Name(text) | Self::NameGlob(text, _) | Self::Line(text) | Self::LineGlob(text, _) => text,
        }
    }

    fn find(&self, processes: &HashMap<u32, Process>, own: u32) -> ProcessesFound {
        let is_found = |pid: u32, process: &Process| match self {
            Self::Name(name) => process.is_called(&|other| other == *name),
            Self::NameGlob(_, glob) => process.is_called(&|other| glob.matches(other)),
            Self::Line(part) => process.command_line().contains(part) && !is_family(processes, pid, own),
            Self::LineGlob(_, glob) => {
                glob.matches(&process.command_line()) && !is_family(processes, pid, own)
            }
        };
        let mut pids: Vec<u32> = processes
            .iter()
            .filter(|(pid, process)| **pid != own && is_found(**pid, process))
            .map(|(pid, _)| *pid)
            .collect();
        pids.sort_unstable();
        let count = pids.len();
        pids.truncate(MAX_PIDS);
        ProcessesFound { pattern: self.text().to_owned(), count, pids }
    }
}

/// Whether one of the two was started by the other. Where we are the first process, everybody was.
fn is_family(processes: &HashMap<u32, Process>, pid: u32, own: u32) -> bool {
    let descends = |from: u32, to: u32| {
        let parent = |pid: &u32| processes.get(pid).map(|process| process.parent);
        std::iter::successors(Some(from), parent).take(processes.len()).any(|ancestor| ancestor == to)
    };
    descends(own, pid) || (own != 1 && descends(pid, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::{Child, Command, Stdio};

    /// `/proc` of a machine: pid, parent, state, flags, name, command line.
    fn machine(processes: &[(u32, u32, char, u64, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (pid, parent, state, flags, name, line) in processes {
            let dir = root.path().join(pid.to_string());
            fs::create_dir(&dir).unwrap();
            let stat = format!("{pid} ({name}) {state} {parent} 1 1 0 -1 {flags} 0 0");
            fs::write(dir.join("stat"), stat).unwrap();
            fs::write(dir.join("cmdline"), line.replace('|', "\0")).unwrap();
        }
        fs::create_dir(root.path().join("sys")).unwrap();
        symlink("50", root.path().join("self")).unwrap();
        root
    }

    fn example() -> tempfile::TempDir {
        machine(&[
            (1, 0, 'S', 0, "systemd", "/sbin/init|splash|"),
            (2, 0, 'S', KERNEL_THREAD, "kworker/0:1", ""),
            (10, 1, 'S', 0, "camera", "/opt/camera|--run|"),
            (11, 1, 'Z', 0, "camera", ""),
            (12, 1, 'S', 0, "python3", "/usr/bin/python3.11|-u|/opt/vision.py|--fast|"),
            (13, 1, 'S', 0, "a-name-of-15-by", "/opt/a-name-of-15-bytes-and-more|"),
            (14, 1, 'S', 0, "odd) (name", "-zsh|"),
            (15, 1, 'S', 0, "sh", "sh|-c|vision.py|"),
            (40, 1, 'S', 0, "sh", "sh|-c|healthcheck; pgrep /opt/camera --run|"),
            (50, 40, 'R', 0, "healthcheck", "healthcheck|/opt/camera --run|"),
            (51, 50, 'S', 0, "pgrep", "pgrep|-f|/opt/camera --run|"),
        ])
    }

    fn pids(pattern: &str) -> Vec<u32> {
        let found = find(example().path(), &[pattern]).unwrap().remove(0).unwrap();
        assert_eq!((found.pattern.as_str(), found.count), (pattern, found.pids.len()));
        found.pids
    }

    #[test]
    fn a_word_is_the_name_of_a_living_process() {
        assert_eq!(pids("camera"), [10]);
        assert_eq!(pids("vision.py"), [12]);
        assert_eq!(pids("a-name-of-15-bytes-and-more"), [13]);
        assert_eq!(pids("odd) (name"), [] as [u32; 0], "a blank looks at the command line");
        assert_eq!((pids("zsh"), pids("init"), pids("systemd")), (vec![14], vec![1], vec![1]));
        assert_eq!((pids("cam"), pids("splash"), pids("kworker*")), (vec![], vec![], vec![]));
    }

    #[test]
    fn a_glob_is_one_over_names() {
        assert_eq!(
            (pids("cam*"), pids("vision.??"), pids("*")),
            (vec![10], vec![12], vec![1, 10, 12, 13, 14, 15, 40, 51])
        );
    }

    #[test]
    fn command_lines_of_who_started_us_or_was_started_by_us_say_nothing() {
        assert_eq!((pids("/opt/camera --run"), pids("/opt/*.py --f")), (vec![10], vec![12]));
        assert_eq!((pids("healthcheck"), pids("pgrep"), pids("sh")), (vec![], vec![51], vec![15, 40]));
    }

    #[test]
    fn hidden_processes_are_not_absent_ones() {
        let root =
            machine(&[(50, 1, 'R', 0, "healthcheck", "healthcheck|"), (60, 1, 'R', 0, "camera", "camera|")]);
        let found = find(root.path(), &["camera", "core"]).unwrap();
        assert_eq!((found[0].as_ref().map(|found| found.count), &found[1]), (Ok(1), &Err(Hidden)));
        assert!(find(&root.path().join("none"), &[]).is_err());
    }

    #[test]
    fn torn_and_endless_text_is_no_panic() {
        let long = "x".repeat(100_000);
        let root = machine(&[
            (1, 0, 'S', 0, "init", "init"),
            (7, 1, 'S', 0, "seven", &long),
            (8, 1, 'S', 0, "e", ""),
        ]);
        fs::write(root.path().join("8/stat"), "8 (e").unwrap();
        assert_eq!(find(root.path(), &["*x* x", "seven"]).unwrap()[1].as_ref().unwrap().pids, [7]);
    }

    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_real_process_is_found_as_long_as_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("hc-matching-test");
        // Another process copies: a child that starts meanwhile must not hold it open for writing.
        assert!(Command::new("cp").arg("/bin/sleep").arg(&program).status().unwrap().success());
        let find = || find(Path::new("/proc"), &["hc-matching-t*"]).unwrap().remove(0).unwrap();
        let sleeper = Running(Command::new(&program).arg("600").stdin(Stdio::null()).spawn().unwrap());
        assert_eq!((find().count, find().pids), (1, vec![sleeper.0.id()]));
        drop(sleeper);
        assert_eq!(find().count, 0);
    }
}
