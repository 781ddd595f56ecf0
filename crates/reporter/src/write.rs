//! The writer of one health file: a slot that no other process has, and one rename a heartbeat.
//!
//! A reader sees the old file or the new one and nothing between, whatever happens to the writer. The stage is
//! made in a directory of our own, under a random name and through handles, so that nothing that somebody
//! plants there is ever opened.

use crate::clock;
use crate::read::{Directory, ReportFile, same_directory};
use crate::report::{HealthReport, MAX_REPORT_BYTES};
use crate::{MAX_SLOTS, ServiceName, State};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, FallocateFlags, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const READABLE_BY_ALL: Mode = Mode::from_raw_mode(0o644);
const OWNER_ALONE: Mode = Mode::from_raw_mode(0o600);
const OURS_ALONE: Mode = Mode::from_raw_mode(0o700);
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;
/// Hexadecimal digits in the name of a stage.
const STAGE_DIGITS: usize = 16;
const ABANDONED_AFTER_S: i64 = 3_600;

/// Which file a writer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The lowest that no other process holds: `camera.json`, `camera@2.json`, …
    LowestFree,
    /// The one of this name, or none.
    Exactly,
}

/// Holds one health file and replaces it, atomically.
///
/// ```
/// use health_reporter::write::{Claim, Writer};
/// use health_reporter::{HealthReport, Status, read};
///
/// let dir = tempfile::tempdir().unwrap();
/// let mut writer = Writer::claim(dir.path(), &"backup".parse().unwrap(), Claim::Exactly).unwrap();
/// writer.write(&HealthReport::new(Status::Healthy)).unwrap();
/// assert!(read::one(dir.path(), writer.name()).is_ok());
/// ```
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    directory: Directory,
    staging: Option<OwnedFd>,
    name: ServiceName,
    target: PathBuf,
    // Held for as long as this lives: the slot is ours.
    _lock: OwnedFd,
    text: Vec<u8>,
    stage_names: RandomState,
    writes: u64,
    can_preallocate: bool,
}

impl Writer {
    /// Takes a slot of `service` in the directory at `path`, which is made if it is not there, and sweeps the
    /// stages that an earlier holder of the slot left behind.
    ///
    /// # Errors
    ///
    /// The system's; [`ErrorKind::WouldBlock`] if the slot, or each of [`MAX_SLOTS`], is held by a living
    /// process; [`ErrorKind::PermissionDenied`] if the staging directory is not ours alone.
    pub fn claim(path: &Path, service: &ServiceName, claim: Claim) -> io::Result<Self> {
        refuse_foreign_links(path)?;
        std::fs::create_dir_all(path)?;
        let directory = Directory::open(path)?;
        let (name, lock) = claim_slot(&directory, service, claim)?;
        let mut writer = Self {
            path: path.to_owned(),
            directory,
            staging: None,
            target: path.join(format!("{name}.json")),
            name,
            _lock: lock,
            text: Vec::new(),
            stage_names: RandomState::new(),
            writes: 0,
            can_preallocate: true,
        };
        writer.open_staging()?;
        writer.sweep_stages();
        Ok(writer)
    }

    /// The name of the file, with its slot.
    #[must_use]
    pub const fn name(&self) -> &ServiceName {
        &self.name
    }

