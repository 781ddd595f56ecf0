//! A real mail server, and what of each mail Python's parser read.

use super::{PATIENCE, Process};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/mail_server.py");

#[derive(Debug)]
pub(crate) struct MailServer {
    process: Process,
    port: u16,
}

impl MailServer {
    /// Without encryption.
    pub(crate) fn plain() -> Self {
        Self::start(Command::new("python3").args([SCRIPT, "none"]))
    }

    /// With STARTTLS, where one signs in as `user` with `canary-7f3a`; `authority.pem` is put into the directory.
    pub(crate) fn starttls(dir: &Path) -> Self {
        certificates(dir);
        let files = [dir.join("server.pem"), dir.join("server.key")];
        Self::start(Command::new("python3").args([SCRIPT, "starttls"]).args(files))
    }

    fn start(command: &mut Command) -> Self {
        let process = Process::start(command);
        let port = process.line().parse().expect("is aiosmtpd installed?");
        Self { process, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next mail that it took.
    #[track_caller]
    pub(crate) fn mail(&self) -> Value {
        serde_json::from_str(&self.process.line_within(PATIENCE)).unwrap()
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
