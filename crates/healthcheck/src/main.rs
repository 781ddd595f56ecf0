//! Tells how the services on this machine are.

#[expect(dead_code, unused_imports, reason = "the parts that take these settings do not exist yet")]
mod config;

fn main() {}
