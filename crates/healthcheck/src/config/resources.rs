//! `[resources]`: limits of this machine's resources.

use std::time::Duration;

use serde::Serialize;

use super::problems::Scope;
use super::raw::{RawResources, RawThreshold};
use super::units::{Bytes, FROM_ZERO, Percent, Quantity, duration, serialize_duration};

/// What goes up and down by itself must last before it means something.
const HOLD: Duration = Duration::from_secs(600);

/// Beyond a limit for some time it is bad; back beyond `clear` it is well again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Threshold<T> {
    pub(crate) warning: Option<T>,
    pub(crate) error: Option<T>,
    pub(crate) clear: Option<T>,
    #[serde(rename = "for", serialize_with = "serialize_duration")]
    pub(crate) hold: Duration,
}

/// Shares are of the whole; what has no limit is not judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ResourceSettings {
    pub(crate) memory: Threshold<Percent>,
    pub(crate) cpu: Threshold<Percent>,
    pub(crate) disk: Threshold<Percent>,
    /// The only one whose limits are lower bounds.
    pub(crate) disk_free: Option<Threshold<Bytes>>,
    pub(crate) inodes: Option<Threshold<Percent>>,
    pub(crate) swap: Option<Threshold<Percent>>,
    /// For each processor.
    pub(crate) load: Option<Threshold<f64>>,
    /// Degrees Celsius.
    pub(crate) temperature: Option<Threshold<f64>>,
    pub(crate) pressure_cpu: Option<Threshold<Percent>>,
    pub(crate) pressure_memory: Option<Threshold<Percent>>,
    pub(crate) pressure_io: Option<Threshold<Percent>>,
    pub(crate) descriptors: Option<Threshold<Percent>>,
}

/// On which side of a limit it is bad.
#[derive(Clone, Copy, PartialEq)]
enum Bad {
    Above,
    Below,
}

impl Bad {
    fn is_beyond<T: PartialOrd + Copy>(self, value: T, limit: T) -> bool {
        if self == Self::Above { value > limit } else { value < limit }
    }

    fn words(self) -> [&'static str; 2] {
        if self == Self::Above { ["above", "below"] } else { ["below", "above"] }
    }
}

pub(super) fn resources(at: &Scope<'_>, raw: &RawResources) -> ResourceSettings {
    let busy = |percent| Threshold { warning: Some(Percent(percent)), ..unlimited(HOLD) };
    let full =
        Threshold { warning: Some(Percent(95.0)), clear: Some(Percent(92.0)), ..unlimited(Duration::ZERO) };
    ResourceSettings {
        memory: threshold(&at.key("memory"), &raw.memory, Bad::Above, &busy(90.0)),
        cpu: threshold(&at.key("cpu"), &raw.cpu, Bad::Above, &busy(90.0)),
        disk: threshold(&at.key("disk"), &raw.disk, Bad::Above, &full),
        disk_free: optional(&at.key("disk_free"), raw.disk_free.as_ref(), Bad::Below, Duration::ZERO),
        inodes: optional(&at.key("inodes"), raw.inodes.as_ref(), Bad::Above, Duration::ZERO),
        swap: optional(&at.key("swap"), raw.swap.as_ref(), Bad::Above, HOLD),
        load: optional(&at.key("load"), raw.load.as_ref(), Bad::Above, HOLD),
        temperature: optional(&at.key("temperature"), raw.temperature.as_ref(), Bad::Above, HOLD),
        pressure_cpu: optional(&at.key("pressure_cpu"), raw.pressure_cpu.as_ref(), Bad::Above, HOLD),
        pressure_memory: optional(&at.key("pressure_memory"), raw.pressure_memory.as_ref(), Bad::Above, HOLD),
        pressure_io: optional(&at.key("pressure_io"), raw.pressure_io.as_ref(), Bad::Above, HOLD),
        descriptors: optional(&at.key("descriptors"), raw.descriptors.as_ref(), Bad::Above, HOLD),
    }
}

fn unlimited<T>(hold: Duration) -> Threshold<T> {
    Threshold { warning: None, error: None, clear: None, hold }
}

fn optional<T: Quantity>(
    at: &Scope<'_>,
    raw: Option<&RawThreshold<T::Raw>>,
    bad: Bad,
    hold: Duration,
) -> Option<Threshold<T>> {
    let raw = raw?;
    if raw.warning.is_none() && raw.error.is_none() {
        // A limit that was taken out because of its shape is not also missing.
        if !at.is_refused() {
            at.refuse_unshown("has no limit", "write warning or error, or leave it out");
        }
        return None;
    }
    Some(threshold(at, raw, bad, &unlimited(hold)))
}

/// Limits that are written replace all default limits: a default `clear` would not fit another `warning`.
fn threshold<T: Quantity>(
    at: &Scope<'_>,
    raw: &RawThreshold<T::Raw>,
    bad: Bad,
    default: &Threshold<T>,
) -> Threshold<T> {
    let hold = duration(&at.key("for"), raw.hold.as_ref(), FROM_ZERO).unwrap_or(default.hold);
    let limit = |key, raw: &Option<T::Raw>| raw.as_ref().and_then(|raw| quantity(&at.key(key), raw));
    let clear = limit("clear", &raw.clear);
    let judged = if raw.warning.is_some() || raw.error.is_some() {
        Threshold { warning: limit("warning", &raw.warning), error: limit("error", &raw.error), clear, hold }
    } else {
        Threshold { clear: clear.or(default.clear), hold, ..*default }
    };
    refuse_wrong_side(at, &judged, bad);
    judged
}

fn quantity<T: Quantity>(at: &Scope<'_>, raw: &T::Raw) -> Option<T> {
    match T::parse(raw) {
        Ok(value) => Some(value),
        Err(error) => {
            at.refuse_plain(raw, error.problem, error.cure);
            None
        }
    }
}

fn refuse_wrong_side<T: Quantity>(at: &Scope<'_>, limits: &Threshold<T>, bad: Bad) {
    let [worse, better] = bad.words();
    if let (Some(warning), Some(error)) = (limits.warning, limits.error)
        && !bad.is_beyond(error, warning)
    {
        let problem = format!("must be {worse} warning, which is {warning}");
        at.key("error").refuse_plain(error, problem, format!("write one {worse} {warning}"));
    }
    if let (Some(clear), Some(first)) = (limits.clear, limits.warning.or(limits.error))
        && bad.is_beyond(clear, first)
    {
        let problem = format!("must not be {worse} the limit, which is {first}");
        at.key("clear").refuse_plain(clear, problem, format!("write {first} or one {better} it"));
    }
}
