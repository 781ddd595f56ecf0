//! What every story needs: a machine of its own, programs that end with their test, and waiting that has an end.

mod machine;
mod monitor;
mod patience;
mod process;
mod systemd;
pub(crate) mod web;

pub(crate) use machine::{Machine, Outcome, Snapshot, beat_of};
pub(crate) use monitor::Monitor;
pub(crate) use patience::{PATIENCE, eventually};
pub(crate) use process::{Parent, Process, copy_program, example, run};
pub(crate) use systemd::Systemd;