    /// The path of the file.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.target.clone()
    }

    /// What the last holder of this slot left, if it was one of this user.
    #[must_use]
    pub fn previous(&self) -> Option<ReportFile> {
        let previous = self.directory.read(&self.name, &mut Vec::new()).ok()?;
        (previous.owner_uid == rustix::process::geteuid().as_raw()).then_some(previous)
    }

    /// Whether the directory that this writes into is still the one at its path.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        same_directory(self.directory.as_fd(), &self.path)
    }

    /// Replaces the file by `report`: staged, mode 0644, one rename. A finished report is on the disk before
    /// it takes its name, since it has to outlast a power failure.
    ///
    /// # Errors
    ///
    /// The system's, or [`ErrorKind::FileTooLarge`] if the report has more than [`MAX_REPORT_BYTES`]. The old file stays, and the next write
    /// begins anew.
    pub fn write(&mut self, report: &HealthReport) -> io::Result<()> {
        self.serialise(report)?;
        if self.staging.is_none() {
            self.open_staging()?;
        }
        let Some(staging) = &self.staging else { return Err(ErrorKind::NotFound.into()) };
        let stage = self.stage_name();
        let durable = report.state == State::Finished;
        // By its path: where the directory was moved away and made anew, readers look into the new one.
        let staged = self
            .stage(staging, &stage, durable)
            .and_then(|()| Ok(rustix::fs::renameat(staging, &stage, CWD, &self.target)?));
        self.writes += 1;
        staged.inspect_err(|_| self.abandon(&stage))
    }

    fn serialise(&mut self, report: &HealthReport) -> io::Result<()> {
        self.text.clear();
        serde_json::to_writer(&mut self.text, report)?;
        self.text.push(b'\n');
        if self.text.len() > MAX_REPORT_BYTES {
            let problem = format!(
                "the report has {} bytes, the limit is {MAX_REPORT_BYTES}: record less metadata",
                self.text.len()
            );
            return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
        }
        Ok(())
    }

    fn stage(&self, staging: &OwnedFd, stage: &str, durable: bool) -> io::Result<()> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(staging, stage, flags, READABLE_BY_ALL)?;
        // What is asked for at opening is cut by the umask, and a monitor of another user could not read it.
        rustix::fs::fchmod(&file, READABLE_BY_ALL)?;
        if self.can_preallocate {
            // Spares the flush that ext4 makes of a delayed allocation at a rename; the write tells of failures.
            let _ = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.text.len() as u64);
        }
        write_all(&file, &self.text)?;
        if durable {
            rustix::fs::fsync(&file)?;
        }
        Ok(())
    }

    fn stage_name(&self) -> String {
        let mut hasher = self.stage_names.build_hasher();
        hasher.write_u64(self.writes);
        format!("{}.{:0width$x}", self.name, hasher.finish(), width = STAGE_DIGITS)
    }

    /// After a failed write: nothing is left behind, and the next one looks for its staging directory anew.
    fn abandon(&mut self, stage: &str) {
        if let Some(staging) = self.staging.take() {
            let _ = rustix::fs::unlinkat(&staging, stage, AtFlags::empty());
        }
    }

    fn open_staging(&mut self) -> io::Result<()> {
        let uid = rustix::process::geteuid().as_raw();
        let name = format!(".staging-{uid}");
        match rustix::fs::mkdirat(self.directory.as_fd(), &name, OURS_ALONE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let staging = rustix::fs::openat(self.directory.as_fd(), &name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&staging)?;
        if stat.st_uid != uid || stat.st_mode & WRITABLE_BY_OTHERS != 0 {
            return Err(io::Error::new(
                ErrorKind::PermissionDenied,
                format!("{name} in {} is not this user's alone: remove it", self.path.display()),
            ));
        }
        self.can_preallocate = can_preallocate(&staging);
        self.staging = Some(staging);
        Ok(())
    }

    fn sweep_stages(&self) {
        let Some(staging) = &self.staging else { return };
        let Ok(entries) = Dir::read_from(staging) else { return };
        for entry in entries.flatten() {
            let file = entry.file_name();
            // Ours, for we hold the slot; of another slot only what nobody can still be writing.
            if is_stage_of(file.to_bytes(), &self.name) || is_abandoned(staging, file) {
                let _ = rustix::fs::unlinkat(staging, file, AtFlags::empty());
            }
        }
    }
}

/// Where a stranger's link leads is the stranger's choice: what is there would be written in our name.
fn refuse_foreign_links(path: &Path) -> io::Result<()> {
    let uid = rustix::process::geteuid().as_raw();
    for part in path.ancestors().filter(|part| !part.as_os_str().is_empty()) {
        let Ok(metadata) = std::fs::symlink_metadata(part) else { continue };
        if metadata.is_symlink() && ![0, uid].contains(&metadata.uid()) {
            let problem =
                format!("{} is a link of user {}: name the directory itself", part.display(), metadata.uid());
            return Err(io::Error::new(ErrorKind::PermissionDenied, problem));
        }
    }
    Ok(())
}

