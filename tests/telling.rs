//! Telling people: what arrives at real servers of what happens to real services.

mod arrival;
mod dead_man;
mod drill;
mod failing;
mod operating;
mod phone;
mod reboot;
