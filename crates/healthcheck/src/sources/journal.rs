//! What the journal has of a run that has ended: its last lines, and what systemd wrote of its end.

mod record;

use super::command;
use super::kernel::oom;
use healthcheck_core::{CommandEnd, CommandFacts, Exit, ProbeError};
use jiff::Timestamp;
use record::Record;
use std::fmt::Display;
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

/// Deaths for which it is asked at once.
const MAX_AT_ONCE: usize = 4;
static AT_ONCE: Semaphore = Semaphore::const_new(MAX_AT_ONCE);
/// How long lines may be on their way into the journal.
const LAG: Duration = Duration::from_millis(200);
/// So long it is believed that it may be read, or not.
const ACCESS_FOR: Duration = Duration::from_mins(1);
/// The journal's times, and the start of a run, are cut to less.
const SINCE_TOLERANCE_S: i64 = 1;
const READ_LINES: &str = "--lines=20";
const READ_KERNEL_LINES: &str = "--lines=200";
const KEPT_LINES: usize = 8;
const FIELDS: &str =
    "--output-fields=MESSAGE,_PID,UNIT,USER_UNIT,_SYSTEMD_USER_UNIT,_TRANSPORT,SYSLOG_FACILITY,INVOCATION_ID";
/// journalctl leaves out what is longer than 4 KiB, and writes a byte as five characters at most.
const KEPT_BYTES: usize = 512 * 1024;
/// Where many end at once, the next end is judged before it is looked up why the last one was.
const NICENESS: i32 = 10;

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) pid: u32,
    /// `InvocationID` of its unit.
    pub(crate) invocation_id: Option<String>,
    pub(crate) unit: Option<String>,
    /// Whether the unit is one of a user's manager, and whose.
    pub(crate) is_user: bool,
    pub(crate) owner_uid: Option<u32>,
    /// By the wall clock as it is set now.
    pub(crate) started: Timestamp,
    /// Whether the kernel's lines are looked for too, since nobody reads the kernel's log itself.
    pub(crate) asks_for_kernel: bool,
}

/// What the journal has of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The last lines that it wrote, in order, secrets masked.
    pub(crate) lines: Vec<String>,
    /// The word of systemd or the kernel that memory ran out.
    pub(crate) oom: Option<String>,
    /// How the main process of the unit ended.
    pub(crate) exit: Option<Exit>,
}

/// Reads them, once more where the journal lags behind. Why it cannot be read is logged the first time.
pub(crate) async fn last_lines(run: &Run, timeout: Duration) -> Result<Lines, ProbeError> {
    static TOLD: Once = Once::new();
    static JOURNAL: LazyLock<Journal> = LazyLock::new(|| Journal::read_by(vec!["journalctl".to_owned()]));
    let lines = JOURNAL.last_lines(run, timeout).await;
    if let Err(error) = &lines {
        TOLD.call_once(|| tracing::warn!("{error}"));
    }
    lines
}

/// The journal, and the program that reads it.
struct Journal {
    /// The program, with what it is always told.
    reader: Vec<String>,
    /// Whether it may be read, as was found out last, and when.
    access: Mutex<Option<(Instant, Result<(), ProbeError>)>>,
}

impl Journal {
    const fn read_by(reader: Vec<String>) -> Self {
        Self { reader, access: Mutex::new(None) }
    }

    async fn last_lines(&self, run: &Run, timeout: Duration) -> Result<Lines, ProbeError> {
        let deadline = Instant::now() + timeout;
        let turn = timeout_at(deadline, AT_ONCE.acquire()).await;
        let _turn = turn.map_err(|_| problem(&"too many runs ended at once"))?;
        let mut lines = self.look(run, deadline).await?;
        if lines.may_lag(run) && Instant::now() + LAG < deadline {
            sleep(LAG).await;
            lines = self.look(run, deadline).await.unwrap_or(lines);
        }
        if lines == Lines::default() {
            self.access(deadline).await?;
        }
        Ok(lines)
    }

    async fn look(&self, run: &Run, deadline: Instant) -> Result<Lines, ProbeError> {
        let written = self.ask(&run.arguments(), deadline).await?;
        let mut lines = Lines::of(run, &written);
        if run.asks_for_kernel && lines.oom.is_none() {
            let said = self.ask(&run.kernel_arguments(), deadline).await?;
            let ooms =
                said.iter().filter(|record| record.is_of_kernel()).filter_map(|record| oom(&record.text()));
            lines.oom = ooms.filter(|oom| oom.pid == run.pid).map(|oom| oom.line).next_back();
        }
        Ok(lines)
    }

    async fn ask(&self, arguments: &[String], deadline: Instant) -> Result<Vec<Record>, ProbeError> {
        let facts = self.run(arguments, deadline).await?;
        Ok(facts.output.lines().filter_map(Record::parse).collect())
    }

    /// Whether there is nothing because nothing may be read. Many may end without a line, so it is not asked each time.
    async fn access(&self, deadline: Instant) -> Result<(), ProbeError> {
        let known = self.known_access().clone();
        if let Some((_, access)) = known.filter(|(at, _)| at.elapsed() < ACCESS_FOR) {
            return access;
        }
        let access = self.is_readable(deadline).await;
        *self.known_access() = Some((Instant::now(), access.clone()));
        access
    }

    fn known_access(&self) -> MutexGuard<'_, Option<(Instant, Result<(), ProbeError>)>> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asked for text it says what it does not say when it is asked for JSON: why there is nothing.
    async fn is_readable(&self, deadline: Instant) -> Result<(), ProbeError> {
        let arguments = ["--no-pager", "--output=short", "--lines=1"].map(str::to_owned);
        let facts = self.run(&arguments, deadline).await?;
        complaint(&facts.output).map_or(Ok(()), |why| Err(problem(&why)))
    }

