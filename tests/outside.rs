//! `healthcheck`: what it sees of what does not report.

mod engine;
mod postgres;
mod probes;
mod resources;
mod systemd;
mod zmq;
