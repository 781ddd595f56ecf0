//! `[dead_man]`: who tells that this machine, or its monitor, is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::address::{Url, url};
use super::argv::path;
use super::channels::{ChannelSettings, HTTP};
use super::problems::Scope;
use super::raw::{DurationText, RawDeadMan};
use super::shape::suggestion;
use super::units::{FROM_ZERO, Limits, POSITIVE, duration, format_duration, serialize_duration};

const WINDOW: Duration = Duration::from_secs(3600);
/// A shorter one would be delivered while the machine only restarts.
const MIN_WINDOW: Duration = Duration::from_secs(15 * 60);
/// No ntfy server keeps a message for longer before it is delivered.
const MAX_WINDOW: Limits = Limits { max: Duration::from_secs(3 * 86_400), ..FROM_ZERO };
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// A service that is asked more often than that tells us to stop.
const MIN_PING_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DeadManSettings {
    /// An ntfy channel; `None` where there is none.
    pub(crate) channel: Option<String>,
    /// Zero where no message is to wait.
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) window: Duration,
    #[serde(flatten)]
    pub(crate) ping: Option<PingTarget>,
    #[serde(serialize_with = "serialize_duration")]
    pub(crate) ping_interval: Duration,
}

/// What is asked while the monitor lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum PingTarget {
    #[serde(rename = "ping_url")]
    Url(Url),
    #[serde(rename = "ping_url_file")]
    File(PathBuf),
}

/// Every name in `declared` is a channel, also where the channel itself was refused.
pub(super) fn dead_man(
    at: &Scope<'_>,
    raw: RawDeadMan,
    channels: &BTreeMap<String, ChannelSettings>,
    declared: &BTreeSet<String>,
) -> DeadManSettings {
    if let Some(name) = &raw.channel {
        check_channel(&at.key("channel"), name, channels, declared);
    }
    let mut ntfy = channels.iter().filter(|(_, channel)| matches!(channel, ChannelSettings::Ntfy(_)));
    let channel = raw.channel.or_else(|| ntfy.next().map(|(name, _)| name.clone()));
    let window = window(&at.key("window"), raw.window.as_ref()).unwrap_or(WINDOW);
    let ping_interval = ping_interval(&at.key("ping_interval"), raw.ping_interval.as_ref());
    let ping = ping(at, raw.ping_url, raw.ping_url_file);
    DeadManSettings { channel, window, ping, ping_interval: ping_interval.unwrap_or(PING_INTERVAL) }
}

fn check_channel(
    at: &Scope<'_>,
    name: &str,
    channels: &BTreeMap<String, ChannelSettings>,
    declared: &BTreeSet<String>,
) {
    match channels.get(name) {
        Some(ChannelSettings::Ntfy(_)) => {}
        Some(_) => {
            at.refuse(name, "is no ntfy channel", "only ntfy keeps a message until later: name such a one");
        }
        None if declared.contains(name) => {}
        None => at.refuse(name, "is not in [channels]", suggestion(name, declared.iter())),
    }
}

fn window(at: &Scope<'_>, raw: Option<&DurationText>) -> Option<Duration> {
    let window = duration(at, raw, MAX_WINDOW)?;
    if !window.is_zero() && window < MIN_WINDOW {
        refuse_short(at, raw, MIN_WINDOW, "write a longer one, or 0s for none");
    }
    Some(window)
}

fn ping_interval(at: &Scope<'_>, raw: Option<&DurationText>) -> Option<Duration> {
    let interval = duration(at, raw, POSITIVE)?;
    if interval < MIN_PING_INTERVAL {
        refuse_short(at, raw, MIN_PING_INTERVAL, "write a longer one");
    }
    Some(interval)
}

fn refuse_short(at: &Scope<'_>, raw: Option<&DurationText>, min: Duration, cure: &str) {
    let written = raw.map_or("", |text| text.0.as_str());
    at.refuse(written, format!("must be at least {}", format_duration(min)), cure);
}

fn ping(at: &Scope<'_>, address: Option<String>, file: Option<String>) -> Option<PingTarget> {
    if address.is_some() && file.is_some() {
        at.key("ping_url").refuse_unshown("is there beside ping_url_file", "keep one of them");
        return None;
    }
    let address = address.and_then(|text| url(&at.key("ping_url"), &text, &HTTP)).map(PingTarget::Url);
    address.or_else(|| path(&at.key("ping_url_file"), file).map(PingTarget::File))
}
