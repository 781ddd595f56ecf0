//! Notices for tests, harmless and hostile ones.

use health_reporter::Status;
use healthcheck_core::alerts::{Item, Notice, NoticeReason};
use healthcheck_core::{Cause, Kind, Subject};

pub(super) fn notice() -> Notice {
    Notice {
        id: "9f8e-1".to_owned(),
        channel: "phone".to_owned(),
        host: "deimos".to_owned(),
        at: "2026-11-01T03:12:02Z".parse().unwrap(),
        reason: NoticeReason::Opened,
        status: Status::Error,
        incident: Some(7),
        thread: "deimos-7".to_owned(),
        title: "deimos: camera is down".to_owned(),
        text: "deimos: camera is down: crashed (signal 9)\nalso affected: recorder".to_owned(),
        items: vec![item(Kind::Service, "camera", Status::Error)],
        still_bad: Vec::new(),
        left_out: 0,
    }
}

pub(super) fn item(kind: Kind, name: &str, status: Status) -> Item {
    Item {
        subject: Subject::new(kind, name),
        incident: Some(7),
        reason: NoticeReason::Opened,
        status,
        was: Status::Healthy,
        cause: Cause::Crashed,
        message: "crashed (signal 9)".to_owned(),
        since: "2026-11-01T03:12:00Z".parse().unwrap(),
        until: None,
        affected: vec!["recorder".to_owned()],
        ended: None,
        times_today: 2,
        machine: None,
    }
}

/// A notice in which a service wrote everything that a service writes.
pub(super) fn saying(text: &str) -> Notice {
    let title = format!("deimos: {text} is down");
    let mut item = item(Kind::Service, text, Status::Error);
    item.message = text.to_owned();
    item.affected = vec![text.to_owned()];
    Notice { title: title.clone(), text: format!("{title}\n{text}"), items: vec![item], ..notice() }
}

/// What services may write.
pub(super) fn naughty() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        "  ",
        "camera\r\nBcc: everybody@example.org\r\n\r\nanother body",
        "camera\nSubject: fooled",
        "\r\n.\r\nMAIL FROM:<a@b>\r\n",
        "..\n.\n..",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "</pre></body>&amp;\"'",
        "abc\u{202e}fdp.exe\u{2066}turned\u{2069}\u{200f}\u{200e}\u{61c}",
        "nul\u{0}bell\u{7}esc\u{1b}[2Jdel\u{7f}nel\u{85}csi\u{9b}31m",
        "=?utf-8?B?ZmFrZQ==?=",
        "=?utf-8?Q?a=0D=0ABcc:_b@c?= and so on, until it is longer than one encoded word may be ÄÖÜ",
        "ÅÄÖ 田中さん 😀👩‍👩‍👧 ﷽ Z͑ͫ̓",
        "$(touch /tmp/pwned)`id`;|&",
        "%s%n%x {{7*7}} ${jndi:ldap://x}'; DROP TABLE x;--",
        "@everyone @here <@1> <@&2> <#3> <!channel> <!here|x> <!subteam^S1>",
        "<https://evil.example|your bank> [your bank](https://evil.example)",
        "_*[]()~`>#+-=|{}.!\\ ```code``` ||spoiler|| :skull:",
        "line\r\nX-Injected: yes\r\n\r\nPOST / HTTP/1.1",
        "\"}],\"topic\":\"other\",\"x\":[{\"\\u0000\\ud800",
        "\u{2028}line\u{2029}paragraph\ttab\u{feff}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(5_000));
    texts.push("long \"<&>\" 日本 😀\n".repeat(5_000));
    texts.push("ä€😀 ".repeat(11_000));
    texts
}

/// What nobody should get to see: a control, or a mark that turns the text around.
pub(super) fn is_hidden(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n')
}
