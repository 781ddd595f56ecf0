//! Whatever can be looked at: each source turns what it sees into observations, and judges nothing.

pub(crate) mod machine;
pub(crate) mod processes;
pub(crate) mod reports;
