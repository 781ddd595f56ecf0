//! Which server, as whom, and how it proves itself.

use super::{Server, settings, signal, store};
use crate::history::postgres::PostgresStore;
use crate::history::suite::{Teller, beat};
use crate::history::{HistoryError, HistoryStore, Record};
use rcgen::generate_simple_self_signed;
use rustix::process::Signal;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tracing_subscriber::filter::LevelFilter;

const CANARY: &str = "canary-5eb63bbb";

/// A server that is reached by TCP, by a user with a password.
struct Reached {
    server: Server,
}

impl Reached {
    fn new(has_tls: bool) -> Self {
        let mut server = Server::idle();
        let data = server.dir.path().join("database/data");
        let rules = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
        server.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut options = format!("-c listen_addresses=127.0.0.1 -c port={}", server.port);
        if has_tls {
            let certified = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            fs::write(data.join("server.crt"), certified.cert.pem()).unwrap();
            fs::write(data.join("server.key"), certified.signing_key.serialize_pem()).unwrap();
            let key = data.join("server.key");
            assert!(Command::new("chown").arg("postgres").arg(&key).status().unwrap().success());
            assert!(Command::new("chmod").arg("0600").arg(&key).status().unwrap().success());
            options.push_str(" -c ssl=on");
        }
        server.postgres.start_with(&options);
        server.ask(&format!("CREATE ROLE monitor LOGIN PASSWORD '{CANARY}'"));
        Self { server }
    }

    fn lets_it_write(self) -> Self {
        self.server.ask("GRANT CREATE, USAGE ON SCHEMA public TO monitor");
        self
    }

    fn certificate(&self) -> PathBuf {
        self.server.dir.path().join("database/data/server.crt")
    }

    fn url(&self, password: &str, rest: &str) -> String {
        let host = if rest.contains("by-name") { "localhost" } else { "127.0.0.1" };
        let rest = rest.replace("&by-name", "");
        format!("postgres://monitor{password}@{host}:{}/postgres{rest}", self.server.port)
    }

    fn tries(&self, password: &str, rest: &str) -> Result<(), HistoryError> {
        tries(&self.url(password, rest))
    }

    /// Whether the last connection was one by TLS.
    fn is_by_tls(&self, password: &str, rest: &str) -> bool {
        let mut store = store(&self.url(password, rest));
        store.hosts().unwrap();
        let tls = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'healthcheck'";
        self.server.ask(tls) == "t"
    }
}

fn tries(url: &str) -> Result<(), HistoryError> {
    store(url).hosts().map(drop)
}

#[track_caller]
fn refused(outcome: Result<(), HistoryError>, words: &[&str]) {
    let error = outcome.unwrap_err().to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    assert!(!error.contains('\n') && !error.contains(CANARY), "{error}");
}

#[test]
fn what_is_wrong_is_told_with_its_cure() {
    let reached = Reached::new(false);
    let password = format!(":{CANARY}");
    refused(reached.tries(":wrong", ""), &["authentication failed", "password_file"]);
    refused(reached.tries("", ""), &["wants a password", "password_file"]);
    refused(reached.tries(&password, ""), &["permission denied for schema public", "GRANT CREATE"]);
    let elsewhere = reached.url(&password, "").trim_end_matches("postgres").to_owned() + "nobody";
    refused(tries(&elsewhere), &["\"nobody\" does not exist", "createdb"]);
    refused(reached.tries(&password, "?sslmode=require"), &["does not speak TLS", "ssl = on"]);
    let port = reached.server.port;
    let unused = reached.url(&password, "").replace(&port.to_string(), "1");
    refused(tries(&unused), &["127.0.0.1:1 postgres", "connection refused", "start it"]);
    refused(
        tries("postgres:///postgres?host=/nowhere"),
        &["/nowhere/.s.PGSQL.5432", "no such file", "start it"],
    );
    let reached = reached.lets_it_write();
    reached.tries(&password, "").unwrap();
}

/// An ordinary user can do everything with tables of its own.
#[test]
fn no_superuser_is_needed() {
    let reached = Reached::new(false).lets_it_write();
    let mut teller = Teller::new(Box::new(store(&reached.url(&format!(":{CANARY}"), ""))), Record::Changes);
    teller.tells([beat("camera", "a", "2025-03-01T00:00:00Z"), beat("camera", "b", "2025-05-01T00:00:00Z")]);
    let slice = teller.store.stock().unwrap().slices.remove(0);
    assert!(teller.store.prune(&slice, 10).unwrap().is_done);
    teller.store.backup(&reached.server.dir.path().join("copy.sql")).unwrap();
    assert_eq!(teller.runs("camera").len(), 1);
}

