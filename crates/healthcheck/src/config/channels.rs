//! `[channels.NAME]`: how somebody is told. Secrets are named by the file that has them, and are not read here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{HostPort, Url, host_port, url};
use super::argv::{command, filled, path, text};
use super::hidden::Hidden;
use super::name;
use super::problems::Scope;
use super::raw::RawChannel;

const NTFY_SERVER: &str = "https://ntfy.sh";
/// It takes 250 a day from one address, which machines behind one router share.
const NTFY_SH_BUDGET: u32 = 200;
const MAX_BUDGET: u32 = 10_000;
const TELEGRAM_SERVER: &str = "https://api.telegram.org";
pub(super) const HTTP: [&str; 2] = ["https", "http"];

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tls {
    #[default]
    Starttls,
    Implicit,
    None,
}

/// The shape of the body that a webhook gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebhookFormat {
    #[default]
    Healthcheck,
    Machine,
    Alertmanager,
    ServiceHealth,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum ChannelSettings {
    Ntfy(NtfySettings),
    Webhook(WebhookSettings),
    Telegram(TelegramSettings),
    Slack(HookSettings),
    Discord(HookSettings),
    Email(EmailSettings),
    Command { command: Vec<String> },
    Log { path: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NtfySettings {
    pub(crate) server: Url,
    pub(crate) topic: String,
    #[serde(flatten)]
    pub(crate) access: Option<NtfyAccess>,
    pub(crate) click: Option<Url>,
    pub(crate) ca_file: Option<PathBuf>,
    /// Messages a day; `None` for no bound.
    pub(crate) daily_budget: Option<u32>,
}

/// How one signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum NtfyAccess {
    Token { token_file: PathBuf },
    Basic(Login),
}

impl ChannelSettings {
    /// How many notices it takes a day, where that is bounded.
    pub(crate) const fn daily_budget(&self) -> Option<u32> {
        match self {
            Self::Ntfy(ntfy) => ntfy.daily_budget,
            _ => None,
        }
    }
}

impl NtfySettings {
    /// A topic for everybody.
    pub(super) fn of(server: Url, topic: String) -> Self {
        let is_public = server.authority().eq_ignore_ascii_case("ntfy.sh");
        let daily_budget = is_public.then_some(NTFY_SH_BUDGET);
        Self { server, topic, access: None, click: None, ca_file: None, daily_budget }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WebhookSettings {
    #[serde(flatten)]
    pub(crate) target: WebhookTarget,
    pub(crate) format: WebhookFormat,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) auth_file: Option<PathBuf>,
    /// The value of the `Authorization` header, where the environment has it.
    pub(crate) auth: Option<Hidden>,
    pub(crate) ca_file: Option<PathBuf>,
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
    pub(crate) server: Url,
    pub(crate) ca_file: Option<PathBuf>,
}

/// A webhook whose URL is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HookSettings {
    pub(crate) url_file: PathBuf,
    pub(crate) ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EmailSettings {
    pub(crate) server: HostPort,
    pub(crate) tls: Tls,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    #[serde(flatten)]
    pub(crate) login: Option<Login>,
    pub(crate) ca_file: Option<PathBuf>,
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
        RawChannel::Telegram { .. } => telegram(at, raw).map(ChannelSettings::Telegram),
        RawChannel::Slack { url_file, ca_file } => hook(at, url_file, ca_file).map(ChannelSettings::Slack),
        RawChannel::Discord { url_file, ca_file } => {
            hook(at, url_file, ca_file).map(ChannelSettings::Discord)
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
    let RawChannel::Ntfy { server, topic, token_file, user, password_file, click, ca_file, daily_budget } =
        raw
    else {
        return None;
    };
    let server = ntfy_server(&at.key("server"), server.as_deref());
    let topic = topic.and_then(|topic| ntfy_topic(&at.key("topic"), topic));
    let token_file = path(&at.key("token_file"), token_file);
    let login = login(at, user, password_file);
    if token_file.is_some() && login.is_some() {
        at.key("token_file").refuse_unshown("is there beside user and password_file", "keep one of them");
    }
    let click = click.and_then(|click| url(&at.key("click"), &click, &HTTP));
    let ca_file = path(&at.key("ca_file"), ca_file);
    let budget = budget(&at.key("daily_budget"), daily_budget);
    let access = token_file.map(|token_file| NtfyAccess::Token { token_file });
    let access = access.or(login.map(NtfyAccess::Basic));
    let plain = NtfySettings::of(server?, topic?);
    Some(NtfySettings { access, click, ca_file, daily_budget: budget.or(plain.daily_budget), ..plain })
}

pub(super) fn ntfy_server(at: &Scope<'_>, written: Option<&str>) -> Option<Url> {
    url(at, written.unwrap_or(NTFY_SERVER), &HTTP)
}

fn budget(at: &Scope<'_>, raw: Option<i64>) -> Option<u32> {
    let written = raw?;
    let budget = u32::try_from(written).ok().filter(|budget| (1..=MAX_BUDGET).contains(budget));
    if budget.is_none() {
        at.refuse_plain(written, format!("must be 1 to {MAX_BUDGET}"), "write 200 or another number");
    }
    budget
}

/// What ntfy accepts: the topic is a part of its URLs.
pub(super) fn ntfy_topic(at: &Scope<'_>, topic: String) -> Option<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if topic.is_empty() || topic.len() > 64 || !topic.chars().all(known) {
        at.refuse(&topic, "is not a topic", "write 1 to 64 of A-Z a-z 0-9 _ -");
        return None;
    }
    Some(topic)
}

fn webhook(at: &Scope<'_>, raw: RawChannel) -> Option<WebhookSettings> {
    let RawChannel::Webhook { url: address, url_file, secret_file, auth_file, format, ca_file } = raw else {
        return None;
    };
    let ca_file = path(&at.key("ca_file"), ca_file);
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
    let format = format.unwrap_or_default();
    Some(WebhookSettings { target: target?, format, secret_file, auth_file, auth: None, ca_file })
}

fn telegram(at: &Scope<'_>, raw: RawChannel) -> Option<TelegramSettings> {
    let RawChannel::Telegram { token_file, chat_id, server, ca_file } = raw else { return None };
    let token_file = path(&at.key("token_file"), token_file);
    let chat_id = text(&at.key("chat_id"), chat_id);
    let server = url(&at.key("server"), server.as_deref().unwrap_or(TELEGRAM_SERVER), &HTTP);
    let ca_file = path(&at.key("ca_file"), ca_file);
    Some(TelegramSettings { token_file: token_file?, chat_id: chat_id?, server: server?, ca_file })
}

fn hook(at: &Scope<'_>, url_file: Option<String>, ca_file: Option<String>) -> Option<HookSettings> {
    let url_file = path(&at.key("url_file"), url_file);
    let ca_file = path(&at.key("ca_file"), ca_file);
    Some(HookSettings { url_file: url_file?, ca_file })
}

fn email(at: &Scope<'_>, raw: RawChannel) -> Option<EmailSettings> {
    let RawChannel::Email { server, tls, from, to, user, password_file, ca_file } = raw else { return None };
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
    let ca_file = path(&at.key("ca_file"), ca_file);
    if ca_file.is_some() && tls == Tls::None {
        at.key("ca_file")
            .refuse_unshown("is of no use without encryption", "leave it out, or write another tls");
    }
    Some(EmailSettings { server: server?, tls, from: from?, to: to?, login, ca_file })
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
