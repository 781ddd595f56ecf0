//! The keys of a fleet below its prefix, and what is in them. Other machines write them, so nothing in them is believed
//! before it is read here: it is bounded, and harmless to show.
//!
//! | key | is there | has |
//! |---|---|---|
//! | `hosts/{host}` | while its lease lives | [`HostValue`] |
//! | `services/{host}/{service}` | while its lease lives | [`ServiceValue`] |
//! | `stopped/{host}` | from a stop as planned to the next start | [`Tombstone`] |
//! | `watchers/{host}` | while a watcher lives | a number that changes: who watches has to see it |
//! | `teller` | while a watcher tells people | its name |
//! | `told` | always | [`Told`] |

use health_reporter::{Status, bounded};
use healthcheck_core::alerts::Heard;
use healthcheck_core::{Kind, Subject};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What one machine may say of itself or of a service.
const MAX_VALUE_BYTES: usize = 64 * 1024;
/// etcd takes no request above 1.5 MiB.
const MAX_TOLD_BYTES: usize = 1024 * 1024;
const MAX_NAME_BYTES: usize = 253;
const MAX_TEXT_BYTES: usize = 256;
const MAX_WORD_BYTES: usize = 64;

/// The names of keys below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Without a slash at its end.
    prefix: String,
}

/// What a key is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Host(String),
    Service { host: String, service: String },
    Stopped(String),
    Watcher(String),
    Teller,
    Told,
}

impl Keys {
    pub(crate) fn below(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Everything begins with it.
    pub(crate) fn all(&self) -> String {
        format!("{}/", self.prefix)
    }

    pub(crate) fn host(&self, host: &str) -> String {
        format!("{}/hosts/{}", self.prefix, name(host))
    }

    pub(crate) fn services(&self, host: &str) -> String {
        format!("{}/services/{}/", self.prefix, name(host))
    }

    pub(crate) fn service(&self, host: &str, service: &str) -> String {
        format!("{}{}", self.services(host), name(service))
    }

    pub(crate) fn stopped(&self, host: &str) -> String {
        format!("{}/stopped/{}", self.prefix, name(host))
    }

    pub(crate) fn watcher(&self, host: &str) -> String {
        format!("{}/watchers/{}", self.prefix, name(host))
    }

    pub(crate) fn teller(&self) -> String {
        format!("{}/teller", self.prefix)
    }

    pub(crate) fn told(&self) -> String {
        format!("{}/told", self.prefix)
    }

    /// How many bytes of its value are worth to be kept.
    pub(crate) fn longest(&self, key: &[u8]) -> usize {
        // What was told is as long as there are machines.
        if key == self.told().as_bytes() { usize::MAX } else { MAX_VALUE_BYTES + 1 }
    }

    /// What a key is about; nothing where it is none of ours.
    pub(crate) fn place(&self, key: &[u8]) -> Option<Place> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let parts: Vec<&str> = rest.split('/').collect();
        if parts.iter().any(|part| name(part) != **part) {
            return None;
        }
        match parts[..] {
            ["hosts", host] => Some(Place::Host(host.to_owned())),
            ["services", host, service] => {
                Some(Place::Service { host: host.to_owned(), service: service.to_owned() })
            }
            ["stopped", host] => Some(Place::Stopped(host.to_owned())),
            ["watchers", host] => Some(Place::Watcher(host.to_owned())),
            ["teller"] => Some(Place::Teller),
            ["told"] => Some(Place::Told),
            _ => None,
        }
    }
}

/// A name as a part of a key: no slash, nothing that cannot be shown, not too long.
pub(crate) fn name(text: &str) -> String {
    let is_odd = |letter: char| letter == '/' || letter.is_whitespace() || !is_harmless(letter);
    let name: String = text.chars().map(|letter| if is_odd(letter) { '_' } else { letter }).collect();
    let name = if name.is_empty() { "_".to_owned() } else { name };
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// Neither obeyed by a terminal nor hiding what stands beside it.
fn is_harmless(letter: char) -> bool {
    !letter.is_control()
        && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A machine that lives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HostValue {
    #[serde(deserialize_with = "text")]
    pub(crate) host: String,
    #[serde(deserialize_with = "text")]
    pub(crate) hostname: String,
    #[serde(deserialize_with = "text")]
    pub(crate) description: String,
    /// Of the program that holds the lease.
    #[serde(deserialize_with = "text")]
    pub(crate) version: String,
    #[serde(deserialize_with = "some_text")]
    pub(crate) boot_id: Option<String>,
    /// When that program began.
    pub(crate) started: Option<Timestamp>,
    /// The worst of everything there.
    #[serde(deserialize_with = "status")]
    pub(crate) status: Word,
    /// How many services there are.
    pub(crate) services: usize,
    /// The lease ends so long after it was renewed last.
    pub(crate) ttl_s: u64,
    /// It is renewed so often.
    pub(crate) interval_s: f64,
    pub(crate) timestamp: Option<Timestamp>,
}

/// A service, as its own machine judged it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ServiceValue {
    #[serde(deserialize_with = "status")]
    pub(crate) status: Word,
    #[serde(deserialize_with = "text")]
    pub(crate) cause: String,
    #[serde(deserialize_with = "text")]
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub(crate) current_task: Option<String>,
}

/// What a machine leaves behind that stops as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) at: Timestamp,
    #[serde(default, deserialize_with = "text")]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) expected_back: Option<Timestamp>,
    /// It does not come back, and nobody is to miss it.
    #[serde(default)]
    pub(crate) retired: bool,
}

