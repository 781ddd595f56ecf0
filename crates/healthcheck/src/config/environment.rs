//! What the environment says: it counts where the file does not say otherwise.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use health_reporter::directory::Environment;

use super::address::secret_url;
use super::alerts::AlertSettings;
use super::channels::{self, ChannelSettings, HTTP, WebhookFormat, WebhookSettings, WebhookTarget};
use super::hidden::Hidden;
use super::locate::Surroundings;
use super::name;
use super::problems::Scope;
use super::services::ServiceSettings;
use super::units::parse_duration;

/// What errors name instead of a file.
pub(super) const PLACE: &str = "environment";
const PRODUCTION_STATE_DIR: &str = "/var/lib/healthcheck";
const DEVELOPMENT_STATE_DIR: &str = "logs";
/// A day: whoever gathers for longer wants no notices.
const MAX_BUFFER_TIME_S: f64 = 86_400.0;
/// A year, which bounds the arithmetic.
const MAX_SPAN: Duration = Duration::from_secs(366 * 86_400);

/// What it says, in the terms of the configuration.
pub(super) struct FromEnvironment {
    pub(super) project: Option<String>,
    pub(super) services: BTreeMap<String, ServiceSettings>,
    pub(super) channels: BTreeMap<String, ChannelSettings>,
    /// The defaults, but for what it says.
    pub(super) alerts: AlertSettings,
    pub(super) fleet: AroundFleet,
    pub(super) production: bool,
    pub(super) state_dir: PathBuf,
}

/// What it says of other machines.
#[derive(Default)]
pub(super) struct AroundFleet {
    pub(super) offline_after: Option<Duration>,
    pub(super) etcd_password: Option<Hidden>,
}

pub(super) fn read(given: &Surroundings<'_>, at: &Scope<'_>) -> FromEnvironment {
    let production = is_production(given);
    FromEnvironment {
        project: text_of(given, "PROJECT_ENV")
            .filter(|project| name::check_value(&at.key("PROJECT_ENV"), project)),
        services: services(given, at),
        channels: channels(given, at),
        alerts: alerts(given, at),
        fleet: fleet(given, at),
        production,
        state_dir: state_dir(given, production),
    }
}

fn services(given: &Surroundings<'_>, at: &Scope<'_>) -> BTreeMap<String, ServiceSettings> {
    let names = text_of(given, "SERVICES").unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let expected = names.filter(|name| name::check_value(&at.key("SERVICES"), name));
    expected.map(|name| (name.to_owned(), ServiceSettings::default())).collect()
}

/// The names are those under which the file can say otherwise.
fn channels(given: &Surroundings<'_>, at: &Scope<'_>) -> BTreeMap<String, ChannelSettings> {
    let log = given.var("HEALTH_LOG_FILE").map(|path| ChannelSettings::Log { path: path.into() });
    let found = [("ntfy", ntfy(given, at)), ("webhook", webhook(given, at)), ("log", log)];
    found.into_iter().filter_map(|(name, channel)| Some((name.to_owned(), channel?))).collect()
}

/// The server was written without its scheme.
fn ntfy(given: &Surroundings<'_>, at: &Scope<'_>) -> Option<ChannelSettings> {
    let topic = channels::ntfy_topic(&at.key("NTFY_TOPIC"), text_of(given, "NTFY_TOPIC")?);
    let server = text_of(given, "NTFY_SERVER");
    let server =
        server.map(|server| if server.contains("://") { server } else { format!("https://{server}") });
    let server = channels::ntfy_server(&at.key("NTFY_SERVER"), server.as_deref());
    Some(ChannelSettings::Ntfy(channels::NtfySettings::of(server?, topic?)))
}

fn webhook(given: &Surroundings<'_>, at: &Scope<'_>) -> Option<ChannelSettings> {
    let url = secret_url(&at.key("HEALTH_WEBHOOK_URL"), &text_of(given, "HEALTH_WEBHOOK_URL")?, &HTTP);
    let auth = header_value(&at.key("HEALTH_WEBHOOK_AUTH"), text_of(given, "HEALTH_WEBHOOK_AUTH"));
    Some(ChannelSettings::Webhook(WebhookSettings {
        target: WebhookTarget::Url(url?),
        format: WebhookFormat::ServiceHealth,
        secret_file: None,
        auth_file: None,
        auth,
        ca_file: None,
    }))
}