/// Memory has no delayed allocation, and files over a network no allocation at all.
fn can_preallocate(fd: &OwnedFd) -> bool {
    const EXT4: i64 = 0xef53;
    rustix::fs::fstatfs(fd).is_ok_and(|stat| stat.f_type == EXT4)
}

fn is_stage_of(file: &[u8], name: &ServiceName) -> bool {
    let digits = file.strip_prefix(name.as_str().as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    digits.is_some_and(is_stage_suffix)
}

/// A stage lives for milliseconds; one of an hour ago belongs to nobody.
fn is_abandoned(staging: &OwnedFd, file: &CStr) -> bool {
    let looks_like_one = file.to_bytes().rsplit(|byte| *byte == b'.').next().is_some_and(is_stage_suffix);
    let stat = rustix::fs::statat(staging, file, AtFlags::SYMLINK_NOFOLLOW);
    let age_s = stat.map(|stat| clock::coarse_wall().as_second().saturating_sub(stat.st_mtime));
    looks_like_one && age_s.is_ok_and(|age_s| age_s > ABANDONED_AFTER_S)
}

fn is_stage_suffix(digits: &[u8]) -> bool {
    digits.len() == STAGE_DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
}

fn write_all(file: &OwnedFd, mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(file, text))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => text = &text[written..],
        }
    }
    Ok(())
}

fn claim_slot(
    directory: &Directory,
    service: &ServiceName,
    claim: Claim,
) -> io::Result<(ServiceName, OwnedFd)> {
    let last = if claim == Claim::Exactly { 1 } else { MAX_SLOTS };
    for slot in 1..=last {
        let name = slot_name(service, slot)?;
        if !is_replaceable(directory, &name) {
            continue;
        }
        if let Some(lock) = lock_slot(directory, &name)? {
            return Ok((name, lock));
        }
    }
    let problem = match claim {
        Claim::Exactly => format!("{service}.json is held by a living process, or by another user"),
        Claim::LowestFree => format!("each of the {MAX_SLOTS} slots of {service} is held by another process"),
    };
    Err(io::Error::new(ErrorKind::WouldBlock, problem))
}

fn slot_name(service: &ServiceName, slot: u32) -> io::Result<ServiceName> {
    let name = if slot == 1 { service.to_string() } else { format!("{service}@{slot}") };
    name.parse().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))
}

/// In a directory like /tmp nobody can replace the file of another user.
fn is_replaceable(directory: &Directory, name: &ServiceName) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    let foreign = |stat: &Stat| stat.st_uid != uid;
    let file = rustix::fs::statat(directory.as_fd(), format!("{name}.json"), AtFlags::SYMLINK_NOFOLLOW);
    let Ok(file) = file else { return true };
    let sticky = |stat: &Stat| stat.st_mode & STICKY != 0;
    let protected = rustix::fs::fstat(directory.as_fd()).is_ok_and(|dir| sticky(&dir) && foreign(&dir));
    uid == 0 || !foreign(&file) || !protected
}

/// Nothing if another process, or something that is no lock of ours, has it.
fn lock_slot(directory: &Directory, name: &ServiceName) -> io::Result<Option<OwnedFd>> {
    let Some(lock) = open_lock(directory, &format!(".{name}.lock"))? else { return Ok(None) };
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        // Somebody may have removed it between the opening and the locking: then it locks nothing.
        Ok(()) if rustix::fs::fstat(&lock)?.st_nlink > 0 => Ok(Some(lock)),
        Ok(()) => lock_slot(directory, name),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn open_lock(directory: &Directory, file: &str) -> io::Result<Option<OwnedFd>> {
    let existing = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(directory.as_fd(), file, existing, Mode::empty()) {
        Ok(lock) => return Ok(Some(lock)),
        Err(Errno::LOOP | Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::AGAIN) => return Ok(None),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let new = existing | OFlags::CREATE | OFlags::EXCL;
    // Whoever may open it may lock it, and so keep its service silent.
    match rustix::fs::openat(directory.as_fd(), file, new, OWNER_ALONE) {
        Ok(lock) => Ok(Some(lock)),
        Err(Errno::EXIST) => open_lock(directory, file),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
