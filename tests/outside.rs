//! `healthcheck`: what it sees of what does not report.

mod zmq;
