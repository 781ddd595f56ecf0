//! What a program writes: the beginning is kept, the rest is read and counted.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;

const READ_BYTES: usize = 8 * 1024;
/// What a pipe holds: what is in it at the end is still read, what comes later is not.
const PIPE_BYTES: usize = 64 * 1024;

/// The standard output and the standard error of one program.
pub(super) struct Output {
    streams: [Stream; 2],
    kept_bytes: usize,
}

impl Output {
    pub(super) fn of((out, err): (Option<OwnedFd>, Option<OwnedFd>), kept_bytes: usize) -> io::Result<Self> {
        Ok(Self { streams: [Stream::of(out, kept_bytes)?, Stream::of(err, kept_bytes)?], kept_bytes })
    }

    /// Reads what is there, and returns how much it was until now.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> u64 {
        self.streams.iter_mut().map(|stream| stream.poll_read(context)).sum()
    }

    pub(super) fn read_rest(&mut self) {
        self.streams.iter_mut().for_each(Stream::read_rest);
    }

    /// The standard output before the standard error.
    pub(super) fn text(&self) -> String {
        let [out, err] = &self.streams;
        let between: &[u8] = match (out.kept.last(), err.kept.first()) {
            (Some(last), Some(_)) if *last != b'\n' => b"\n",
            _ => b"",
        };
        let text = [&out.kept[..], between, &err.kept[..]].concat();
        let mut text = String::from_utf8_lossy(&text).into_owned();
        text.truncate(text.floor_char_boundary(self.kept_bytes));
        text
    }
}

struct Stream {
    pipe: Option<Receiver>,
    kept: Vec<u8>,
    kept_bytes: usize,
    written: u64,
}

impl Stream {
    fn of(pipe: Option<OwnedFd>, kept_bytes: usize) -> io::Result<Self> {
        let pipe = pipe.map(Receiver::from_owned_fd).transpose()?;
        Ok(Self { pipe, kept: Vec::new(), kept_bytes, written: 0 })
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> u64 {
        let mut buffer = [0; READ_BYTES];
        while let Some(pipe) = &mut self.pipe {
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(pipe).poll_read(context, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    let bytes = read.filled();
                    self.written += bytes.len() as u64;
                    keep(&mut self.kept, self.kept_bytes, bytes);
                }
                Poll::Ready(_) => self.pipe = None,
                Poll::Pending => break,
            }
            if self.written > super::MAX_OUTPUT_BYTES {
                break;
            }
        }
        self.written
    }

    /// Reads what is in the pipe, whether or not it was said to be readable.
    fn read_rest(&mut self) {
        let Some(pipe) = self.pipe.take() else { return };
        let mut buffer = [0; READ_BYTES];
        let mut left = PIPE_BYTES;
        while left > 0 {
            match rustix::io::read(pipe.as_fd(), &mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    keep(&mut self.kept, self.kept_bytes, &buffer[..count]);
                    left = left.saturating_sub(count);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

fn keep(kept: &mut Vec<u8>, kept_bytes: usize, bytes: &[u8]) {
    let room = kept_bytes - kept.len();
    kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
}
