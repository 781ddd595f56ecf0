//! SIGKILL at any moment.

use super::target::{Target, report, reports_in, stages};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// In two directories at once, so that both processors have something to do.
const KILLS: usize = 500;

/// What the parallel reader saw.
#[derive(Debug, Default)]
struct Seen {
    reads: u64,
    torn: u64,
    backwards: u64,
    progress: (u64, u64),
}

fn read_until(done: &AtomicBool, file: &Path) -> Seen {
    let mut seen = Seen::default();
    while !done.load(Ordering::Relaxed) {
        let Ok(text) = fs::read(file) else { continue };
        seen.reads += 1;
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&text) else {
            seen.torn += 1;
            continue;
        };
        let number = |key: &str| json[key].as_u64().unwrap();
        let progress = (number("restart_count"), number("heartbeat_count"));
        seen.backwards += u64::from(progress < seen.progress);
        seen.progress = progress.max(seen.progress);
    }
    seen
}

/// How many of the kills left a stage behind, so that they came in the middle of a write.
fn kill_again_and_again(dir: &Path, mut seed: u64) -> usize {
    let mut left_over = 0;
    for _ in 0..KILLS {
        let mut writer = Target::start(dir, &[]);
        writer.tell("write_forever");
        let file = dir.join("camera.json");
        let pid = format!("\"pid\":{},", writer.pid());
        while !fs::read_to_string(&file).is_ok_and(|text| text.contains(&pid)) {
            std::thread::yield_now();
        }
        // xorshift: another moment each time, the same ones in each run.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_micros(seed % 4_000));
        writer.kill();
        left_over += stages(dir).len();
    }
    left_over
}

fn thousand_kills(seed: u64) -> Seen {
    let dir = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    let file = dir.path().join("camera.json");
    let (seen, left_over) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&done, &file));
        let killer = scope.spawn(|| kill_again_and_again(dir.path(), seed));
        let killed = killer.join();
        done.store(true, Ordering::Relaxed);
        (reader.join().unwrap(), killed.unwrap())
    });
    assert_eq!(report(dir.path(), "camera").restart_count, KILLS as u64 - 1);
    assert_eq!(reports_in(dir.path()), ["camera.json"]);
    Target::start(dir.path(), &[]).flushed();
    assert_eq!(stages(dir.path()), [""; 0]);
    println!("{KILLS} kills, {left_over} of them in the middle of a write: {seen:?}");
    assert!(left_over > 0);
    seen
}

#[test]
fn a_thousand_kills_tear_nothing_and_turn_nothing_back() {
    let seen = std::thread::scope(|scope| {
        let runs = [7, 11].map(|seed| scope.spawn(move || thousand_kills(seed)));
        runs.map(|run| run.join().unwrap())
    });
    for seen in seen {
        assert!(seen.reads > 1_000, "{seen:?}");
        assert_eq!((seen.torn, seen.backwards), (0, 0), "{seen:?}");
    }
}
