//! `[channels.NAME]`: how somebody is told. Secrets are named by the file that has them, and are not read here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{HostPort, Url, host_port, url};
use super::argv::{command, filled, path, text};
use super::name;
use super::problems::Scope;
use super::raw::RawChannel;

const NTFY_SERVER: &str = "https://ntfy.sh";
const HTTP: [&str; 2] = ["https", "http"];

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    #[default]
    Starttls,
    Implicit,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum ChannelSettings {
    Ntfy(NtfySettings),
    Webhook(WebhookSettings),
    Telegram(TelegramSettings),
    Slack { url_file: PathBuf },
    Discord { url_file: PathBuf },
    Email(EmailSettings),
    Command { command: Vec<String> },
    Log { path: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NtfySettings {
    pub(crate) server: Url,
    pub(crate) topic: String,
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WebhookSettings {
    #[serde(flatten)]
    pub(crate) target: WebhookTarget,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) auth_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum WebhookTarget {
    #[serde(rename = "url")]
    Url(Url),
    #[serde(rename = "url_file")]
    File(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TelegramSettings {
    pub(crate) token_file: PathBuf,
    pub(crate) chat_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EmailSettings {
    pub(crate) server: HostPort,
    pub(crate) tls: Tls,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    #[serde(flatten)]
    pub(crate) login: Option<Login>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password_file: PathBuf,
}

pub(super) fn channels(
    at: &Scope<'_>,
    raw: BTreeMap<String, RawChannel>,
) -> BTreeMap<String, ChannelSettings> {
    let named = raw.into_iter().filter(|(name, _)| name::check_key(at, name));
    named.filter_map(|(name, raw)| Some((name.clone(), channel(&at.key(&name), raw)?))).collect()
}

fn channel(at: &Scope<'_>, raw: RawChannel) -> Option<ChannelSettings> {
    match raw {
        RawChannel::Ntfy { .. } => ntfy(at, raw).map(ChannelSettings::Ntfy),
        RawChannel::Webhook { .. } => webhook(at, raw).map(ChannelSettings::Webhook),
        RawChannel::Telegram { token_file, chat_id } => {
            let token_file = path(&at.key("token_file"), token_file);
            let chat_id = text(&at.key("chat_id"), chat_id);
            Some(ChannelSettings::Telegram(TelegramSettings { token_file: token_file?, chat_id: chat_id? }))
        }
        RawChannel::Slack { url_file } => {
            path(&at.key("url_file"), url_file).map(|url_file| ChannelSettings::Slack { url_file })
        }
        RawChannel::Discord { url_file } => {
            path(&at.key("url_file"), url_file).map(|url_file| ChannelSettings::Discord { url_file })
        }
        RawChannel::Email { .. } => email(at, raw).map(ChannelSettings::Email),
        RawChannel::Command { command: argv } => {
            command(&at.key("command"), argv).map(|command| ChannelSettings::Command { command })
        }
        RawChannel::Log { path: file } => {
            path(&at.key("path"), file).map(|path| ChannelSettings::Log { path })
        }
    }
}

fn ntfy(at: &Scope<'_>, raw: RawChannel) -> Option<NtfySettings> {
    let RawChannel::Ntfy { server, topic, token_file } = raw else { return None };
    let server = url(&at.key("server"), server.as_deref().unwrap_or(NTFY_SERVER), &HTTP);
    let topic = topic.and_then(|topic| ntfy_topic(&at.key("topic"), topic));
    let token_file = path(&at.key("token_file"), token_file);
    Some(NtfySettings { server: server?, topic: topic?, token_file })
}

/// What ntfy accepts: the topic is a part of its URLs.
fn ntfy_topic(at: &Scope<'_>, topic: String) -> Option<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if topic.is_empty() || topic.len() > 64 || !topic.chars().all(known) {
        at.refuse(&topic, "is not a topic", "write 1 to 64 of A-Z a-z 0-9 _ -");
        return None;
    }
    Some(topic)
}

fn webhook(at: &Scope<'_>, raw: RawChannel) -> Option<WebhookSettings> {
    let RawChannel::Webhook { url: address, url_file, secret_file, auth_file } = raw else { return None };
    let secret_file = path(&at.key("secret_file"), secret_file);
    let auth_file = path(&at.key("auth_file"), auth_file);
    let target = match (address, url_file) {
        (Some(address), None) => url(&at.key("url"), &address, &HTTP).map(WebhookTarget::Url),
        (None, Some(file)) => path(&at.key("url_file"), Some(file)).map(WebhookTarget::File),
        (None, None) => {
            at.key("url").refuse_unshown("is missing", "write url, or url_file where the URL is a secret");
            None
        }
        (Some(_), Some(_)) => {
            at.key("url").refuse_unshown("is there beside url_file", "keep one of them");
            None
        }
    };
    Some(WebhookSettings { target: target?, secret_file, auth_file })
}

fn email(at: &Scope<'_>, raw: RawChannel) -> Option<EmailSettings> {
    let RawChannel::Email { server, tls, from, to, user, password_file } = raw else { return None };
    let server = server.and_then(|text| host_port(&at.key("server"), &text, "mail.example.org:587"));
    let from = from.and_then(|from| mailbox(&at.key("from"), from));
    let to = receivers(&at.key("to"), to);
    let login = login(at, user, password_file);
    let tls = tls.unwrap_or_default();
    if login.is_some() && tls == Tls::None {
        at.key("tls").refuse(
            "none",
            "would send the password unencrypted",
            "write \"starttls\" or \"implicit\"",
        );
    }
    Some(EmailSettings { server: server?, tls, from: from?, to: to?, login })
}

fn receivers(at: &Scope<'_>, raw: Option<Vec<String>>) -> Option<Vec<String>> {
    let written = filled(at, raw)?;
    let checked: Vec<_> = written.into_iter().enumerate().map(|(i, to)| mailbox(&at.index(i), to)).collect();
    checked.into_iter().collect()
}

/// Enough to keep other header lines out; the mail server knows better whether it exists.
fn mailbox(at: &Scope<'_>, text: String) -> Option<String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '<' | '>' | '"');
    let parts = text.rsplit_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !parts || text.contains(odd) {
        at.refuse(&text, "is not a mail address", "write it like \"me@example.org\"");
        return None;
    }
    Some(text)
}

fn login(at: &Scope<'_>, user: Option<String>, password_file: Option<String>) -> Option<Login> {
    if user.is_some() != password_file.is_some() {
        let missing = if user.is_some() { "password_file" } else { "user" };
        at.key(missing)
            .refuse_unshown("is missing", "write user and password_file together, or none of them");
    }
    let user = text(&at.key("user"), user);
    let password_file = path(&at.key("password_file"), password_file);
    Some(Login { user: user?, password_file: password_file? })
}
