//! Whatever can be looked at: each source turns what it sees into observations, and judges nothing.

pub(crate) mod alarm;
mod canary;
mod command;
mod connect;
mod containers;
pub(crate) mod deaths;
mod file_age;
pub(crate) mod footprint;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod kernel;
mod limits;
pub(crate) mod looks;
pub(crate) mod machine;
mod matching;
mod paths;
pub(crate) mod processes;
pub(crate) mod reports;
mod secrets;
pub(crate) mod shelf;
pub(crate) mod systemd;
pub(crate) mod threads;
pub(crate) mod watch;
pub(crate) mod zmq;

pub(crate) use limits::raise_descriptor_limit;
