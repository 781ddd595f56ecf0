//! `healthcheck`: what it says of services that are in a given way.

mod contract;
mod deaths;
mod expectations;
mod hostile;
mod original;
mod silence;
