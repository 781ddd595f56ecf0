//! Telegram: a message of a bot, as plain text. Its markup breaks on what services write.

use super::http::{Client, Request, is_no_page};
use super::plain_text::{clean, cut, line};
use super::{Channel, failed};
use crate::secret::{Secret, Url};
use health_reporter::Status;
use healthcheck_core::alerts::{Notice, Outcome};
use serde_json::{Value, json};
use std::sync::Arc;
use ureq::http::Method;

/// In UTF-16 units.
const MAX_TEXT_UNITS: usize = 4_096;
const MAX_TITLE_UNITS: usize = 256;

#[derive(Debug)]
pub(crate) struct Settings {
    /// `https://api.telegram.org`, or one of one's own.
    pub(crate) server: Url,
    pub(crate) token: Secret,
    /// A number, or the name of a public channel.
    pub(crate) chat_id: String,
}

#[derive(Debug)]
pub(crate) struct Telegram {
    settings: Arc<Settings>,
    client: Client,
}

impl Telegram {
    pub(crate) fn new(settings: Settings, client: Client) -> Self {
        Self { settings: Arc::new(settings), client }
    }
}

impl Channel for Telegram {
    fn send(&mut self, notice: &Notice) -> Outcome {
        let (settings, message) = (self.settings.clone(), message(notice, &self.settings.chat_id));
        self.client.send(move || Ok(request(&settings)?.json(&message)))
    }
}

fn request(settings: &Settings) -> Result<Request, Outcome> {
    let token = settings.token.read().map_err(failed)?;
    if !token.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_')) {
        let file = &settings.token;
        return Err(failed(format!("{file}: it has no token in it: it must be as BotFather gave it")));
    }
    let url = format!("{}/bot{token}/sendMessage", settings.server.0.trim_end_matches('/'));
    let request = Request::to(Method::POST, &url)?.hiding(&token);
    // The part behind the colon is the secret proper.
    let secret = token.split_once(':').map_or(token.as_str(), |(_, secret)| secret);
    Ok(request.hiding(secret).login_keys("token_file and chat_id").known_by(is_of_telegram))
}

fn is_of_telegram(answer: &[u8]) -> bool {
    let is_no = |answer: &Value| answer.get("ok") == Some(&Value::Bool(false));
    is_no_page(answer) && !serde_json::from_slice(answer).as_ref().is_ok_and(is_no)
}

fn message(notice: &Notice, chat_id: &str) -> Value {
    let (title, text) = (line(&notice.title), clean(&notice.text));
    let title = cut(title.trim(), MAX_TITLE_UNITS, char::len_utf16);
    let text = text.trim();
    let whole = if text.starts_with(&*title) { text.to_owned() } else { format!("{title}\n{text}") };
    let mut message = json!({
        "chat_id": chat_id,
        "text": cut(whole.trim(), MAX_TEXT_UNITS, char::len_utf16),
        "link_preview_options": {"is_disabled": true},
        "disable_notification": matches!(notice.status, Status::Healthy | Status::Unknown),
    });
    // An empty one would be refused.
    if !title.is_empty() {
        message["entities"] = json!([{"type": "bold", "offset": 0, "length": title.encode_utf16().count()}]);
    }
    message
}
