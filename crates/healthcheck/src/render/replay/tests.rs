use super::*;
use crate::render::json;
use crate::render::samples::{hostile_texts, now};
use jiff::SignedDuration;

fn ago(minutes: i64) -> Timestamp {
    now() - SignedDuration::from_mins(minutes)
}

fn told(minutes: i64, reason: NoticeReason, title: &str, by: By) -> Told {
    Told { at: ago(minutes), channel: "phone".into(), reason, status: Status::Error, title: title.into(), by }
}

fn missed(minutes: i64, subjects: &[&str], why: &[(&str, Held)]) -> Missed {
    Missed {
        opened: ago(minutes),
        resolved: Some(ago(minutes - 1)),
        worst: Status::Warning,
        subjects: subjects.iter().map(|name| Subject::service(name)).collect(),
        was_told: minutes < 50,
        why: why
            .iter()
            .map(|(channel, held)| Why { channel: (*channel).into(), held: held.clone() })
            .collect(),
    }
}

fn sample() -> Comparison {
    let delay = Some(Duration::from_secs(2));
    let sent = Totals { notices: 3, pages: 2, incidents_told: 3, median_delay: delay, ..Totals::default() };
    let tried = Totals { notices: 12, nights_woken: 1, incidents_missed: 2, ..Totals::default() };
    let reasons = [(NoticeReason::Opened, (2, 12)), (NoticeReason::Recovered, (1, 0))].into();
    Comparison {
        at: now(),
        window: Window { from: ago(60), to: now() },
        configuration: "new.toml".into(),
        sent,
        tried,
        channels: vec![ChannelTotals { name: "phone".into(), reasons }],
        missed: vec![
            missed(55, &["a", "b", "c", "d"], &[("desk", Held::Cooldown), ("phone", Held::GroupWait)]),
            missed(40, &["camera"], &[("desk", Held::BelowLevel), ("phone", Held::BelowLevel)]),
            missed(30, &["quick"], &[]),
        ],
        told: vec![
            told(40, NoticeReason::Opened, "deimos: camera has a warning", By::Sent),
            told(30, NoticeReason::Opened, "deimos: db is down", By::Both),
            told(29, NoticeReason::Recovered, "deimos: db is back", By::Tried),
        ],
        remarks: vec!["what happened is known since noon only".into()],
    }
}

fn page(comparison: &Comparison, lists_all: bool, columns: usize) -> String {
    let mut out = Vec::new();
    write(comparison, lists_all, Surface { columns, colour: false }, &TimeZone::UTC, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn totals_come_first_then_what_is_missed_then_what_differs() {
    let wanted = "\
from 11:00:00 to 12:00:00, with the alert settings of new.toml
what happened is known since noon only

                             sent  tried
notices                         3     12
pages (error or fatal)          2      0
urgent (fatal)                  0      0
nights (22-07) with a page      0      0
nights (22-07) woken            0      1
incidents told                  3      0
incidents missed                0      2
first notice after (median)   2 s      -
phone: opened                   2     12
phone: recovered                1      0

nobody would have been told of
  11:05:00  warning  a, b, c and 1 more, for 1 min: desk: it was told of a short while ago (cooldown); phone: over while \
what is simultaneous is gathered (group_wait) (nor was it told)
  11:20:00  warning  camera, for 1 min: below the level of the channel
  11:30:00  warning  quick, for 1 min: over before anybody could be told

where they differ (- was sent only, + would have been)
  - 11:20:00  phone  opened  deimos: camera has a warning
  + 11:31:00  phone  recovered  deimos: db is back
";
    assert_eq!(page(&sample(), false, 200), wanted);
    let all = page(&sample(), true, 200);
    assert!(all.contains("\n    11:30:00  phone  opened  deimos: db is down\n"), "{all}");
}

#[test]
fn of_very_many_the_last_are_shown_and_no_difference_is_said() {
    let mut many = sample();
    let numbered =
        |number: i64| told(60 - number, NoticeReason::Opened, &format!("deimos: {number}"), By::Tried);
    many.told = (0..50).map(numbered).collect();
    let shown = page(&many, false, 100);
    assert!(shown.contains("  and 30 more before\n") && shown.contains("deimos: 49"), "{shown}");
    assert!(!shown.contains("deimos: 29\n") && page(&many, true, 100).contains("deimos: 0\n"), "{shown}");
    many.told.iter_mut().for_each(|told| told.by = By::Both);
    many.missed.clear();
    let same = page(&many, false, 100);
    assert!(
        same.ends_with("phone: recovered                1      0\n\nwhat was sent is what would have been\n"),
        "{same}"
    );
}

#[test]
fn nothing_is_obeyed_or_too_wide() {
    for text in hostile_texts() {
        let mut hostile = sample();
        hostile.configuration.clone_from(&text);
        hostile.told[0].title.clone_from(&text);
        hostile.told[0].channel.clone_from(&text);
        hostile.channels[0].name.clone_from(&text);
        hostile.missed[0].subjects[0] = Subject::service(&text);
        hostile.missed[0].why[0] =
            Why { channel: text.clone(), held: Held::Inhibited { root: text.clone() } };
        for columns in [40, 57, 80, 200] {
            for line in page(&hostile, true, columns).lines() {
                assert!(width(line) <= columns, "{} columns in {columns}: {line:?}", width(line));
                assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
        }
    }
}

#[test]
fn as_json_it_has_both_sides_and_what_differs() {
    let mut out = Vec::new();
    json::write_replay(&sample(), false, false, &mut out).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&value["sent"]["pages"], &value["tried"]["nights_woken"]), (&2.into(), &1.into()));
    assert_eq!(value["channels"]["phone"]["opened"]["tried"], 12);
    assert_eq!(value["missed"][1]["why"]["desk"]["reason"], "below_level");
    assert_eq!(value["differences"][1]["by"], "tried");
    assert_eq!((&value["differences_left_out"], value.get("notices")), (&0.into(), None));
    assert_eq!(value["sent"]["median_delay_s"], 2.0);
}
