//! A monitor that is only pretended, for tests of both sides.

use super::{Answer, Asked, Question, bind, serve};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Answers each question as it is told to, until it goes out of scope.
pub(crate) struct Pretended {
    dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<(Question, bool)>>>,
    thread: Option<std::thread::JoinHandle<()>>,
    stop: mpsc::Sender<()>,
}

impl Pretended {
    pub(crate) fn answering(answer: impl Fn(&Question) -> Option<String> + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let listener = bind(&dir.path().join("control.sock")).unwrap();
        let (asked, (stop, stopped)) = (Arc::default(), mpsc::channel(1));
        let record = Arc::clone(&asked);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (sender, questions) = mpsc::channel(4);
                let serving = tokio::spawn(serve(listener, sender));
                tokio::spawn(answer_all(questions, record, answer));
                wait_for(stopped).await;
                serving.abort();
            });
        });
        Self { dir, asked, thread: Some(thread), stop }
    }

    pub(crate) fn new() -> Self {
        Self::answering(|_| Some(Answer::Done.line()))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    pub(crate) fn asked(&self) -> Vec<(Question, bool)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Pretended {
    fn drop(&mut self) {
        let _ = self.stop.try_send(());
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

async fn wait_for(mut stopped: mpsc::Receiver<()>) {
    stopped.recv().await;
}

async fn answer_all(
    mut questions: mpsc::Receiver<Asked>,
    record: Arc<Mutex<Vec<(Question, bool)>>>,
    answer: impl Fn(&Question) -> Option<String>,
) {
    let mut unanswered = Vec::new();
    while let Some(Asked { question, may_change, reply }) = questions.recv().await {
        let line = answer(&question);
        record.lock().unwrap().push((question, may_change));
        match line {
            Some(line) => drop(reply.send(line)),
            None => unanswered.push(reply),
        }
    }
}
