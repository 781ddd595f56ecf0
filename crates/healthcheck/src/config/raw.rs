//! What the file may say, key by key. The derived schema of these types is the only list of known keys:
//! the shape check, the JSON Schema and the reference are read from it. Nothing here is judged yet, and nothing can be printed: there may be secrets in it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value as Json;

use super::alerts::Level;
use super::channels::{Tls, WebhookFormat};
use super::history::Record;
use super::maintenance::Day;
use super::problems::quoted;
use super::routes::Kind;
use super::services::Priority;
use super::zmq::Socket;

/// A duration as people write it: `500ms`, `30s`, `2m`, `1h30m`, `60d`. The format `duration` of JSON Schema is another.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("format" = "time-span", "pattern" = "^([0-9]+(w|d|h|m|s|ms))+$"))]
pub(crate) struct DurationText(pub(crate) String);

/// A size: `512MiB`, `10GiB`.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("format" = "size", "pattern" = "^[0-9]+([KMGT]iB|[kMGT]?B)$"))]
pub(crate) struct SizeText(pub(crate) String);

/// A share of the whole: `90%`.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("format" = "share", "pattern" = "^[0-9]+([.][0-9]+)?%$"))]
pub(crate) struct ShareText(pub(crate) String);

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0))
    }
}

impl fmt::Display for ShareText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(&self.0))
    }
}

/// The configuration of healthcheck. Every key is optional; without any file the defaults work.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "healthcheck.toml")]
pub(crate) struct RawConfig {
    /// Unit names are `{service}@{project}`. `PROJECT_ENV` where it is not written
    #[schemars(example = &"experimance")]
    pub(crate) project: Option<String>,
    /// Where health reports are read. Without it, where the reporter writes them by default
    #[schemars(example = ["logs/health"])]
    pub(crate) health_dirs: Vec<String>,
    /// Expected services; the table's name is the name of the report, and covers all of its instances
    pub(crate) services: BTreeMap<String, RawService>,
    /// ZMQ endpoints that must answer
    pub(crate) zmq: BTreeMap<String, RawZmq>,
    /// Active looks at things that are no service
    pub(crate) probes: BTreeMap<String, RawProbe>,
    /// Limits of this machine's resources
    pub(crate) resources: RawResources,
    /// When somebody must be told
    pub(crate) alerts: RawAlerts,
    /// How somebody is told
    pub(crate) channels: BTreeMap<String, RawChannel>,
    /// Who is told what, when; without any, everything goes to every channel
    pub(crate) routes: Vec<RawRoute>,
    /// When work is planned: nobody is told then; judging and recording go on
    pub(crate) maintenance: Vec<RawMaintenance>,
    /// Who tells that this machine, or its monitor, is gone
    pub(crate) dead_man: RawDeadMan,
    /// How systemd is asked
    pub(crate) systemd: RawSystemd,
    /// What is kept, where and for how long
    pub(crate) history: RawHistory,
    /// Other machines
    pub(crate) fleet: RawFleet,
}

/// When and how patiently a probe looks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawSchedule {
    /// How often it looks
    #[schemars(example = &"30s")]
    pub(crate) interval: Option<DurationText>,
    /// How long one look may take; shorter than `interval`, and at most half of it where it is not written. `1s`
    /// where it only connects (tcp, zmq)
    #[schemars(example = &"5s")]
    pub(crate) timeout: Option<DurationText>,
    /// How many more looks must agree before it is bad; at most 20
    #[schemars(example = 3)]
    pub(crate) retries: Option<i64>,
    /// How long after a bad look it looks again
    #[schemars(example = &"5s")]
    pub(crate) retry_interval: Option<DurationText>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawService {
    /// Services that it cannot work without
    #[schemars(example = ["factory-db"])]
    pub(crate) depends_on: Vec<String>,
    /// An optional service counts as a warning at most for the whole
    pub(crate) priority: Option<Priority>,
    /// How long a report that declares no deadline may be silent; at most 35d
    #[schemars(example = &"120s")]
    pub(crate) deadline: Option<DurationText>,
    /// Its systemd unit, where it is not found by itself; a report is then optional
    #[schemars(example = &"core@experimance.service")]
    pub(crate) unit: Option<String>,
    /// Its container; a report is then optional
    #[schemars(example = &"factory_postgres")]
    pub(crate) container: Option<String>,
    /// A program and its arguments, whose exit code is the health; no shell. A report is then optional
    #[schemars(example = ["pg_isready", "-U", "photo_factory"])]
    pub(crate) command: Option<Vec<String>>,
    /// A URL that must answer with success; a report is then optional
    #[schemars(example = &"http://127.0.0.1:8080/health")]
    pub(crate) http: Option<String>,
    /// `host:port` that must accept a connection; a report is then optional
    #[schemars(example = &"127.0.0.1:5432")]
    pub(crate) tcp: Option<String>,
    /// The name of a process that must run; a report is then optional
    #[schemars(example = &"syncthing")]
    pub(crate) process: Option<String>,
    #[serde(flatten)]
    pub(crate) schedule: RawSchedule,
}

