//! A real mail server, and what it took.

use crate::channels::email::{Login, Settings, TIMEOUT, Tls};
use crate::secret::Secret;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

/// The password of its user.
pub(crate) const CANARY: &str = "canary-7f3a";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/mail_server.py");

pub(crate) struct MailServer {
    process: Child,
    mails: Receiver<String>,
    pub(crate) port: u16,
    /// The password, and the certificate of the authority.
    pub(crate) dir: TempDir,
}

impl MailServer {
    pub(crate) fn start(mode: &str, mechanism: Option<&str>) -> Self {
        Self::known_by(certificates, mode, mechanism)
    }

    /// One whose certificate is its own authority, as `openssl req -x509` makes it.
    pub(crate) fn of_its_own() -> Self {
        Self::known_by(certificate_of_its_own, "implicit", None)
    }

    fn known_by(certificates: fn(&Path), mode: &str, mechanism: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("python3");
        command.args([SCRIPT, mode]).stdout(Stdio::piped());
        if mode != "none" {
            certificates(dir.path());
            command.args([dir.path().join("server.pem"), dir.path().join("server.key")]).args(mechanism);
        }
        fs::write(dir.path().join("password"), format!("{CANARY}\n")).unwrap();
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("is aiosmtpd installed?");
        let (sender, mails) = channel();
        // A pipe holds less than a long mail, and the server must not wait for us.
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, mails, port, dir }
    }

    pub(crate) fn settings(&self, tls: Tls) -> Settings {
        let file = |name: &str| self.dir.path().join(name);
        let is_plain = tls == Tls::None;
        let login = Login { user: "user".to_owned(), password: Secret::File(file("password")) };
        Settings {
            server: format!("localhost:{}", self.port),
            tls,
            from: "healthcheck@example.org".to_owned(),
            to: vec!["me@example.org".to_owned()],
            login: (!is_plain).then_some(login),
            ca_file: (!is_plain).then(|| file("authority.pem")),
            timeout: TIMEOUT,
        }
    }

    /// The next mail that was taken.
    pub(crate) fn mail(&mut self) -> Value {
        serde_json::from_str(&self.mails.recv_timeout(TIMEOUT).unwrap()).unwrap()
    }

    /// Nothing more was taken.
    pub(crate) fn has_nothing_more(mut self) {
        self.process.kill().unwrap();
        assert_eq!(self.mails.recv().ok(), None);
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn certificates(dir: &Path) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(dir.join("authority.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    fs::write(dir.join("server.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
}

fn certificate_of_its_own(dir: &Path) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    fs::write(dir.join("authority.pem"), &certificate).unwrap();
    fs::write(dir.join("server.pem"), &certificate).unwrap();
    fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
}