    async fn run(&self, arguments: &[String], deadline: Instant) -> Result<CommandFacts, ProbeError> {
        let argv = [&self.reader, arguments].concat();
        let left = deadline.saturating_duration_since(Instant::now());
        let facts = command::run(&argv, left, KEPT_BYTES, Some(NICENESS)).await;
        let facts = facts.map_err(|error| problem(&error))?;
        match facts.end {
            CommandEnd::Exited(0) => Ok(facts),
            CommandEnd::TimedOut(_) => Err(problem(&"it did not answer in time")),
            _ => Err(problem(&complaint(&facts.output).unwrap_or_else(|| facts.output.trim().to_owned()))),
        }
    }
}

fn problem(why: &dyn Display) -> ProbeError {
    let problem = format!("no last lines from the journal: {why}");
    ProbeError::new(health_reporter::bounded(&problem, 512))
}

/// What it says where there is nothing to be read, and the cure.
fn complaint(said: &str) -> Option<String> {
    const CURES: [(&str, &str); 3] = [
        ("insufficient permissions", "permission denied: add this user to the group systemd-journal"),
        (
            "not seeing messages from other users",
            "permission denied: add this user to the group systemd-journal",
        ),
        ("No journal files were found", "there is none on this machine"),
    ];
    CURES.iter().find(|(words, _)| said.contains(words)).map(|(_, cure)| (*cure).to_owned())
}

impl Run {
    fn arguments(&self) -> Vec<String> {
        let terms = [self.invocation(), Some(vec![format!("_PID={}", self.pid)]), self.managers_words()];
        let terms: Vec<_> = terms.into_iter().flatten().collect();
        [self.common(READ_LINES), terms.join(&"+".to_owned())].concat()
    }

    fn kernel_arguments(&self) -> Vec<String> {
        let terms = ["_TRANSPORT=kernel", "SYSLOG_FACILITY=0"].map(str::to_owned);
        [self.common(READ_KERNEL_LINES), terms.to_vec()].concat()
    }

    fn common(&self, lines: &str) -> Vec<String> {
        let since = format!("--since=@{}", (self.started.as_second() - SINCE_TOLERANCE_S).max(0));
        let common = ["--no-pager", "--output=json", FIELDS, lines].map(str::to_owned);
        [&common[..], &[since]].concat()
    }

    fn invocation_id(&self) -> Option<&str> {
        let id = self.invocation_id.as_deref()?;
        (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
    }

    fn invocation(&self) -> Option<Vec<String>> {
        Some(vec![format!("_SYSTEMD_INVOCATION_ID={}", self.invocation_id()?)])
    }

    /// What only the manager itself can have written: fields with an underscore are not the writer's.
    fn managers_words(&self) -> Option<Vec<String>> {
        let unit = self.unit.as_deref()?;
        let id = self.invocation_id();
        let mut words = if self.is_user {
            vec!["_SYSTEMD_USER_UNIT=init.scope".to_owned(), format!("USER_UNIT={unit}")]
        } else {
            vec!["_PID=1".to_owned(), format!("UNIT={unit}")]
        };
        let prefix = if self.is_user { "USER_" } else { "" };
        words.extend(id.map(|id| format!("{prefix}INVOCATION_ID={id}")));
        words.extend(self.owner_uid.filter(|_| self.is_user).map(|uid| format!("_UID={uid}")));
        Some(words)
    }

    fn is_word_of_manager(&self, record: &Record) -> bool {
        let Some(unit) = self.unit.as_deref() else { return false };
        match self.is_user {
            true => record.is("_SYSTEMD_USER_UNIT", "init.scope") && record.is("USER_UNIT", unit),
            false => record.is("_PID", "1") && record.is("UNIT", unit),
        }
    }

    /// Without the invocation's id, the end of the run before may stand there too.
    fn is_of_this_run(&self, record: &Record) -> bool {
        self.invocation_id().is_some() || record.at().is_some_and(|at| at >= self.started)
    }
}

impl Lines {
    fn of(run: &Run, records: &[Record]) -> Self {
        let (of_manager, own): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| run.is_word_of_manager(record));
        let words: Vec<_> =
            of_manager.into_iter().filter(|record| run.is_of_this_run(record)).map(Record::text).collect();
        let mut lines: Vec<_> = own.into_iter().flat_map(Record::lines).collect();
        lines.drain(..lines.len().saturating_sub(KEPT_LINES));
        Self {
            lines,
            oom: words.iter().find(|word| is_oom(word)).map(|word| record::line(word)),
            exit: words.iter().find_map(|word| exit(word)),
        }
    }

    fn may_lag(&self, run: &Run) -> bool {
        self.lines.is_empty() || run.unit.is_some() && self.exit.is_none()
    }
}

fn is_oom(word: &str) -> bool {
    ["result 'oom-kill'", "killed by the OOM killer", "systemd-oomd killed"]
        .iter()
        .any(|oom| word.contains(oom))
}

/// `Main process exited, code=killed, status=11/SEGV`
fn exit(word: &str) -> Option<Exit> {
    let (_, rest) = word.split_once("ain process exited, code=")?;
    let (code, rest) = rest.split_once(", status=")?;
    let number = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    match code {
        "exited" => Some(Exit::Code(number)),
        "killed" | "dumped" => Some(Exit::Signal(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
