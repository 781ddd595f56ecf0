//! Secrets: whatever fails, and however much is logged, they are found nowhere.

use super::arrival::{AT_ONCE, starts};
use crate::support::mail::MailServer;
use crate::support::ntfy::{Mode, Ntfy};
use crate::support::{Machine, Monitor};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs;
use std::path::Path;

/// What every secret has in it, and what signing in makes of it.
const CANARY: &str = "canary";
const ENV: [(&str, &str); 1] = [("HEALTH_WEBHOOK_AUTH", "Bearer canary-of-the-environment")];
/// Keeps the log, and is then the monitor.
const LOGGED: &str = "exec \"$0\" monitor --log-level trace 2>> trace.log";
const CHANNELS: usize = 9;

/// Each secret there is, in its file, and the channels that need them.
fn world(server: &Ntfy, mail: u16, password: &str) -> Machine {
    let (machine, url) = (Machine::new(), server.url());
    let hidden = |name: &str, text: &str| fs::write(machine.root().join(name), text).unwrap();
    hidden("ntfy.token", "tk_canary1234567890");
    hidden("ntfy.password", "canary-of-ntfy");
    hidden("hook.url", &format!("{url}/hooks/canary-hook?key=canary-query&other=canary-other"));
    hidden("hook.key", "canary-of-the-signature");
    hidden("hook.auth", "Bearer canary-of-the-hook");
    hidden("bot.token", "123456:canary-of_the_bot");
    hidden("slack.url", &format!("{url}/services/T0/B0/canaryofslack"));
    hidden("discord.url", &format!("{url}/api/webhooks/1/canary-of-discord"));
    hidden("mail.password", password);
    hidden("ping.url", &format!("{url}/ping/canary-of-the-ping"));
    let channels = format!(
        "[channels.token]\nkind = \"ntfy\"\nserver = \"{url}\"\ntopic = \"t\"\ntoken_file = \"ntfy.token\"\n\
         [channels.login]\nkind = \"ntfy\"\nserver = \"{url}\"\ntopic = \"l\"\nuser = \"me\"\npassword_file = \"ntfy.password\"\n\
         [channels.hook]\nkind = \"webhook\"\nurl_file = \"hook.url\"\nsecret_file = \"hook.key\"\nauth_file = \"hook.auth\"\n\
         [channels.telegram]\nkind = \"telegram\"\nserver = \"{url}\"\ntoken_file = \"bot.token\"\nchat_id = \"7\"\n\
         [channels.slack]\nkind = \"slack\"\nurl_file = \"slack.url\"\n\
         [channels.discord]\nkind = \"discord\"\nurl_file = \"discord.url\"\n\
         [channels.email]\nkind = \"email\"\nserver = \"localhost:{mail}\"\nca_file = \"authority.pem\"\nuser = \"user\"\n\
         password_file = \"mail.password\"\nfrom = \"a@example.org\"\nto = [\"me@example.org\"]\n\
         [channels.command]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"cat; env; tr '\\\\0' ' ' < /proc/$PPID/cmdline\"]\n\
         [dead_man]\nping_url_file = \"ping.url\"\n"
    );
    // What a program prints is not kept, so this one keeps it.
    let channels = channels.replace("\"cat; env;", "\"exec >> got.txt; cat; env;");
    machine.configures(&format!("{channels}{AT_ONCE}"));
    machine
}

/// With the address of a webhook in the environment, too.
fn monitors(machine: &Machine, url: &str) -> Monitor {
    let mut command = machine.any_command("sh", &["-c", LOGGED, env!("CARGO_BIN_EXE_healthcheck")]);
    command.envs(ENV).env("HEALTH_WEBHOOK_URL", format!("{url}/env?key=canary-of-the-query"));
    Monitor::from_command(&mut command)
}

