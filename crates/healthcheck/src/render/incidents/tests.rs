use super::*;
use crate::render::json;
use crate::render::samples::{hostile_texts, incident, now};
use crate::render::text::width;
use healthcheck_core::alerts::Acknowledgement;

/// Of the last day.
fn list(source: Source, incidents: Vec<Incident>) -> Incidents {
    let window = Window { from: now() - SignedDuration::from_hours(24), to: now() };
    let repairs = Repaired::of(&incidents, window);
    Incidents { source, at: now(), incidents, repairs }
}

fn page(incidents: Vec<Incident>, source: Source, columns: usize, colour: bool) -> String {
    let (list, mut out) = (list(source, incidents), Vec::new());
    write(&list, Surface { columns, colour }, &TimeZone::UTC, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn some() -> Vec<Incident> {
    let mut open = incident(12, None, &["camera", "wall"], "crashed (signal 9)");
    open.members[1].recovered = Some(now());
    open.acknowledged = Some(Acknowledgement { author: "ann".to_owned(), at: now() });
    vec![open, incident(11, Some(60), &["db"], "refused")]
}

#[test]
fn what_is_wrong_comes_first_with_whom_it_concerns() {
    let wanted = "\
✖ 12  error  since 11:57:00, 3 min ago  ann cares for it
    camera  crashed (signal 9)
    ● wall  crashed (signal 9)
● 11  error  from 11:57:00, over after 2 min
    ● db  crashed: refused
in 24 h: 2 incidents, 1 open, MTTR 2 min, MTBF 11 h 58 min, longest 3 min
    camera: 1 failure, 1 open, MTBF 23 h 57 min, longest 3 min
    db: 1 failure, MTTR 2 min, MTBF 23 h 58 min, longest 2 min
    wall: 1 failure, MTTR 3 min, MTBF 23 h 57 min, longest 3 min
";
    let source = Source::Monitor { pid: 4711 };
    assert_eq!(page(some(), source, 80, false), wanted);
    let coloured = page(some(), source, 80, true);
    assert!(coloured.starts_with("\u{1b}[31m✖ 12"), "{coloured:?}");
    let plain = coloured.replace("\u{1b}[31m", "").replace("\u{1b}[32m", "").replace("\u{1b}[0m", "");
    assert_eq!(plain, wanted);
}

#[test]
fn on_40_columns_what_does_not_fit_goes_on_below() {
    let shown = page(vec![incident(11, Some(60), &["db"], "refused")], Source::Monitor { pid: 1 }, 40, false);
    let wanted = "\
● 11  error  from 11:57:00, over
    after 2 min
    ● db  crashed: refused
in 24 h: 1 incident, MTTR 2 min, MTBF
  23 h 58 min, longest 2 min
    db: 1 failure, MTTR 2 min, MTBF 23
      h 58 min, longest 2 min
";
    assert!(shown == wanted, "wanted:\n{wanted}\nshown:\n{shown}");
}

#[test]
fn it_is_said_that_no_monitor_runs_and_that_nothing_was_wrong() {
    let left = "no monitor runs: this is what the last one left behind\nno incidents\n";
    assert_eq!(page(Vec::new(), Source::Direct, 80, false), left);
    assert_eq!(page(Vec::new(), Source::Monitor { pid: 1 }, 80, false), "no incidents\n");
}

#[test]
fn of_very_many_it_is_said_how_many_more_there_are() {
    let names: Vec<String> = (0..50).map(|number| format!("service-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown = page(vec![incident(1, None, &names, "x")], Source::Monitor { pid: 1 }, 80, false);
    assert!(shown.contains("\n    and 30 more\nin 24 h: 1 incident, 1 open, "), "{shown}");
    assert!(shown.ends_with("\n    and 45 more\n") && shown.lines().count() == 29, "{shown}");
}

#[test]
fn nothing_is_obeyed_or_too_wide() {
    for text in hostile_texts() {
        let mut hostile = incident(u64::MAX, None, &[text.as_str()], &text);
        hostile.acknowledged = Some(Acknowledgement { author: text.clone(), at: now() });
        for columns in [40, 57, 80, 200] {
            for line in page(vec![hostile.clone()], Source::Monitor { pid: 1 }, columns, false).lines() {
                assert!(width(line) <= columns, "{} columns in {columns}: {line:?}", width(line));
                assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
        }
    }
}

#[test]
fn programs_get_all_of_it() {
    let (list, mut out) = (list(Source::Direct, some()), Vec::new());
    json::write_incidents(&list, false, &mut out).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&shown["source"], &shown["schema_version"]), (&"state.db".into(), &1.into()));
    let [open, over] = [&shown["incidents"][0], &shown["incidents"][1]];
    assert_eq!((&open["id"], &open["worst"], &open["resolved"]), (&12.into(), &"error".into(), &().into()));
    assert_eq!(
        (&open["acknowledged"]["author"], &open["subjects"][0]["cause"]),
        (&"ann".into(), &"crashed".into())
    );
    assert_eq!(over["resolved"], "2025-06-01T11:59:00Z");
    assert_eq!((&open["duration_s"], &over["duration_s"]), (&().into(), &120.0.into()));
    let repairs = &shown["repairs"];
    assert_eq!((&repairs["count"], &repairs["open"]), (&2.into(), &1.into()));
    assert_eq!((&repairs["mttr_s"], &repairs["mtbf_s"]), (&120.0.into(), &((86_400.0 - 180.0) / 2.0).into()));
    let camera = &repairs["by_subject"][0];
    assert_eq!(
        (&camera["name"], &camera["longest_s"], &camera["mttr_s"]),
        (&"camera".into(), &180.0.into(), &().into())
    );
}
