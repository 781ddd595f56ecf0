//! Slack, and what takes its incoming webhooks: blocks of plain text.

use super::Channel;
use super::http::{Client, Request};
use super::plain_text::{clean, cut, line};
use crate::secret::Secret;
use healthcheck_core::alerts::{Notice, Outcome};
use serde_json::{Value, json};
use ureq::http::Method;

/// In characters.
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3_000;
/// Of the 50 blocks that are taken, far fewer are read.
const MAX_SECTIONS: usize = 4;
const MAX_FALLBACK: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Slack {
    url: Secret,
    client: Client,
}

impl Slack {
    pub(crate) fn new(url: Secret, client: Client) -> Self {
        Self { url, client }
    }
}

impl Channel for Slack {
    fn send(&mut self, notice: &Notice) -> Outcome {
        let (url, message) = (self.url.clone(), message(notice));
        let request =
            move || Ok(Request::to_secret(Method::POST, &url)?.login_keys("url_file").json(&message));
        self.client.send(request)
    }
}

fn message(notice: &Notice) -> Value {
    let (title, text) = (line(&notice.title), clean(&notice.text));
    let header = json!({"type": "header", "text": plain(&title, MAX_HEADER)});
    let mut blocks = vec![header];
    blocks.extend(sections(text.trim()));
    json!({
        // What is shown on the phone; the only part that Slack would read as markup.
        "text": escaped(&cut(&title, MAX_FALLBACK, weight)),
        "mrkdwn": false,
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// The text in as many sections as it needs, broken at the end of a line where there is one.
fn sections(text: &str) -> Vec<Value> {
    let (mut rest, mut sections) = (text, Vec::new());
    while !rest.is_empty() && sections.len() < MAX_SECTIONS {
        let is_last = sections.len() + 1 == MAX_SECTIONS;
        let end = if is_last { rest.len() } else { end_of_section(rest) };
        sections.push(json!({"type": "section", "text": plain(&rest[..end], MAX_SECTION)}));
        rest = rest[end..].trim_start_matches('\n');
    }
    sections
}

fn end_of_section(text: &str) -> usize {
    let mut room = MAX_SECTION;
    let full = text.char_indices().find(|(_, c)| {
        let weight = weight(*c);
        room.checked_sub(weight).map(|left| room = left).is_none()
    });
    let Some((end, _)) = full else { return text.len() };
    text[..end].rfind('\n').filter(|at| *at > 0).unwrap_or(end)
}

/// No markup, no mentions and no links by markup; `:names:` of pictures stay what they are.
fn plain(text: &str, limit: usize) -> Value {
    json!({"type": "plain_text", "text": escaped(&cut(text, limit, weight)), "emoji": false})
}

/// What Slack asks for, also in plain text: nothing is left that it would take for a mention or a link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// In characters, as it is written.
fn weight(c: char) -> usize {
    match c {
        '&' => 5,
        '<' | '>' => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_in_few_sections_that_end_with_lines() {
        let text = "<&> a line of it\n".repeat(2_000);
        let sections = sections(&text);
        assert_eq!(sections.len(), MAX_SECTIONS);
        for (n, section) in sections.iter().enumerate() {
            let text = section["text"]["text"].as_str().unwrap();
            assert!(text.chars().count() <= MAX_SECTION && text.starts_with("&lt;&amp;&gt; a line"));
            assert_eq!(text.ends_with('…'), n + 1 == MAX_SECTIONS, "only the end is cut");
        }
        assert_eq!(super::sections(&"x".repeat(3_001)).len(), 2);
        assert_eq!(super::sections("").len(), 0);
    }
}
