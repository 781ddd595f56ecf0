//! Judges what was observed: pure functions over values.
//!
//! There is one judge, [`step`]: it takes the [`State`], one [`Observation`] and the [`Now`] in which it was made,
//! and gives back the state with the [`Transition`]s that follow. The same inputs always give the same outputs:
//! nothing here reads a clock, a file or the environment. A [`Snapshot`] shows what the state holds.
//!
//! ```
//! use health_reporter::{HealthReport, Status, read::{Dialect, ReportFile}};
//! use healthcheck_core::{Facts, Now, Observation, Policy, ServiceFacts, Snapshot, State, Subject, step};
//! use std::time::Duration;
//!
//! let now = Now { wall: "2025-06-01T12:00:00Z".parse().unwrap(), boottime: Duration::from_secs(900), ..Now::default() };
//! let file = ReportFile {
//!     report: HealthReport::new(Status::Warning),
//!     dialect: Dialect::HealthReport,
//!     modified: now.wall,
//!     changed: now.wall,
//!     owner_uid: 0,
//! };
//! let looked = Observation {
//!     subject: Subject::service("camera"),
//!     outcome: Ok(Facts::Service(Box::new(ServiceFacts::of_report(Ok(file))))),
//!     took: Duration::ZERO,
//! };
//! let policy = Policy::default();
//! let (state, transitions) = step(State::default(), looked, &now, &policy);
//! assert_eq!((transitions[0].from, transitions[0].to), (Status::Unknown, Status::Warning));
//! assert_eq!(Snapshot::of(&state, &now, &policy).overall_status, Status::Warning);
//! ```
#![warn(missing_docs)]

mod aftermath;
pub mod alerts;
mod container;
mod dependencies;
mod ending;
mod exit;
mod fallen;
mod gap;
pub mod history;
mod host;
mod judge;
mod leased;
mod looked;
mod measure;
mod measured;
mod memory;
mod now;
mod observation;
mod perfdata;
mod policy;
mod probe;
mod probed;
mod recent;
mod resources;
mod roots;
mod run;
mod saved;
mod sight;
mod sleeps;
mod snapshot;
mod state;
mod subject;
mod summary;
mod transition;
mod unit;
mod verdict;
pub mod wording;

pub use aftermath::{Aftermath, Change, Part};
pub use container::{ContainerFacts, ContainerHealth, ContainerState};
pub use exit::Exit;
pub use gap::{Gap, GapReason};
pub use host::{Farewell, HostAbout, HostFacts, HostSight, MAX_NAMED_SERVICES};
pub use judge::step;
pub use measure::{Limits, Measure, MountSight, Quantity};
pub use now::Now;
pub use observation::{
    Facts, FileSystem, NotLooked, Observation, ProbeError, ProcessCost, ProcessFacts, ProcessSight,
    ProcessState, ServiceFacts,
};
pub use perfdata::Metric;
pub use policy::{Policy, Priority, ServicePolicy};
pub use probe::{
    CommandEnd, CommandFacts, Connection, Delivery, Echo, FileAge, HttpAnswer, HttpFacts, ProbeFacts,
    ProbeKind, ProcessesFound, Silence, Unanswered, ZmqFacts, ZmqSight,
};
pub use resources::{Capacity, Descriptors, Disk, Inodes, Load, Pressure, Resources, Temperature};
pub use run::Run;
pub use snapshot::{CheckView, Counts, Recorded, ServiceView, Snapshot, SubjectView};
pub use state::{Head, NewerState, Record, State};
pub use subject::{Kind, Subject};
pub use transition::Transition;
pub use unit::{UnitActive, UnitFacts, UnitLoad};
pub use verdict::{Cause, Evidence, Verdict};
