//! `healthcheck monitor`: what it knows, and when.

mod ends;
mod files;
mod installed;
mod lasting;
mod silence;
mod systemd;
