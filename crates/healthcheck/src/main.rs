//! Tells how the services on this machine are.

fn main() {}
