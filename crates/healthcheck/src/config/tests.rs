//! The whole configuration at once: the example, the refused files, the environment, and that no secret is shown.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::channels::Login;
use super::hidden::Hidden;
use super::history::Store;
use super::locate::Located;
use super::zmq::Socket;
use super::*;

const EXAMPLE: &str = include_str!("../../tests/valid_configs/example.toml");
const FULL: &str = include_str!("../../tests/valid_configs/full.toml");
const CANARY: &str = "canary-7f3a";

fn load_with(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    let given = Surroundings {
        flag: None,
        env: &env,
        working_dir: Path::new("."),
        system_file: Path::new("/nowhere"),
        uid: 0,
    };
    let source =
        if text.is_empty() { Source::Defaults } else { Source::File(PathBuf::from("healthcheck.toml")) };
    validate::validate(Located { source, text: text.to_owned(), warnings: Vec::new() }, &given)
}

pub(super) fn load_text(text: &str) -> Config {
    load_with(text, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_example_is_accepted_and_read_as_it_is_meant() {
    let config = load_text(EXAMPLE);
    assert_eq!(config.project.as_deref(), Some("experimance"));
    assert_eq!(config.health_dirs, [PathBuf::from("logs/health")]);
    let core = &config.services["core"];
    assert_eq!(core.depends_on, ["factory-db"]);
    assert_eq!((core.priority, core.deadline), (Priority::Critical, Duration::from_secs(120)));
    assert_eq!(core.looks.unit.as_deref(), Some("core@experimance.service"));
    let schedule = &config.services["factory-db"].schedule;
    assert_eq!((schedule.interval, schedule.timeout), (Duration::from_secs(300), Duration::from_secs(5)));
    assert_eq!(config.zmq["events"].socket, Some(Socket::Pub));
    assert_eq!(config.zmq["events"].schedule.timeout, Duration::from_secs(1));
    assert_eq!(config.resources.disk.clear, Some(units::Percent(92.0)));
    assert_eq!(config.alerts, AlertSettings::default());
    assert_eq!(config.routes[0].quiet.map(|quiet| quiet.to_string()).as_deref(), Some("22:00-07:00"));
    assert_eq!(config.history.store, Store::Sqlite(PathBuf::from("history.db")));
    assert_eq!(config.history.store.file(&config.state_dir), Some(PathBuf::from("logs/history.db")));
    assert_eq!(config.history.max_size, Some(units::Bytes(1 << 30)));
    assert!(config.fleet.etcd.is_some_and(|etcd| etcd.watch && etcd.ttl == Duration::from_secs(30)));
}

#[test]
fn what_is_shown_is_accepted_again_and_means_the_same() {
    for text in ["", EXAMPLE, FULL] {
        let config = load_text(text);
        let shown = toml::to_string_pretty(&config).unwrap();
        let again =
            load_with(&format!("# shown\n{shown}"), &[]).unwrap_or_else(|errors| panic!("{errors}\n{shown}"));
        assert_eq!(toml::to_string_pretty(&again).unwrap(), shown);
        assert_eq!((again.services, again.channels), (config.services, config.channels));
    }
}

/// A section that is checked is used.
#[test]
fn the_example_gives_no_warning() {
    assert_eq!(load_text(EXAMPLE).warnings, Vec::<String>::new());
}

#[test]
fn defaults_depend_on_what_is_there() {
    let config = load_text(
        "[services.a]\ninterval = \"2s\"\n[resources]\ndisk = { for = \"1m\" }\ncpu = { error = \"99%\" }",
    );
    assert_eq!(config.services["a"].schedule.timeout, Duration::from_secs(1), "shorter than the interval");
    assert_eq!(config.resources.disk.warning, Some(units::Percent(95.0)));
    assert_eq!(config.resources.disk.hold, Duration::from_secs(60));
    assert_eq!(config.resources.cpu.warning, None, "limits that are written replace the default ones");
    let config = load_text("[fleet.etcd]\nendpoints = [\"http://a\"]\nttl = \"6s\"");
    assert_eq!(config.fleet.etcd.map(|etcd| etcd.interval), Some(Duration::from_secs(2)));
}

#[test]
fn who_is_told_has_the_defaults_of_its_kind() {
    let config = load_text(
        "[channels]\nb = { kind = \"ntfy\", topic = \"t\" }\na = { kind = \"ntfy\", topic = \"t\", server = \"https://n\" }\n\
         c = { kind = \"ntfy\", topic = \"t\", server = \"https://u:p@NTFY.sh/\" }\n\
         t = { kind = \"telegram\", token_file = \"/t\", chat_id = \"1\" }\nw = { kind = \"webhook\", url = \"http://a\" }",
    );
    let budget = |name: &str| match &config.channels[name] {
        ChannelSettings::Ntfy(ntfy) => ntfy.daily_budget,
        other => panic!("{other:?}"),
    };
    assert_eq!((budget("a"), budget("b"), budget("c")), (None, Some(200), Some(200)));
    let ChannelSettings::Telegram(telegram) = &config.channels["t"] else { panic!("no telegram") };
    assert_eq!(telegram.server.expose(), "https://api.telegram.org");
    let ChannelSettings::Webhook(webhook) = &config.channels["w"] else { panic!("no webhook") };
    assert_eq!(webhook.format, WebhookFormat::Healthcheck);
    assert!(!config.alerts.dry_run);
    let dead_man = &config.dead_man;
    assert_eq!(dead_man.channel.as_deref(), Some("a"), "the first by name");
    assert_eq!(
        (dead_man.window, dead_man.ping_interval),
        (Duration::from_secs(3600), Duration::from_secs(60))
    );
    assert_eq!((&dead_man.ping, load_text("").dead_man.channel), (&None, None));
    assert!(load_text("[dead_man]\nwindow = \"0s\"").dead_man.window.is_zero());
}

/// One of many machines does not say how much all of them may take.
#[test]
fn a_server_has_as_much_room_as_is_written() {
    let room = |text: &str| load_text(&format!("[history]\n{text}")).history.max_size;
    assert_eq!(room(""), Some(units::Bytes(1 << 30)));
    assert_eq!(room("url = \"postgres://health@db/health\""), None);
    let written = "url = \"postgres://health@db/health\"\nmax_size = \"2GiB\"";
    assert_eq!(room(written), Some(units::Bytes(2 << 30)));
}

#[test]
fn what_is_told_when_is_read_as_it_is_meant() {
    let config = load_text(FULL);
    assert_eq!(config.history.max_size, Some(units::Bytes(16 << 20)));
    let ChannelSettings::Ntfy(own) = &config.channels["ntfy-own"] else { panic!("no ntfy") };
    let login = Login { user: "u".to_owned(), password_file: "/p".into() };
    assert_eq!(own.access, Some(NtfyAccess::Basic(login)));
    assert_eq!(own.click.as_ref().map(Url::expose), Some("https://d/x"));
    assert_eq!((own.daily_budget, own.ca_file.as_deref()), (Some(10_000), Some(Path::new("/ca"))));
    let ChannelSettings::Ntfy(token) = &config.channels["ntfy-token"] else { panic!("no ntfy") };
    assert_eq!(token.access, Some(NtfyAccess::Token { token_file: "/t".into() }));
    let [first, second] = &config.maintenance[..] else { panic!("{:?}", config.maintenance) };
    assert_eq!(
        (first.hours.to_string().as_str(), &first.days, &first.subjects),
        ("23:30-04:00", &None, &None)
    );
    assert_eq!(
        second.days.as_ref().map(|days| (days.len(), days[0], days[6])),
        Some((7, Day::Mon, Day::Sun))
    );
    assert!(config.alerts.dry_run);
    let ping = config.dead_man.ping.expect("a ping");
    assert!(matches!(&ping, PingTarget::Url(url) if url.expose() == "https://hc/ping"), "{ping:?}");
    let file = load_text("[dead_man]\nping_url_file = \"/p\"").dead_man.ping;
    assert_eq!(file, Some(PingTarget::File("/p".into())));
}

#[test]
fn the_environment_of_the_original_makes_channels() {
    let env = [
        ("NTFY_TOPIC", "my-topic"),
        ("HEALTH_WEBHOOK_URL", "https://hooks/T/canary-7f3a?k=canary-7f3a"),
        ("HEALTH_WEBHOOK_AUTH", " Bearer canary-7f3a\n"),
        ("HEALTH_LOG_FILE", "/var/log/health notices.log"),
        ("NOTIFICATIONS_DRY_RUN", "True"),
        ("NOTIFICATION_BUFFER_TIME", "2.5"),
    ];
    let config = load_with("[[routes]]\nchannels = [\"ntfy\", \"webhook\", \"log\"]", &env).unwrap();
    let ChannelSettings::Ntfy(ntfy) = &config.channels["ntfy"] else { panic!("no ntfy") };
    assert_eq!((ntfy.server.expose(), ntfy.topic.as_str()), ("https://ntfy.sh", "my-topic"));
    assert_eq!((ntfy.daily_budget, config.dead_man.channel.as_deref()), (Some(200), Some("ntfy")));
    let ChannelSettings::Webhook(webhook) = &config.channels["webhook"] else { panic!("no webhook") };
    assert_eq!(webhook.format, WebhookFormat::ServiceHealth);
    assert_eq!(webhook.auth.as_ref().map(Hidden::expose), Some("Bearer canary-7f3a"));
    let WebhookTarget::Url(url) = &webhook.target else { panic!("no URL") };
    assert!(url.expose().ends_with("/T/canary-7f3a?k=canary-7f3a"));
    let path = PathBuf::from("/var/log/health notices.log");
    assert_eq!(config.channels["log"], ChannelSettings::Log { path });
    assert_eq!((config.alerts.dry_run, config.alerts.group_wait), (true, Duration::from_millis(2500)));
    let shown = format!("{config:?}{}", toml::to_string_pretty(&config).unwrap());
    assert!(shown.contains("auth = \"***\"") && shown.contains("https://hooks/***"), "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");
    for (server, meant) in [("n.example.org:81", "https://n.example.org:81"), ("http://n", "http://n")] {
        let config = load_with("", &[("NTFY_TOPIC", "t"), ("NTFY_SERVER", server)]).unwrap();
        let ChannelSettings::Ntfy(ntfy) = &config.channels["ntfy"] else { panic!("no ntfy") };
        assert_eq!((ntfy.server.expose(), ntfy.daily_budget), (meant, None));
    }
}

#[test]
fn the_file_says_otherwise_than_the_environment() {
    let env = [
        ("NTFY_TOPIC", "theirs"),
        ("HEALTH_LOG_FILE", "/theirs"),
        ("NOTIFICATIONS_DRY_RUN", "1"),
        ("NOTIFICATION_BUFFERING", "false"),
    ];
    let text = "[channels.ntfy]\nkind = \"command\"\ncommand = [\"own\"]\n[alerts]\ndry_run = false\ngroup_wait = \"7s\"";
    let config = load_with(text, &env).unwrap();
    assert_eq!(config.channels["ntfy"], ChannelSettings::Command { command: vec!["own".to_owned()] });
    assert_eq!(config.channels["log"], ChannelSettings::Log { path: "/theirs".into() });
    assert_eq!((config.alerts.dry_run, config.alerts.group_wait), (false, Duration::from_secs(7)));
    for (env, dry_run, wait_s) in [
        (&[("NOTIFICATION_BUFFERING", "no"), ("NOTIFICATION_BUFFER_TIME", "9")][..], false, 0),
        (&[("NOTIFICATION_BUFFERING", "on"), ("NOTIFICATION_BUFFER_TIME", "9")], false, 9),
        (&[("NOTIFICATION_BUFFERING", "")], false, 2),
        (&[("NOTIFICATIONS_DRY_RUN", "off")], false, 2),
        (&[("NOTIFICATIONS_DRY_RUN", "YES")], true, 2),
    ] {
        let alerts = load_with("", env).unwrap().alerts;
        assert_eq!((alerts.dry_run, alerts.group_wait), (dry_run, Duration::from_secs(wait_s)), "{env:?}");
    }
    assert_eq!(
        load_with("", &[("NTFY_SERVER", "n"), ("HEALTH_WEBHOOK_AUTH", "a")]).unwrap().channels.len(),
        0
    );
}

#[test]
fn every_error_of_the_environment_of_the_original_names_its_variable() {
    let env = [
        ("NTFY_TOPIC", "a/b"),
        ("NTFY_SERVER", "a b"),
        ("HEALTH_WEBHOOK_URL", "ftp://canary-7f3a/canary-7f3a"),
        ("HEALTH_WEBHOOK_AUTH", "Bearer a\nX-canary-7f3a: b"),
        ("NOTIFICATIONS_DRY_RUN", "maybe"),
        ("NOTIFICATION_BUFFERING", "2"),
        ("NOTIFICATION_BUFFER_TIME", "nan"),
    ];
    let errors = load_with("", &env).unwrap_err().to_string();
    let mut lines: Vec<_> = errors.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "environment: HEALTH_WEBHOOK_AUTH: has a character in it that no header may have; write the whole value of the Authorization header, like Bearer and the token",
            "environment: HEALTH_WEBHOOK_URL: is not a URL of https or http; write https://host, with :port and /path if needed",
            "environment: NOTIFICATIONS_DRY_RUN = \"maybe\": is neither true nor false; write one of them",
            "environment: NOTIFICATION_BUFFERING = \"2\": is neither true nor false; write one of them",
            "environment: NOTIFICATION_BUFFER_TIME = \"nan\": is not a number of seconds from 0 to 86400; write it like 10 or 2.5",
            "environment: NTFY_SERVER = \"https://a b\": has a blank or a control character in it; write \"https://host\", with :port and /path if needed",
            "environment: NTFY_TOPIC = \"a/b\": is not a topic; write 1 to 64 of A-Z a-z 0-9 _ -",
        ]
    );
}

