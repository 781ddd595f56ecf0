//! Writes one small JSON health file for a service, atomically, and never gets in its way.
//!
//! ```
//! use health_reporter::{Reporter, Status};
//! use std::time::Duration;
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let health = Reporter::builder("camera").dir(dir.path()).start()?;
//! let frames = health.watched_loop("frames", Duration::from_secs(2));
//! for frame in 0..3 {
//!     frames.beat();
//!     health.set_current_task(&format!("frame {frame}"));
//!     health.record("lens", Status::Healthy, "");
//! }
//! health.stop("three frames are enough");
//! # Ok::<(), health_reporter::StartError>(())
//! ```
//!
//! From its start on the reporter writes a heartbeat each interval, status changes within 50 ms, panics, and
//! how often the service was started again without having said goodbye. Whoever reads the file knows from its
//! deadline, its process and its watched loops whether the service lives, hangs, died or stopped by intention.
//!
//! # The format, its directory, its reader and its writer
//!
//! [`HealthReport`] is the content of a file, [`directory`] says where the files are, [`read`] reads them
//! whoever wrote them, and [`mod@write`] replaces one of them.
//!
//! # Features
//!
//! `signal`: a goodbye on SIGTERM and SIGINT · `tracing`: ERROR events become recorded errors · `tokio`: watches
//! a runtime · `sd-notify`: READY, STATUS, WATCHDOG and STOPPING follow the report · `schema`: the JSON Schema.
#![warn(missing_docs)]

mod builder;
mod check;
pub mod clock;
pub mod directory;
mod errors;
mod guarded;
mod mask;
mod name;
mod panics;
mod pulse;
pub mod read;
mod report;
mod reporter;
#[cfg(feature = "tokio")]
mod runtime;
#[cfg(feature = "schema")]
pub mod schema;
mod shared;
#[cfg(feature = "signal")]
mod signals;
mod status;
#[cfg(feature = "sd-notify")]
mod supervisor;
#[cfg(feature = "tracing")]
mod trace;
mod watched;
pub mod write;

pub use builder::{Builder, StartError};
pub use check::{CheckHandle, MetadataValue, Record};
pub use mask::mask_credentials;
pub use name::{InvalidName, MAX_SERVICE_NAME_BYTES, MAX_SLOTS, ServiceName};
pub use pulse::{FlushError, WriteFailure};
pub use report::*;
pub use reporter::Reporter;
pub use status::{State, Status, UnknownWord};
#[cfg(feature = "tracing")]
pub use trace::HealthLayer;
pub use watched::LoopHandle;

/// What the first page shows must compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FirstPage;
