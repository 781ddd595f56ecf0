//! Who is told what, and through which channels: the configuration in the terms of those who decide and of those who send.

use crate::channels::Channel;
use crate::channels::command::{self, Runner};
use crate::channels::discord::Discord;
use crate::channels::email::{self, Email};
use crate::channels::http::{Client, DEADLINE};
use crate::channels::log::{self, Log};
use crate::channels::ntfy::{self, Ntfy};
use crate::channels::ping::Ping;
use crate::channels::slack::Slack;
use crate::channels::telegram::{self, Telegram};
use crate::channels::webhook::{self, Webhook};
use crate::config::{
    ChannelSettings, Config, Day, EmailSettings, Hours as ConfiguredHours, Kind as ConfiguredKind, Level,
    Maintenance, NtfyAccess, NtfySettings, PingTarget, Route as Configured, TelegramSettings, Tls, Url,
    WebhookFormat, WebhookSettings, WebhookTarget,
};
use crate::monitor::dead_man::{Place, Switch};
use crate::secret::{self, Address, Secret};
use crate::sources::machine;
use health_reporter::Status;
use health_reporter::directory::Environment;
use healthcheck_core::Kind;
use healthcheck_core::alerts::{ChannelRules, Hours, MaintenanceWindow, Route, Rules};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where notices go that no channel is there for.
pub(crate) const STDOUT: &str = "stdout";

/// When somebody is told.
pub(crate) fn rules(config: &Config) -> Rules {
    let alerts = &config.alerts;
    Rules {
        host: machine::host_name(),
        grace: alerts.grace,
        group_wait: alerts.group_wait,
        // Leases of machines that fall together end up to an interval apart.
        host_wait: alerts.group_wait
            + config.fleet.etcd.as_ref().map(|etcd| etcd.interval).unwrap_or_default(),
        restart_wait: alerts.restart_wait,
        cooldown: alerts.cooldown,
        reminder: alerts.reminder,
        channels: channel_rules(config),
        maintenance: config.maintenance.iter().map(window).collect(),
        dry_run: alerts.dry_run,
        zone: TimeZone::system(),
    }
}

/// Without any route, everything goes to every channel; without any channel, to the standard output alone.
fn channel_rules(config: &Config) -> BTreeMap<String, ChannelRules> {
    let level = status(config.alerts.level);
    let everything = || vec![Route { kinds: Vec::new(), subjects: Vec::new(), level, quiet: None }];
    if config.channels.is_empty() {
        return [(STDOUT.to_owned(), ChannelRules { routes: everything(), daily_budget: None })].into();
    }
    let routes = |name: &String| match &config.routes[..] {
        [] => everything(),
        routes => routes.iter().filter(|it| it.channels.contains(name)).map(|it| route(it, level)).collect(),
    };
    let rules = config.channels.iter().map(|(name, channel)| {
        (name.clone(), ChannelRules { routes: routes(name), daily_budget: channel.daily_budget() })
    });
    rules.collect()
}

fn route(configured: &Configured, level: Status) -> Route {
    Route {
        kinds: configured.kinds.iter().flatten().map(|kind| self::kind(*kind)).collect(),
        subjects: configured.subjects.clone().unwrap_or_default(),
        level: configured.level.map_or(level, status),
        quiet: configured.quiet.map(hours),
    }
}

fn window(configured: &Maintenance) -> MaintenanceWindow {
    MaintenanceWindow {
        subjects: configured.subjects.clone().unwrap_or_default(),
        days: configured.days.iter().flatten().map(|day| weekday(*day)).collect(),
        hours: hours(configured.hours),
    }
}

const fn hours(configured: ConfiguredHours) -> Hours {
    Hours { from: configured.from, until: configured.until }
}

const fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

const fn kind(kind: ConfiguredKind) -> Kind {
    match kind {
        ConfiguredKind::Service => Kind::Service,
        ConfiguredKind::Zmq => Kind::Zmq,
        ConfiguredKind::Probe => Kind::Probe,
        ConfiguredKind::Resource => Kind::Resource,
        ConfiguredKind::Host => Kind::Host,
        ConfiguredKind::Channel => Kind::Channel,
    }
}

const fn status(level: Level) -> Status {
    match level {
        Level::Healthy => Status::Healthy,
        Level::Unknown => Status::Unknown,
        Level::Warning => Status::Warning,
        Level::Error => Status::Error,
        Level::Fatal => Status::Fatal,
    }
}

/// The channels, ready to send.
pub(crate) fn channels(config: &Config, env: &Environment) -> BTreeMap<String, Box<dyn Channel>> {
    config.channels.iter().map(|(name, settings)| (name.clone(), channel(settings, env))).collect()
}

