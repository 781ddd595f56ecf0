//! Discord: a message of a webhook, in which nothing that services wrote is markup or calls somebody.

use super::Channel;
use super::http::{Client, Request, is_no_page};
use super::plain_text::{clean, cut, line};
use crate::secret::Secret;
use health_reporter::Status;
use healthcheck_core::alerts::{Notice, Outcome};
use serde_json::{Value, json};
use ureq::http::Method;

const MAX_CONTENT: usize = 2_000;
const MAX_DESCRIPTION: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Discord {
    url: Secret,
    client: Client,
}

impl Discord {
    pub(crate) fn new(url: Secret, client: Client) -> Self {
        Self { url, client }
    }
}

impl Channel for Discord {
    fn send(&mut self, notice: &Notice) -> Outcome {
        let (url, message) = (self.url.clone(), message(notice));
        self.client.send(move || {
            let request = Request::to_secret(Method::POST, &url)?;
            // Only whoever waits is told that the message is kept.
            Ok(request.query("wait=true").login_keys("url_file").known_by(is_no_page).json(&message))
        })
    }
}

fn message(notice: &Notice) -> Value {
    let (title, text) = (line(&notice.title), clean(&notice.text));
    let mut message = json!({
        "content": escaped(&cut(title.trim(), MAX_CONTENT, weight)),
        "allowed_mentions": {"parse": []},
    });
    if text.trim() != title.trim() && !text.trim().is_empty() {
        message["embeds"] = json!([{
            "description": escaped(&cut(text.trim(), MAX_DESCRIPTION, weight)),
            "color": colour(notice.status),
            "timestamp": notice.at,
        }]);
    }
    message
}

fn colour(status: Status) -> u32 {
    match status {
        Status::Healthy => 0x2e_a0_43,
        Status::Unknown => 0x8b_94_9e,
        Status::Warning => 0xd2_99_22,
        Status::Error => 0xda_36_33,
        Status::Fatal => 0x8e_15_19,
    }
}

/// Discord shows any sign behind a backslash as itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for c in text.chars() {
        if c.is_ascii_punctuation() && !is_harmless(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Signs that mean nothing in its markup, and are in nearly every line.
fn is_harmless(c: char) -> bool {
    matches!(c, ',' | ';' | '\'' | '"' | '%' | '=' | '?' | '$' | '&' | '^' | '/')
}

/// As it is written.
fn weight(c: char) -> usize {
    c.len_utf16() + usize::from(c.is_ascii_punctuation() && !is_harmless(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_weighs_what_was_counted() {
        let text = "**bold** [a](https://b) <@1> @everyone `x` # 1. - > \\ ||s|| _u_ ~~d~~ :skull: 50 %";
        assert_eq!(escaped(text).encode_utf16().count(), text.chars().map(weight).sum::<usize>());
        assert_eq!(escaped("*a* <@1>"), "\\*a\\* \\<\\@1\\>");
    }
}
