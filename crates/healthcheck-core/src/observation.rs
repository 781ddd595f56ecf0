//! What one look showed.

use crate::{Aftermath, Change, HostFacts, Measure, MountSight, ProbeFacts, ProbeKind, Subject};
use health_reporter::read::{ReportFile, Unusable};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What one look at a subject showed, or that time has passed for it. Failing to look is an observation too.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// What was looked at.
    pub subject: Subject,
    /// What was seen, or why nothing could be.
    pub outcome: Result<Facts, ProbeError>,
    /// How long the look took.
    pub took: Duration,
}

impl Observation {
    /// Nothing was looked at: the subject is judged again because its deadline is reached.
    #[must_use]
    pub const fn time_passed(subject: Subject) -> Self {
        Self { subject, outcome: Ok(Facts::TimePassed), took: Duration::ZERO }
    }
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// The report of a service, and what it names.
    Service(Box<ServiceFacts>),
    /// What a look from outside showed, at a service or at anything else.
    Probe(ProbeFacts),
    /// A number of the machine.
    Measure(Measure),
    /// Whether a file system is mounted as it should be.
    Mount(MountSight),
    /// What was found out about the end of a run after it was judged.
    Aftermath(Box<Aftermath>),
    /// Whether another machine's lease lives.
    Host(Box<HostFacts>),
    /// Nothing new: only time has passed.
    TimePassed,
}

/// The report of a service, and what it names.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceFacts {
    /// The report, or why it cannot be used.
    pub report: Result<ReportFile, Unusable>,
    /// The process that the report names.
    pub process: ProcessSight,
    /// Whether a report could be written where it is.
    pub file_system: FileSystem,
    /// The word of the kernel or the unit that the process ended because memory ran out.
    pub oom: Option<String>,
    /// What its run was made of and is not the same any more; looked for when its process ended.
    pub changes: Vec<Change>,
}

impl ServiceFacts {
    /// A report that names no process, on a file system that takes reports.
    #[must_use]
    pub const fn of_report(report: Result<ReportFile, Unusable>) -> Self {
        let process = ProcessSight::NotLooked(NotLooked::NoPid);
        Self { report, process, file_system: FileSystem::Free, oom: None, changes: Vec::new() }
    }
}

/// Whether a file system takes another report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSystem {
    /// As far as is known.
    #[default]
    Free,
    /// No space, or no inodes, are left.
    Full,
    /// Mounted read-only.
    ReadOnly,
}

/// What was seen of the process that a report names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessSight {
    /// It was not looked at.
    NotLooked(NotLooked),
    /// There is no process with this pid.
    Gone,
    /// There is a process with this pid. Whether it is the one that wrote the report is not said by it.
    Seen(ProcessFacts),
}

impl Default for ProcessSight {
    fn default() -> Self {
        Self::NotLooked(NotLooked::NoPid)
    }
}

/// Why a process was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotLooked {
    /// The report names none.
    NoPid,
    /// The report's pid is one of another pid namespace.
    OtherNamespace,
    /// The kernel does not let us.
    NotPermitted,
}

impl NotLooked {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPid => "the report names no process",
            Self::OtherNamespace => "the process is in another pid namespace",
            Self::NotPermitted => "the process may not be looked at",
        }
    }
}

/// A process, as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// When it started, in hundredths of a second since boot.
    pub start_ticks: u64,
    /// What it does.
    pub state: ProcessState,
    /// The raw wait status of a zombie, where it may be seen.
    pub exit: Option<i32>,
    /// The user that it runs as.
    pub owner_uid: u32,
    /// What it takes.
    pub cost: ProcessCost,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It runs, or could.
    Running,
    /// It waits.
    Sleeping,
    /// It waits in the kernel and cannot be interrupted.
    Blocked,
    /// A signal stopped it.
    Stopped,
    /// A debugger stopped it.
    Traced,
    /// It ended, and its parent has not asked how.
    Zombie,
    /// It is ending.
    Dead,
    /// Something else.
    Other,
}

impl ProcessState {
    /// The state that the letter in `/proc/PID/stat` stands for.
    #[must_use]
    pub const fn from_letter(letter: char) -> Self {
        match letter {
            'R' => Self::Running,
            'S' | 'I' => Self::Sleeping,
            'D' => Self::Blocked,
            'T' => Self::Stopped,
            't' => Self::Traced,
            'Z' => Self::Zombie,
            'X' | 'x' => Self::Dead,
            _ => Self::Other,
        }
    }

    /// Whether the process ended.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Zombie | Self::Dead)
    }
}

/// What a process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessCost {
    /// Processor time since its start, in seconds.
    pub cpu_s: f64,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
    /// Open descriptors, where they may be counted.
    pub descriptors: Option<u32>,
    /// Threads.
    pub threads: u32,
}

/// Why a subject could not be looked at; one line, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeError {
    /// The look from outside that failed; nothing if it was the look at its report, or at a number.
    pub kind: Option<ProbeKind>,
    problem: String,
}

impl ProbeError {
    /// Its report, or a number, could not be looked at, and why.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self { kind: None, problem: problem.into() }
    }

    /// A look from outside could not be made, and why.
    #[must_use]
    pub fn of(kind: ProbeKind, problem: impl Into<String>) -> Self {
        Self { kind: Some(kind), problem: problem.into() }
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for ProbeError {}
