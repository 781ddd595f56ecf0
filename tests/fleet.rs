//! Many machines: what etcd has of them, and what others make of it.

mod leases;
mod members;
mod own;
mod publish;
mod show;
mod tellers;
