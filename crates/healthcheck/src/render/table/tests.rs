//! The table at several widths, and that no line of it is ever wider than the terminal.

use super::{Surface, write};
use crate::render::samples::{
    disk, hostile, hostile_texts, picture, probe, resource, service, troubled, well, zmq,
};
use crate::render::text::width;
use crate::render::{Picture, Remark};
use health_reporter::Status;
use healthcheck_core::Cause;

fn table(picture: &Picture, columns: usize) -> String {
    let mut out = Vec::new();
    write(picture, Surface { columns, colour: false }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn assert_shows(picture: &Picture, columns: usize, wanted: &str) {
    let shown = table(picture, columns);
    assert!(shown == wanted, "wanted:\n{wanted}\nshown:\n{shown}");
}

#[test]
fn the_face() {
    assert_shows(
        &troubled(),
        102,
        "\
healthcheck  deimos · experimance · processes                                    2 of 7 need attention
✖ camera      error    crashed (signal 9) 3 s ago, was up 4 h 12 min         task: indexing 2024-11-03
▲ transcoder  warning  queue 812 of 1000, for 2 min                                       beat 4 s ago
● audio  ● core  ● display  ● db  ■ agent stopped 5 min ago
resources     cpu 12 %  memory 41 %  swap 0 %  load 0.4 of 2  / 63 %  pressure io 0.2 %
zmq           ✖ depth tcp://127.0.0.1:5556 refused   ● events PUB 0.2 ms
",
    );
}

#[test]
fn on_80_columns() {
    assert_shows(
        &troubled(),
        80,
        "\
healthcheck  deimos · experimance · processes              2 of 7 need attention
✖ camera      error    crashed (signal 9) 3 s ago, was up 4 h 12 min
▲ transcoder  warning  queue 812 of 1000, for 2 min                 beat 4 s ago
● audio  ● core  ● display  ● db  ■ agent stopped 5 min ago
resources     cpu 12 %  memory 41 %  swap 0 %  load 0.4 of 2  / 63 %
              pressure io 0.2 %
zmq           ✖ depth tcp://127.0.0.1:5556 refused   ● events PUB 0.2 ms
",
    );
}

#[test]
fn on_40_columns() {
    assert_shows(
        &troubled(),
        40,
        "\
healthcheck  deimos · experimance · pro…
2 of 7 need attention
✖ camera      error
  crashed (signal 9) 3 s ago, was up 4 h
  12 min
▲ transcoder  warning
  queue 812 of 1000, for 2 min
● audio  ● core  ● display  ● db
■ agent stopped 5 min ago
resources     cpu 12 %  memory 41 %
              swap 0 %  load 0.4 of 2
              / 63 %  pressure io 0.2 %
zmq           ✖ depth
              tcp://127.0.0.1:5556
              refused
              ● events PUB 0.2 ms
",
    );
}

/// What is bad of the machine is told on top, and marked in its line; of many file systems the fullest are shown.
#[test]
fn a_machine_in_need() {
    let others = vec![
        resource("disk /var", Status::Warning, "97 %, at most 95 % is right"),
        resource("memory", Status::Healthy, "41 %"),
        resource("mount /backup", Status::Error, "not mounted, though /etc/fstab names it"),
        resource("inodes /srv", Status::Warning, "99 %, at most 95 % is right"),
        resource("pressure_cpu", Status::Warning, "0 %, at most 0 % is right"),
        probe("site", Status::Error, "status 500 instead of 2xx"),
    ];
    let mut picture = picture(vec![well("core")], others);
    let resources = picture.resources.as_mut().unwrap();
    resources.disks.extend([disk("/boot", 20), disk("/home", 70), disk("/srv", 10), disk("/var", 97)]);
    assert_shows(
        &picture,
        80,
        "\
healthcheck  deimos · experimance · processes             1 of 2 needs attention
✖ site           error    status 500 instead of 2xx
✖ mount /backup  error    not mounted, though /etc/fstab names it
▲ disk /var      warning  97 %, at most 95 % is right
▲ inodes /srv    warning  99 %, at most 95 % is right
▲ pressure_cpu   warning  0 %, at most 0 % is right
● core
resources     cpu 12 %  memory 41 %  swap 0 %  load 0.4 of 2  /home 70 %
              ▲ /srv 10 %  ▲ /var 97 %  ▲ pressure cpu 0.0 %  pressure io 0.2 %
",
    );
}

#[test]
fn the_head_never_says_that_all_is_well_where_it_is_not() {
    let depth = || zmq("depth", Status::Error, "tcp://127.0.0.1:5556 refused");
    let memory = || resource("memory", Status::Warning, "97 %, at most 90 % is right");
    let both = || vec![well("core"), well("audio")];
    for (services, others, wanted) in [
        (both(), vec![], "all 2 are well"),
        (both(), vec![depth()], "all 2 are well, but zmq needs attention"),
        (both(), vec![memory()], "all 2 are well, but resources need attention"),
        (both(), vec![depth(), memory()], "all 2 are well, but resources and zmq need attention"),
        (vec![], vec![probe("site", Status::Healthy, "")], "1 probe is well"),
        (vec![], vec![depth()], "zmq needs attention"),
        (vec![], vec![zmq("events", Status::Healthy, "PUB")], "1 endpoint is well"),
        (vec![], vec![memory()], "no services"),
    ] {
        let picture = picture(services, others);
        let head = table(&picture, 120).lines().next().unwrap().to_owned();
        assert!(head.ends_with(&format!("  {wanted}")), "{head} instead of {wanted}");
    }
    let mut remarked = picture(both(), vec![]);
    remarked.remarks.push(Remark {
        about: "left_out".into(),
        status: Status::Warning,
        message: "7 reports".into(),
        counts: true,
    });
    assert!(table(&remarked, 120).contains("all 2 are well, but remarks need attention"));
}

#[test]
fn three_hundred_services_stay_readable() {
    let mut services: Vec<_> = (0..300).map(|number| well(&format!("service-{number:03}"))).collect();
    services[7] = service("service-007", Status::Error, Cause::Crashed, "crashed (signal 9) 3 s ago");
    let shown = table(&picture(services, Vec::new()), 80);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].ends_with("1 of 300 needs attention") && lines[1].starts_with("✖ service-007"),
        "{shown}"
    );
    assert_eq!(shown.matches("● service-").count(), 299);
    assert!((60..=64).contains(&lines.len()) && lines.iter().all(|line| width(line) <= 80), "{shown}");
}

