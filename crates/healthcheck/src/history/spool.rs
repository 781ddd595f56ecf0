//! Where batches wait for their store: files of lines beside `state.db`, bounded in size, the oldest dropped first.
//!
//! A batch that was taken in may still be there after a kill; its number tells that it was.

mod place;

use super::batch::Batch;
use crate::sqlite::{Unusable, printable, unwritable};
use place::path_of;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What all files may take together, in bytes.
pub(crate) const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// What one file takes before the next is begun, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;
/// A longer line is none that was written here, in bytes.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;
/// What may wait in memory where no file can be written, in batches.
const MAX_IN_MEMORY: usize = 256;
const OURS_ALONE: u32 = 0o700;

/// Batches in the order in which they were handed over.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    /// Whether what is in the directory is ours; nothing of it is used before that is known.
    is_believed: bool,
    /// The oldest first.
    files: VecDeque<Part>,
    /// How far the first file was read.
    read_bytes: u64,
    writing: Option<File>,
    /// Batches that no file takes, all of them newer than what is in files.
    in_memory: VecDeque<Batch>,
    /// How many were dropped, or could not be read, since that was last asked for.
    dropped: u64,
    problem: Option<String>,
}

#[derive(Debug)]
struct Part {
    number: u64,
    bytes: u64,
    lines: u64,
}

/// A batch that waits, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) batch: Batch,
    next: Place,
    /// Lines before it that are none, since the last one that was taken.
    unreadable: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    File { number: u64, bytes: u64 },
    Memory,
}

impl Spool {
    /// What waits in a directory, which is made when it is needed.
    pub(crate) fn at(dir: PathBuf) -> Self {
        let mut spool = Self {
            dir,
            is_believed: false,
            files: VecDeque::new(),
            read_bytes: 0,
            writing: None,
            in_memory: VecDeque::new(),
            dropped: 0,
            problem: None,
        };
        if let Err(unusable) = spool.believe() {
            spool.fail(&unusable);
        }
        spool
    }

    /// Looks at what waits in the directory, where that is ours.
    fn believe(&mut self) -> Result<(), Unusable> {
        if !self.is_believed {
            let part = |(number, bytes)| Part { number, bytes, lines: 0 };
            self.files = place::list(&self.dir)?.into_iter().map(part).collect();
            (self.is_believed, self.read_bytes, self.problem) = (true, 0, None);
        }
        Ok(())
    }

    /// Uses nothing of the directory until it is ours.
    fn doubt(&mut self, unusable: &Unusable) {
        self.files.clear();
        self.is_believed = false;
        self.fail(unusable);
    }

