//! Writes one small JSON health file for a service, atomically, and never gets in its way.
//!
//! # The format, its directory and its reader
//!
//! [`HealthReport`] is the content of a file, [`directory`] says where the files are, and [`read`] reads them
//! whoever wrote them.
#![warn(missing_docs)]

pub mod clock;
pub mod directory;
mod name;
pub mod read;
mod report;
mod status;

pub use name::{InvalidName, MAX_SERVICE_NAME_BYTES, ServiceName};
pub use report::*;
pub use status::{State, Status, UnknownWord};
