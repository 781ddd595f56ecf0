//! The machine itself: its name, its mode, and what it has left of each resource.

mod answers;
mod fstab;
mod memory;
mod mounts;
mod pressure;
mod processors;
mod sensors;
mod space;
mod text;

use answers::Answers;
use healthcheck_core::{
    Capacity, Descriptors, Disk, Facts, Inodes, Kind, Load, Measure, MountSight, Observation, Pressure,
    ProbeError, Quantity, Resources, Subject,
};
pub(crate) use mounts::MayHang;
use mounts::Mount;
use processors::Times;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const MOUNTS: &str = "/proc/self/mountinfo";

/// A machine that is looked at again and again. Remembers the processors' times, for their busy share, and the mounts
/// that have not answered yet.
#[derive(Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    times: Option<Times>,
    answers: Answers,
}

/// What one look at a machine showed.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) resources: Resources,
    /// Each mount point of the table of file systems, and each mount that could not be looked at, in order.
    pub(crate) mounts: Vec<(String, Result<MountSight, ProbeError>)>,
    /// The mount points whose file system is itself read-only: what is full there is so for good.
    frozen: Vec<String>,
    took: Duration,
}

impl Machine {
    /// The machine whose `proc`, `sys` and `etc` are below `root`.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), times: None, answers: Answers::default() }
    }

    /// Takes a sample of the processors' times: the next look tells their busy share since.
    pub(crate) fn sample_cpu(&mut self) {
        self.times = self.text("proc/stat").as_deref().and_then(processors::times);
    }

    /// Looks at everything, in a second at most. Without a sample before, the busy share is absent.
    pub(crate) fn look(&mut self) -> Seen {
        let began = Instant::now();
        let mut seen = self.look_at_disks();
        let (memory, swap) = self.text("proc/meminfo").map_or((None, None), |text| memory::stores(&text));
        let stat = self.text("proc/stat");
        seen.resources = Resources {
            memory,
            swap,
            load: self.load(stat.as_deref()),
            cpu_ratio: self.busy_ratio(stat.as_deref()),
            pressure: self.pressure(),
            temperatures: sensors::look(&self.root),
            descriptors: self.text("proc/sys/fs/file-nr").as_deref().and_then(descriptors),
            ..seen.resources
        };
        seen.took = began.elapsed();
        seen
    }

    fn text(&self, path: &str) -> Option<String> {
        text::read(&self.root.join(path))
    }

    fn load(&self, stat: Option<&str>) -> Option<Load> {
        let own = || std::thread::available_parallelism().map_or(1, usize::from);
        let cores = stat.and_then(processors::online).unwrap_or_else(own);
        processors::load(&self.text("proc/loadavg")?, cores)
    }

    fn busy_ratio(&mut self, stat: Option<&str>) -> Option<f64> {
        let now = stat.and_then(processors::times);
        let before = std::mem::replace(&mut self.times, now);
        before?.busy_ratio_until(now?)
    }

    fn pressure(&self) -> Pressure {
        let of = |name: &str| pressure::some_ratio(&self.text(&format!("proc/pressure/{name}"))?);
        Pressure { cpu_ratio: of("cpu"), memory_ratio: of("memory"), io_ratio: of("io") }
    }

    /// The table of file systems is held against what is mounted, without asking any file system.
    fn look_at_disks(&mut self) -> Seen {
        let mounts = text::read_bytes(&self.root.join("proc/self/mountinfo")).unwrap_or_default();
        let mounts = mounts::parse(&mounts);
        let table = text::read_bytes(&self.root.join("etc/fstab")).unwrap_or_default();
        let mut sights: BTreeMap<_, _> = fstab::sights(&self.root, &fstab::parse(&table), &mounts)
            .map(|(point, sight)| (point, Ok(sight)))
            .collect();
        let is_folder = |mount: &Mount| self.root.join(mount.below_root()).is_dir();
        let file_systems = mounts::file_systems(&mounts, is_folder);
        let answers = self.answers.of_all(&self.root, &file_systems);
        let (mut disks, mut frozen) = (Vec::new(), Vec::new());
        for (mount, answer) in file_systems.into_iter().zip(answers) {
            match answer {
                Ok(Some(space)) => {
                    frozen.extend(mount.is_frozen.then(|| mount.name()));
                    disks.push(disk(mount, space));
                }
                Ok(None) => {}
                Err(error) => drop(sights.insert(mount.name(), Err(error))),
            }
        }
        let resources = Resources { disks, ..Resources::default() };
        Seen { resources, mounts: sights.into_iter().collect(), frozen, took: Duration::ZERO }
    }
}

