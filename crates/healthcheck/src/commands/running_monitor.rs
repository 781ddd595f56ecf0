//! A monitor that runs: found where it publishes itself, believed only if it really is there, and asked.

use crate::monitor::control::{self, Answer, Question};
use crate::monitor::published::{self, Places, Published};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

/// Who waits longer for a look could have looked himself.
const LOOK_WITHIN: Duration = Duration::from_millis(300);
/// A change is not made twice, so it is waited for a little longer than until the monitor itself says no.
const SLACK: Duration = Duration::from_secs(1);
/// From the first byte of an answer to its last.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// 20,000 services take less.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;
/// Whoever was sent away because too many came asks again after this.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// A monitor that published itself, as far as its file tells.
#[derive(Debug)]
pub(crate) struct RunningMonitor {
    published: Published,
    /// Whose its file is, and so the monitor itself.
    owner_uid: u32,
}

/// The health directories that are meant, and whether anybody said so.
#[derive(Debug, Clone)]
pub(crate) struct Directories {
    pub(crate) dirs: Vec<PathBuf>,
    /// By a flag, an environment variable or the configuration.
    pub(crate) are_named: bool,
}

impl Directories {
    /// The monitor that watches these directories. Where nobody named any, the nearest monitor that runs, and then its
    /// directories are meant; but not where the usual directory is there, below the working directory.
    pub(crate) fn watched(mut self, places: &Places) -> (Self, Option<RunningMonitor>) {
        let mut found: Vec<_> = RunningMonitor::all(places).collect();
        if let Some(at) = found.iter().position(|monitor| monitor.is_for(&self.dirs)) {
            return (self, Some(found.swap_remove(at)));
        }
        let is_here = || self.dirs.iter().any(|dir| dir.is_relative() && dir.is_dir());
        if self.are_named || found.is_empty() || is_here() {
            return (self, None);
        }
        let nearest = found.into_iter().find(RunningMonitor::is_there);
        if let Some(monitor) = &nearest {
            debug!("the directories are those of the monitor with pid {}", monitor.pid());
            self.dirs.clone_from(&monitor.published.health_dirs);
        }
        (self, nearest)
    }

    /// The directory for whoever writes: where nobody named one, one that a monitor watches.
    pub(crate) fn for_a_writer(mut self, places: &Places) -> PathBuf {
        if self.are_named {
            return self.dirs.swap_remove(0);
        }
        let usual = self.dirs.clone();
        let (Self { mut dirs, .. }, monitor) = self.watched(places);
        // With several, the usual one is the right one, if it is among them.
        let is_watched = |dir: &PathBuf| monitor.as_ref().is_some_and(|monitor| monitor.watches(dir));
        usual.into_iter().next().filter(is_watched).unwrap_or_else(|| dirs.swap_remove(0))
    }
}

impl RunningMonitor {
    /// The monitors that may be there, the nearest first.
    pub(crate) fn all(places: &Places) -> impl Iterator<Item = Self> {
        places.files().filter_map(|file| Self::believed(&file))
    }

    fn believed(file: &Path) -> Option<Self> {
        let (published, owner_uid) = match Published::read(file) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => return ignored(file, &error.to_string()),
        };
        let caller = rustix::process::geteuid().as_raw();
        if !published::is_believed(file.parent()?, owner_uid, caller) {
            return ignored(file, &format!("it belongs to user {owner_uid}"));
        }
        if !published.may_live() {
            return ignored(file, &format!("its process {} is gone", published.pid));
        }
        if published.health_dirs.is_empty() || published.health_dirs.iter().any(|dir| dir.is_relative()) {
            return ignored(file, "it names no health directory");
        }
        Some(Self { published, owner_uid })
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.published.pid
    }

    /// Whether it watches these directories, all of them and no others.
    pub(crate) fn is_for(&self, dirs: &[PathBuf]) -> bool {
        let asked: BTreeSet<_> = dirs.iter().map(|dir| published::canonical(dir)).collect();
        asked == self.published.health_dirs.iter().cloned().collect()
    }

    fn watches(&self, dir: &Path) -> bool {
        self.published.health_dirs.contains(&published::canonical(dir))
    }

    /// Whether it listens.
    fn is_there(&self) -> bool {
        let knocked = runtime().and_then(|runtime| runtime.block_on(async { self.knock() }));
        knocked.inspect_err(|error| self.say_no_answer(error)).is_ok()
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// It is not there, is somebody else, or does not answer in time.
    pub(crate) fn ask(&self, question: &Question) -> io::Result<Answer> {
        let asked = runtime()?.block_on(self.answer(question));
        asked.inspect_err(|error| self.say_no_answer(error))
    }

    fn say_no_answer(&self, error: &io::Error) {
        let socket = self.published.control_socket.display();
        debug!("the monitor with pid {} does not answer at {socket}: {error}", self.pid());
    }

    async fn answer(&self, question: &Question) -> io::Result<Answer> {
        let within = if question.changes() { question.answered_within() + SLACK } else { LOOK_WITHIN };
        let until = Instant::now() + within;
        loop {
            let (stream, begun) = timeout_at(until, self.first_bytes(question)).await??;
            if !begun.is_empty() {
                let line = timeout_at(Instant::now() + ANSWER_WITHIN, rest_of(stream, begun)).await??;
                return Ok(serde_json::from_slice(&line)?);
            }
            if question.changes() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            timeout_at(until, tokio::time::sleep(ASK_AGAIN)).await?;
        }
    }

    /// Nothing if it ended the conversation.
    async fn first_bytes(&self, question: &Question) -> io::Result<(UnixStream, Vec<u8>)> {
        let mut stream = self.knock()?;
        let mut begun = Vec::with_capacity(64 * 1024);
        let said = stream.write_all(format!("{}\n", question.line()).as_bytes()).await;
        match said.and(stream.read_buf(&mut begun).await.map(drop)) {
            Err(error) if !is_sent_away(&error) => Err(error),
            _ => Ok((stream, begun)),
        }
    }

    /// Connects, and makes sure who is there: anybody may have put a socket where another's was.
    fn knock(&self) -> io::Result<UnixStream> {
        let stream = StdStream::from(control::connect(&self.published.control_socket)?);
        let stream = UnixStream::from_std(stream)?;
        let peer = stream.peer_cred()?;
        let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
        if (pid, peer.uid()) != (Some(self.published.pid), self.owner_uid) {
            let problem = format!("process {} of user {} listens there", pid.unwrap_or(0), peer.uid());
            return Err(io::Error::new(ErrorKind::PermissionDenied, problem));
        }
        Ok(stream)
    }
}

fn ignored<T>(file: &Path, why: &str) -> Option<T> {
    debug!("{} is not believed: {why}", file.display());
    None
}

/// Whoever is sent away may still be about to speak.
fn is_sent_away(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// One line, as a whole.
async fn rest_of(stream: UnixStream, begun: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut line = begun;
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()
}

#[cfg(test)]
mod tests;
