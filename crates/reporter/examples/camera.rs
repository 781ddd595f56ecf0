//! A service that captures frames for as long as it is let: `cargo run --example camera`.

use health_reporter::{Reporter, Status};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(600), |text| text.parse())?;
    let health = Reporter::builder("camera")
        .service_version(env!("CARGO_PKG_VERSION"))
        .interval(Duration::from_secs(2))
        .start()?;
    let frames = health.watched_loop("frames", Duration::from_secs(2));
    let capture = health.check("capture");
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut number = 0_u64;
    while Instant::now() < until {
        frames.beat();
        capture.observe(|| capture_frame(&mut number))?;
        health.set_current_task(&format!("frame {}", number / 100 * 100));
        health.add_messages_sent(1);
    }
    health.record("lens", Status::Healthy, "clean");
    health.stop("the show is over");
    Ok(())
}

fn capture_frame(number: &mut u64) -> Result<u64, std::io::Error> {
    std::thread::sleep(Duration::from_millis(40));
    *number += 1;
    Ok(*number)
}
