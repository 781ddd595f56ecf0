//! The mail itself.

use super::super::plain_text::{clean, cut, short_line};
use super::Settings;
use super::conversation::Fault;
use base64::prelude::{BASE64_STANDARD, Engine};
use health_reporter::Status;
use healthcheck_core::alerts::Notice;
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart};

/// What phones show of it, and some more.
const SUBJECT_BYTES: usize = 250;
/// No notice is as long.
const TEXT_BYTES: usize = 256 * 1024;
/// An encoded word has at most 75 characters.
const WORD_BYTES: usize = 42;
const ID_CHARS: usize = 120;

pub(super) fn mail(notice: &Notice, settings: &Settings) -> Result<Vec<u8>, Fault> {
    let unusable = |problem: String| Fault::lasting(format!("no mail can be made: {problem}"));
    let mailbox = |address: &String| {
        let parsed = address.parse().map_err(|error| unusable(format!("{address}: {error}")))?;
        Ok::<_, Fault>(Mailbox::new(None, parsed))
    };
    let mut builder = headers(notice).from(mailbox(&settings.from)?);
    for to in &settings.to {
        builder = builder.to(mailbox(to)?);
    }
    let text = cut(&clean(&notice.text), TEXT_BYTES, char::len_utf8).into_owned();
    let bodies = MultiPart::alternative_plain_html(text.clone(), html(&text, notice));
    let mail = builder.multipart(bodies).map_err(|error| unusable(error.to_string()))?;
    Ok(mail.formatted())
}

/// The first of a thread refers to it as well: what refers to the same belongs together, also where the first is lost.
fn headers(notice: &Notice) -> MessageBuilder {
    let host = id_part(&notice.host, "localhost");
    let thread = format!("<{}@{host}>", id_part(&notice.thread, "thread"));
    let (x_priority, importance) = urgency(notice.status);
    let mut builder = Message::builder()
        .date_now()
        .raw_header(subject(&short_line(&notice.title, SUBJECT_BYTES)))
        .message_id(Some(format!("<{}@{host}>", id_part(&notice.id, "notice"))))
        .in_reply_to(thread.clone())
        .references(thread);
    for (name, value) in
        [("Auto-Submitted", "auto-generated"), ("X-Priority", x_priority), ("Importance", importance)]
    {
        let name = HeaderName::new_from_ascii_str(name);
        builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
    }
    builder
}

/// What only looks encoded would be decoded where it is read, to whatever a service likes: it is encoded once more.
fn subject(text: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str("Subject");
    if !text.contains("=?") {
        return HeaderValue::new(name, text.to_owned());
    }
    let (mut words, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD_BYTES));
        words.push(format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
        rest = after;
    }
    HeaderValue::dangerous_new_pre_encoded(name, text.to_owned(), words.join("\r\n "))
}

const fn urgency(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Fatal => ("1", "high"),
        Status::Error => ("2", "high"),
        Status::Warning | Status::Healthy => ("3", "normal"),
        Status::Unknown => ("5", "low"),
    }
}

fn id_part(text: &str, otherwise: &str) -> String {
    let known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let part: String = text.chars().filter(known).take(ID_CHARS).collect();
    let part = part.trim_matches('.').replace("..", ".");
    if part.is_empty() { otherwise.to_owned() } else { part }
}

/// The same text; nothing in it is fetched from anywhere.
fn html(text: &str, notice: &Notice) -> String {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let color = match notice.status {
        Status::Fatal | Status::Error => "#b00020",
        Status::Warning => "#8a5a00",
        Status::Healthy => "#1b6e2c",
        Status::Unknown => "#444444",
    };
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n\
         <p style=\"color:{color};font-weight:bold\">{}</p>\n\
         <pre style=\"white-space:pre-wrap;font-family:inherit\">{}</pre>\n</body></html>\n",
        escaped(first),
        escaped(rest)
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
