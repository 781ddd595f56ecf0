//! The output of a command: passed through as it comes, and its end kept for the report.

use health_reporter::mask_credentials;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::{ChildStderr, ChildStdout};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is kept.
const KEPT_BYTES: usize = 1_500;
/// The command may have left somebody behind who holds its output open; nobody waits for him.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    ended: Receiver<()>,
    streams: usize,
}

impl Tail {
    /// Begins to pass both streams through.
    pub(crate) fn of(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, ended) = mpsc::channel();
        let mut streams = 0;
        if let Some(stdout) = stdout {
            streams += usize::from(pass_through(stdout, io::stdout(), &kept, &sender).is_ok());
        }
        if let Some(stderr) = stderr {
            streams += usize::from(pass_through(stderr, io::stderr(), &kept, &sender).is_ok());
        }
        Self { kept, ended, streams }
    }

    /// The end of the output, the credentials in URLs masked.
    pub(crate) fn finish(self) -> String {
        let until = Instant::now() + PATIENCE;
        for _stream in 0..self.streams {
            if self.ended.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
                break;
            }
        }
        let kept: Vec<u8> =
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        mask_credentials(from_a_line_on(&String::from_utf8_lossy(&kept)).trim_end())
    }
}

/// Where the beginning was cut off, the first whole line is where it begins.
fn from_a_line_on(text: &str) -> &str {
    match text.find('\n') {
        Some(end) if text.len() >= KEPT_BYTES && end + 1 < text.len() => &text[end + 1..],
        _ => text,
    }
}

fn pass_through(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    kept: &Arc<Mutex<VecDeque<u8>>>,
    ended: &Sender<()>,
) -> io::Result<()> {
    let (kept, ended) = (Arc::clone(kept), ended.clone());
    let copy = move || {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            keep(&kept, &buffer[..read]);
            // Whoever read our output may be gone: the command goes on, as it would with a full pipe's reader.
            let _ = to.write_all(&buffer[..read]).and_then(|()| to.flush());
        }
        let _ = ended.send(());
    };
    std::thread::Builder::new().name("output".to_owned()).spawn(copy).map(drop)
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
        assert!(from_a_line_on(&text).starts_with("line ") && text.ends_with("line 999\n"));
    }
}
