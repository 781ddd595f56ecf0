use super::*;
use crate::render::json;
use crate::render::samples::{hostile_texts, now, silence};

fn page(silences: Vec<Silence>, columns: usize) -> String {
    let (list, mut out) = (Silences { source: Source::Monitor { pid: 1 }, at: now(), silences }, Vec::new());
    write(&list, Surface { columns, colour: false }, &TimeZone::UTC, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn until_when_by_whom_and_why() {
    let silences =
        vec![silence(3, "camera*", "a new disk", None), silence(12, "db", "", Some("pg_upgrade (pid 42)"))];
    let wanted = "\
3   camera*  until 13:30:00             ann: a new disk
12  db       while pg_upgrade (pid 42)  ann
";
    assert_eq!(page(silences, 80), wanted);
    assert_eq!(page(Vec::new(), 80), "nothing is muted\n");
}

#[test]
fn nothing_is_obeyed_or_too_wide() {
    for text in hostile_texts() {
        for columns in [40, 80] {
            let shown =
                page(vec![silence(1, &text, &text, Some(&text)), silence(2, "x", "y", None)], columns);
            for line in shown.lines() {
                assert!(width(line) <= columns, "{line:?}");
                assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
        }
    }
}

#[test]
fn programs_get_all_of_it() {
    let silences = vec![silence(3, "camera*", "a new disk", None)];
    let (list, mut out) = (Silences { source: Source::Direct, at: now(), silences }, Vec::new());
    json::write_silences(&list, false, &mut out).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let muted = &shown["silences"][0];
    assert_eq!((&shown["source"], &muted["pattern"]), (&"state.db".into(), &"camera*".into()));
    assert_eq!((&muted["until"], &muted["author"]), (&"2025-06-01T13:30:00Z".into(), &"ann".into()));
}
