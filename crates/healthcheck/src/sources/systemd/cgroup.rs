//! Which unit a process belongs to: its control group tells.

use super::{Bus, is_unit_name};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const MAX_BYTES: u64 = 64 * 1024;

/// What the process belongs to.
pub(crate) fn unit_of_process(proc_root: &Path, bus: &Bus, pid: u64) -> Option<String> {
    let file = File::open(proc_root.join(pid.to_string()).join("cgroup")).ok()?;
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    unit_of_cgroup(bus, &String::from_utf8_lossy(&text))
}

/// The unit that is in the text of `/proc/PID/cgroup`, as the manager behind this bus sees it.
pub(crate) fn unit_of_cgroup(bus: &Bus, cgroup: &str) -> Option<String> {
    let is_systemd = |line: &&str| {
        let mut fields = line.splitn(3, ':');
        matches!((fields.next(), fields.next()), (Some("0"), Some("")) | (Some(_), Some("name=systemd")))
    };
    let unit = match bus {
        Bus::System => outermost,
        Bus::User => of_user,
        Bus::Address(_) => innermost,
    };
    cgroup.lines().filter(is_systemd).find_map(|line| unit(line.splitn(3, ':').nth(2)?))
}

/// What the manager of the machine started: whatever a login manager or a scope is the root of is not its own.
fn outermost(path: &str) -> Option<String> {
    first(groups(path))
}

/// What the manager of a user started: it is below that one.
fn of_user(path: &str) -> Option<String> {
    let groups: Vec<_> = groups(path).collect();
    let manager = groups.iter().rposition(|group| is_login(group))?;
    first(groups.into_iter().skip(manager + 1))
}

fn first<'p>(mut groups: impl Iterator<Item = &'p str>) -> Option<String> {
    let group = groups.find(|group| is_service(group) || is_scope(group))?;
    (is_service(group) && !is_login(group)).then(|| group.to_owned())
}

/// What the innermost manager started: a login manager or a scope begins anew.
fn innermost(path: &str) -> Option<String> {
    let nearest = |unit, group| match group {
        group if is_login(group) || is_scope(group) => None,
        group if is_service(group) => Some(group),
        _ => unit,
    };
    groups(path).fold(None, nearest).map(str::to_owned)
}

/// The groups from the root on. A group that is gone is marked, and a name that looks like one of the kernel's
/// own files has an underscore before it.
fn groups(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.split('/').map(|group| group.strip_prefix('_').unwrap_or(group))
}

fn is_service(group: &str) -> bool {
    group.strip_suffix(".service").is_some_and(|name| !name.is_empty()) && is_unit_name(group)
}

fn is_scope(group: &str) -> bool {
    group.ends_with(".scope")
}

/// The manager of a user.
fn is_login(group: &str) -> bool {
    group.starts_with("user@") && is_service(group)
}
