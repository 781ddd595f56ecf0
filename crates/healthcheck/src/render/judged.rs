//! Each format before the one who reads it in earnest, with everything hostile in it that there is.

use super::samples::{hostile, hostile_texts, picture, troubled, well};
use super::{Picture, checkmk, health_json, nagios, prometheus};
use health_reporter::Status;
use std::io::{self, Write};
use std::process::{Command, Stdio};

type Format = fn(&Picture, &mut dyn Write) -> io::Result<()>;

fn written(format: Format, picture: &Picture) -> String {
    let mut out = Vec::new();
    format(picture, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// What the judge says, which must be a success.
#[track_caller]
fn judged(program: &str, arguments: &[&str], text: &str) -> String {
    let judges = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/judges");
    let piped = |command: &mut Command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let child = piped(Command::new(program).args(arguments).current_dir(judges));
    let mut child = child.unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let (mut input, text_of) = (child.stdin.take().unwrap(), text.to_owned());
    let writing = std::thread::spawn(move || input.write_all(text_of.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program}: {}\n{said}\n{text}", output.status);
    writing.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Nobody, somebody, too many, and those who say what they should not.
fn pictures() -> Vec<Picture> {
    let many = (0..5_000).map(|number| well(&format!("service{number}"))).collect();
    let mut pictures = vec![picture(Vec::new(), Vec::new()), troubled(), picture(many, Vec::new())];
    pictures.extend(hostile_texts().iter().map(|text| hostile(text)));
    pictures.iter_mut().take(1).for_each(|picture| picture.resources = None);
    pictures
}

#[test]
fn prometheus_own_tool_has_nothing_to_say() {
    for picture in pictures() {
        let text = written(prometheus::write, &picture);
        assert_eq!(judged("promtool", &["check", "metrics"], &text), "");
        assert!(!text.contains('\u{1b}') && text.ends_with('\n'));
    }
}

#[test]
fn the_rules_of_nagios_hold_to_the_letter() {
    for picture in pictures() {
        let text = written(nagios::write, &picture);
        let word = match picture.overall_status() {
            Status::Healthy => "OK\n",
            Status::Warning => "WARNING\n",
            Status::Error | Status::Fatal => "CRITICAL\n",
            Status::Unknown => "UNKNOWN\n",
        };
        assert_eq!(judged("python3", &["nagios.py"], &text), word);
        assert!(judged("perl", &["perfdata.pl"], &text).starts_with("total\t"));
    }
}

#[test]
fn checkmk_takes_every_line() {
    for picture in pictures() {
        let text = written(checkmk::write, &picture);
        judged("python3", &["checkmk.py"], &text);
        let subjects = picture.snapshot.subjects().count();
        assert!(text.lines().count() > subjects, "one line for the whole, and one each:\n{text}");
    }
}

#[test]
fn the_response_follows_the_draft() {
    for picture in pictures() {
        let text = written(|picture, out| health_json::write(picture, false, out), &picture);
        let word = match picture.overall_status() {
            Status::Healthy => "pass\n",
            Status::Unknown | Status::Warning => "warn\n",
            Status::Error | Status::Fatal => "fail\n",
        };
        assert_eq!(judged("python3", &["health_json.py"], &text), word);
    }
}
