//! Tells how the services on this machine are.

#[cfg_attr(not(test), expect(dead_code, reason = "the command line does not lead here yet"))]
mod commands;
#[cfg_attr(not(test), expect(dead_code, reason = "the parts that take these settings do not exist yet"))]
#[expect(unused_imports, reason = "the parts that take these settings do not exist yet")]
mod config;

fn main() {}