fn channel(settings: &ChannelSettings, env: &Environment) -> Box<dyn Channel> {
    let client = |ca_file: &Option<PathBuf>| client(env, ca_file.as_ref());
    let hidden = |file: &PathBuf| Secret::File(file.clone());
    match settings {
        ChannelSettings::Ntfy(settings) => Box::new(ntfy(settings, env)),
        ChannelSettings::Webhook(it) => Box::new(Webhook::new(webhook(it), client(&it.ca_file))),
        ChannelSettings::Telegram(it) => Box::new(Telegram::new(telegram(it), client(&it.ca_file))),
        ChannelSettings::Slack(it) => Box::new(Slack::new(hidden(&it.url_file), client(&it.ca_file))),
        ChannelSettings::Discord(it) => Box::new(Discord::new(hidden(&it.url_file), client(&it.ca_file))),
        ChannelSettings::Email(it) => Box::new(Email::new(email(it))),
        ChannelSettings::Command { command } => {
            Box::new(Runner::new(command::Settings { command: command.clone(), timeout: command::TIMEOUT }))
        }
        ChannelSettings::Log { path } => Box::new(Log::new(log::Settings { path: path.clone() })),
    }
}

fn client(env: &Environment, ca_file: Option<&PathBuf>) -> Client {
    Client::new(env, ca_file.cloned(), DEADLINE)
}

fn ntfy(settings: &NtfySettings, env: &Environment) -> Ntfy {
    let login = settings.access.as_ref().map(|access| match access {
        NtfyAccess::Token { token_file } => ntfy::Login::Token(Secret::File(token_file.clone())),
        NtfyAccess::Basic(login) => ntfy::Login::Password {
            user: login.user.clone(),
            password: Secret::File(login.password_file.clone()),
        },
    });
    let settings_of = ntfy::Settings {
        server: secret::Url(settings.server.expose().to_owned()),
        topic: Secret::Value(settings.topic.clone()),
        login,
        click: settings.click.as_ref().map(|url| url.expose().to_owned()),
    };
    Ntfy::new(settings_of, client(env, settings.ca_file.as_ref()))
}

fn webhook(settings: &WebhookSettings) -> webhook::Settings {
    let file = |path: &Option<PathBuf>| path.clone().map(Secret::File);
    let in_environment = settings.auth.as_ref().map(|auth| Secret::Value(auth.expose().to_owned()));
    webhook::Settings {
        url: match &settings.target {
            WebhookTarget::Url(url) => address(url),
            WebhookTarget::File(path) => Address::Hidden(Secret::File(path.clone())),
        },
        secret: file(&settings.secret_file),
        authorization: file(&settings.auth_file).or(in_environment),
        body: match settings.format {
            WebhookFormat::Healthcheck => webhook::Body::Healthcheck,
            WebhookFormat::Machine => webhook::Body::Machine,
            WebhookFormat::Alertmanager => webhook::Body::Alertmanager,
            WebhookFormat::ServiceHealth => webhook::Body::ServiceHealth,
        },
    }
}

fn telegram(settings: &TelegramSettings) -> telegram::Settings {
    telegram::Settings {
        server: secret::Url(settings.server.expose().to_owned()),
        token: Secret::File(settings.token_file.clone()),
        chat_id: settings.chat_id.clone(),
    }
}

fn email(settings: &EmailSettings) -> email::Settings {
    email::Settings {
        server: settings.server.as_str().to_owned(),
        tls: match settings.tls {
            Tls::Starttls => email::Tls::Starttls,
            Tls::Implicit => email::Tls::Implicit,
            Tls::None => email::Tls::None,
        },
        from: settings.from.clone(),
        to: settings.to.clone(),
        login: settings.login.as_ref().map(|login| email::Login {
            user: login.user.clone(),
            password: Secret::File(login.password_file.clone()),
        }),
        ca_file: settings.ca_file.clone(),
        timeout: email::TIMEOUT,
    }
}

/// What moves the dead-man's message on, or takes it back where none is to wait, and pings somebody.
pub(crate) fn switch(config: &Config, env: &Environment, sequence: String) -> Switch {
    let settings = &config.dead_man;
    let named = settings.channel.as_ref().and_then(|name| config.channels.get(name));
    let ntfy = match named {
        Some(ChannelSettings::Ntfy(it)) => Some((ntfy(it, env), Place::of(it.server.expose(), &it.topic))),
        _ => None,
    };
    let is_to_wait = !settings.window.is_zero() && !config.alerts.dry_run;
    let ping = settings.ping.as_ref().map(|target| {
        let address = match target {
            PingTarget::Url(url) => address(url),
            PingTarget::File(path) => Address::Hidden(Secret::File(path.clone())),
        };
        Ping::new(address, client(env, None))
    });
    Switch {
        ntfy,
        ping,
        host: machine::host_name(),
        sequence,
        window: is_to_wait.then_some(settings.window),
        ping_interval: settings.ping_interval,
        state_dir: config.state_dir.clone(),
    }
}

fn address(url: &Url) -> Address {
    Address::Shown(secret::Url(url.expose().to_owned()))
}
