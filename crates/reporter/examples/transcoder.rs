//! A service whose queue is nearly full: a warning, with numbers beside it.

use health_reporter::{Record, Reporter, Status};
use std::time::{Duration, Instant};

const ROOM: u32 = 1000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(600), |text| text.parse())?;
    let health = Reporter::builder("transcoder").depends_on(["camera"]).start()?;
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut waiting = 812;
    while Instant::now() < until {
        health.record_with("queue", judged(waiting));
        health.set_current_task("frame 4711");
        std::thread::sleep(Duration::from_secs(1));
        waiting = (waiting + 7) % ROOM;
    }
    health.stop("the queue is closed");
    Ok(())
}

fn judged(waiting: u32) -> Record<'static> {
    let status = if waiting > ROOM / 2 { Status::Warning } else { Status::Healthy };
    Record::new(status).message(format!("{waiting} of {ROOM}")).metadata("depth", waiting)
}
