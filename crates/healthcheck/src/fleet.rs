//! Many machines: who lives is known by leases in etcd.
#![expect(dead_code, reason = "the monitor is about to use it")]
#![cfg_attr(not(test), expect(unused_imports, reason = "the monitor is about to use it"))]

pub(crate) mod etcd;
pub(crate) mod keys;
pub(crate) mod mirror;
