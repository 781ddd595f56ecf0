//! What can be found out about the end of a run only after it was judged, or beside it.

use crate::Exit;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What was found out about the end of a run. It arrives when it is found; what is judged does not wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aftermath {
    /// The process that ended.
    pub pid: u64,
    /// The last lines that it wrote to the journal, in order, secrets masked.
    pub journal: Vec<String>,
    /// The kernel's word that it was killed because memory ran out.
    pub oom: Option<String>,
    /// How it ended, where somebody wrote it down.
    pub exit: Option<Exit>,
}

/// A file that a run was made of, and that was changed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What the file is to the run.
    pub part: Part,
    /// Where it is.
    pub path: String,
    /// When it was changed, wall time; nothing if it is gone.
    pub at: Option<Timestamp>,
}

/// What a file is to the run of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The program.
    Executable,
    /// The file of its unit, or one that changes the unit.
    Unit,
    /// A file that its command line names.
    Configuration,
}
