//! The commands that make a service of anything.

mod report;
mod run;
