//! ntfy: pushes to phones; and its scheduled messages, which are the dead-man's switch.

use super::http::{Client, Request, is_no_page};
use super::plain_text::{clean, cut, line, short_line};
use super::{Channel, failed};
use crate::secret::{Secret, Url};
use health_reporter::Status;
use healthcheck_core::alerts::{Notice, NoticeReason, Outcome};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use ureq::http::Method;

/// What is longer becomes an attachment, or is refused.
const MAX_MESSAGE_BYTES: usize = 4_096;
/// What the server reads of the JSON around it.
const MAX_BODY_BYTES: usize = 2 * MAX_MESSAGE_BYTES;
const MAX_TITLE_BYTES: usize = 250;
const MAX_CLICK_BYTES: usize = 1_024;
const MAX_SEQUENCE_ID: usize = 64;
const DELAYS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3 * 24 * 60 * 60));
const LOGIN_KEYS: &str = "topic, token_file, user and password_file";

#[derive(Debug)]
pub(crate) struct Settings {
    /// `https://ntfy.sh`, without a topic.
    pub(crate) server: Url,
    /// Whoever knows it can listen and write, where no login is asked for.
    pub(crate) topic: Secret,
    pub(crate) login: Option<Login>,
    /// What is opened when somebody taps the message.
    pub(crate) click: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Login {
    Token(Secret),
    Password { user: String, password: Secret },
}

#[derive(Debug)]
pub(crate) struct Ntfy {
    settings: Arc<Settings>,
    client: Client,
}

impl Ntfy {
    pub(crate) fn new(settings: Settings, client: Client) -> Self {
        Self { settings: Arc::new(settings), client }
    }

    /// A message that comes when so much time has passed, unless it is scheduled anew or cancelled before that. It
    /// takes the place of what was scheduled or shown under the same id.
    pub(crate) fn schedule(&self, sequence_id: &str, delay: Duration, title: &str, message: &str) -> Outcome {
        let delay = delay.clamp(DELAYS.0, DELAYS.1).as_secs();
        let card = json!({
            "sequence_id": usable_id(sequence_id),
            "title": short_line(title, MAX_TITLE_BYTES),
            "priority": 5,
            "tags": ["skull"],
            "delay": format!("{delay}s"),
        });
        self.publish(card, message)
    }

    /// Takes back what is scheduled under an id, or shown.
    pub(crate) fn cancel(&self, sequence_id: &str) -> Outcome {
        let (settings, id) = (self.settings.clone(), usable_id(sequence_id));
        self.client.send(move || {
            let topic = settings.topic.read().map_err(failed)?;
            let request = Request::to(Method::DELETE, &settings.url(&format!("{topic}/{id}")))?;
            settings.logged_in(request.hiding(&topic))
        })
    }

    fn publish(&self, mut card: Value, message: &str) -> Outcome {
        let (settings, message) = (self.settings.clone(), message.to_owned());
        self.client.send(move || {
            let topic = settings.topic.read().map_err(failed)?;
            card["topic"] = Value::from(topic.as_str());
            let request = Request::to(Method::POST, &settings.url(""))?.json(&with_message(card, &message));
            settings.logged_in(request.hiding(&topic).known_by(is_no_page))
        })
    }
}

impl Settings {
    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.server.0.trim_end_matches('/'))
    }

    fn logged_in(&self, request: Request) -> Result<Request, Outcome> {
        let request = request.login_keys(LOGIN_KEYS);
        match &self.login {
            None => Ok(request),
            Some(Login::Token(token)) => {
                let token = token.read().map_err(failed)?;
                Ok(request.hiding(&token).header("authorization", format!("Bearer {token}")))
            }
            Some(Login::Password { user, password }) => {
                Ok(request.logging_in(user, &password.read().map_err(failed)?))
            }
        }
    }

    fn card(&self, notice: &Notice) -> Value {
        let mut card = json!({
            "sequence_id": usable_id(&notice.thread),
            "title": short_line(&notice.title, MAX_TITLE_BYTES),
            "priority": priority(notice),
            "tags": [emoji(notice.status), notice.reason.as_str()],
        });
        // One that is cut leads elsewhere.
        if let Some(click) = self.click.as_ref().filter(|click| click.len() <= MAX_CLICK_BYTES) {
            card["click"] = Value::from(line(click));
        }
        card
    }
}

impl Channel for Ntfy {
    fn send(&mut self, notice: &Notice) -> Outcome {
        self.publish(self.settings.card(notice), &notice.text)
    }
}

fn priority(notice: &Notice) -> u8 {
    match notice.status {
        _ if notice.reason == NoticeReason::Healed => 2,
        Status::Healthy | Status::Unknown => 2,
        Status::Warning => 3,
        Status::Error => 4,
        Status::Fatal => 5,
    }
}

/// Names that ntfy shows as pictures.
fn emoji(status: Status) -> &'static str {
    match status {
        Status::Healthy => "white_check_mark",
        Status::Unknown => "grey_question",
        Status::Warning => "warning",
        Status::Error => "x",
        Status::Fatal => "rotating_light",
    }
}

/// With as much of a message as the server takes, in itself and with what JSON makes of it.
fn with_message(mut body: Value, message: &str) -> Value {
    let message = clean(message);
    body["message"] = Value::from("");
    let room = MAX_BODY_BYTES.saturating_sub(body.to_string().len());
    let written =
        cut(message.trim(), room, |c| if matches!(c, '"' | '\\' | '\n') { 2 } else { c.len_utf8() });
    body["message"] = Value::from(cut(&written, MAX_MESSAGE_BYTES, char::len_utf8));
    body
}

/// An id that ntfy takes: itself wherever it can be.
fn usable_id(id: &str) -> String {
    let is_taken = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !id.is_empty() && id.len() <= MAX_SEQUENCE_ID && id.chars().all(is_taken) {
        return id.to_owned();
    }
    let hash = digest(&SHA256, id.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_so_that_the_server_takes_all_of_it() {
        for text in ["\"\n".repeat(50_000), "日".repeat(5_000), "x".repeat(4_096), "😀".repeat(1_025)] {
            let body = with_message(json!({"topic": "t", "title": "x".repeat(250)}), &text);
            let message = body["message"].as_str().unwrap();
            assert!(message.len() <= MAX_MESSAGE_BYTES && body.to_string().len() <= MAX_BODY_BYTES);
            assert!(
                message.len() > 3_800 && (message == text || message.ends_with('…')),
                "{}",
                message.len()
            );
        }
    }

    #[test]
    fn an_id_is_one_that_the_server_takes() {
        assert_eq!(usable_id("incident-7_a"), "incident-7_a");
        for id in ["", "a/b", "../x", "ß", &"x".repeat(65)] {
            let usable = usable_id(id);
            assert!(usable.len() == 64 && usable.chars().all(|c| c.is_ascii_hexdigit()), "{usable}");
        }
        assert_ne!(usable_id("a/b"), usable_id("a/c"));
    }
}
