//! The lines of the machine's numbers and of the ZMQ endpoints.

use super::flow::Item;
use super::symbol;
use crate::render::gauges::{Gauge, gauges, parts};
use crate::render::text::{fit, printable};
use crate::render::{Picture, message_of};
use health_reporter::Status;
use healthcheck_core::{Kind, Quantity, SubjectView, wording};
use std::cmp::Reverse;
use std::time::Duration;

/// So many file systems are all shown; of more, the fullest and the bad ones.
const ALL_DISKS: usize = 3;
const FULLEST: usize = 2;
const MOUNT_COLUMNS: usize = 18;
/// Less waiting than this is none, in percent.
const MIN_PRESSURE: f64 = 0.1;

/// What was observed, as far as it says something; what is bad is marked.
pub(super) fn numbers(picture: &Picture) -> Vec<Item> {
    let gauges = gauges(picture);
    let shown: Vec<_> = gauges.iter().filter_map(|gauge| shown(picture, gauge)).collect();
    let of = |is_wanted: fn(Quantity) -> bool| {
        let wanted = shown.iter().filter(move |(quantity, ..)| is_wanted(*quantity));
        wanted.map(|(_, status, text)| item(*status, text))
    };
    let disks = disks(picture, &gauges);
    of(is_before_disks).chain(disks).chain(of(|quantity| !is_before_disks(quantity))).collect()
}

const fn is_before_disks(quantity: Quantity) -> bool {
    matches!(quantity, Quantity::Cpu | Quantity::Memory | Quantity::Swap | Quantity::Load)
}

/// What there is in the line for it: its status, and its words.
fn shown(picture: &Picture, gauge: &Gauge<'_>) -> Option<(Quantity, Status, String)> {
    let status = gauge.verdict.map_or(Status::Healthy, |view| view.status);
    let (value, is_bad) = (gauge.value, status != Status::Healthy);
    let text = match gauge.quantity {
        quantity @ (Quantity::Cpu | Quantity::Memory | Quantity::Swap) => format!("{quantity} {value:.0} %"),
        Quantity::Load => format!("load {value:.1} of {}", picture.resources.as_ref()?.load?.cores),
        Quantity::PressureCpu | Quantity::PressureMemory | Quantity::PressureIo
            if is_bad || value >= MIN_PRESSURE =>
        {
            format!("{} {value:.1} %", gauge.quantity.as_str().replace('_', " "))
        }
        Quantity::Descriptors if is_bad => format!("descriptors {value:.0} %"),
        Quantity::Temperature if is_bad => format!("{} {value:.0} °C", printable(gauge.of?)),
        _ => return None,
    };
    Some((gauge.quantity, status, text))
}

fn item(status: Status, text: &str) -> Item {
    match status {
        Status::Healthy => Item::plain(text.to_owned()),
        bad => Item::of(bad, format!("{} {text}", symbol(bad))),
    }
}

/// `/ 63 %`, in the order of mount points.
fn disks(picture: &Picture, gauges: &[Gauge<'_>]) -> Vec<Item> {
    let disks = gauges.iter().filter(|gauge| gauge.quantity == Quantity::Disk);
    let all: Vec<_> = disks.filter_map(|gauge| Some((gauge.of?, gauge.value))).collect();
    let least = least_shown(&all);
    let shown = all.iter().filter_map(|(mount_point, value)| {
        let status = of_mount(picture, mount_point);
        let text = format!("{} {value:.0} %", fit(&printable(mount_point), MOUNT_COLUMNS));
        (*value >= least || status != Status::Healthy).then(|| item(status, &text))
    });
    shown.collect()
}

/// How full a file system is that is shown although it is well.
fn least_shown(disks: &[(&str, f64)]) -> f64 {
    let mut used: Vec<f64> = disks.iter().map(|(_, value)| *value).collect();
    used.sort_by(|a, b| b.total_cmp(a));
    if used.len() <= ALL_DISKS { 0.0 } else { used[FULLEST - 1] }
}

/// The worst verdict on a mount point: its room, its inodes, or that it is there at all.
fn of_mount(picture: &Picture, mount_point: &str) -> Status {
    let verdicts = picture.others(Kind::Resource).filter(|view| {
        let (quantity, of) = parts(&view.name);
        of == Some(mount_point) && quantity != Quantity::Temperature.as_str()
    });
    verdicts.map(|view| view.status).max().unwrap_or(Status::Healthy)
}

/// `● events PUB 0.2 ms`, the worst first.
pub(super) fn endpoints(picture: &Picture) -> Vec<Item> {
    let mut endpoints: Vec<_> = picture.others(Kind::Zmq).collect();
    endpoints.sort_by_key(|view| Reverse(view.status));
    endpoints.into_iter().map(|view| Item::of(view.status, endpoint(view))).collect()
}

fn endpoint(view: &SubjectView) -> String {
    let (symbol, name) = (symbol(view.status), printable(&view.name));
    if view.status == Status::Healthy {
        let what = view.evidence.get("socket").unwrap_or_else(|| message_of(view));
        let took = view.took.map(|took| format!(" {}", in_words(took))).unwrap_or_default();
        return format!("{symbol} {name} {}{took}", printable(what));
    }
    let message = printable(message_of(view));
    match view.evidence.get("endpoint").map(printable) {
        Some(endpoint) if !message.contains(&*endpoint) => format!("{symbol} {name} {endpoint} {message}"),
        _ => format!("{symbol} {name} {message}"),
    }
}

fn in_words(took: Duration) -> String {
    let milliseconds = took.as_secs_f64() * 1e3;
    if milliseconds < 10.0 { format!("{milliseconds:.1} ms") } else { wording::duration(took) }
}
