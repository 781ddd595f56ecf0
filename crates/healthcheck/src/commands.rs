//! One file a command; only these see more than one of the parts.

pub(crate) mod ack;
mod child;
pub(crate) mod config;
pub(crate) mod drill;
pub(crate) mod forget;
pub(crate) mod history;
pub(crate) mod incidents;
mod interrupted;
pub(crate) mod looks;
mod operator;
mod remembered;
pub(crate) mod report;
pub(crate) mod retire;
pub(crate) mod run;
pub(crate) mod running_monitor;
mod show;
pub(crate) mod silence;
pub(crate) mod silences;
pub(crate) mod snapshot;
mod tail;
pub(crate) mod telling;
pub(crate) mod units;
pub(crate) mod uptime;
pub(crate) mod why;
