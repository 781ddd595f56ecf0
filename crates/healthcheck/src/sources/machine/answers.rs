//! Asking file systems of which some may never answer.

use super::mounts::Mount;
use super::space::{self, Space};
use crate::sources::canary::{self, Canary};
use healthcheck_core::ProbeError;
use rustix::io::Errno;
use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long all that may hang are waited for, together.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_THREADS: usize = 256;
/// Enough for starting a program and one system call.
const STACK_BYTES: usize = 128 << 10;

/// Asks, and remembers the mounts whose answer still lacks: none of them is asked again meanwhile.
#[derive(Debug, Default)]
pub(super) struct Answers {
    late: HashMap<Mount, Question>,
}

type Answer = Result<Option<Space>, Errno>;

/// What a thread was sent to ask, and nobody ever waits for to its end.
#[derive(Debug)]
struct Question {
    words: Receiver<Word>,
    canary: Option<Canary>,
}

#[derive(Debug)]
enum Word {
    Sent(Canary),
    Answer(Answer),
}

enum Asked {
    Answered(Answer),
    Soon(Question),
    Not(ProbeError),
}

impl Answers {
    /// The answer of each file system, in their order.
    pub(super) fn of_all(
        &mut self,
        root: &Path,
        mounts: &[&Mount],
    ) -> Vec<Result<Option<Space>, ProbeError>> {
        self.late.retain(|_, question| question.is_open());
        let mut threads = self.late.len();
        let asked: Vec<_> = mounts.iter().map(|mount| self.ask(root, mount, &mut threads)).collect();
        let deadline = Instant::now() + PATIENCE;
        mounts.iter().zip(asked).map(|(mount, asked)| self.wait(mount, asked, deadline)).collect()
    }

    /// What answers at once is asked at once, and what may hang by a thread of its own.
    fn ask(&self, root: &Path, mount: &Mount, threads: &mut usize) -> Asked {
        let path = root.join(mount.below_root());
        if !mount.may_hang {
            return Asked::Answered(space::ask(&path));
        }
        if self.late.contains_key(mount) {
            return Asked::Not(no_answer(mount));
        }
        if *threads == MAX_THREADS {
            let problem = format!("not asked: {MAX_THREADS} others that may hang are");
            return Asked::Not(ProbeError::new(problem));
        }
        *threads += 1;
        let (sender, words) = channel();
        let thread = thread::Builder::new().name("statvfs".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn(move || ask_carefully(&path, &sender)) {
            Ok(_) => Asked::Soon(Question { words, canary: None }),
            Err(error) => Asked::Not(ProbeError::new(format!("cannot start a thread to ask it: {error}"))),
        }
    }

    fn wait(&mut self, mount: &Mount, asked: Asked, deadline: Instant) -> Result<Option<Space>, ProbeError> {
        let answer = match asked {
            Asked::Not(error) => return Err(error),
            Asked::Answered(answer) => answer,
            Asked::Soon(mut question) => match question.answer_until(deadline) {
                Ok(answer) => answer,
                Err(RecvTimeoutError::Timeout) => {
                    self.late.insert(mount.clone(), question);
                    return Err(no_answer(mount));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(no_answer(mount)),
            },
        };
        answer.map_err(|error| ProbeError::new(format!("{} of {}: {error}", mount.kind, mount.source)))
    }
}

impl Question {
    fn answer_until(&mut self, deadline: Instant) -> Result<Answer, RecvTimeoutError> {
        loop {
            // Never nothing at all, so that an answer counts even after the machine itself stood still.
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match self.words.recv_timeout(left)? {
                Word::Answer(answer) => return Ok(answer),
                Word::Sent(canary) => self.canary = Some(canary),
            }
        }
    }

    fn is_open(&mut self) -> bool {
        match self.words.try_recv() {
            Ok(Word::Sent(canary)) => {
                self.canary = Some(canary);
                true
            }
            Err(TryRecvError::Empty) => true,
            Ok(Word::Answer(_)) | Err(TryRecvError::Disconnected) => false,
        }
    }
}

/// Runs in a thread. Where the canary does not come back there is no answer.
fn ask_carefully(path: &Path, to: &Sender<Word>) {
    if canary::has_come_back(path, |canary| drop(to.send(Word::Sent(canary)))) {
        drop(to.send(Word::Answer(space::ask(path))));
    }
}

fn no_answer(mount: &Mount) -> ProbeError {
    let (seconds, kind, source) = (PATIENCE.as_secs(), &mount.kind, &mount.source);
    ProbeError::new(format!("no answer within {seconds} s: {kind} of {source}"))
}
