//! The reporter inside of services that are killed, starved, forked and lied to.

mod disk;
mod endings;
mod failing_calls;
mod fork;
mod format;
mod hostile;
mod kills;
mod pace;
mod slots;
mod supervisor;
pub(crate) mod target;
mod traced;