fn header_value(at: &Scope<'_>, written: Option<String>) -> Option<Hidden> {
    let value = written?;
    if value.trim().bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Some(Hidden::new(value.trim().to_owned()));
    }
    at.refuse_unshown(
        "has a character in it that no header may have",
        "write the whole value of the Authorization header, like Bearer and the token",
    );
    None
}

fn alerts(given: &Surroundings<'_>, at: &Scope<'_>) -> AlertSettings {
    let defaults = AlertSettings::default();
    let gathers = choice(given, at, "NOTIFICATION_BUFFERING");
    let wait = buffer_time(&at.key("NOTIFICATION_BUFFER_TIME"), text_of(given, "NOTIFICATION_BUFFER_TIME"));
    let group_wait = if gathers == Some(false) { Some(Duration::ZERO) } else { wait };
    AlertSettings {
        dry_run: choice(given, at, "NOTIFICATIONS_DRY_RUN").unwrap_or(defaults.dry_run),
        group_wait: group_wait.unwrap_or(defaults.group_wait),
        ..defaults
    }
}

fn choice(given: &Surroundings<'_>, at: &Scope<'_>, name: &str) -> Option<bool> {
    let written = text_of(given, name)?;
    match written.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => {
            at.key(name).refuse(&written, "is neither true nor false", "write one of them");
            None
        }
    }
}

fn buffer_time(at: &Scope<'_>, written: Option<String>) -> Option<Duration> {
    let written = written?;
    let seconds = written.trim().parse().ok().filter(|seconds| (0.0..=MAX_BUFFER_TIME_S).contains(seconds));
    if seconds.is_none() {
        let problem = format!("is not a number of seconds from 0 to {MAX_BUFFER_TIME_S}");
        at.refuse(&written, problem, "write it like 10 or 2.5");
    }
    seconds.map(Duration::from_secs_f64)
}

/// How often silence is looked for has no sense where nothing is polled: it is checked, and that is all.
fn fleet(given: &Surroundings<'_>, at: &Scope<'_>) -> AroundFleet {
    let threshold = "MACHINE_OFFLINE_THRESHOLD";
    let each = "MACHINE_HEARTBEAT_CHECK_INTERVAL";
    span(&at.key(each), text_of(given, each));
    let password = text_of(given, "HEALTHCHECK_ETCD_PASSWORD").map(|text| text.trim().to_owned());
    AroundFleet {
        offline_after: span(&at.key(threshold), text_of(given, threshold)),
        etcd_password: password.filter(|text| !text.is_empty()).map(Hidden::new),
    }
}

/// As another program wrote it: `2m0s`, or seconds.
fn span(at: &Scope<'_>, written: Option<String>) -> Option<Duration> {
    let written = written?;
    let text = written.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    let span = seconds.or_else(|| parse_duration(text).ok());
    let span = span.filter(|span| !span.is_zero() && *span <= MAX_SPAN);
    if span.is_none() {
        at.refuse(&written, "is not a duration above 0 and up to a year", "write it like 2m0s, or 120");
    }
    span
}

fn is_production(given: &Surroundings<'_>) -> bool {
    let mentioned = ["HEALTH_ENV", "EXPERIMANCE_ENV", "SYSTEMD_EXEC_PID"];
    let set = mentioned.into_iter().filter_map(|name| Some((name, text_of(given, name)?)));
    set.collect::<Environment>().is_production()
}

/// systemd names several directories with colons between them; the first is ours.
fn state_dir(given: &Surroundings<'_>, production: bool) -> PathBuf {
    let default = if production { PRODUCTION_STATE_DIR } else { DEVELOPMENT_STATE_DIR };
    let named = given.var("STATE_DIRECTORY");
    let first =
        named.as_ref().and_then(|dirs| dirs.as_bytes().split(|b| *b == b':').find(|dir| !dir.is_empty()));
    first.map_or_else(|| PathBuf::from(default), |dir| PathBuf::from(OsStr::from_bytes(dir)))
}

fn text_of(given: &Surroundings<'_>, name: &str) -> Option<String> {
    given.var(name).map(|value| value.to_string_lossy().into_owned())
}
