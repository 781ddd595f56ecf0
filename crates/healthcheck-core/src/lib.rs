//! Judges what was observed: pure functions over values.
#![warn(missing_docs)]

mod now;
mod observation;
mod policy;
mod saved;
mod subject;
mod transition;
mod verdict;
pub mod wording;

pub use now::Now;
pub use observation::{
    Facts, FileSystem, NotLooked, Observation, ProbeError, ProcessCost, ProcessFacts, ProcessSight,
    ProcessState, ServiceFacts,
};
pub use policy::{Policy, Priority, ServicePolicy};
pub use subject::{Kind, Subject};
pub use transition::Transition;
pub use verdict::{Cause, Evidence, Verdict};