#[derive(Default, Deserialize, JsonSchema)]
pub(crate) struct RawZmq {
    /// `tcp://host:port` or `ipc://path` to connect to
    #[schemars(required, example = &"tcp://127.0.0.1:5555")]
    pub(crate) endpoint: Option<String>,
    /// The socket type that must be there
    pub(crate) socket: Option<Socket>,
    /// A question that a REP or ROUTER socket must answer with whatever it likes, once each look
    #[schemars(example = &"ping")]
    pub(crate) echo: Option<String>,
    /// A message at least this often; judged by the monitor
    #[schemars(example = &"30s")]
    pub(crate) max_silence: Option<DurationText>,
    #[serde(flatten)]
    pub(crate) schedule: RawSchedule,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct RawProbe {
    #[serde(flatten)]
    pub(crate) look: RawLook,
    #[serde(flatten)]
    pub(crate) schedule: RawSchedule,
}

/// What a probe looks at; the keys beside `kind` depend on it.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum RawLook {
    /// Connects
    Tcp {
        /// `host:port` that must accept a connection
        #[schemars(required, example = &"127.0.0.1:22")]
        address: Option<String>,
    },
    /// Asks a web server
    Http {
        /// A URL that must answer with success
        #[schemars(required, example = &"https://example.org/health")]
        url: Option<String>,
        /// The status code that it must answer with, after at most three redirects; otherwise any of 200 to 299
        #[schemars(example = 204)]
        status: Option<i64>,
        /// Text that the body must have in it, within its first 256 KiB
        #[schemars(example = &"ready")]
        body: Option<String>,
        /// The only authority that is trusted, as a PEM file; otherwise those of the system
        #[schemars(example = &"/etc/ssl/private-ca.pem")]
        ca_file: Option<String>,
        /// With less than this left on its certificate it is a warning
        #[schemars(example = &"14d")]
        certificate: Option<DurationText>,
    },
    /// Runs a program
    Command {
        /// A program and its arguments, whose exit code is the health; no shell
        #[schemars(required, example = ["pg_isready"])]
        command: Option<Vec<String>>,
    },
    /// Looks at a file's modification time
    FileAge {
        /// The file that must be fresh
        #[schemars(required, example = &"/var/backups/last.tar")]
        path: Option<String>,
        /// How old it may be
        #[schemars(required, example = &"26h")]
        max_age: Option<DurationText>,
    },
    /// Looks for a process
    Process {
        /// The name of a program, or of a script, that must run; a pattern with * and ?; or part of its command line if
        /// there is a blank or a / in it
        #[schemars(required, example = &"syncthing")]
        process: Option<String>,
    },
    /// Asks systemd
    Unit {
        /// A systemd unit that must run; one that was stopped and ended in success is a warning after `stopped_after`
        #[schemars(required, example = &"ssh.service")]
        unit: Option<String>,
    },
    /// Asks the container engine
    Container {
        /// A container that must run
        #[schemars(required, example = &"factory_postgres")]
        container: Option<String>,
    },
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawResources {
    /// Used share of memory
    pub(crate) memory: RawThreshold<ShareText>,
    /// Busy share of all processors; a single look measures it with --sample
    pub(crate) cpu: RawThreshold<ShareText>,
    /// Used share of a file system
    pub(crate) disk: RawThreshold<ShareText>,
    /// Free space of a file system; its limits are lower bounds
    pub(crate) disk_free: Option<RawThreshold<SizeText>>,
    /// Used share of the inodes of a file system
    pub(crate) inodes: Option<RawThreshold<ShareText>>,
    /// Used share of swap
    pub(crate) swap: Option<RawThreshold<ShareText>>,
    /// Load average of five minutes, for each processor
    pub(crate) load: Option<RawThreshold<f64>>,
    /// Each sensor, in degrees Celsius
    pub(crate) temperature: Option<RawThreshold<f64>>,
    /// Share of time in which something waited for a processor
    pub(crate) pressure_cpu: Option<RawThreshold<ShareText>>,
    /// Share of time in which something waited for memory
    pub(crate) pressure_memory: Option<RawThreshold<ShareText>>,
    /// Share of time in which something waited for a disk
    pub(crate) pressure_io: Option<RawThreshold<ShareText>>,
    /// Used share of the open files that the system allows
    pub(crate) descriptors: Option<RawThreshold<ShareText>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawThreshold<T> {
    /// Beyond this it is a warning
    pub(crate) warning: Option<T>,
    /// Beyond this it is an error
    pub(crate) error: Option<T>,
    /// Back on this side it is well again; where it is not written, the limit itself
    pub(crate) clear: Option<T>,
    /// How long it must be beyond a limit; a single look does not wait
    #[serde(rename = "for")]
    pub(crate) hold: Option<DurationText>,
}

impl<T> Default for RawThreshold<T> {
    fn default() -> Self {
        Self { warning: None, error: None, clear: None, hold: None }
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawAlerts {
    /// The least status that somebody is told of
    pub(crate) level: Option<Level>,
    /// From boot: delays notices, and is when an expected service that never reported is an error
    pub(crate) grace: Option<DurationText>,
    /// How long simultaneous events are gathered into one notice. `NOTIFICATION_BUFFER_TIME` (seconds) or
    /// `NOTIFICATION_BUFFERING=false` (none) where it is not written
    pub(crate) group_wait: Option<DurationText>,
    /// A supervisor that restarts a service in this time makes it one quiet line
    pub(crate) restart_wait: Option<DurationText>,
    /// The least time between two notices of one subject
    pub(crate) cooldown: Option<DurationText>,
    /// How often a problem that lasts is told again; `0s` for never
    pub(crate) reminder: Option<DurationText>,
    /// After this an expected service that was stopped is a warning
    pub(crate) stopped_after: Option<DurationText>,
    /// After this an expected service that cannot be judged is an error
    pub(crate) unknown_after: Option<DurationText>,
    /// Everything is decided and recorded, and nothing is sent. `NOTIFICATIONS_DRY_RUN` where it is not written
    pub(crate) dry_run: Option<bool>,
}

/// How somebody is told; the keys beside `kind` depend on it.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum RawChannel {
    /// A push by ntfy
    Ntfy {
        /// The server's URL
        #[schemars(example = &"https://ntfy.sh")]
        server: Option<String>,
        /// The topic to publish to
        #[schemars(required, example = &"my-topic")]
        topic: Option<String>,
        /// A file with the access token
        #[schemars(example = &"/run/credentials/ntfy")]
        token_file: Option<String>,
        /// The user to sign in as, where there is no token; with `password_file`
        #[schemars(example = &"healthcheck")]
        user: Option<String>,
        /// A file with the password; with `user`
        #[schemars(example = &"/run/credentials/ntfy-password")]
        password_file: Option<String>,
        /// What a tap on the message opens
        #[schemars(example = &"https://example.org/dashboard")]
        click: Option<String>,
        /// The only authority that is trusted, as a PEM file; otherwise those of the system
        #[schemars(example = &"/etc/ssl/private-ca.pem")]
        ca_file: Option<String>,
        /// How many messages a day it takes, 1 to 10000; beyond that only a digest now and then. 200 for ntfy.sh, which takes
        /// 250 from one address; without a bound elsewhere
        #[schemars(example = 200)]
        daily_budget: Option<i64>,
    },
    /// A POST with a JSON body
    Webhook {
        /// Where to; this or `url_file`
        #[schemars(example = &"https://example.org/hook")]
        url: Option<String>,
        /// A file with the URL, where the URL itself is a secret
        #[schemars(example = &"/run/credentials/hook")]
        url_file: Option<String>,
        /// A file with the key of the HMAC-SHA256 signature
        #[schemars(example = &"/run/credentials/hook-key")]
        secret_file: Option<String>,
        /// A file with the value of the `Authorization` header
        #[schemars(example = &"/run/credentials/hook-auth")]
        auth_file: Option<String>,
        /// The shape of the body: `healthcheck` is our own, `machine` has `machine.offline` and its like, `alertmanager` is
        /// version 4 of the Alertmanager's, `service_health` is that of the Python original
        format: Option<WebhookFormat>,
        /// The only authority that is trusted, as a PEM file; otherwise those of the system
        #[schemars(example = &"/etc/ssl/private-ca.pem")]
        ca_file: Option<String>,
    },
    /// A message of a Telegram bot
    Telegram {
        /// A file with the bot's token
        #[schemars(required, example = &"/run/credentials/telegram")]
        token_file: Option<String>,
        /// The chat to write to
        #[schemars(required, example = &"-1001234567890")]
        chat_id: Option<String>,
        /// The URL of the Bot API, where it is not Telegram's own
        #[schemars(example = &"https://api.telegram.org")]
        server: Option<String>,
        /// The only authority that is trusted, as a PEM file; otherwise those of the system
        #[schemars(example = &"/etc/ssl/private-ca.pem")]
        ca_file: Option<String>,
    },
    /// A Slack incoming webhook
    Slack {
        /// A file with the webhook's URL
        #[schemars(required, example = &"/run/credentials/slack")]
        url_file: Option<String>,
        /// The only authority that is trusted, as a PEM file; otherwise those of the system
        #[schemars(example = &"/etc/ssl/private-ca.pem")]
        ca_file: Option<String>,
    },
    /// A Discord webhook
    Discord {
        /// A file with the webhook's URL
        #[schemars(required, example = &"/run/credentials/discord")]
        url_file: Option<String>,
        /// The only authority that is trusted, as a PEM file; otherwise those of the system
        #[schemars(example = &"/etc/ssl/private-ca.pem")]
        ca_file: Option<String>,
    },
    /// A mail
    Email {
        /// `host:port` of the mail server
        #[schemars(required, example = &"mail.example.org:587")]
        server: Option<String>,
        /// How the connection is encrypted; it never falls back
        tls: Option<Tls>,
        /// The sender
        #[schemars(required, example = &"healthcheck@example.org")]
        from: Option<String>,
        /// The receivers
        #[schemars(required, example = ["me@example.org"])]
        to: Option<Vec<String>>,
        /// The user to sign in as; with `password_file`
        #[schemars(example = &"healthcheck")]
        user: Option<String>,
        /// A file with the password; with `user`
        #[schemars(example = &"/run/credentials/mail")]
        password_file: Option<String>,
        /// The only authority that is trusted, as a PEM file; otherwise those of the system
        #[schemars(example = &"/etc/ssl/private-ca.pem")]
        ca_file: Option<String>,
    },
    /// A program that gets the notice on its standard input
    Command {
        /// The program and its arguments; no shell
        #[schemars(required, example = ["/usr/local/bin/page"])]
        command: Option<Vec<String>>,
    },
    /// One JSON line a notice at the end of a file
    Log {
        /// The file
        #[schemars(required, example = &"logs/notices.log")]
        path: Option<String>,
    },
}

#[derive(Default, Deserialize, JsonSchema)]
pub(crate) struct RawRoute {
    /// Only these kinds of subject; without it, all
    #[schemars(example = ["service"])]
    pub(crate) kinds: Option<Vec<Kind>>,
    /// Only subjects whose name fits one of these; `*` stands for any text. Without it, all
    #[schemars(example = ["camera*"])]
    pub(crate) subjects: Option<Vec<String>>,
    /// The least status; without it, that of `[alerts]`
    pub(crate) level: Option<Level>,
    /// Names of `[channels]` that are told
    #[schemars(required, example = ["phone"])]
    pub(crate) channels: Option<Vec<String>>,
    /// Local time in which only fatal is told
    #[schemars(example = &"22:00-07:00")]
    pub(crate) quiet: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
pub(crate) struct RawMaintenance {
    /// Only subjects whose name fits one of these; `*` stands for any text. Without it, all
    #[schemars(example = ["backup*"])]
    pub(crate) subjects: Option<Vec<String>>,
    /// The days on which it begins; without it, every day
    #[schemars(example = ["sat", "sun"])]
    pub(crate) days: Option<Vec<Day>>,
    /// Local time; across midnight where it ends earlier than it begins
    #[schemars(required, example = &"02:00-04:00")]
    pub(crate) hours: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawDeadMan {
    /// The ntfy channel on which a scheduled message waits, and is pushed back while the monitor lives; without it, the
    /// first ntfy channel by name
    #[schemars(example = &"phone")]
    pub(crate) channel: Option<String>,
    /// How long nothing may be heard of the monitor before that message is delivered: 15m to 3d, or `0s` for never
    #[schemars(example = &"1h")]
    pub(crate) window: Option<DurationText>,
    /// A URL that is asked while the monitor lives, of a service that misses it (Healthchecks and its like)
    #[schemars(example = &"https://hc-ping.com/ping-key/deimos")]
    pub(crate) ping_url: Option<String>,
    /// A file with that URL, where it is a secret
    #[schemars(example = &"/run/credentials/ping")]
    pub(crate) ping_url_file: Option<String>,
    /// How often it is asked; at least 10s
    #[schemars(example = &"1m")]
    pub(crate) ping_interval: Option<DurationText>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawSystemd {
    /// `system`, `user`, or a D-Bus address
    #[schemars(example = &"system")]
    pub(crate) bus: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawHistory {
    /// `sqlite:path`, relative paths below the state directory, or `postgres://…` as libpq reads it: a socket is
    /// `postgres://user@%2Frun%2Fpostgresql/database`; over a network, `?sslmode=verify-full` proves the server
    #[schemars(example = &"sqlite:history.db")]
    pub(crate) url: Option<String>,
    /// A file with the password of the PostgreSQL user
    #[schemars(example = &"/run/credentials/postgres")]
    pub(crate) password_file: Option<String>,
    /// How long it is kept
    #[schemars(example = &"60d")]
    pub(crate) retention: Option<DurationText>,
    /// How much room it may take; what is oldest is dropped before its time then. At least `16MiB`; in PostgreSQL,
    /// where it counts what all machines wrote, there is no default
    #[schemars(example = &"1GiB")]
    pub(crate) max_size: Option<SizeText>,
    /// `changes`, or `heartbeats` for one row a heartbeat
    pub(crate) record: Option<Record>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RawFleet {
    /// What people should know of this machine when it is lost: where it stands, what it is for; at most 256 bytes
    #[schemars(example = &"gallery, rack 2")]
    pub(crate) description: Option<String>,
    /// How this machine is reached; otherwise its host name
    #[schemars(example = &"phobos.lan")]
    pub(crate) hostname: Option<String>,
    /// How long after it was last seen a machine is offline, where that is later than the end of its lease.
    /// `MACHINE_OFFLINE_THRESHOLD` (as `2m0s`, or seconds) where it is not written
    #[schemars(example = &"2m")]
    pub(crate) offline_after: Option<DurationText>,
    /// An etcd in which each machine holds a lease
    pub(crate) etcd: Option<RawEtcd>,
}

#[derive(Default, Deserialize, JsonSchema)]
pub(crate) struct RawEtcd {
    /// URLs of the members
    #[schemars(required, example = ["http://127.0.0.1:2379"])]
    pub(crate) endpoints: Option<Vec<String>>,
    /// Below which keys are written
    #[schemars(example = &"/health")]
    pub(crate) prefix: Option<String>,
    /// After this much silence a machine is lost
    #[schemars(example = &"30s")]
    pub(crate) ttl: Option<DurationText>,
    /// How often the lease is renewed; shorter than `ttl`
    #[schemars(example = &"10s")]
    pub(crate) interval: Option<DurationText>,
    /// Whether this monitor also watches the other hosts
    pub(crate) watch: Option<bool>,
    /// The user to sign in as; with `password_file`, or `HEALTHCHECK_ETCD_PASSWORD` in the environment
    #[schemars(example = &"healthcheck")]
    pub(crate) user: Option<String>,
    /// A file with the password; with `user`
    #[schemars(example = &"/run/credentials/etcd")]
    pub(crate) password_file: Option<String>,
    /// The only authority that is trusted, as a PEM file; otherwise those of the system
    #[schemars(example = &"/etc/ssl/private-ca.pem")]
    pub(crate) ca_file: Option<String>,
    /// The certificate that proves this machine to the members, as a PEM file; with `key_file`
    #[schemars(example = &"/etc/ssl/phobos.pem")]
    pub(crate) cert_file: Option<String>,
    /// The private key of that certificate, as a PEM file; with `cert_file`
    #[schemars(example = &"/run/credentials/etcd-key")]
    pub(crate) key_file: Option<String>,
}

/// The schema of everything that may be written, without references and without `null`, which TOML does not have.
pub(crate) fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<RawConfig>();
    RecursiveTransform(close_and_forget_null).transform(&mut schema);
    schema
}

fn close_and_forget_null(schema: &mut Schema) {
    schema.remove("default");
    let is_variant = schema.pointer("/properties/kind/const").is_some();
    if !is_variant && (schema.get("properties").is_some() || schema.get("oneOf").is_some()) {
        schema.insert("unevaluatedProperties".to_owned(), Json::Bool(false));
    }
    if let Some(Json::Array(types)) = schema.get("type") {
        let only = types.iter().find(|name| *name != "null").cloned();
        schema.insert("type".to_owned(), only.unwrap_or(Json::Null));
    }
    if let Some(Json::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
}
