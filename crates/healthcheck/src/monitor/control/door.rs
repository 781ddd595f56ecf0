//! Who is let in, for how long, and who has to make room.

use super::{Answer, Asked, Listener, Question};
use rustix::net::RecvFlags;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tracing::debug;

const MAX_CONNECTIONS: usize = 16;
/// Of one user who is neither root nor our own: so there is always room for others.
const MAX_OF_A_STRANGER: usize = 8;
const MAX_QUESTION_BYTES: usize = 4 * 1024;
const QUESTION_WITHIN: Duration = Duration::from_secs(1);
/// Of an answer to no question.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// After an answer to a stranger the next one comes no sooner than so many times as long as that took: whoever asks
/// without an end gets a fifth of the monitor's time, and judging the rest.
const REST: u32 = 4;
/// Without a descriptor for one more connection there may be one a little later.
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);
const ROOT: u32 = 0;

/// Takes questions from the socket and passes them on, until it is dropped.
pub(crate) async fn serve(listener: Listener, asked: mpsc::Sender<Asked>) {
    // A copy of the handle: the file stays as long as the listener.
    let copy = listener.socket.try_clone().and_then(UnixListener::from_std);
    let socket = match copy {
        Ok(socket) => socket,
        Err(error) => return debug!("{} is not served: {error}", listener.path.display()),
    };
    let pace = Arc::new(Mutex::new(Instant::now()));
    let mut door = Door { asked, pace, inside: Vec::with_capacity(MAX_CONNECTIONS), count: 0 };
    loop {
        match socket.accept().await.and_then(|(stream, _)| door.let_in(stream)) {
            Ok(()) => {}
            Err(error) => {
                debug!("a connection to the control socket failed: {error}");
                sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

struct Door {
    asked: mpsc::Sender<Asked>,
    /// When the next question of a stranger may be passed on.
    pace: Arc<Mutex<Instant>>,
    inside: Vec<Guest>,
    count: u64,
}

/// A connection. It ends with this.
struct Guest {
    number: u64,
    uid: u32,
    is_trusted: bool,
    stage: Arc<Stage>,
    task: AbortHandle,
}

/// How far a connection is. Who waits for us makes room last.
#[derive(Debug)]
struct Stage(AtomicU8);

impl Stage {
    const SILENT: u8 = 0;
    const READS: u8 = 1;
    const WAITS: u8 = 2;

    fn set(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Door {
    fn let_in(&mut self, stream: UnixStream) -> io::Result<()> {
        let uid = stream.peer_cred()?.uid();
        let is_trusted = uid == ROOT || uid == rustix::process::geteuid().as_raw();
        self.make_room_for(uid, is_trusted);
        let stage = Arc::new(Stage(AtomicU8::new(Stage::SILENT)));
        // Who has spoken already is never taken for a silent one, however many of those come at once.
        let begun = first_words(&stream);
        if begun.contains(&b'\n') {
            stage.set(Stage::WAITS);
        }
        let visit = Visit {
            stream,
            stage: Arc::clone(&stage),
            may_change: is_trusted,
            asked: self.asked.clone(),
            pace: (!is_trusted).then(|| Arc::clone(&self.pace)),
        };
        let task = tokio::spawn(visit.attend(begun)).abort_handle();
        self.count += 1;
        self.inside.push(Guest { number: self.count, uid, is_trusted, stage, task });
        Ok(())
    }

    fn make_room_for(&mut self, uid: u32, is_trusted: bool) {
        self.inside.retain(|guest| !guest.task.is_finished());
        let own = self.inside.iter().filter(|guest| guest.uid == uid).count();
        let is_one_too_many = !is_trusted && own >= MAX_OF_A_STRANGER;
        if !is_one_too_many && self.inside.len() < MAX_CONNECTIONS {
            return;
        }
        let inside = self.inside.iter().enumerate();
        let candidates = inside.filter(|(_, guest)| !is_one_too_many || guest.uid == uid);
        let first = candidates.min_by_key(|(_, guest)| (guest.is_trusted, guest.stage.get(), guest.number));
        if let Some((at, _)) = first {
            self.inside.swap_remove(at);
        }
    }
}

/// What is there to be read now.
fn first_words(stream: &UnixStream) -> Vec<u8> {
    let mut words = vec![0; MAX_QUESTION_BYTES + 1];
    let count = rustix::net::recv(stream, &mut words[..], RecvFlags::DONTWAIT).map_or(0, |(count, _)| count);
    words.truncate(count);
    words
}

/// One connection, from its question to its answer.
struct Visit {
    stream: UnixStream,
    stage: Arc<Stage>,
    may_change: bool,
    asked: mpsc::Sender<Asked>,
    /// Of strangers only.
    pace: Option<Arc<Mutex<Instant>>>,
}

impl Visit {
    async fn attend(mut self, begun: Vec<u8>) {
        let Ok(question) = timeout(QUESTION_WITHIN, self.question(begun)).await else { return };
        self.stage.set(Stage::WAITS);
        let begun = Instant::now();
        let (answer, within) = match question {
            Err(Unasked::Gone) => return,
            Err(Unasked::Not(problem)) => (Answer::refused(problem).line(), READ_WITHIN),
            Ok(question) => self.answer_in_time(question).await,
        };
        self.stage.set(Stage::READS);
        // Who does not read in time has no answer.
        let _ = timeout_at(begun + within + QUESTION_WITHIN, self.say(answer)).await;
    }

    /// The answer, and how much time there was for it.
    async fn answer_in_time(&self, question: Question) -> (String, Duration) {
        let within = question.answered_within();
        let answer = timeout(within, self.answer(question)).await;
        let none = |_| Answer::refused(format!("no answer within {} s", within.as_secs())).line();
        (answer.unwrap_or_else(none), within)
    }

    async fn question(&mut self, mut words: Vec<u8>) -> Result<Question, Unasked> {
        let end = loop {
            if let Some(end) = words.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if words.len() > MAX_QUESTION_BYTES {
                return Err(Unasked::Not(format!("a question has at most {MAX_QUESTION_BYTES} bytes")));
            }
            let room = u64::try_from(MAX_QUESTION_BYTES + 1 - words.len()).unwrap_or(0);
            if (&mut self.stream).take(room).read_buf(&mut words).await.unwrap_or(0) == 0 {
                return Err(Unasked::Gone);
            }
        };
        serde_json::from_slice(&words[..end]).map_err(|error| Unasked::Not(format!("no question: {error}")))
    }

    async fn answer(&self, question: Question) -> String {
        if question.changes() && !self.may_change {
            return Answer::refused("only root and the monitor's own user may change anything").line();
        }
        let Some(pace) = &self.pace else { return self.pass_on(question).await };
        let mut next = pace.lock().await;
        sleep_until(*next).await;
        let started = Instant::now();
        let answer = self.pass_on(question).await;
        *next = Instant::now() + started.elapsed() * REST;
        answer
    }

    async fn pass_on(&self, question: Question) -> String {
        let may_change = self.may_change;
        let (reply, answer) = oneshot::channel();
        let passed_on = self.asked.send(Asked { question, may_change, reply }).await.is_ok();
        let answer = if passed_on { answer.await.ok() } else { None };
        answer.unwrap_or_else(|| Answer::refused("the monitor is about to end").line())
    }

    async fn say(&mut self, mut answer: String) -> io::Result<()> {
        answer.push('\n');
        self.stream.write_all(answer.as_bytes()).await?;
        self.stream.shutdown().await
    }
}

/// Why there is no question.
enum Unasked {
    Gone,
    Not(String),
}