fn asks(machine: &Machine, url: &str, arguments: &[&str]) -> String {
    let mut command = machine.command(arguments);
    command.envs(ENV).env("HEALTH_WEBHOOK_URL", format!("{url}/env?key=canary-of-the-query"));
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// The secret as it is, as it stands in a URL or in Base64, at each of its three places.
fn forms() -> Vec<Vec<u8>> {
    let mut forms = vec![CANARY.as_bytes().to_vec(), b"%63anary".to_vec()];
    for before in ["", "x", "xx"] {
        let encoded = BASE64_STANDARD.encode(format!("{before}{CANARY}xx"));
        let first = (before.len() * 8).div_ceil(6);
        forms.push(encoded.as_bytes()[first..first + 6].to_vec());
    }
    forms
}

#[track_caller]
fn is_free(what: &str, bytes: &[u8]) {
    for form in forms() {
        if let Some(at) = bytes.windows(form.len()).position(|window| window.eq_ignore_ascii_case(&form)) {
            let around = &bytes[at.saturating_sub(200)..(at + 60).min(bytes.len())];
            panic!("{what}: a secret: {}", String::from_utf8_lossy(around));
        }
    }
}

/// Everything that was written, but for the secrets themselves.
fn is_free_below(dir: &Path) -> usize {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let is_secret = path
            .extension()
            .is_some_and(|end| ["token", "password", "url", "key", "auth"].iter().any(|it| end == *it));
        if path.is_dir() {
            bytes += is_free_below(&path);
        } else if path.is_file() && !is_secret {
            let text = fs::read(&path).unwrap();
            is_free(&path.display().to_string(), &text);
            bytes += text.len();
        }
    }
    bytes
}

fn is_hidden_while(mode: Mode, password: &str, is_told: bool, outcomes: &[&str]) {
    let (server, dir) = (Ntfy::new(), tempfile::tempdir().unwrap());
    let mail = MailServer::starttls(dir.path());
    let machine = world(&server, mail.port(), password);
    fs::copy(dir.path().join("authority.pem"), machine.root().join("authority.pem")).unwrap();
    server.does(mode);
    let mut monitor = monitors(&machine, &server.url());
    starts(&machine, &monitor, "camera").kill();
    for _ in 0..CHANNELS {
        let delivery = monitor.event("a delivery", |it| it["type"] == "delivery" && it["attempt"] == 1);
        assert!(outcomes.contains(&delivery["outcome"].as_str().unwrap()), "{delivery}");
    }
    // They said it, and it was taken out of what they said.
    let is_masked =
        monitor.told().iter().any(|it| it["error"].as_str().is_some_and(|error| error.contains("***")));
    assert_eq!(is_masked, is_told, "{:#?}", monitor.told());
    let questions: [&[&str]; 9] = [
        &["why", "camera"],
        &["why", "camera", "--format", "table"],
        &["config", "show"],
        &["config", "show", "--format", "json"],
        &["drill", "--format", "table"],
        &["drill"],
        &["--format", "json"],
        &["--format", "table", "--log-level", "trace"],
        &["--format", "prometheus"],
    ];
    for question in questions {
        is_free(&format!("{question:?}"), asks(&machine, &server.url(), question).as_bytes());
    }
    let command_line = fs::read(format!("/proc/{}/cmdline", monitor.pid())).unwrap();
    is_free("the command line", &command_line);
    // The write-ahead log too.
    is_free_below(machine.root());
    monitor.stop();
    is_free("standard output", serde_json::to_string(&monitor.told()).unwrap().as_bytes());
    let bytes = is_free_below(machine.root());
    let traced = fs::metadata(machine.root().join("trace.log")).unwrap().len();
    println!("{outcomes:?}: {bytes} bytes searched, {traced} of them the log");
    assert!(traced > 0 && fs::metadata(machine.root().join("got.txt")).unwrap().len() > 0);
}

#[test]
fn no_secret_is_found_where_it_works() {
    is_hidden_while(Mode::Accepts, "canary-7f3a", false, &["accepted"]);
}

#[test]
fn no_secret_is_found_where_servers_fail_and_repeat_what_they_were_sent() {
    is_hidden_while(
        Mode::Echoes("500 Internal Server Error"),
        "canary-wrong",
        true,
        &["failed", "refused", "accepted"],
    );
}

#[test]
fn no_secret_is_found_where_servers_refuse_and_repeat_what_they_were_sent() {
    is_hidden_while(Mode::Echoes("403 Forbidden"), "canary-7f3a", true, &["refused", "accepted"]);
}
