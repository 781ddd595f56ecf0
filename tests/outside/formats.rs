//! Each format before the one who reads it in earnest.

use crate::support::{Machine, Outcome, beat_of};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use unicode_width::UnicodeWidthStr;

/// The formats, and who judges each.
const JUDGES: [(&str, &str, &[&str]); 5] = [
    ("nagios", "python3", &["nagios.py"]),
    ("nagios", "perl", &["perfdata.pl"]),
    ("prometheus", "promtool", &["check", "metrics"]),
    ("health+json", "python3", &["health_json.py"]),
    ("checkmk", "python3", &["checkmk.py"]),
];

/// What could be taken for something else.
const HOSTILE: [&str; 9] = [
    "a'b=c|d;e\"f\\g\\n",
    "line\nfeed\r\n\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m",
    "<!channel> @everyone <<<local>>>",
    "日本語の長いメッセージ、空白がありません",
    "👩\u{200d}👩\u{200d}👧 ☺\u{fe0f} e\u{301}",
    "\u{202e}txt.exe שלום مرحبا",
    "'label'=1;2;3;4;5 | 'other'=2",
    "0 \"Health\" - all is well",
    "} 1\n# HELP x y\nx{a=\"b\"} 1",
];

/// What the judge says of it, which must be a success, and nothing on its standard error.
#[track_caller]
fn judged(text: &str, program: &str, arguments: &[&str]) -> String {
    let mut judge = Command::new(program);
    judge.args(arguments).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/judges"));
    judge.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut judge = judge.spawn().unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let (mut input, whole) = (judge.stdin.take().unwrap(), text.to_owned());
    let writing = std::thread::spawn(move || input.write_all(whole.as_bytes()));
    let verdict = Outcome::of(&judge.wait_with_output().unwrap());
    assert!(verdict.code == 0 && verdict.err.is_empty(), "{program}: {verdict:?}\n{text}");
    writing.join().unwrap().unwrap();
    verdict.out
}

#[track_caller]
fn assert_each_is_accepted(machine: &Machine, code: i32) {
    for (format, program, arguments) in JUDGES {
        let shown = machine.run(&["--format", format]);
        assert_eq!((shown.code, shown.err.as_str()), (code, ""), "{format}");
        judged(&shown.out, program, arguments);
    }
}

/// A report in which everything is this text.
fn says(text: &str) -> Value {
    let mut report = beat_of(std::process::id());
    report["checks"] = json!([{"name": text, "status": "error", "message": text}]);
    report["current_task"] = json!(text);
    report["service_name"] = json!(text);
    report["depends_on"] = json!([text, "camera"]);
    report
}

#[test]
fn every_format_is_accepted_whatever_services_say() {
    let machine = Machine::new();
    machine.reports("camera", &beat_of(std::process::id()));
    machine.puts("torn", "{");
    fs::write(machine.health_dir().join("a'b|c\nd.json"), "{}").unwrap();
    let long = "0123456789|'=".repeat(800);
    for (number, text) in HOSTILE.iter().copied().chain([&*long]).enumerate() {
        machine.reports(&format!("evil{number}"), &says(text));
    }
    assert_each_is_accepted(&machine, 2);
    let nagios = machine.run(&["--format", "nagios"]).out;
    assert!(nagios.starts_with("HEALTH CRITICAL - 11 of 12 need attention: "), "{nagios}");
}

#[test]
fn every_format_is_accepted_where_there_is_nothing_and_where_all_is_well() {
    let machine = Machine::new();
    assert_each_is_accepted(&machine, 3);
    assert!(machine.run(&["--format", "nagios"]).out.starts_with("HEALTH UNKNOWN - no services"));
    machine.reports("camera", &beat_of(std::process::id()));
    for (format, program, arguments) in JUDGES {
        judged(&machine.run(&["--format", format]).out, program, arguments);
    }
    let checkmk = machine.run(&["--format", "checkmk"]).out;
    assert!(checkmk.contains("\n0 \"camera\" report_age="), "{checkmk}");
}

/// The word of the first line and the exit code are the same thing said twice.
#[test]
fn a_plug_in_says_what_its_exit_code_says() {
    for (status, word, code) in [
        ("healthy", "OK", 0),
        ("warning", "WARNING", 1),
        ("error", "CRITICAL", 2),
        ("fatal", "CRITICAL", 2),
        ("unknown", "UNKNOWN", 3),
    ] {
        let machine = Machine::new();
        let mut report = beat_of(std::process::id());
        report["overall_status"] = json!(status);
        machine.reports("camera", &report);
        let nagios = machine.run(&["--format", "nagios"]);
        assert_eq!(nagios.code, code, "{nagios:?}");
        assert!(nagios.out.starts_with(&format!("HEALTH {word} - ")), "{nagios:?}");
        let checkmk = machine.run(&["--format", "checkmk"]).out;
        assert!(checkmk.starts_with(&format!("{code} \"Health\" ")), "{checkmk}");
        let up = machine.run(&["--format", "prometheus"]).out;
        let wanted = format!("healthcheck_service_status{{service=\"camera\",status=\"{status}\"}} 1");
        assert!(up.lines().any(|line| line == wanted), "{up}");
    }
}