    #[cfg(test)]
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        let unread = self.files.iter().map(|file| file.bytes).sum::<u64>() > self.read_bytes;
        !unread && self.in_memory.is_empty()
    }

    /// What all files take, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Why batches wait in memory, where they do.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// How many batches were dropped since this was last asked for: there was no room, or they could not be read.
    pub(crate) const fn take_dropped(&mut self) -> u64 {
        std::mem::replace(&mut self.dropped, 0)
    }

    /// Adds a batch behind all others.
    pub(crate) fn push(&mut self, batch: Batch) {
        if self.in_memory.is_empty() {
            match self.write(&batch) {
                Ok(()) => {
                    self.problem = None;
                    return;
                }
                Err(unusable) => self.fail(&unusable),
            }
        }
        self.in_memory.push_back(batch);
        self.settle();
        if self.in_memory.len() > MAX_IN_MEMORY {
            self.in_memory.pop_front();
            self.dropped += 1;
        }
    }

    /// Writes what waits in memory, now that there may be room.
    fn settle(&mut self) {
        while let Some(batch) = self.in_memory.pop_front() {
            if let Err(unusable) = self.write(&batch) {
                self.in_memory.push_front(batch);
                self.fail(&unusable);
                return;
            }
            self.problem = None;
        }
    }

    fn fail(&mut self, unusable: &Unusable) {
        self.writing = None;
        self.problem = Some(unusable.to_string());
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Unusable> {
        self.believe()?;
        let mut line = serde_json::to_vec(batch).map_err(|error| self.unwritable(&error.into()))?;
        line.push(b'\n');
        self.make_room(line.len() as u64);
        if self.writing.is_none() || self.files.back().is_none_or(|last| last.bytes >= FILE_BYTES) {
            self.begin_file()?;
        }
        self.append(&line).map_err(|error| self.unwritable(&error))
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let (Some(file), Some(part)) = (&mut self.writing, self.files.back_mut()) else {
            return Err(ErrorKind::NotFound.into());
        };
        let written = file.write_all(line);
        // Half a line would make the next one unreadable.
        if written.is_err() {
            let _ = file.set_len(part.bytes).and_then(|()| file.seek(SeekFrom::Start(part.bytes)));
        } else {
            part.bytes += line.len() as u64;
            part.lines += 1;
        }
        written
    }

    fn unwritable(&self, error: &io::Error) -> Unusable {
        Unusable::NotNow(unwritable(&self.dir, error))
    }

    fn begin_file(&mut self) -> Result<(), Unusable> {
        // One that is finished outlasts a power failure; what is lost of the last one is of a minute.
        if let Some(finished) = self.writing.take() {
            let _ = finished.sync_data();
        }
        let made = DirBuilder::new().recursive(true).mode(OURS_ALONE).create(&self.dir);
        if let Err(unusable) = place::examine_directory(&self.dir) {
            self.doubt(&unusable);
            return Err(unusable);
        }
        let number = self.files.back().map_or(1, |last| last.number + 1);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::open(path_of(&self.dir, number), flags, Mode::from_raw_mode(0o600));
        let file = made.and_then(|()| Ok(open()?)).map_err(|error| self.unwritable(&error))?;
        self.writing = Some(file.into());
        self.files.push_back(Part { number, bytes: 0, lines: 0 });
        Ok(())
    }

    fn make_room(&mut self, wanted: u64) {
        while self.bytes() + wanted > MAX_BYTES && self.files.len() > 1 {
            self.lose_oldest();
        }
    }

    /// Drops what nobody took in.
    fn lose_oldest(&mut self) {
        self.dropped += self.files.front().map_or(0, |oldest| oldest.lines.max(1));
        self.drop_oldest();
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.files.pop_front() {
            let _ = fs::remove_file(path_of(&self.dir, oldest.number));
        }
        self.read_bytes = 0;
        if self.files.is_empty() {
            self.writing = None;
        }
    }

    /// The batches that wait, the oldest first: so many that they have together about so many bytes.
    ///
    /// # Errors
    ///
    /// They cannot be read now, and wait on.
    pub(crate) fn front(&mut self, about_bytes: u64) -> Result<Vec<Front>, Unusable> {
        self.believe().or_else(|unusable| self.bear(unusable))?;
        while let Some((number, bytes)) = self.files.front().map(|first| (first.number, first.bytes)) {
            match read(&path_of(&self.dir, number), number, self.read_bytes..bytes, about_bytes) {
                Ok(Some(reading)) if !reading.found.is_empty() => return Ok(reading.found),
                Ok(Some(reading)) => {
                    self.dropped += reading.unreadable;
                    self.read_bytes = reading.end;
                    if reading.end >= bytes {
                        self.drop_oldest();
                    }
                }
                Ok(None) => self.lose_oldest(),
                Err(unusable) => self.bear(unusable)?,
            }
        }
        Ok(self.in_memory.front().cloned().map(in_memory).into_iter().collect())
    }

    /// Goes on without the directory where it is not ours.
    fn bear(&mut self, unusable: Unusable) -> Result<(), Unusable> {
        match unusable {
            Unusable::NotNow(_) => Err(unusable),
            Unusable::Refused { .. } => {
                self.doubt(&unusable);
                Ok(())
            }
        }
    }

    /// Drops what was taken in: everything up to this one.
    pub(crate) fn drop_through(&mut self, taken: &Front) {
        match taken.next {
            // It may be in a file by now, and the first one another.
            Place::Memory => {
                self.in_memory
                    .pop_front_if(|it| (&it.run, it.number) == (&taken.batch.run, taken.batch.number));
            }
            Place::File { number, bytes } if self.files.front().is_some_and(|it| it.number == number) => {
                self.dropped += taken.unreadable;
                self.read_bytes = bytes;
                if self.files.front().is_some_and(|first| first.bytes <= bytes) {
                    self.drop_oldest();
                }
            }
            // It was dropped meanwhile, since there was no room.
            Place::File { .. } => {}
        }
    }
}

const fn in_memory(batch: Batch) -> Front {
    Front { batch, next: Place::Memory, unreadable: 0 }
}

/// What was found in a part of a file.
struct Reading {
    found: Vec<Front>,
    /// Lines that are no batches.
    unreadable: u64,
    end: u64,
}

/// The batches in a part of a file, if there still is one.
fn read(path: &Path, number: u64, part: Range<u64>, about_bytes: u64) -> Result<Option<Reading>, Unusable> {
    let not_now = |error: io::Error| Unusable::NotNow(format!("{}: {error}", printable(path)));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => {
            return Err(Unusable::Refused { path: path.to_owned(), problem: "is a link".to_owned() });
        }
        Err(error) => return Err(not_now(error.into())),
    };
    place::examine_file(path, &file.metadata().map_err(not_now)?)?;
    read_lines(file, number, part, about_bytes).map(Some).map_err(not_now)
}

/// The last line may have no end, after a kill; that batch was never handed over.
fn read_lines(mut file: File, number: u64, part: Range<u64>, about_bytes: u64) -> io::Result<Reading> {
    file.seek(SeekFrom::Start(part.start))?;
    let mut lines = BufReader::new(file.take(part.end.saturating_sub(part.start)));
    let mut reading = Reading { found: Vec::new(), unreadable: 0, end: part.start };
    while reading.end < part.end && reading.end - part.start < about_bytes {
        let mut line = Vec::new();
        let length = lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? as u64;
        reading.end = if length == 0 { part.end } else { reading.end + length };
        if let Ok(batch) = serde_json::from_slice(&line) {
            let next = Place::File { number, bytes: reading.end };
            reading.found.push(Front { batch, next, unreadable: reading.unreadable });
        } else if line.ends_with(b"\n") || reading.end < part.end {
            reading.unreadable += 1;
        }
    }
    Ok(reading)
}

#[cfg(test)]
mod tests;
