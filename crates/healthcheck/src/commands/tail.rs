//! The output of a command: passed through as it comes, and its end kept for the report.

use health_reporter::mask_credentials;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::{ChildStderr, ChildStdout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is kept.
const KEPT_BYTES: usize = 1_500;
/// After the command's end its output is usually there at once, and its report should not wait for more.
const REPORT_PATIENCE: Duration = Duration::from_millis(20);
/// The command may have left somebody behind who holds its output open: nobody waits for one who says nothing.
const IDLE_PATIENCE: Duration = Duration::from_millis(200);

pub(crate) struct Tail {
    streams: Vec<Arc<Stream>>,
    kept: Arc<Mutex<VecDeque<u8>>>,
    ended: Receiver<()>,
    open: usize,
}

/// One of the two outputs on its way through.
#[derive(Default)]
struct Stream {
    pieces: AtomicU64,
    /// Our own reader may be slow, and gets everything all the same.
    is_writing: AtomicBool,
}

impl Tail {
    /// Begins to pass both streams through.
    pub(crate) fn of(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> Self {
        let (sender, ended) = mpsc::channel();
        let mut tail = Self { streams: Vec::new(), kept: Arc::default(), ended, open: 0 };
        if let Some(stdout) = stdout {
            tail.pass_through(stdout, io::stdout(), &sender);
        }
        if let Some(stderr) = stderr {
            tail.pass_through(stderr, io::stderr(), &sender);
        }
        tail
    }

    /// The end of the output as far as it is there, the credentials in URLs masked.
    pub(crate) fn so_far(&mut self) -> String {
        let until = Instant::now() + REPORT_PATIENCE;
        while self.open > 0 {
            if self.ended.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
                break;
            }
            self.open -= 1;
        }
        let kept: Vec<u8> =
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        mask_credentials(from_a_whole_piece_on(&String::from_utf8_lossy(&kept)).trim_end())
    }

    /// Waits until all output is passed on.
    pub(crate) fn drain(mut self) {
        let mut pieces = self.pieces();
        while self.open > 0 {
            match self.ended.recv_timeout(IDLE_PATIENCE) {
                Ok(()) => self.open -= 1,
                Err(RecvTimeoutError::Timeout) if self.is_moving(&mut pieces) => {}
                Err(_) => return,
            }
        }
    }

    fn is_moving(&self, pieces: &mut u64) -> bool {
        let before = std::mem::replace(pieces, self.pieces());
        *pieces != before || self.streams.iter().any(|stream| stream.is_writing.load(Ordering::Relaxed))
    }

    fn pieces(&self) -> u64 {
        self.streams.iter().map(|stream| stream.pieces.load(Ordering::Relaxed)).sum()
    }

    fn pass_through(
        &mut self,
        from: impl Read + Send + 'static,
        to: impl Write + Send + 'static,
        ended: &Sender<()>,
    ) {
        let (kept, ended, stream) = (Arc::clone(&self.kept), ended.clone(), Arc::<Stream>::default());
        self.streams.push(Arc::clone(&stream));
        let copy = move || {
            stream.copy(from, to, &kept);
            let _ = ended.send(());
        };
        let thread = std::thread::Builder::new().name("output".to_owned()).spawn(copy);
        self.open += usize::from(thread.is_ok());
    }
}

impl Stream {
    fn copy(&self, mut from: impl Read, mut to: impl Write, kept: &Mutex<VecDeque<u8>>) {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            keep(kept, &buffer[..read]);
            self.is_writing.store(true, Ordering::Relaxed);
            // Whoever read our output may be gone: the command goes on, and is heard out.
            let _ = to.write_all(&buffer[..read]).and_then(|()| to.flush());
            self.is_writing.store(false, Ordering::Relaxed);
            self.pieces.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where the beginning was cut off, half a line is left out, or half a word where there is but one line: it may be
/// half of a secret.
fn from_a_whole_piece_on(text: &str) -> &str {
    if text.len() < KEPT_BYTES {
        return text;
    }
    let after =
        |separator: char| text.split_once(separator).map(|(_, rest)| rest).filter(|rest| !rest.is_empty());
    after('\n').or_else(|| after(' ')).unwrap_or_default()
}

fn keep(kept: &Mutex<VecDeque<u8>>, new: &[u8]) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    kept.extend(&new[new.len().saturating_sub(KEPT_BYTES)..]);
    let surplus = kept.len().saturating_sub(KEPT_BYTES);
    kept.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_begins_with_a_line() {
        let kept = Mutex::new(VecDeque::new());
        for number in 0..1000 {
            keep(&kept, format!("line {number}\n").as_bytes());
        }
        let kept: Vec<u8> = kept.into_inner().unwrap().into();
        let text = String::from_utf8(kept).unwrap();
        assert_eq!(text.len(), KEPT_BYTES);
        assert!(from_a_whole_piece_on(&text).starts_with("line ") && text.ends_with("line 999\n"));
    }

    #[test]
    fn half_of_a_word_is_left_out_where_there_is_but_one_line() {
        let text = format!("{} postgres://u:p@db", "x".repeat(KEPT_BYTES));
        assert_eq!(from_a_whole_piece_on(&text), "postgres://u:p@db");
        assert_eq!(from_a_whole_piece_on(&"x".repeat(KEPT_BYTES)), "");
    }
}
