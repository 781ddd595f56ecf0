//! The standard error of a program: its end is kept, the rest is read and counted.

use super::super::plain_text::{WORDS_BYTES, cut, line};
use super::MAX_OUTPUT_BYTES;
use health_reporter::mask_credentials;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ChildStderr;

const KEPT_BYTES: usize = 4 * 1024;

pub(super) struct Errors {
    /// Nothing once it was closed.
    pipe: Option<ChildStderr>,
    kept: Vec<u8>,
    written: u64,
}

impl Errors {
    pub(super) fn of(pipe: Option<ChildStderr>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        Ok(Self { pipe, kept: Vec::new(), written: 0 })
    }

    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, and returns how much it was until now.
    pub(super) fn read(&mut self) -> u64 {
        let mut buffer = [0; KEPT_BYTES];
        while let Some(pipe) = self.pipe.as_mut().filter(|_| self.written <= MAX_OUTPUT_BYTES) {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.keep(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.pipe = None,
            }
        }
        self.written
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.written += bytes.len() as u64;
        self.kept.extend_from_slice(bytes);
        self.kept.drain(..self.kept.len().saturating_sub(KEPT_BYTES));
    }

    /// The last one that is not empty, for people.
    pub(super) fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        cut(&mask_credentials(&line(last)), WORDS_BYTES, char::len_utf8).into_owned()
    }
}
