//! partitions.