fn disk(mount: &Mount, space: space::Space) -> Disk {
    Disk {
        mount_point: mount.name(),
        device: mount.source.clone(),
        kind: mount.kind.clone(),
        bytes: space.bytes,
        inodes: space.inodes,
        is_read_only: mount.is_frozen,
    }
}

/// Open files and their limit. Today's kernels write 2^63 - 1 for "no limit", of which there is no share.
fn descriptors(file_nr: &str) -> Option<Descriptors> {
    const NO_LIMIT: u64 = 1 << 48;
    let mut numbers = file_nr.split_ascii_whitespace().map(str::parse);
    let (open, max) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
    (max > 0 && max < NO_LIMIT).then_some(Descriptors { open, max })
}

impl Seen {
    /// One observation of each number that may have a limit, and of each mount that should be there.
    pub(crate) fn observations(&self) -> Vec<Observation> {
        let measured = self.measures().map(|(name, quantity, value)| {
            self.observation(&name, Ok(Facts::Measure(Measure { quantity, value })))
        });
        let mounts = self.mounts.iter().map(|(point, sight)| {
            self.observation(&format!("mount {point}"), sight.clone().map(Facts::Mount))
        });
        measured.chain(mounts).collect()
    }

    fn observation(&self, name: &str, outcome: Result<Facts, ProbeError>) -> Observation {
        Observation { subject: Subject::new(Kind::Resource, name), outcome, took: self.took }
    }

    fn measures(&self) -> impl Iterator<Item = (String, Quantity, f64)> {
        self.of_the_whole().chain(self.of_disks()).chain(self.of_sensors())
    }

    fn of_the_whole(&self) -> impl Iterator<Item = (String, Quantity, f64)> {
        let Resources { memory, swap, load, cpu_ratio, pressure, descriptors, .. } = &self.resources;
        let each = [
            (Quantity::Memory, memory.map(Capacity::used_ratio)),
            (Quantity::Swap, swap.map(Capacity::used_ratio)),
            (Quantity::Cpu, *cpu_ratio),
            (Quantity::Load, load.map(Load::per_core)),
            (Quantity::PressureCpu, pressure.cpu_ratio),
            (Quantity::PressureMemory, pressure.memory_ratio),
            (Quantity::PressureIo, pressure.io_ratio),
            (Quantity::Descriptors, descriptors.map(Descriptors::used_ratio)),
        ];
        each.into_iter().filter_map(|(quantity, value)| Some((quantity.to_string(), quantity, value?)))
    }

    /// Nobody can write to an image, so that it is full is not worth a word.
    fn of_disks(&self) -> impl Iterator<Item = (String, Quantity, f64)> {
        let writable = self.resources.disks.iter().filter(|disk| !self.frozen.contains(&disk.mount_point));
        writable.flat_map(|disk| {
            let each = [
                (Quantity::Disk, Some(disk.bytes.used_ratio())),
                (Quantity::DiskFree, Some(in_bytes(disk.bytes.available_bytes))),
                (Quantity::Inodes, disk.inodes.map(Inodes::used_ratio)),
            ];
            let name = |quantity| format!("{quantity} {}", disk.mount_point);
            each.into_iter().filter_map(move |(quantity, value)| Some((name(quantity), quantity, value?)))
        })
    }

    fn of_sensors(&self) -> impl Iterator<Item = (String, Quantity, f64)> {
        let name = |sensor: &str| format!("{} {sensor}", Quantity::Temperature);
        let sensors = self.resources.temperatures.iter();
        sensors.map(move |sensor| (name(&sensor.name), Quantity::Temperature, sensor.celsius))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a limit needs no more digits")]
fn in_bytes(bytes: u64) -> f64 {
    bytes as f64
}

/// The mounts of this process of which one may never answer; read again only where something was mounted since.
pub(crate) fn may_hang() -> Arc<MayHang> {
    static KNOWN: Mutex<Option<(File, Arc<MayHang>)>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, mounts)) = known.as_ref().filter(|(table, _)| !has_changed(table)) {
        return Arc::clone(mounts);
    }
    let table = File::open(MOUNTS);
    let mounts = mounts::parse(&text::read_bytes(Path::new(MOUNTS)).unwrap_or_default());
    let mounts = Arc::new(MayHang::of(mounts));
    *known = table.ok().map(|table| (table, Arc::clone(&mounts)));
    mounts
}

/// The kernel says so once to each who has the table open.
fn has_changed(table: &File) -> bool {
    let mut polled = [PollFd::new(table, PollFlags::PRI)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once)).map_or(true, |changed| changed > 0)
}

pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether the machine was booted with systemd: what sd_booted(3) looks at.
pub(crate) fn is_booted_with_systemd(root: &Path) -> bool {
    root.join("run/systemd/system").is_dir()
}

#[cfg(test)]
mod tests;
