//! Telling people: what arrives at real servers of what happens to real services.

mod arrival;
mod canaries;
mod dead_man;
mod drill;
mod environment;
mod failing;
mod hostile;
mod jitter;
mod kills;
mod misbehaving;
mod operating;
mod pace;
mod phone;
mod reboot;
mod replay;
