//! End-to-end tests that read as stories: real programs, real faults, nothing that only pretends. They need root,
//! strace, a C compiler, dash, etcd and Python with `jsonschema`, `pyzmq`, `aiosmtpd`, `pyyaml`, `standardwebhooks` and
//! `etcd3`; what is missing makes its test fail.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a story ends where something is not as it should be, and tells its figures"
)]

mod commands;
mod edges;
mod fleet;
mod infra;
mod monitor;
mod outside;
mod remembering;
mod reporter;
mod snapshot;
mod support;
mod telling;
