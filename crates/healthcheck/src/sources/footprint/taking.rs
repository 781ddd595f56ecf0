//! Looking at a living process for what it is made of.

use super::Piece;
use super::argv::{Argv, is_interpreter};
use super::identity::{File, Identity};
use crate::sources::machine::MayHang;
use crate::sources::paths::leads_below;
use healthcheck_core::Part;
use jiff::Timestamp;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files that its command line names.
const MAX_FILES: usize = 4;
/// All paths together.
const MAX_PATH_BYTES: usize = 512;
/// Of its descriptors the first: what it writes to all the time is opened early.
const MAX_DESCRIPTORS: usize = 256;
/// What is written so soon after the start was written by the program itself.
const OWN_WORK: Duration = Duration::from_secs(60);
/// The owner's write permission, which a link to a descriptor shows where that is open for writing.
const WRITABLE: u32 = 0o200;

pub(super) struct Taking<'a> {
    process: &'a Path,
    mounts: &'a MayHang,
    started: Timestamp,
    pieces: Vec<Piece>,
    path_bytes: usize,
}

impl<'a> Taking<'a> {
    pub(super) fn new(process: &'a Path, mounts: &'a MayHang, started: Timestamp) -> Self {
        Self { process, mounts, started, pieces: Vec::new(), path_bytes: 0 }
    }

    pub(super) fn pieces(mut self) -> Box<[Piece]> {
        let argv = Argv::of_process(self.process);
        let program = self.program(&argv);
        if self.has_our_root() {
            self.files(&argv, program.as_deref().is_some_and(is_interpreter));
        }
        self.pieces.into_boxed_slice()
    }

    /// In a container the same path is another file.
    fn has_our_root(&self) -> bool {
        let ours = fs::metadata("/").map(|metadata| File::of(&metadata)).ok();
        let theirs = fs::metadata(self.process.join("root")).map(|metadata| File::of(&metadata)).ok();
        theirs.is_none() || theirs == ours
    }

    /// The program by a path at which it is found, its own or the one it was called by; returns what it is.
    fn program(&mut self, argv: &Argv) -> Option<PathBuf> {
        let link = self.process.join("exe");
        let called = argv.program();
        let Ok(target) = link.read_link() else {
            // The owner's business; by which name it was called is not.
            let called = called.filter(|_| self.has_our_root())?.to_owned();
            let taken = self.regular(&called)?;
            self.add(Part::Executable, &called, Identity::of(&taken));
            return Some(called);
        };
        let is_safe = target.is_absolute() && !leads_below(&target, self.mounts);
        let running = is_safe.then(|| fs::metadata(&link).ok()).flatten()?;
        let is_it =
            |path: &&Path| self.regular(path).is_some_and(|seen| File::of(&seen) == File::of(&running));
        let found = [called, Some(&target)].into_iter().flatten().find(is_it).map(Path::to_owned);
        let path = found.or_else(|| without_mark(&target).filter(|_| self.has_our_root()));
        if let Some(path) = path {
            self.add(Part::Executable, &path, Identity::of(&running));
        }
        Some(target)
    }

    fn files(&mut self, argv: &Argv, mut wants_script: bool) {
        // Without it, nothing that is named from there is found.
        let cwd = self.process.join("cwd").read_link().unwrap_or_default();
        let mut written = None;
        let most = self.pieces.len() + MAX_FILES;
        for (named, may_be_script) in argv.named() {
            let path = cwd.join(named);
            let Some(seen) = self.regular(&path) else { continue };
            let is_script = wants_script && may_be_script;
            wants_script &= !is_script;
            if self.pieces.len() == most || self.has(&seen) {
                continue;
            }
            let written = written.get_or_insert_with(|| self.written());
            if is_script || !self.is_own_work(&seen, written.as_deref()) {
                let part = if is_script { Part::Executable } else { Part::Configuration };
                self.add(part, &path, Identity::of(&seen));
            }
        }
    }

    fn regular(&self, path: &Path) -> Option<Metadata> {
        let is_safe = path.is_absolute() && !leads_below(path, self.mounts);
        is_safe.then(|| fs::metadata(path).ok()).flatten().filter(Metadata::is_file)
    }

    fn has(&self, seen: &Metadata) -> bool {
        self.pieces.iter().any(|piece| piece.taken.file == File::of(seen))
    }

    fn add(&mut self, part: Part, path: &Path, taken: Identity) {
        self.path_bytes += path.as_os_str().len();
        if self.path_bytes <= MAX_PATH_BYTES {
            self.pieces.push(Piece { part, path: path.into(), taken });
        }
    }

    /// A log, a database, a file with its pid: that it changes is no news.
    fn is_own_work(&self, seen: &Metadata, written: Option<&[File]>) -> bool {
        let seen = Identity::of(seen);
        let first = self.started.checked_add(OWN_WORK).unwrap_or(Timestamp::MAX);
        match written {
            Some(written) => written.contains(&seen.file) || (self.started..first).contains(&seen.modified),
            None => seen.modified >= self.started,
        }
    }

    /// What it has open for writing; nothing if that is not to be seen.
    fn written(&self) -> Option<Vec<File>> {
        let descriptors = fs::read_dir(self.process.join("fd")).ok()?.flatten().take(MAX_DESCRIPTORS);
        let links = descriptors.map(|descriptor| descriptor.path());
        let writable =
            links.filter(|link| fs::symlink_metadata(link).is_ok_and(|link| link.mode() & WRITABLE != 0));
        let files = writable.filter_map(|link| self.regular(&link.read_link().ok()?));
        Some(files.map(|metadata| File::of(&metadata)).collect())
    }
}

/// The path of a program that was replaced or removed while it runs. One that never had a file has none.
fn without_mark(target: &Path) -> Option<PathBuf> {
    let path = target.as_os_str().as_bytes().strip_suffix(b" (deleted)")?;
    let path = PathBuf::from(OsStr::from_bytes(path));
    (!path.as_os_str().as_bytes().starts_with(b"/memfd:")).then_some(path)
}
