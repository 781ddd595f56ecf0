//! costs.
