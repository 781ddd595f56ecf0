//! What every story needs: a machine of its own, programs that end with their test, and waiting that has an end.

mod dice;
pub(crate) mod etcd;
mod host;
pub(crate) mod lane;
mod machine;
pub(crate) mod mail;
pub(crate) mod members;
mod monitor;
pub(crate) mod ntfy;
mod patience;
pub(crate) mod postgres;
mod process;
mod systemd;
pub(crate) mod web;

pub(crate) use dice::Dice;
pub(crate) use host::Host;
pub(crate) use machine::{Machine, Outcome, Snapshot, World, beat_of};
pub(crate) use monitor::{Cost, Monitor};
pub(crate) use patience::{PATIENCE, eventually};
pub(crate) use process::{Parent, Process, copy_program, example, run};
pub(crate) use systemd::Systemd;
