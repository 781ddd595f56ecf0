//! An etcd of a test's own.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to begin.
const READY: Duration = Duration::from_secs(20);

/// One member on the loopback interface; it ends with its test.
pub(crate) struct EtcdServer {
    dir: PathBuf,
    port: u16,
    peer_port: u16,
    scheme: &'static str,
    options: Vec<String>,
    child: Option<Child>,
}

impl EtcdServer {
    /// One that runs, with its data in a directory that is made for it.
    #[track_caller]
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_with(dir, "http", &[])
    }

    /// The same with options of its own, such as certificates for `https`.
    #[track_caller]
    pub(crate) fn start_with(dir: &Path, scheme: &'static str, options: &[&str]) -> Self {
        fs::create_dir_all(dir).unwrap();
        let options = options.iter().map(|it| (*it).to_owned()).collect();
        let (port, peer_port) = (free_port(), free_port());
        let mut server = Self { dir: dir.to_owned(), port, peer_port, scheme, options, child: None };
        server.go();
        server
    }

    /// Runs again, with the data that it had.
    #[track_caller]
    pub(crate) fn go(&mut self) {
        let end = Instant::now() + READY;
        while !self.begins(end) {
            assert!(Instant::now() < end, "{}", self.log());
            // Somebody else took a port meanwhile.
            if !self.dir.join("data/member/snap/db").exists() {
                (self.port, self.peer_port) = (free_port(), free_port());
            }
        }
    }

    /// Whether it is ready, and not ended before that.
    fn begins(&mut self, end: Instant) -> bool {
        self.kill();
        let mut child =
            self.command().spawn().unwrap_or_else(|error| panic!("etcd is not installed: {error}"));
        let mut is_ready = false;
        while !is_ready && matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
            sleep(Duration::from_millis(5));
            is_ready = self.log().contains("client traffic");
        }
        self.child = Some(child);
        is_ready
    }

    fn command(&self) -> Command {
        let (url, peer) = (self.url(), format!("http://127.0.0.1:{}", self.peer_port));
        let log = File::create(self.dir.join("etcd.log")).unwrap();
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.dir.join("data")).args(["--name", "one", "--logger", "zap"]);
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("one={peer}"), "--unsafe-no-fsync"]).args(&self.options);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends at once, as in a power failure.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Forgets everything that it ever had; it must not run.
    pub(crate) fn wipe(&self) {
        assert!(self.child.is_none());
        fs::remove_dir_all(self.dir.join("data")).unwrap();
    }

    /// Does nothing until it goes on; the signal is on its way when it is sent, and each thread takes it for itself.
    #[track_caller]
    pub(crate) fn hang(&self) {
        self.signal(Signal::STOP);
        let end = Instant::now() + READY;
        while !self.has_stopped() {
            assert!(Instant::now() < end, "etcd takes no signal");
            sleep(Duration::from_millis(1));
        }
    }

    fn has_stopped(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let mut states = threads.map(|it| fs::read_to_string(it.unwrap().path().join("stat")).unwrap());
        states.all(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T")))
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), signal).unwrap();
    }

    /// What `etcdctl` says.
    #[track_caller]
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.ctl_command(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// An `etcdctl` that is about to ask this server.
    pub(crate) fn ctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.url()]).args(arguments);
        command
    }

    /// Each key below a prefix with its value.
    #[track_caller]
    pub(crate) fn below(&self, prefix: &str) -> Vec<(String, String)> {
        let said = self.ctl(&["get", "--prefix", prefix]);
        let lines: Vec<&str> = said.lines().collect();
        lines.chunks(2).map(|it| (it[0].to_owned(), it.get(1).unwrap_or(&"").to_string())).collect()
    }

    /// What its gateway answers.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, question: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let question = question.to_string();
        let head = "Host: etcd\r\nConnection: close\r\nContent-Type: application/json";
        let length = question.len();
        write!(stream, "POST /v3/{path} HTTP/1.0\r\n{head}\r\nContent-Length: {length}\r\n\r\n{question}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("etcd.log")).unwrap_or_default()
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