#[test]
fn the_environment_says_when_a_machine_is_offline() {
    let after = |text: &str, value: &str| {
        let env = [("MACHINE_OFFLINE_THRESHOLD", value), ("MACHINE_HEARTBEAT_CHECK_INTERVAL", "30s")];
        load_with(text, &env).unwrap().fleet.offline_after
    };
    for (value, s) in [("2m0s", 120), ("1h0m0s", 3600), (" 90 ", 90), ("45s", 45)] {
        assert_eq!(after("", value), Some(Duration::from_secs(s)), "{value}");
    }
    assert_eq!(after("[fleet]\noffline_after = \"7s\"", "90"), Some(Duration::from_secs(7)));
    assert_eq!(load_with("", &[]).unwrap().fleet.offline_after, None);
    for name in ["MACHINE_OFFLINE_THRESHOLD", "MACHINE_HEARTBEAT_CHECK_INTERVAL"] {
        for value in ["soon", "0", "-1", "1.5", "999999999999999999", "2s2m"] {
            let errors = load_with("", &[(name, value)]).unwrap_err().to_string();
            let problem = "is not a duration above 0 and up to a year; write it like 2m0s, or 120";
            assert_eq!(errors, format!("environment: {name} = {value:?}: {problem}"));
        }
    }
}

