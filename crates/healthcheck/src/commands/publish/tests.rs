use super::*;
use crate::cli::{Cli, Command};
use crate::config::Surroundings;
use clap::Parser;
use std::ffi::OsString;

fn publish(arguments: &[&str]) -> Result<Publish, String> {
    let all = ["healthcheck", "publish"].iter().chain(arguments);
    match Cli::try_parse_from(all).map_err(|error| error.to_string())?.command {
        Some(Command::Publish(publish)) => Ok(*publish),
        other => Err(format!("{other:?}")),
    }
}

fn config(toml: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("healthcheck.toml");
    std::fs::write(&file, toml).unwrap();
    let env = |name: &str| (name == "HEALTHCHECK_ETCD_PASSWORD").then(|| OsString::from("canary"));
    crate::config::load(&Surroundings::of_this_process(Some(&file), &env)).unwrap()
}

const CONFIGURED: &str = "[fleet.etcd]\nendpoints = [\"https://a:1\", \"https://b:2\"]\nttl = \"9s\"\nuser = \"u\"\n\
                          password_file = \"/p\"\nca_file = \"/ca\"\ncert_file = \"/c\"\nkey_file = \"/k\"";

fn access(arguments: &[&str], toml: &str) -> Result<Access, String> {
    let publish = publish(&[&["--namespace", "a"], arguments].concat())?;
    publish.etcd.access(&config(toml)).map_err(|error| error.to_string())
}

#[test]
fn etcd_is_where_it_is_said_to_be() {
    let endpoints = |arguments: &[&str], toml: &str| access(arguments, toml).unwrap().endpoints;
    assert_eq!(endpoints(&[], ""), ["http://localhost:2379"]);
    assert_eq!(endpoints(&["--etcd-host", "e"], CONFIGURED), ["http://e:2379"]);
    assert_eq!(endpoints(&["--etcd-port", "1"], ""), ["http://localhost:1"]);
    assert_eq!(endpoints(&["--etcd-host", "::1", "--etcd-port", "1"], ""), ["http://[::1]:1"]);
    assert_eq!(endpoints(&["--etcd-host", "e", "--etcd-ca-file", "/ca"], ""), ["https://e:2379"]);
    assert_eq!(endpoints(&[], CONFIGURED), ["https://a:1", "https://b:2"]);
    let two = ["--etcd-endpoint", "http://x:1", "--etcd-endpoint", "http://y:1/"];
    assert_eq!(endpoints(&two, CONFIGURED), ["http://x:1", "http://y:1"]);
}

#[test]
fn the_secrets_of_one_etcd_are_not_sent_to_another() {
    let configured = access(&[], CONFIGURED).unwrap();
    let file = |path: &str| Secret::File(path.into());
    assert_eq!(configured.login, Some(("u".to_owned(), file("/p"))));
    assert_eq!(configured.identity, Some(("/c".into(), "/k".into())));
    assert_eq!(configured.ca_file, Some("/ca".into()));
    let other = access(&["--etcd-host", "other"], CONFIGURED).unwrap();
    assert_eq!((other.login, other.identity, other.ca_file), (None, None, None));
    let own = ["--etcd-user", "v", "--etcd-password-file", "/q"];
    assert_eq!(access(&own, CONFIGURED).unwrap().login, Some(("v".to_owned(), file("/q"))));
    let by_environment = access(&["--etcd-user", "v"], "").unwrap();
    assert_eq!(by_environment.login, Some(("v".to_owned(), Secret::Value("canary".to_owned()))));
    assert!(!format!("{by_environment:?}").contains("canary"));
}

#[test]
fn bare_numbers_are_seconds() {
    let pace = |arguments: &[&str], toml: &str| {
        let publish = publish(&[&["--namespace", "a"], arguments].concat()).unwrap();
        publish.pace(&config(toml)).map(|pace| (pace.interval.as_millis(), pace.ttl.as_secs()))
    };
    assert_eq!(pace(&[], "").unwrap(), (10_000, 30));
    assert_eq!(pace(&["--interval", "5", "--ttl", "15"], "").unwrap(), (5_000, 15));
    assert_eq!(pace(&["--interval", "500ms", "--ttl", "1m"], "").unwrap(), (500, 60));
    assert_eq!(pace(&["--ttl", "6"], "").unwrap(), (2_000, 6));
    assert_eq!(pace(&[], CONFIGURED).unwrap(), (3_000, 9));
    assert!(pace(&["--interval", "30"], "").unwrap_err().to_string().contains("write a third of it"));
    assert!(pace(&["--ttl", "1"], "").unwrap_err().to_string().contains("from 2 on"));
}

#[test]
fn wrong_usage_is_refused() {
    for arguments in [
        &[][..],
        &["--capabilities", "d", "--namespace", "a"],
        &["--namespace", "a/b"],
        &["--namespace", ""],
        &["--namespace", "a", "--key-template", "/health"],
        &["--namespace", "a", "--etcd-endpoint", "127.0.0.1:2379"],
        &["--namespace", "a", "--etcd-host", "a", "--etcd-endpoint", "http://a"],
        &["--namespace", "a", "--interval", "0"],
        &["--namespace", "a", "--etcd-key-file", "/k"],
        &["--namespace", "a", "--etcd-password-file", "/k"],
    ] {
        assert!(publish(arguments).is_err(), "{arguments:?}");
    }
    let problem = access(&["--etcd-endpoint", "http://a", "--etcd-ca-file", "/ca"], "").unwrap_err();
    assert!(problem.contains("of no use without encryption"), "{problem}");
    assert!(publish(&["--namespace", "a", "--namespace", "b", "--auto-discover"]).is_ok());
}
