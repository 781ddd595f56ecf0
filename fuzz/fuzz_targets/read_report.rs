//! Whatever stands in a health file, reading it neither panics nor runs away, and what is read can be written
//! and read again: `cargo +nightly fuzz run read_report`. The corpus is replayed by the reporter's own tests.
#![no_main]

use health_reporter::read;
use health_reporter::MAX_REPORT_BYTES;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok((report, _)) = read::parse(text) else { return };
    let written = serde_json::to_vec(&report).expect("a report is written");
    if written.len() <= MAX_REPORT_BYTES {
        let (again, _) = read::parse(&written).expect("what was written is read");
        assert_eq!((again.worst_status(), again.state), (report.worst_status(), report.state));
    }
});
