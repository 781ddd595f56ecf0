//! Fills a directory with reports as a service with two checks writes them, for `infra/bench.sh`: `reports DIR COUNT
//! PID…` makes COUNT of them, of these processes in turn. Prints the bytes of one.

use health_reporter::{Record, Reporter, Status, clock};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (dir, count) = (args.next().ok_or("no DIR")?, args.next().ok_or("no COUNT")?.parse::<usize>()?);
    let pids = args.map(|pid| pid.parse()).collect::<Result<Vec<u32>, _>>()?;
    let text = realistic(Path::new(&dir))?;
    let own = std::process::id();
    let ticks = |pid| clock::start_ticks(pid).ok_or("a process of the reports is gone");
    let (own_pid, own_ticks) = (format!("\"pid\":{own},"), format!("\"pid_start_ticks\":{},", ticks(own)?));
    for (number, pid) in (0..count).zip(pids.iter().cycle()) {
        let text = text
            .replace("camera-0000", &format!("camera-{number:05}"))
            .replace(&own_pid, &format!("\"pid\":{pid},"))
            .replace(&own_ticks, &format!("\"pid_start_ticks\":{},", ticks(*pid)?));
        std::fs::write(format!("{dir}/camera-{number:05}.json"), text)?;
    }
    Ok(writeln!(std::io::stdout(), "{}", text.len())?)
}

fn realistic(dir: &Path) -> Result<String, Box<dyn Error>> {
    let inside = dir.join(".one");
    let health = Reporter::builder("camera-0000")
        .dir(&inside)
        .service_version("1.4.2")
        .deadline(DAY)
        .depends_on(["storage"])
        .start()?;
    health.set_current_task("frame 4700");
    health.record_with(
        "capture",
        Record::new(Status::Healthy).metadata("fps", 25).metadata("device", "/dev/video0"),
    );
    health.record("queue", Status::Healthy, "12 of 1000");
    health.flush()?;
    let text = std::fs::read_to_string(health.file().ok_or("no file")?)?;
    health.stop("written");
    std::fs::remove_dir_all(inside)?;
    Ok(text)
}