impl Tombstone {
    /// Of which only is known that it is there.
    pub(super) fn unreadable() -> Self {
        let reason = "its goodbye cannot be read".to_owned();
        Self { at: Timestamp::now(), reason, expected_back: None, retired: false }
    }
}

/// What each channel's server last accepted of machines that are not well, or may have: as who tells of them wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) channels: BTreeMap<String, Vec<Heard>>,
}

/// The same as it is written: who was told of together stands together, because ten thousand may fall at once.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Written {
    channels: BTreeMap<String, Vec<Together>>,
}

/// Machines of which a channel was told the same at once.
#[derive(Debug, Serialize, Deserialize)]
struct Together {
    #[serde(deserialize_with = "status")]
    status: Word,
    #[serde(default, deserialize_with = "some_status", skip_serializing_if = "Option::is_none")]
    unsure: Option<Word>,
    thread: String,
    at: Timestamp,
    hosts: Vec<String>,
}

impl Written {
    fn of(told: &Told) -> Self {
        let channels = told.channels.iter();
        Self { channels: channels.map(|(name, heard)| (name.clone(), together(heard))).collect() }
    }

    /// Leaves out some of those that were told of with the most others, else of those that were told of first.
    fn shorten(&mut self) {
        let all = self.channels.values_mut().flatten();
        match all.max_by_key(|together| together.hosts.len()) {
            Some(largest) if largest.hosts.len() > 1 => largest.hosts.truncate(largest.hosts.len() / 2),
            Some(_) => self.channels.values_mut().for_each(|all| drop(all.drain(..all.len().div_ceil(2)))),
            None => self.channels.clear(),
        }
    }
}

fn together(heard: &[Heard]) -> Vec<Together> {
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for Heard { subject, status, unsure, thread, at } in heard {
        all.entry((*at, thread, *status, *unsure)).or_default().push(subject.name.to_string());
    }
    all.into_iter()
        .map(|((at, thread, status, unsure), hosts)| Together {
            status: Word(status),
            unsure: unsure.map(Word),
            thread: thread.clone(),
            at,
            hosts,
        })
        .collect()
}

impl Together {
    /// Of each machine by itself; of names and threads that are none nothing.
    fn each(self) -> impl Iterator<Item = Heard> {
        let Self { status, unsure, thread, at, hosts } = self;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_thread = thread.len() <= MAX_WORD_BYTES && thread.bytes().all(is_plain);
        let named = hosts.into_iter().filter(move |host| is_thread && name(host) == *host);
        named.map(move |host| Heard {
            subject: Subject::new(Kind::Host, &host),
            status: status.0,
            unsure: unsure.map(|unsure| unsure.0),
            thread: thread.clone(),
            at,
        })
    }
}

impl Told {
    /// The names of the machines that somebody was told of.
    pub(crate) fn hosts(&self) -> BTreeSet<String> {
        self.channels.values().flatten().map(|heard| heard.subject.name.to_string()).collect()
    }
}

/// A status as it is written; what is none is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Word(pub(crate) Status);

impl Default for Word {
    fn default() -> Self {
        Self(Status::Unknown)
    }
}

/// What a value says; nothing where it cannot be used.
pub(crate) fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Option<T> {
    if value.len() > MAX_VALUE_BYTES {
        return None;
    }
    serde_json::from_slice(value).ok()
}

/// The same of what all watchers were told. It may be as large as all machines make it.
pub(crate) fn read_told(value: &[u8]) -> Told {
    let written: Written = serde_json::from_slice(value).unwrap_or_default();
    let each = |together: Vec<Together>| together.into_iter().flat_map(Together::each).collect();
    Told { channels: written.channels.into_iter().map(|(name, all)| (name, each(all))).collect() }
}

/// What all watchers are told, as far as etcd takes it: who is left out may be told of twice, and that is better than
/// nobody.
pub(crate) fn written_told(told: &Told) -> Vec<u8> {
    let mut all = Written::of(told);
    let mut value = written(&all);
    while value.len() > MAX_TOLD_BYTES {
        all.shorten();
        value = written(&all);
    }
    value
}

pub(crate) fn written(value: &impl Serialize) -> Vec<u8> {
    // Every key of ours is a text, so there is nothing that could not be written.
    serde_json::to_vec(value).unwrap_or_default()
}

