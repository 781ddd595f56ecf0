//! Judges what was observed.
