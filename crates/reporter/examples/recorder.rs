//! The short way, and an end that nobody planned: it fails after a moment, and says no goodbye.

use health_reporter::{Reporter, Status};
use std::io::{Error, ErrorKind};
use std::time::Duration;

fn main() -> Result<(), Error> {
    Reporter::run(|health| {
        health.record("tape", Status::Healthy, "40 min left");
        std::thread::sleep(Duration::from_secs(1));
        Err(Error::new(ErrorKind::StorageFull, "the tape is full"))
    })
}