/// A plug-in whose text and labels are hostile, an endpoint and a port where nobody is, and limits that are crossed.
#[test]
fn every_format_is_accepted_whatever_probes_bring() {
    let machine = Machine::new();
    machine.configures(&format!("{LOOKS}{}", probes_that_say(&machine)));
    for (format, program, arguments) in JUDGES {
        let shown = machine.run(&["--format", format]);
        assert_eq!((shown.code, shown.err.as_str()), (2, ""), "{format}");
        judged(&shown.out, program, arguments);
    }
    let read = judged(&machine.run(&["--format", "nagios"]).out, "perl", &["perfdata.pl"]);
    let item = |label: &str| read.lines().find(|line| line.starts_with(label)).map(str::to_owned);
    assert_eq!(item("probe evil8 time\t").as_deref(), Some("probe evil8 time\t1.5\tms\t\t"), "{read}");
    assert_eq!(item("probe evil8 room\t").as_deref(), Some("probe evil8 room\t2048\tMB\t\t"), "{read}");
    assert!(item("memory\t").is_some_and(|memory| memory.contains("\t%\t0.0")), "with its limit: {read}");
    let series = machine.run(&["--format", "prometheus"]).out;
    for wanted in [
        "healthcheck_command_seconds{kind=\"probe\",name=\"evil8\",label=\"time\"} 0.0015",
        "healthcheck_zmq_up{endpoint=\"events\"} 0",
        "healthcheck_resource_status{resource=\"memory\",status=\"warning\"} 1",
    ] {
        assert!(series.lines().any(|line| line == wanted), "{wanted} is not in\n{series}");
    }
}

#[test]
fn the_table_stays_within_the_terminal_whatever_is_said() {
    let machine = Machine::new();
    machine.configures(&format!("{LOOKS}{}", probes_that_say(&machine)));
    for (number, text) in HOSTILE.iter().enumerate() {
        machine.reports(&format!("evil{number}"), &says(text));
    }
    for columns in [40, 80, 200] {
        let mut command = machine.command(&["--format", "table"]);
        let table = Outcome::of(&command.env("COLUMNS", columns.to_string()).output().unwrap()).out;
        let bad =
            table.lines().find(|line| line.width() > columns || line.contains(|c: char| c.is_control()));
        assert_eq!(bad, None, "in {columns} columns:\n{table}");
        assert!(table.contains("19 of 19 need attention") && table.contains("✖ events"), "{table}");
        assert!(table.contains("▲ memory "), "{table}");
    }
}

const LOOKS: &str = "[resources]\nmemory = { warning = \"0.01%\" }\n\
                     [zmq.events]\nendpoint = \"tcp://127.0.0.1:1\"\n\
                     [probes.port]\nkind = \"tcp\"\naddress = \"127.0.0.1:1\"\n";

/// One probe for each hostile text: a plug-in that says it, and calls its numbers by it.
fn probes_that_say(machine: &Machine) -> String {
    let probe = |(number, text): (usize, &&str)| {
        let said = machine.root().join(format!("said{number}"));
        let label = text.replace('\'', "''").replace('\n', " ");
        let numbers = format!("time=1.5ms room=2GB '{label}'=5% '{label}'=6c much=1e300");
        fs::write(&said, format!("{} WARNING | {numbers}\n{text}\n", text.lines().next().unwrap())).unwrap();
        let said = json!(["sh", "-c", "cat \"$0\"; exit 1", said]);
        format!("[probes.evil{number}]\nkind = \"command\"\ncommand = {said}\n")
    };
    HOSTILE.iter().enumerate().map(probe).collect()
}

/// 500 services that all have much to say: what is cut off is cut off whole.
#[test]
fn many_troubles_stay_within_what_is_kept() {
    let machine = Machine::new();
    for number in 0..500 {
        machine.reports(&format!("service{number}"), &says(&"much to say ".repeat(40)));
    }
    assert_each_is_accepted(&machine, 2);
    let nagios = machine.run(&["--format", "nagios"]).out;
    let (first, last) = (nagios.lines().next().unwrap(), nagios.lines().last().unwrap());
    println!("500 troubles: {} bytes, {} of them in the first line", nagios.len(), first.len());
    assert!(first.contains("500 of 500 need attention") && first.contains("'total'=500"), "{first}");
    assert!(last.starts_with("and ") && last.ends_with(" more"), "{last}");
}

#[test]
fn ten_thousand_services_are_a_file_that_prometheus_can_take() {
    let machine = Machine::new();
    let report = beat_of(std::process::id()).to_string();
    for number in 0..10_000 {
        fs::write(machine.health_dir().join(format!("s{number:05}.json")), &report).unwrap();
    }
    let shown = machine.run(&["--format", "prometheus"]).out;
    judged(&shown, "promtool", &["check", "metrics"]);
    let series = shown.lines().filter(|line| !line.starts_with('#')).count();
    println!("10,000 services: {series} series, {} KiB", shown.len() / 1024);
    assert!(series < 90_000, "{series}");
    assert!(shown.contains("healthcheck_service_status{service=\"s09999\",status=\"healthy\"} 1\n"));
    assert!(shown.contains("healthcheck_services_without_details 9000\n"), "they are counted");
}

/// The lines of docs/formats.md for the textfile collector: a file that is replaced at once, whatever the status.
#[test]
fn the_documented_textfile_is_replaced_whatever_the_status() {
    let machine = Machine::new();
    machine.reports("camera", &says("much"));
    let documentation = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats.md");
    let text = fs::read_to_string(documentation).unwrap();
    let script = text.split("```sh\n").find(|block| block.starts_with("f=")).unwrap();
    let script = script.split("```").next().unwrap();
    let script = script.replace("/var/lib/prometheus/node-exporter", ".");
    let outcome = machine.shell(&format!("healthcheck() {{ \"$HEALTHCHECK\" \"$@\"; }}\n{script}"));
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{script}");
    let written = fs::read_to_string(machine.root().join("healthcheck.prom")).unwrap();
    judged(&written, "promtool", &["check", "metrics"]);
    assert!(written.contains("healthcheck_service_status{service=\"camera\",status=\"error\"} 1\n"));
}
