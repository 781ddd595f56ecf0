//! Notices for tests, harmless and hostile ones.

use health_reporter::Status;
use healthcheck_core::alerts::{Item, Notice, NoticeReason};
use healthcheck_core::{Cause, Subject};
use jiff::Timestamp;

pub(super) fn notice() -> Notice {
    let at: Timestamp = "2026-11-22T03:12:00Z".parse().unwrap();
    Notice {
        id: "n-17".to_owned(),
        channel: "c".to_owned(),
        host: "deimos".to_owned(),
        at,
        reason: NoticeReason::Opened,
        status: Status::Error,
        incident: Some(3),
        thread: "i-3".to_owned(),
        title: "deimos: camera is down".to_owned(),
        text: "deimos: camera is down: crashed (signal 9) 3 s ago\nalso affected: recorder".to_owned(),
        items: vec![item("camera", "crashed (signal 9)", at)],
        still_bad: Vec::new(),
        left_out: 0,
    }
}

fn item(name: &str, message: &str, at: Timestamp) -> Item {
    Item {
        subject: Subject::service(name),
        incident: Some(3),
        reason: NoticeReason::Opened,
        status: Status::Error,
        was: Status::Healthy,
        cause: Cause::Crashed,
        message: message.to_owned(),
        since: at,
        until: None,
        affected: vec!["recorder".to_owned()],
        times_today: 0,
    }
}

/// A notice in which a service wrote everything that a service writes.
pub(super) fn saying(text: &str) -> Notice {
    let plain = notice();
    let items = vec![item(text, text, plain.at)];
    let title = format!("deimos: {text} is down");
    Notice { title: title.clone(), text: format!("{title}\n{text}"), items, ..plain }
}

/// What services may write.
pub(super) fn naughty() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "camera\r\nBcc: everybody@example.org\r\n\r\nanother body",
        "camera\nSubject: fooled",
        "\r\n.\r\nMAIL FROM:<a@b>\r\n",
        "..\n.\n..",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "</pre></body>&amp;\"'",
        "abc\u{202e}fdp.exe\u{2066}\u{200f}",
        "nul\u{0}bell\u{7}esc\u{1b}[2Jdel\u{7f}nel\u{85}",
        "=?utf-8?B?ZmFrZQ==?=",
        "=?utf-8?Q?a=0D=0ABcc:_b@c?= and so on, until it is longer than one encoded word may be ÄÖÜ",
        "ÅÄÖ 田中さん 😀👩‍👩‍👧 ﷽ Z͑ͫ̓",
        "$(touch /tmp/pwned)`id`;|&",
        "%s%n%x {{7*7}} ${7*7}",
        "[a](https://evil.example) <https://evil.example|click> @everyone <!channel>",
        "\u{2028}\u{2029}\u{feff}",
        "a\tb",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(5_000));
    texts.push("ä€😀 ".repeat(11_000));
    texts
}