fn harmless(text: &str, limit: usize) -> String {
    let text: String = text
        .chars()
        .map(|it| if it.is_whitespace() { ' ' } else { it })
        .filter(|it| is_harmless(*it))
        .collect();
    bounded(&text, limit)
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(harmless(&String::deserialize(deserializer)?, MAX_TEXT_BYTES))
}

fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(|text| harmless(&text, MAX_TEXT_BYTES)))
}

fn some_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Word>, D::Error> {
    status(deserializer).map(Some)
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    let word = String::deserialize(deserializer)?;
    Ok(bounded(&word, MAX_WORD_BYTES).parse().map(Word).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_again() {
        let keys = Keys::below("/health");
        for (key, place) in [
            (keys.host("deimos"), Place::Host("deimos".into())),
            (
                keys.service("deimos", "camera@2"),
                Place::Service { host: "deimos".into(), service: "camera@2".into() },
            ),
            (keys.stopped("a/b\n"), Place::Stopped("a_b_".into())),
            (keys.watcher("x"), Place::Watcher("x".into())),
            (keys.teller(), Place::Teller),
            (keys.told(), Place::Told),
        ] {
            assert_eq!(keys.place(key.as_bytes()), Some(place));
        }
    }

    #[test]
    fn what_is_no_key_of_ours_is_passed_over() {
        let keys = Keys::below("/health");
        let long = format!("/health/hosts/{}", "x".repeat(300));
        for key in [
            "/healthy/hosts/a",
            "/health",
            "/health/",
            "/health/hosts/",
            "/health/hosts/a/b",
            "/health/hosts/a\u{202e}b",
            "/health/services/a",
            "/health/more",
            &long,
        ] {
            assert_eq!(keys.place(key.as_bytes()), None, "{key}");
        }
        assert_eq!(keys.place(b"/health/hosts/\xff"), None);
    }

    #[test]
    fn a_hostile_value_is_bounded_and_harmless() {
        let evil = format!(
            r#"{{"host":"a\u001b[2Jb\u202e","status":"<b>","services":3,"description":"{}"}}"#,
            "y".repeat(999)
        );
        let value: HostValue = read(evil.as_bytes()).unwrap();
        assert_eq!((value.host.as_str(), value.status.0, value.services), ("a[2Jb", Status::Unknown, 3));
        assert!(value.description.len() <= 256 && value.description.ends_with('…'));
        let large = format!(r#"{{"host":"{}"}}"#, "z".repeat(MAX_VALUE_BYTES));
        assert!(read::<HostValue>(large.as_bytes()).is_none());
        for wrong in ["", "7", r#"{"services":-1}"#, r#"{"started":"yesterday"}"#] {
            assert!(read::<HostValue>(wrong.as_bytes()).is_none(), "{wrong}");
        }
        assert_eq!(read_told(b"{").channels.len(), 0);
        let told = |name: &str, thread: &str| {
            let together = format!(
                r#"{{"status":"error","thread":"{thread}","at":"2026-11-22T10:00:00Z","hosts":["{name}"]}}"#
            );
            read_told(format!(r#"{{"channels":{{"phone":[{together}]}}}}"#).as_bytes()).hosts().len()
        };
        assert_eq!((told("phobos", "a1-i7"), told("a b", "a1-i7"), told("phobos", "../7")), (1, 0, 0));
    }
    fn fallen(count: usize, name: &str) -> Told {
        let heard = |n: usize| Heard {
            subject: Subject::new(Kind::Host, &format!("{name}-{n:06}")),
            status: Status::Error,
            unsure: n.is_multiple_of(2).then_some(Status::Healthy),
            thread: "abcdefgh-i7".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        };
        Told { channels: [("phone".to_owned(), (0..count).map(heard).collect())].into() }
    }

    #[test]
    fn what_was_told_of_ten_thousand_machines_fits_into_one_value() {
        let told = fallen(10_000, "machine");
        let value = written_told(&told);
        assert!(value.len() < 200_000, "{}", value.len());
        let mut again = read_told(&value).channels["phone"].clone();
        again.sort_by(|one, other| one.subject.cmp(&other.subject));
        assert_eq!(again, told.channels["phone"]);
    }

    #[test]
    fn of_more_than_etcd_takes_some_are_left_out() {
        let value = written_told(&fallen(20_000, &"x".repeat(200)));
        assert!((MAX_TOLD_BYTES / 3..=MAX_TOLD_BYTES).contains(&value.len()), "{}", value.len());
        assert!(read_told(&value).hosts().len() > 1_000);
        let mut alone = fallen(20_000, "machine");
        for (heard, second) in alone.channels.values_mut().flatten().zip(0..) {
            heard.at = Timestamp::from_second(second).unwrap();
        }
        let value = written_told(&alone);
        assert!((MAX_TOLD_BYTES / 3..=MAX_TOLD_BYTES).contains(&value.len()), "{}", value.len());
    }
}