#[test]
fn the_password_for_etcd_may_be_in_the_environment() {
    let text = "[fleet.etcd]\nendpoints = [\"http://a\"]\nuser = \"u\"";
    let fleet = load_with(text, &[("HEALTHCHECK_ETCD_PASSWORD", "canary-7f3a\n")]).unwrap().fleet;
    assert_eq!(fleet.etcd_password.as_ref().map(Hidden::expose), Some("canary-7f3a"));
    let login = fleet.etcd.as_ref().and_then(|etcd| etcd.login.clone()).unwrap();
    assert_eq!((login.user.as_str(), login.password_file), ("u", None));
    assert!(!format!("{fleet:?}").contains(CANARY));
    let errors = load_with(text, &[]).unwrap_err().to_string();
    assert!(
        errors.contains("password_file: is missing; write it beside user, or set HEALTHCHECK_ETCD_PASSWORD")
    );
}

#[test]
fn the_environment_adds_what_the_file_does_not_say() {
    let env = [("PROJECT_ENV", "fire"), ("SERVICES", "core, display,,a"), ("EXPERIMANCE_ENV", "production")];
    let config = load_with("[services.a]\npriority = \"optional\"", &env).unwrap();
    assert_eq!(config.project.as_deref(), Some("fire"));
    assert_eq!(config.services.keys().collect::<Vec<_>>(), ["a", "core", "display"]);
    assert_eq!(config.services["a"].priority, Priority::Optional);
    assert_eq!((config.production, config.state_dir), (true, PathBuf::from("/var/lib/healthcheck")));
    let config =
        load_with("project = \"own\"", &[("PROJECT_ENV", "fire"), ("STATE_DIRECTORY", "/s/a:/s/b")]).unwrap();
    assert_eq!(config.project.as_deref(), Some("own"));
    assert_eq!((config.production, config.state_dir), (false, PathBuf::from("/s/a")));
    let own_pid = std::process::id().to_string();
    for (env, production) in [
        (&[("HEALTH_ENV", "development")][..], false),
        (&[("HEALTH_ENV", "production")], true),
        (&[("SYSTEMD_EXEC_PID", &own_pid)], true),
        (&[("SYSTEMD_EXEC_PID", "1")], false),
    ] {
        assert_eq!(load_with("", env).unwrap().production, production, "{env:?}");
    }
}

