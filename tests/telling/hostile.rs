//! Whatever a service writes arrives as words, and is obeyed by nobody.

use super::arrival::sleeper;
use crate::support::mail::MailServer;
use crate::support::ntfy::{Ntfy, Received};
use crate::support::{Machine, Monitor, Process, beat_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

const KINDS: [&str; 8] = ["ntfy", "webhook", "telegram", "slack", "discord", "email", "command", "log"];
const ALERTS: &str = "[alerts]\ngrace = \"0s\"\ngroup_wait = \"700ms\"\nrestart_wait = \"0s\"\n";
/// Services that fail together, so that there are fewer notices than would be too many.
const TOGETHER: usize = 4;
/// What a program may find in its environment.
const VARIABLES: [&str; 12] = [
    "HEALTHCHECK_HOST",
    "HEALTHCHECK_NOTICE",
    "HEALTHCHECK_REASON",
    "HEALTHCHECK_STATUS",
    "HEALTHCHECK_TITLE",
    "HOME",
    "LANG",
    "OLDPWD",
    "PATH",
    "PWD",
    "SHLVL",
    "_",
];
/// Who checks signatures as a receiver does.
const RECEIVER: &str = "
import hashlib, hmac, json, sys
from standardwebhooks.webhooks import Webhook
for line in sys.stdin:
    posted = json.loads(line)
    Webhook(posted['secret']).verify(posted['raw'], posted['headers'])
    key = __import__('base64').b64decode(posted['secret'].removeprefix('whsec_'))
    digest = hmac.new(key, posted['raw'].encode(), hashlib.sha256).hexdigest()
    assert hmac.compare_digest('sha256=' + digest, posted['headers']['x-webhook-signature'])
print('genuine')
";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn naughty() -> Vec<String> {
    let texts = [
        " ",
        "camera\r\nBcc: everybody@example.org\r\n\r\nanother body",
        "camera\nSubject: fooled",
        "\r\n.\r\nMAIL FROM:<a@b>\r\n",
        "..\n.\n..",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "</pre></body>&amp;\"'",
        "abc\u{202e}fdp.exe\u{2066}\u{200f}",
        "bell\u{7}esc\u{1b}[2Jdel\u{7f}nel\u{85}",
        "=?utf-8?B?ZmFrZQ==?=",
        "=?utf-8?Q?a=0D=0ABcc:_b@c?= and so on, until it is longer than one encoded word may be ÄÖÜ",
        "ÅÄÖ 田中さん 😀👩‍👩‍👧 ﷽ Z͑ͫ̓",
        "$(touch pwned)`touch pwned`;|& touch pwned",
        "%s%n%x {{7*7}} ${7*7} '; DROP TABLE outbox; --",
        "[a](https://evil.example) <https://evil.example|click> @everyone <!channel> <@U1> #general",
        "**bold** _it_ ~~s~~ ||spoiler|| `code` ```block``` > quote",
        "\u{2028}\u{2029}\u{feff}",
        "a\tb\",\"injected\":true,\"c\":\"",
        "\\\" \\u0000 \\x1b",
    ];
    let mut texts: Vec<String> = texts.map(str::to_owned).to_vec();
    texts.push("ä€😀 ".repeat(200));
    texts
}

/// A channel of each kind, and who is at the other end of it.
struct World {
    machine: Machine,
    servers: Vec<(&'static str, Ntfy)>,
    mail: MailServer,
}

impl World {
    fn new() -> Self {
        let servers = KINDS[..5].iter().map(|kind| (*kind, Ntfy::new())).collect();
        let world = Self { machine: Machine::new(), servers, mail: MailServer::plain() };
        let file = |name: &str, text: String| fs::write(world.machine.root().join(name), text).unwrap();
        file("key", SECRET.to_owned());
        file("token", "12345:abc-DEF_1".to_owned());
        file("slack.url", format!("{}/services/T0/B0/x", world.server("slack").url()));
        file("discord.url", format!("{}/api/webhooks/1/x", world.server("discord").url()));
        let (webhook, telegram) = (world.server("webhook").url(), world.server("telegram").url());
        let channels = format!(
            "[channels.webhook]\nkind = \"webhook\"\nurl = \"{webhook}\"\nsecret_file = \"key\"\n\
             [channels.telegram]\nkind = \"telegram\"\nserver = \"{telegram}\"\ntoken_file = \"token\"\nchat_id = \"7\"\n\
             [channels.slack]\nkind = \"slack\"\nurl_file = \"slack.url\"\n\
             [channels.discord]\nkind = \"discord\"\nurl_file = \"discord.url\"\n\
             [channels.email]\nkind = \"email\"\nserver = \"127.0.0.1:{}\"\ntls = \"none\"\nfrom = \"a@example.org\"\nto = [\"me@example.org\"]\n\
             [channels.command]\nkind = \"command\"\ncommand = [\"sh\", \"-c\", \"cat >> got; env >> env\"]\n\
             [channels.log]\nkind = \"log\"\npath = \"log\"\n",
            world.mail.port()
        );
        world.machine.configures(&format!("{}{channels}{ALERTS}", world.server("ntfy").channel("ntfy")));
        world
    }

