//! What is asked, by us and by others.

use super::{Server, suite};
use crate::history::suite::{at, beat, changed};
use crate::history::{Entry, HistoryStore, Record, Selection};
use health_reporter::Status::{Error, Healthy, Unknown};
use healthcheck_core::Subject;
use healthcheck_core::history::{Bin, Resolution, Window};
use jiff::{SignedDuration, Timestamp};

const ALWAYS: Window = Window { from: Timestamp::MIN, to: Timestamp::MAX };

#[test]
fn it_is_as_every_other_store() {
    let server = Server::new();
    suite::every(&mut || Box::new(server.fresh().0));
}
