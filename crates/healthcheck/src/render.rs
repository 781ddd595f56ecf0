//! What people and programs see of a snapshot. Nothing here looks at anything, and nothing judges.

pub(crate) mod json;
pub(crate) mod table;
mod text;

use health_reporter::Status;
use healthcheck_core::{Resources, Snapshot};

/// Everything that is shown, at one instant.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) host: String,
    pub(crate) project: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) snapshot: Snapshot,
    pub(crate) resources: Option<Resources>,
    /// What is wrong with the looking itself: directories, rejected files, reports left out.
    pub(crate) remarks: Vec<Remark>,
}

/// How services are run on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Systemd,
    Processes,
}

impl Mode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Processes => "processes",
        }
    }
}

/// Something that cannot be said of any one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// What it is about, as a word.
    pub(crate) about: &'static str,
    pub(crate) status: Status,
    pub(crate) message: String,
}

impl Picture {
    /// The whole: the worst of the subjects and the remarks. Unknown where there is nothing to judge.
    pub(crate) fn overall_status(&self) -> Status {
        let judged = self.snapshot.overall_status;
        if self.snapshot.has_nothing_to_judge() {
            return Status::Unknown;
        }
        self.remarks.iter().map(|remark| remark.status).fold(judged, Status::max)
    }
}
