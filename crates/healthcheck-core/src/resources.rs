//! What a machine has, and how much of it is taken. What could not be looked at is absent, never zero.

use serde::{Deserialize, Serialize};

/// What a machine has, and how much of it is taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Main memory.
    pub memory: Option<Capacity>,
    /// Nothing on a machine without swap.
    pub swap: Option<Capacity>,
    /// Who runs or wants to.
    pub load: Option<Load>,
    /// The busy share of all processors since the sample before, from 0 to 1; nothing without one.
    pub cpu_ratio: Option<f64>,
    /// How much was waited for each resource.
    pub pressure: Pressure,
    /// Each file system, in the order of mount points.
    pub disks: Vec<Disk>,
    /// Each sensor, by name.
    pub temperatures: Vec<Temperature>,
    /// Open files of the whole system.
    pub descriptors: Option<Descriptors>,
}

/// A store of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// All of it.
    pub total_bytes: u64,
    /// What a new program could have; what the kernel only caches counts as available.
    pub available_bytes: u64,
}

/// Processes that ran or wanted to, on average over 1, 5 and 15 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Over one minute.
    pub one: f64,
    /// Over five minutes.
    pub five: f64,
    /// Over fifteen minutes.
    pub fifteen: f64,
    /// Processors that the machine has online, whichever of them this process may use.
    pub cores: usize,
}

/// The shares of the last ten seconds in which at least one process waited, from 0 to 1; `/proc/pressure`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// For a processor.
    pub cpu_ratio: Option<f64>,
    /// For memory.
    pub memory_ratio: Option<f64>,
    /// For a disk.
    pub io_ratio: Option<f64>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    /// Where it is mounted.
    pub mount_point: String,
    /// What is mounted.
    pub device: String,
    /// Its type: `ext4`.
    pub kind: String,
    /// What users may have of it, without the blocks that are kept for root: shares are those of `df`.
    pub bytes: Capacity,
    /// Inodes; nothing where their number is not fixed.
    pub inodes: Option<Inodes>,
    /// Whether it is read-only as a whole, and not only where whoever looks has it mounted.
    pub is_read_only: bool,
}

/// The inodes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Inodes {
    /// All of them.
    pub total: u64,
    /// Those that a user may still have.
    pub available: u64,
}

/// A sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// The sensor's name: `coretemp Package id 0`.
    pub name: String,
    /// Degrees Celsius.
    pub celsius: f64,
}

/// Open files of the whole system.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Descriptors {
    /// Open ones.
    pub open: u64,
    /// How many there may be.
    pub max: u64,
}

impl Load {
    /// The load over five minutes for each processor: what its limit counts.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a load needs no more digits")]
    pub fn per_core(self) -> f64 {
        self.five / self.cores.max(1) as f64
    }
}

impl Capacity {
    /// The share that is taken, from 0 to 1.
    ///
    /// ```
    /// use healthcheck_core::Capacity;
    ///
    /// assert_eq!(Capacity { total_bytes: 100, available_bytes: 25 }.used_ratio(), 0.75);
    /// ```
    #[must_use]
    pub fn used_ratio(self) -> f64 {
        taken(self.total_bytes, self.available_bytes)
    }
}

impl Inodes {
    /// The share that is taken, from 0 to 1.
    #[must_use]
    pub fn used_ratio(self) -> f64 {
        taken(self.total, self.available)
    }
}

impl Descriptors {
    /// The share that is taken, from 0 to 1.
    #[must_use]
    pub fn used_ratio(self) -> f64 {
        taken(self.max, self.max.saturating_sub(self.open))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
fn taken(total: u64, available: u64) -> f64 {
    if total == 0 { 0.0 } else { total.saturating_sub(available) as f64 / total as f64 }
}
