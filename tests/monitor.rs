//! `healthcheck monitor`: what it knows, and when.

mod ends;
mod files;
mod lasting;
mod silence;
mod systemd;
