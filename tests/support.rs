//! What every story needs: programs that end with their test, and waiting that has an end.

mod patience;
mod process;

pub(crate) use patience::{PATIENCE, eventually};
pub(crate) use process::{Process, example, run};
