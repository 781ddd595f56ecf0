//! One file a command; only these see more than one of the parts.

pub(crate) mod config;
pub(crate) mod drill;
pub(crate) mod forget;
mod interrupted;
pub(crate) mod looks;
pub(crate) mod report;
pub(crate) mod retire;
pub(crate) mod run;
pub(crate) mod running_monitor;
pub(crate) mod snapshot;
mod tail;
pub(crate) mod telling;
pub(crate) mod units;
pub(crate) mod why;
