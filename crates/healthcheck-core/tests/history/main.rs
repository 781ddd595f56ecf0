//! What is told of a time that is over: by hand, and over random worlds.

#![expect(clippy::unwrap_used, reason = "this is a test, its helpers included")]

mod course;
mod maintenance;
mod numbers;
mod properties;
mod repairs;
mod retention;
mod trend;
mod world;