#[test]
fn colour_is_only_on_top() {
    let mut out = Vec::new();
    write(&troubled(), Surface { columns: 80, colour: true }, &mut out).unwrap();
    let coloured = String::from_utf8(out).unwrap();
    assert!(coloured.contains("\u{1b}[31m✖ camera      error  \u{1b}[0m  crashed"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[31m✖ depth tcp://127.0.0.1:5556 refused\u{1b}[0m"), "{coloured:?}");
    let mut plain = coloured;
    for colour in ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"] {
        plain = plain.replace(colour, "");
    }
    assert_eq!(plain, table(&troubled(), 80));
}

#[track_caller]
fn assert_fits(picture: &Picture, columns: usize) {
    let shown = table(picture, columns);
    for line in shown.lines() {
        assert!(width(line) <= columns, "{} columns in {columns}: {line:?}", width(line));
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for text in hostile_texts() {
        for columns in [40, 41, 57, 80, 200] {
            assert_fits(&hostile(&text), columns);
        }
    }
}

/// The same for texts that nobody thought of.
#[test]
fn no_line_is_wider_than_the_terminal_whatever_is_said() {
    let mut random = Random(0x5eed);
    for _ in 0..1_000 {
        let (text, columns) = (random.text(), 40 + random.below(161));
        assert_fits(&hostile(&text), columns);
    }
}

/// Pseudo-random numbers, the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 24] = [
            " ",
            "  ",
            "a",
            "word",
            "\n",
            "\t",
            "\u{1b}[1m",
            "\u{200d}",
            "\u{fe0f}",
            "\u{301}",
            "日",
            "本語",
            "👩",
            "🏳",
            "🌈",
            "☺",
            "❤",
            "ש",
            "م",
            "ﷺ",
            "\u{1f3fd}",
            "\u{202e}",
            "\u{1160}",
            "🇩",
        ];
        let parts = 1 + self.below(60);
        (0..parts).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }
}
