//! Databases in files: how they are found, believed, opened, brought up to date, and moved aside where they are damaged.

mod aside;
mod connection;
mod file;
mod schema;
mod trouble;

pub(crate) use aside::move_aside;
pub(crate) use connection::{abandon, checkpoint, connect, immutable, is_gone};
pub(crate) use file::{
    Unusable, companion_of, directory_problem, is_there, make, owner_problem, prepare, printable, unwritable,
};
pub(crate) use schema::Schema;
pub(crate) use trouble::Trouble;
