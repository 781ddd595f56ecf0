//! The numbers of the machine.

use healthcheck_core::{Capacity, Resources};
use schemars::JsonSchema;
use serde::Serialize;

/// The numbers of the machine; what was not observed is absent.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "MachineResources")]
pub(super) struct Machine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swap: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<Load>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pressure: Option<Pressure>,
    /// Each file system, by mount point.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disks: Vec<Disk<'a>>,
    /// Each sensor, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    temperatures: Vec<Temperature<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptors: Option<Descriptors>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Memory {
    total_bytes: u64,
    available_bytes: u64,
    /// From 0 to 1.
    used_ratio: f64,
}

/// Processes that ran or wanted to, on average over 1, 5 and 15 minutes.
#[derive(Debug, Serialize, JsonSchema)]
struct Load {
    one: f64,
    five: f64,
    fifteen: f64,
    cores: usize,
    /// The load over five minutes for each processor.
    per_core: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Cpu {
    /// The busy share of all processors, from 0 to 1.
    busy_ratio: f64,
}

/// The shares of the last ten seconds in which at least one process waited, from 0 to 1.
#[derive(Debug, Serialize, JsonSchema)]
struct Pressure {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    io: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Disk<'a> {
    mount_point: &'a str,
    device: &'a str,
    /// `ext4`, …
    #[serde(rename = "type")]
    kind: &'a str,
    total_bytes: u64,
    /// What a user may still have.
    available_bytes: u64,
    /// From 0 to 1, as `df` tells it: without what is kept for root.
    used_ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes_total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes_available: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inodes_used_ratio: Option<f64>,
    read_only: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Temperature<'a> {
    name: &'a str,
    celsius: f64,
}

/// Open files of the whole system.
#[derive(Debug, Serialize, JsonSchema)]
struct Descriptors {
    open: u64,
    max: u64,
    /// From 0 to 1.
    used_ratio: f64,
}

impl<'a> Machine<'a> {
    pub(super) fn of(resources: &'a Resources) -> Self {
        Self {
            memory: resources.memory.map(Memory::of),
            swap: resources.swap.map(Memory::of),
            load: resources.load.map(Load::of),
            cpu: resources.cpu_ratio.map(|ratio| Cpu { busy_ratio: rounded(ratio) }),
            pressure: Pressure::of(resources.pressure),
            disks: resources.disks.iter().map(Disk::of).collect(),
            temperatures: resources
                .temperatures
                .iter()
                .map(|each| Temperature { name: &each.name, celsius: each.celsius })
                .collect(),
            descriptors: resources.descriptors.map(|files| Descriptors {
                open: files.open,
                max: files.max,
                used_ratio: rounded(files.used_ratio()),
            }),
        }
    }
}

impl Memory {
    fn of(capacity: Capacity) -> Self {
        let Capacity { total_bytes, available_bytes } = capacity;
        Self { total_bytes, available_bytes, used_ratio: rounded(capacity.used_ratio()) }
    }
}

impl Load {
    fn of(load: healthcheck_core::Load) -> Self {
        let healthcheck_core::Load { one, five, fifteen, cores } = load;
        Self { one, five, fifteen, cores, per_core: rounded(load.per_core()) }
    }
}

impl Pressure {
    /// Nothing on a kernel that does not measure it.
    fn of(pressure: healthcheck_core::Pressure) -> Option<Self> {
        let [cpu, memory, io] = [pressure.cpu_ratio, pressure.memory_ratio, pressure.io_ratio];
        let is_observed = cpu.or(memory).or(io).is_some();
        is_observed.then_some(Self { cpu, memory, io })
    }
}

impl<'a> Disk<'a> {
    fn of(disk: &'a healthcheck_core::Disk) -> Self {
        Self {
            mount_point: &disk.mount_point,
            device: &disk.device,
            kind: &disk.kind,
            total_bytes: disk.bytes.total_bytes,
            available_bytes: disk.bytes.available_bytes,
            used_ratio: rounded(disk.bytes.used_ratio()),
            inodes_total: disk.inodes.map(|inodes| inodes.total),
            inodes_available: disk.inodes.map(|inodes| inodes.available),
            inodes_used_ratio: disk.inodes.map(|inodes| rounded(inodes.used_ratio())),
            read_only: disk.is_read_only,
        }
    }
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 1e4).round() / 1e4
}