#[test]
fn an_error_in_the_environment_names_the_variable() {
    let env = [("PROJECT_ENV", "a b"), ("SERVICES", "core,../x")];
    let errors = load_with("retries = 1", &env).unwrap_err().to_string();
    let cure = "is not a name; write at most 64 of A-Z a-z 0-9 . _ @ -, beginning with a letter or a digit";
    assert!(errors.contains(&format!("\nenvironment: PROJECT_ENV = \"a b\": {cure}")), "{errors}");
    assert!(errors.contains(&format!("\nenvironment: SERVICES = \"../x\": {cure}")), "{errors}");
    assert!(errors.starts_with("healthcheck.toml: retries: unknown key"), "{errors}");
}

/// Each file in the folder is refused with exactly the text beside it.
#[test]
fn every_refused_file_says_why() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid_configs");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let (files, texts): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|path| path.extension().unwrap() == "toml");
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    assert!(files.len() > 20);
    assert!(texts.iter().all(|text| text.with_extension("toml").exists()), "a text without its file");
    let mut different = String::new();
    for file in files {
        let refused = load_with(&fs::read_to_string(&file).unwrap(), &[]);
        let said = refused.map_or_else(|errors| format!("{errors}\n"), |_| "accepted\n".to_owned());
        assert_ne!(said, "accepted\n", "{}", file.display());
        let kept = file.with_extension("txt");
        if update {
            fs::write(&kept, &said).unwrap();
        }
        let wanted = fs::read_to_string(&kept).unwrap_or_default();
        if said != wanted {
            writeln!(different, "{}\nsays\n{said}not\n{wanted}", file.display()).unwrap();
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn no_secret_is_shown_anywhere() {
    let accepted = format!(
        "[history]\nurl = \"postgres://u:{CANARY}@db/h?password={CANARY}\"\n\
         [fleet.etcd]\nendpoints = [\"https://u:{CANARY}@e\"]\n\
         [services.a]\nhttp = \"https://{CANARY}@h/?t={CANARY}\"\n\
         [probes.p]\nkind = \"http\"\nurl = \"https://u:{CANARY}@h\"\n\
         [channels.n]\nkind = \"ntfy\"\ntopic = \"t\"\nserver = \"https://u:{CANARY}@n\"\n\
         [channels.w]\nkind = \"webhook\"\nurl = \"https://h/?key={CANARY}\"\n\
         [channels.c]\nkind = \"ntfy\"\ntopic = \"t\"\nclick = \"https://u:{CANARY}@n/?t={CANARY}\"\n\
         [dead_man]\nping_url = \"https://u:{CANARY}@h/?t={CANARY}\"\n"
    );
    let config = load_text(&accepted);
    let shown = format!("{config:?}{}", toml::to_string_pretty(&config).unwrap());
    assert!(shown.contains("postgres://***@db/h?***"), "{shown}");
    assert!(!shown.contains(CANARY), "{shown}");
    let Store::Postgres(url) = &config.history.store else { panic!("not PostgreSQL") };
    assert!(url.expose().contains(CANARY), "the part that connects needs it");
    for refused in secrets_in_wrong_places() {
        let errors = load_with(&refused, &[]).expect_err(&refused);
        let shown = format!("{errors}{errors:?}");
        assert!(!shown.contains(CANARY) && !shown.contains("424242"), "{refused}\n{shown}");
    }
}

fn secrets_in_wrong_places() -> Vec<String> {
    let in_channel = |line: &str| format!("[channels.x]\nkind = \"ntfy\"\ntopic = \"t\"\n{line}\n");
    let mut texts: Vec<String> =
        ["token", "tokn", "password", "secret", "api_key", "something", "Authorization"]
            .iter()
            .map(|key| in_channel(&format!("{key} = \"{CANARY}\"")))
            .collect();
    texts.extend([
        in_channel("token_file = 424242"),
        in_channel("token = 424242"),
        in_channel(&format!("token_file = [\"{CANARY}\"]")),
        in_channel(&format!("server = \"htps://u:{CANARY}@h\"")),
        in_channel(&format!("server = \"https://u:{CANARY}@h:0/\"")),
        in_channel(&format!("token_file = \"{CANARY}")),
        in_channel(&format!("token_file = {CANARY}")),
        format!("channels = {{ token = \"{CANARY}\" }}"),
        format!("channels = \"{CANARY}\""),
        format!("[channels.x]\nkind = \"slack\"\nurl = \"https://hooks/{CANARY}\""),
        format!("[history]\npassword = \"{CANARY}\""),
        format!("[history]\nurl = \"postgres://u:{CANARY}/@:x/h\""),
        format!("[history]\nurl = \"mysql://u:{CANARY}@h/?p={CANARY}\""),
        format!("[zmq.a]\nendpoint = \"tcp://u:{CANARY}@h\""),
        format!("[services.a]\ntcp = \"u:{CANARY}@h:x\""),
        format!("[services.a]\nhttp = \"u:{CANARY}@h\""),
        format!("[systemd]\nbus = \"https://u:{CANARY}@h\""),
    ]);
    texts
}
