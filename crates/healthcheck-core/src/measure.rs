//! Numbers of the machine, and their limits.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The used share of memory, from 0 to 1.
    Memory,
    /// The used share of swap, from 0 to 1.
    Swap,
    /// The busy share of all processors, from 0 to 1.
    Cpu,
    /// The load over five minutes, for each processor.
    Load,
    /// The used share of a file system, from 0 to 1.
    Disk,
    /// The free space of a file system, in bytes.
    DiskFree,
    /// The used share of the inodes of a file system, from 0 to 1.
    Inodes,
    /// A temperature, in degrees Celsius.
    Temperature,
    /// The share of the last ten seconds in which something waited for a processor, from 0 to 1.
    PressureCpu,
    /// The same for memory.
    PressureMemory,
    /// The same for a disk.
    PressureIo,
    /// The used share of the open files that the system allows, from 0 to 1.
    Descriptors,
}

impl Quantity {
    /// The word on disk, in snake case; a subject's name is this, or begins with it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Swap => "swap",
            Self::Cpu => "cpu",
            Self::Load => "load",
            Self::Disk => "disk",
            Self::DiskFree => "disk_free",
            Self::Inodes => "inodes",
            Self::Temperature => "temperature",
            Self::PressureCpu => "pressure_cpu",
            Self::PressureMemory => "pressure_memory",
            Self::PressureIo => "pressure_io",
            Self::Descriptors => "descriptors",
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A number of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What was measured.
    pub quantity: Quantity,
    /// How much, in the quantity's unit.
    pub value: f64,
}

/// What is wrong with a mount, whatever its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSight {
    /// It is as the table of file systems says.
    AsExpected,
    /// The table of file systems names it, and nothing is mounted there.
    Vanished,
    /// The same, and it may be missing at boot (`nofail`).
    VanishedOptional,
    /// The table of file systems wants it writable, and it is mounted read-only.
    ReadOnly,
}

/// Beyond a limit for some time it is bad; back beyond `clear` it is well again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Beyond this it is a warning.
    pub warning: Option<f64>,
    /// Beyond this it is an error.
    pub error: Option<f64>,
    /// Not until it is back beyond this is it well again; otherwise with the limit itself.
    pub clear: Option<f64>,
    /// How long it must last.
    pub hold: Duration,
    /// Whether it is bad below the limits, rather than above.
    pub is_bad_below: bool,
}
