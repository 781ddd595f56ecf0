//! The monitor: what it says of itself, and how it is spoken with.

pub(crate) mod control;
pub(crate) mod published;
