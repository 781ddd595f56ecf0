//! `healthcheck`: what it sees of what does not report, and how it tells the monitoring that is there already.

mod engine;
mod formats;
mod postgres;
mod probes;
mod resources;
mod systemd;
mod zmq;
