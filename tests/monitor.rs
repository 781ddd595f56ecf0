//! `healthcheck monitor`: what it knows, and when.

mod agreement;
mod ends;
mod files;
mod hindered;
mod hostile;
mod installed;
mod keeping;
mod kills;
mod lasting;
mod looks;
mod silence;
mod soak;
mod systemd;
