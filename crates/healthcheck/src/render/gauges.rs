//! The numbers of the machine as one list, in the units in which people and monitoring systems read them.

use super::Picture;
use healthcheck_core::{
    Capacity, Descriptors, Disk, Inodes, Kind, Limits, Load, Quantity, Resources, SubjectView,
};

/// One number of the machine.
pub(super) struct Gauge<'a> {
    pub(super) quantity: Quantity,
    /// Which of several: a mount point, a sensor.
    pub(super) of: Option<&'a str>,
    pub(super) value: f64,
    pub(super) unit: Unit,
    /// The limits of it, in the same unit.
    pub(super) limits: Option<Limits>,
    /// The verdict on it, where it was judged.
    pub(super) verdict: Option<&'a SubjectView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Percent,
    Bytes,
    Celsius,
    /// Processes over all processors.
    Load,
}

impl Gauge<'_> {
    /// `memory`, `disk /`
    pub(super) fn name(&self) -> String {
        match self.of {
            Some(of) => format!("{} {of}", self.quantity),
            None => self.quantity.to_string(),
        }
    }

    /// The most that it can be.
    pub(super) fn max(&self) -> Option<f64> {
        (self.unit == Unit::Percent).then_some(100.0)
    }
}

/// Each number that was observed.
pub(super) fn gauges(picture: &Picture) -> Vec<Gauge<'_>> {
    let Some(resources) = &picture.resources else { return Vec::new() };
    let cores = resources.load.map_or(1, |load| load.cores.max(1));
    let mut observed = single(resources);
    observed.extend(resources.disks.iter().flat_map(of_disk));
    let sensors = resources.temperatures.iter();
    observed.extend(sensors.map(|each| (Quantity::Temperature, Some(&*each.name), each.celsius)));
    let has_use = |quantity| quantity != Quantity::DiskFree || picture.limits.contains_key(&quantity);
    let gauges = observed.into_iter().filter(|(quantity, ..)| has_use(*quantity));
    gauges.map(|(quantity, of, value)| gauge(picture, cores, quantity, of, value)).collect()
}

type Observed<'a> = (Quantity, Option<&'a str>, f64);

fn single(resources: &Resources) -> Vec<Observed<'_>> {
    let each = [
        (Quantity::Cpu, resources.cpu_ratio),
        (Quantity::Memory, resources.memory.map(Capacity::used_ratio)),
        (Quantity::Swap, resources.swap.map(Capacity::used_ratio)),
        (Quantity::Load, resources.load.map(Load::per_core)),
        (Quantity::PressureCpu, resources.pressure.cpu_ratio),
        (Quantity::PressureMemory, resources.pressure.memory_ratio),
        (Quantity::PressureIo, resources.pressure.io_ratio),
        (Quantity::Descriptors, resources.descriptors.map(Descriptors::used_ratio)),
    ];
    each.into_iter().filter_map(|(quantity, value)| Some((quantity, None, value?))).collect()
}

fn of_disk(disk: &Disk) -> impl Iterator<Item = Observed<'_>> {
    let each = [
        (Quantity::Disk, Some(disk.bytes.used_ratio())),
        (Quantity::DiskFree, Some(precise(disk.bytes.available_bytes))),
        (Quantity::Inodes, disk.inodes.map(Inodes::used_ratio)),
    ];
    each.into_iter().filter_map(|(quantity, value)| Some((quantity, Some(&*disk.mount_point), value?)))
}

fn gauge<'a>(
    picture: &'a Picture,
    cores: usize,
    quantity: Quantity,
    of: Option<&'a str>,
    value: f64,
) -> Gauge<'a> {
    let (unit, scale) = match quantity {
        Quantity::Load => (Unit::Load, whole(cores)),
        Quantity::DiskFree => (Unit::Bytes, 1.0),
        Quantity::Temperature => (Unit::Celsius, 1.0),
        _ => (Unit::Percent, 100.0),
    };
    let rounded = |value: f64| (value * scale * 100.0).round() / 100.0;
    let limits = picture.limits.get(&quantity).map(|limits| Limits {
        warning: limits.warning.map(rounded),
        error: limits.error.map(rounded),
        clear: limits.clear.map(rounded),
        ..*limits
    });
    let verdict = picture.others(Kind::Resource).find(|view| parts(&view.name) == (quantity.as_str(), of));
    Gauge { quantity, of, value: rounded(value), unit, limits, verdict }
}

/// The name of a resource as what is measured, and of what: `disk` and `/var` of `disk /var`.
pub(super) fn parts(name: &str) -> (&str, Option<&str>) {
    match name.split_once(' ') {
        Some((quantity, of)) => (quantity, Some(of)),
        None => (name, None),
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has that many")]
const fn whole(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a size needs no more digits")]
pub(super) const fn precise(count: u64) -> f64 {
    count as f64
}