    fn server(&self, kind: &str) -> &Ntfy {
        &self.servers.iter().find(|(known, _)| *known == kind).unwrap().1
    }

    fn lines(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.machine.root().join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A service fails with these words.
    fn fails(&self, number: usize, text: &str) -> Process {
        let process = sleeper(&self.machine);
        let mut report = beat_of(process.pid());
        report["overall_status"] = json!("error");
        report["current_task"] = json!(text);
        report["checks"] = json!([{"name": text, "status": "error", "message": text}]);
        self.machine.reports(&format!("service{number:02}"), &report);
        process
    }
}

/// What is meant: the words without what controls or turns them.
fn meant(text: &str) -> String {
    let kept = text.chars().filter_map(|c| match c {
        '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        '\n' => Some('\n'),
        c => (!c.is_control()).then_some(c),
    });
    squeezed(&kept.collect::<String>())
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(what: &str, read: &str, notice: &Value, key: &str) {
    let (read, meant) = (squeezed(read), meant(notice[key].as_str().unwrap()));
    let is_cut =
        read.strip_suffix('…').is_some_and(|cut| cut.len() > 200 && meant.starts_with(cut.trim_end()));
    assert!(read == meant || is_cut, "{what}: read {read:?}\nmeant {meant:?}");
    assert!(
        !read.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)),
        "{what}: {read:?}"
    );
}

/// The members that an object has, and no others.
#[track_caller]
fn has_only(object: &Value, members: &str) {
    let names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = members.split(' ').collect();
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
}

fn in_ntfy(post: &Received, notice: &Value) {
    has_only(&post.body, "topic title message priority tags sequence_id click");
    says("ntfy", post.text("title"), notice, "title");
    says("ntfy", post.text("message"), notice, "text");
    assert_eq!((&*post.path, post.text("topic")), ("/", "ntfy"));
}

fn in_webhook(post: &Received, notice: &Value) {
    has_only(&post.body, "type timestamp notice");
    says("webhook", post.body["notice"]["title"].as_str().unwrap(), notice, "title");
    says("webhook", post.body["notice"]["text"].as_str().unwrap(), notice, "text");
    assert_eq!(post.header("webhook-id"), notice["id"]);
}

fn in_telegram(post: &Received, notice: &Value) {
    has_only(&post.body, "chat_id text entities link_preview_options disable_notification");
    let text = post.text("text");
    let entities = post.body["entities"].as_array().unwrap();
    assert_eq!((entities.len(), &entities[0]["type"]), (1, &json!("bold")));
    let units: Vec<u16> = text.encode_utf16().collect();
    let end = usize::try_from(entities[0]["length"].as_u64().unwrap()).unwrap();
    says("telegram", &String::from_utf16(&units[..end]).unwrap(), notice, "title");
    let rest = String::from_utf16(&units[end..]).unwrap();
    let is_title_in_text = notice["text"].as_str().unwrap().starts_with(notice["title"].as_str().unwrap());
    let whole = if is_title_in_text { text.to_owned() } else { rest };
    says("telegram", &whole, notice, "text");
}

fn in_slack(post: &Received, notice: &Value) {
    has_only(&post.body, "text mrkdwn link_names unfurl_links unfurl_media blocks");
    let read = |text: &str| {
        let bare = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        assert!(!bare.contains(['<', '>', '&']), "{text:?}");
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    };
    says("slack", &read(post.text("text")), notice, "title");
    let blocks = post.body["blocks"].as_array().unwrap();
    assert!(blocks.iter().all(|block| block["text"]["type"] == "plain_text"));
    let words: Vec<String> =
        blocks.iter().map(|block| read(block["text"]["text"].as_str().unwrap())).collect();
    assert!(words[0].starts_with(&*notice["host"].as_str().map_or_else(String::new, str::to_owned)));
    says("slack", &words[1..].join("\n"), notice, "text");
}

fn in_discord(post: &Received, notice: &Value) {
    has_only(&post.body, "content allowed_mentions embeds");
    assert_eq!(post.body["allowed_mentions"], json!({"parse": []}));
    let read = |text: &str| {
        let (mut read, mut signs) = (String::new(), text.chars());
        while let Some(sign) = signs.next() {
            let sign = if sign == '\\' { signs.next().unwrap() } else { plain(sign) };
            read.push(sign);
        }
        read
    };
    says("discord", &read(post.text("content")), notice, "title");
    let embed = &post.body["embeds"][0];
    has_only(embed, "description color timestamp");
    says("discord", &read(embed["description"].as_str().unwrap()), notice, "text");
}

/// A sign that is not marked as one must not be markup.
#[track_caller]
fn plain(sign: char) -> char {
    assert!(!"*_~`|<>@#[]()".contains(sign), "{sign} is markup");
    sign
}

fn in_mail(mail: &Value, notice: &Value) {
    let headers = mail["headers"].as_array().unwrap();
    let subjects: Vec<&Value> = headers.iter().filter(|it| it[0] == "Subject").collect();
    assert_eq!(subjects.len(), 1);
    says("subject", subjects[0][1].as_str().unwrap(), notice, "title");
    assert!(headers.len() == 12 && mail["to"] == json!(["me@example.org"]), "{headers:?}");
    says("mail", mail["text"].as_str().unwrap(), notice, "text");
    says("html", mail["html_text"].as_str().unwrap(), notice, "text");
    assert_eq!(mail["html_tags"].as_array().unwrap().len(), 6);
    assert_eq!((&mail["defects"], &mail["is_ascii"]), (&json!([]), &json!(true)));
}

fn is_signed(posts: &[Received]) {
    let mut receiver = std::process::Command::new("python3");
    receiver.args(["-c", RECEIVER]);
    let mut receiver = Process::start(&mut receiver);
    for post in posts {
        let headers: serde_json::Map<_, _> =
            post.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        receiver.tell(&json!({"secret": SECRET, "raw": post.raw, "headers": headers}).to_string());
    }
    assert_eq!(receiver.answer(), "genuine");
}

/// All that was decided for a channel, in order.
fn notices(told: &[Value], channel: &str) -> Vec<Value> {
    let own = told.iter().filter(|event| event["type"] == "notice" && event["channel"] == channel);
    own.cloned().collect()
}

fn are_accepted(monitor: &Monitor, count: usize) {
    for _ in 0..count {
        let delivery = monitor.event("a delivery", |event| event["type"] == "delivery");
        assert_eq!(delivery["outcome"], "accepted", "{delivery}");
    }
}

#[test]
fn naughty_words_of_services_arrive_as_words_through_every_channel() {
    let (world, texts) = (World::new(), naughty());
    let monitor = world.machine.monitors();
    let mut processes = Vec::new();
    for (batch, texts) in texts.chunks(TOGETHER).enumerate() {
        let failing = texts.iter().enumerate().map(|(at, text)| world.fails(batch * TOGETHER + at, text));
        processes.extend(failing);
        are_accepted(&monitor, KINDS.len());
    }
    let told = monitor.told();
    let each = [in_ntfy, in_webhook, in_telegram, in_slack, in_discord];
    for ((kind, server), is_meant) in world.servers.iter().zip(each) {
        let (posts, notices) = (server.messages(), notices(&told, kind));
        assert_eq!(posts.len(), notices.len(), "{kind}");
        posts.iter().zip(&notices).for_each(|(post, notice)| is_meant(post, notice));
    }
    is_signed(&world.server("webhook").messages());
    notices(&told, "email").iter().for_each(|notice| in_mail(&world.mail.mail(), notice));
    for (kind, file) in [("command", "got"), ("log", "log")] {
        let (lines, notices) = (world.lines(file), notices(&told, kind));
        assert_eq!(lines.len(), notices.len(), "{kind}");
        let is_same =
            |(line, notice): (&Value, &Value)| line["text"] == notice["text"] && line["id"] == notice["id"];
        assert!(lines.iter().zip(&notices).all(is_same), "{lines:#?}\n{notices:#?}");
    }
    let variables = fs::read_to_string(world.machine.root().join("env")).unwrap();
    let unknown = variables.lines().find(|line| !VARIABLES.contains(&line.split('=').next().unwrap()));
    assert_eq!(unknown, None, "{variables}");
    assert!(!world.machine.root().join("pwned").exists());
    let told_of = notices(&told, "log");
    let all: String = told_of.iter().map(|notice| bare(notice["text"].as_str().unwrap())).collect();
    let is_told = |text: &&String| all.contains(&bare(text).chars().take(40).collect::<String>());
    let lost: Vec<_> = texts.iter().filter(|text| !is_told(text)).collect();
    println!("{} naughty texts in {} notices through {} channels", texts.len(), told_of.len(), KINDS.len());
    assert!(lost.is_empty(), "{lost:?} in {all}");
}

/// Only what nobody has to change.
fn bare(text: &str) -> String {
    let plain = meant(&text.replace(['\r', '\n'], " "));
    squeezed(&plain.replace(char::REPLACEMENT_CHARACTER, ""))
}
