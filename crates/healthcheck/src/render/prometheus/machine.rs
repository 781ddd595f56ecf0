//! The numbers of the machine.

use super::exposition::{Exposition, Family, labels};
use crate::render::gauges::precise;
use healthcheck_core::{Capacity, Disk, Resources};
use std::io;

pub(super) fn write(resources: &Resources, out: &mut Exposition<'_>) -> io::Result<()> {
    single(resources, out)?;
    load_and_pressure(resources, out)?;
    disks(&resources.disks, out)?;
    let mut sensors = Family::gauge("healthcheck_temperature_celsius", "What a sensor measures.");
    for each in &resources.temperatures {
        sensors.add(&labels(&[("sensor", &each.name)]), each.celsius);
    }
    out.write(sensors)
}

/// What there is once.
fn single(resources: &Resources, out: &mut Exposition<'_>) -> io::Result<()> {
    let total = |capacity: Option<Capacity>| capacity.map(|capacity| precise(capacity.total_bytes));
    let available = |capacity: Option<Capacity>| capacity.map(|capacity| precise(capacity.available_bytes));
    let descriptors = resources.descriptors;
    let cores = resources.load.and_then(|load| u32::try_from(load.cores).ok()).map(f64::from);
    let each = [
        ("healthcheck_memory_total_bytes", "Main memory.", total(resources.memory)),
        (
            "healthcheck_memory_available_bytes",
            "What a new program could have of it.",
            available(resources.memory),
        ),
        ("healthcheck_swap_total_bytes", "Swap.", total(resources.swap)),
        ("healthcheck_swap_available_bytes", "What is free of it.", available(resources.swap)),
        ("healthcheck_cpu_busy_ratio", "The busy share of all processors, from 0 to 1.", resources.cpu_ratio),
        ("healthcheck_cpu_cores", "Processors that may be used.", cores),
        (
            "healthcheck_open_fds",
            "Open files of the whole system.",
            descriptors.map(|files| precise(files.open)),
        ),
        ("healthcheck_max_fds", "How many there may be.", descriptors.map(|files| precise(files.max))),
    ];
    each.into_iter().try_for_each(|(name, help, value)| {
        let mut family = Family::gauge(name, help);
        family.maybe("", value);
        out.write(family)
    })
}

fn load_and_pressure(resources: &Resources, out: &mut Exposition<'_>) -> io::Result<()> {
    let mut load = Family::gauge("healthcheck_load_average", "Processes that ran or wanted to, on average.");
    for (minutes, value) in
        resources.load.iter().flat_map(|load| [("1", load.one), ("5", load.five), ("15", load.fifteen)])
    {
        load.add(&labels(&[("minutes", minutes)]), value);
    }
    out.write(load)?;
    let mut pressure = Family::gauge(
        "healthcheck_pressure_ratio",
        "The share of the last ten seconds in which something waited for it, from 0 to 1.",
    );
    let waited = resources.pressure;
    for (resource, ratio) in
        [("cpu", waited.cpu_ratio), ("memory", waited.memory_ratio), ("io", waited.io_ratio)]
    {
        pressure.maybe(&labels(&[("resource", resource)]), ratio);
    }
    out.write(pressure)
}

fn disks(disks: &[Disk], out: &mut Exposition<'_>) -> io::Result<()> {
    type Read = fn(&Disk) -> Option<f64>;
    let each: [(&str, &str, Read); 5] = [
        ("healthcheck_filesystem_size_bytes", "The size of a file system.", |disk| {
            Some(precise(disk.bytes.total_bytes))
        }),
        ("healthcheck_filesystem_available_bytes", "What a user may still have of it.", |disk| {
            Some(precise(disk.bytes.available_bytes))
        }),
        ("healthcheck_filesystem_inodes", "Its inodes, where their number is fixed.", |disk| {
            Some(precise(disk.inodes?.total))
        }),
        ("healthcheck_filesystem_inodes_available", "Inodes that a user may still have.", |disk| {
            Some(precise(disk.inodes?.available))
        }),
        ("healthcheck_filesystem_readonly", "Whether it is read-only as a whole.", |disk| {
            Some(f64::from(u8::from(disk.is_read_only)))
        }),
    ];
    each.into_iter().try_for_each(|(name, help, read)| {
        let mut family = Family::gauge(name, help);
        for disk in disks {
            let of = labels(&[
                ("mountpoint", &disk.mount_point),
                ("device", &disk.device),
                ("fstype", &disk.kind),
            ]);
            family.maybe(&of, read(disk));
        }
        out.write(family)
    })
}