#[test]
fn a_password_is_read_again_at_each_connect() {
    let reached = Reached::new(false).lets_it_write();
    let file = reached.server.dir.path().join("password");
    let mut settings = settings(&reached.url(":wrong", ""));
    settings.password_file = Some(file.clone());
    let mut store = PostgresStore::new(&settings).unwrap();
    let mut asked = || store.hosts().map(drop);
    refused(asked(), &["cannot read password_file", "no such file", "write the password into it"]);
    fs::write(&file, " \n").unwrap();
    refused(asked(), &["it is empty"]);
    fs::write(&file, CANARY.repeat(10_000)).unwrap();
    refused(asked(), &["larger than 64 KiB"]);
    fs::write(&file, format!("{CANARY}\n")).unwrap();
    asked().unwrap();
    reached.server.ask("ALTER ROLE monitor PASSWORD 'another'");
    asked().unwrap();
    let backends = reached.server.backends();
    signal(&backends, Signal::TERM);
    super::eventually("end", || reached.server.backends().is_empty().then_some(()));
    refused(asked(), &["authentication failed"]);
    fs::write(&file, "another").unwrap();
    asked().unwrap();
    fs::remove_file(&file).unwrap();
    let fifo = Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(fifo.success());
    refused(PostgresStore::new(&settings).unwrap().hosts().map(drop), &["it is no file"]);
}

#[test]
fn a_server_is_believed_as_its_sslmode_says() {
    let reached = Reached::new(true).lets_it_write();
    let password = format!(":{CANARY}");
    for (rest, by_tls) in
        [("", true), ("?sslmode=prefer", true), ("?sslmode=require", true), ("?sslmode=disable", false)]
    {
        assert_eq!(reached.is_by_tls(&password, rest), by_tls, "{rest}");
    }
    let own = format!("sslrootcert={}", reached.certificate().display());
    assert!(reached.is_by_tls(&password, &format!("?sslmode=verify-full&{own}&by-name")));
    assert!(reached.is_by_tls(&password, &format!("?{own}&sslmode=require&by-name")));
    let of_another_name = reached.tries(&password, &format!("?sslmode=verify-full&{own}"));
    refused(of_another_name, &["its certificate is for localhost, not for"]);
    refused(reached.tries(&password, "?sslmode=verify-full&by-name"), &["unknown authority", "sslrootcert"]);
    let none = reached.tries(&password, "?sslmode=verify-full&sslrootcert=/nowhere&by-name");
    refused(none, &["cannot use sslrootcert /nowhere"]);
    // A password is not asked for by who is not believed.
    refused(reached.tries(":wrong", "?sslmode=verify-full&by-name"), &["unknown authority"]);
}

#[test]
fn a_url_that_cannot_be_used_is_refused_without_a_word_of_it() {
    for (url, words) in [
        (format!("postgres://u:{CANARY}@h:x/db"), "not one that PostgreSQL understands"),
        (format!("postgres://u:{CANARY}@h/db?{CANARY}=1"), "not one that PostgreSQL understands"),
        (format!("postgres://u:{CANARY}@h/db?sslmode={CANARY}"), "verify-full"),
        (format!("mysql://u:{CANARY}@h/db"), "not one that PostgreSQL understands"),
        (format!("postgres://u:{CANARY}@h/db?sslmode=verify"), "verify-full"),
    ] {
        refused(PostgresStore::new(&settings(&url)).map(drop), &[words, "[history] url"]);
    }
    let name = |url: &str| format!("{:?}", store(url));
    assert!(name("postgres://u:canary@db.example/health").contains("PostgreSQL db.example:5432 health\""));
    assert!(name("postgres://u@[::1]:5433/health").contains("PostgreSQL [::1]:5433 health\""));
    assert!(name("postgres:///health").contains("PostgreSQL /run/postgresql/.s.PGSQL.5432 health\""));
    assert!(name("postgresql://u@%2Frun%2Fpg/health").contains("PostgreSQL /run/pg/.s.PGSQL.5432 health\""));
}

/// Whatever is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_password_is_shown_nowhere() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone());
    let mut shown = tracing::subscriber::with_default(subscriber.finish(), || {
        let reached = Reached::new(true).lets_it_write();
        let file = reached.server.dir.path().join("password");
        fs::write(&file, CANARY).unwrap();
        let mut by_file = settings(&reached.url("", "?sslmode=require"));
        by_file.password_file = Some(file);
        let by_url = settings(&reached.url(&format!(":{CANARY}"), ""));
        let mut shown = String::new();
        for settings in [by_file, by_url] {
            let mut teller = Teller::new(Box::new(PostgresStore::new(&settings).unwrap()), Record::Changes);
            teller.origin.state = format!("{}", shown.len());
            teller.tells([beat("camera", "a", "12:00:00")]);
            reached.server.ask("ALTER ROLE monitor PASSWORD 'another'");
            let mut store = PostgresStore::new(&settings).unwrap();
            let error = store.hosts().unwrap_err();
            shown.push_str(&format!("{settings:?} {store:?} {error} {error:?}"));
            reached
                .server
                .ask(&format!("ALTER ROLE monitor PASSWORD '{CANARY}'; DELETE FROM system_batches"));
        }
        shown
    });
    shown.push_str(&String::from_utf8_lossy(&log.0.lock().unwrap()));
    assert!(!shown.contains(CANARY) && shown.contains("authentication failed"), "{shown}");
}
