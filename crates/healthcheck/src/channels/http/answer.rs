//! What an answer means for what was sent, in words that have no secret in them.

use crate::channels::plain_text::{ERROR_BYTES, WORDS_BYTES, line, short_line};
use crate::channels::{failed, refused};
use crate::secret::masked;
use healthcheck_core::alerts::Outcome;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use std::time::Duration;
use ureq::http::HeaderMap;

const MAX_WAIT: Duration = Duration::from_secs(60 * 60);
/// Where servers say what is wrong.
const WORDS_AT: [&str; 7] =
    ["/error", "/error/message", "/description", "/message", "/detail", "/errors/0/message", "/title"];
/// Where they say how long they want to be left alone, in seconds: Discord, Telegram.
const WAIT_AT: [&str; 2] = ["/retry_after", "/parameters/retry_after"];
/// What ntfy says when no message is left for today; it does not say until when.
const NTFY_DAY_IS_FULL: u64 = 42_908;

pub(super) fn outcome(status: u16, headers: &HeaderMap, body: &[u8], request: &About<'_>) -> Outcome {
    let About { login_keys, is_known, secrets } = request;
    let words = words(body, secrets);
    match status {
        200..=299 if is_known.is_none_or(|is_known| is_known(body)) => Outcome::Accepted,
        200..=299 => {
            failed(format!("it accepts what it does not know ({status}): is this the right server?{words}"))
        }
        300..=399 => refused(format!(
            "it redirects ({status}), and redirects are not followed: name the address that it leads to"
        )),
        401 | 403 => refused(format!("it refuses us ({status}): check {login_keys}{words}")),
        404 => refused(format!("nothing is there (404): check the address and {login_keys}{words}")),
        410 => refused(format!("the receiver wants no more (410){words}")),
        407 => refused("the proxy refuses us (407): check its user and password"),
        408 | 425 | 429 | 500..=599 => Outcome::Failed {
            error: format!("{} ({status}){words}", temporary(status)),
            retry_after: retry_after(headers, body),
        },
        _ => refused(format!("it refuses it ({status}){words}")),
    }
}

/// What an answer is measured by.
pub(super) struct About<'a> {
    pub(super) login_keys: &'static str,
    pub(super) is_known: Option<fn(&[u8]) -> bool>,
    pub(super) secrets: &'a [String],
}

fn temporary(status: u16) -> &'static str {
    match status {
        408 => "we were too slow for it",
        425 => "it is too early for it",
        429 => "too many requests for it",
        503 => "it is not available",
        _ => "it does not work",
    }
}

/// How long it wants to be left alone, the longest of what it says.
fn retry_after(headers: &HeaderMap, body: &[u8]) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str| text.parse().ok().and_then(bounded_seconds);
    let of_header =
        text("retry-after").and_then(|value| seconds(value).or_else(|| until(value, text("date"))));
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let said = |at: &str| answer.as_ref()?.pointer(at)?.as_f64().and_then(bounded_seconds);
    let of_body = WAIT_AT.into_iter().filter_map(said);
    let code = answer.as_ref().and_then(|answer| answer.pointer("/code")).and_then(Value::as_u64);
    let of_day = (code == Some(NTFY_DAY_IS_FULL)).then_some(MAX_WAIT);
    of_body.chain(of_header).chain(of_day).max()
}

fn bounded_seconds(seconds: f64) -> Option<Duration> {
    let is_one = seconds >= 0.0;
    is_one.then(|| Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64())))
}

/// A date is meant on the clock of the server.
fn until(date: &str, now: Option<&str>) -> Option<Duration> {
    let parser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    let parse = |date: &str| parser.parse_timestamp(date).ok();
    let now = now.and_then(parse).unwrap_or_else(Timestamp::now);
    let wait = parse(date)?.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or_default().min(MAX_WAIT))
}

/// What the server says, as an end of a sentence. A page for a browser says nothing.
fn words(body: &[u8], secrets: &[String]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = match serde_json::from_str::<Value>(&text) {
        Ok(answer) => {
            WORDS_AT.iter().find_map(|at| answer.pointer(at)?.as_str().map(line)).unwrap_or_default()
        }
        Err(_) if text.trim_start().starts_with('<') => String::new(),
        Err(_) => line(&text),
    };
    let said = short_line(masked(&said, secrets).trim(), WORDS_BYTES);
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// The outcome with the place and without the secrets.
pub(super) fn told(outcome: Outcome, place: Option<&str>, secrets: &[String]) -> Outcome {
    let tell = |error: String| {
        let error = short_line(&masked(&error, secrets), ERROR_BYTES);
        place.map_or_else(|| error.clone(), |place| format!("{place}: {error}"))
    };
    match outcome {
        Outcome::Accepted => Outcome::Accepted,
        Outcome::Failed { error, retry_after } => Outcome::Failed { error: tell(error), retry_after },
        Outcome::Refused { error } => Outcome::Refused { error: tell(error) },
    }
}
