//! What is shown of machines that live, stopped, were lost or forgotten, with a real etcd.

use super::*;
use crate::config::Surroundings;
use crate::etcd_server::EtcdServer;
use crate::render::fleet::Presence;
use health_reporter::Status;
use std::path::Path;
use tempfile::TempDir;

const PHOBOS: &str =
    r#"{"hostname":"phobos.lan","description":"rack 2","version":"0.1.0","status":"error","ttl_s":10}"#;

/// What was told of these machines, with how each was said to be.
fn told(hosts: &[(&str, &str)]) -> String {
    let heard = hosts.iter().map(|(host, status)| {
        json!({"hosts": [host], "status": status, "thread": "a1-i7", "at": "2026-01-01T00:00:00Z"})
    });
    json!({ "channels": {"phone": heard.collect::<Vec<_>>()} }).to_string()
}

fn config(dir: &Path, endpoint: &str) -> Config {
    let file = dir.join("healthcheck.toml");
    std::fs::write(&file, format!("[fleet.etcd]\nendpoints = [\"{endpoint}\"]\n")).unwrap();
    crate::config::load(&Surroundings::of_this_process(Some(&file), &|_| None)).unwrap()
}

fn with_etcd(story: impl FnOnce(&mut EtcdServer, &Config)) {
    let dir = TempDir::new().unwrap();
    let mut server = EtcdServer::start(dir.path());
    let config = config(dir.path(), &server.url());
    story(&mut server, &config);
}

fn forget(host: &str, config: &Config) -> anyhow::Result<()> {
    let order = ForgetHost { host: host.to_owned() };
    order.forget(None, config, &Environment::of_this_process(), Some(Format::Json))
}

#[test]
fn every_machine_is_shown_as_what_etcd_and_people_know_of_it() {
    with_etcd(|server, config| {
        server.ctl(&["put", "/health/hosts/phobos", PHOBOS]);
        let camera = r#"{"status":"error","cause":"crashed","message":"crashed (signal 9)"}"#;
        server.ctl(&["put", "/health/services/phobos/camera", camera]);
        server.ctl(&["put", "/health/hosts/odd", "no JSON"]);
        let stopped = format!(r#"{{"at":"{}","reason":"reboot"}}"#, Timestamp::now());
        server.ctl(&["put", "/health/stopped/mars", &stopped]);
        let retired = r#"{"at":"2026-01-01T00:00:00Z","retired":true}"#;
        server.ctl(&["put", "/health/stopped/ceres", retired]);
        server.ctl(&["put", "/health/teller", "deimos"]);
        let told = told(&[("vesta", "error"), ("phobos", "error"), ("ida", "warning"), ("a/b", "error")]);
        server.ctl(&["put", "/health/told", &told]);
        let picture = look(config, "phobos").unwrap();
        let is = |name: &str| (picture.machines[name].presence, picture.machines[name].status);
        assert!(picture.machines.keys().eq(["mars", "odd", "phobos", "vesta"]), "{picture:?}");
        assert_eq!(is("phobos"), (Presence::Online, Status::Healthy));
        assert_eq!(is("odd"), (Presence::Online, Status::Healthy));
        assert_eq!(is("mars"), (Presence::Stopped, Status::Healthy));
        assert_eq!(is("vesta"), (Presence::Offline, Status::Error));
        let phobos = &picture.machines["phobos"];
        assert!(phobos.is_own && phobos.services["camera"].status == Status::Error);
        assert_eq!((&*phobos.hostname, phobos.reported), ("phobos.lan", Status::Error));
        assert_eq!((picture.teller.as_deref(), picture.overall_status()), (Some("deimos"), Status::Error));
        let line = serde_json::to_string(&picture).unwrap();
        assert_eq!(serde_json::from_str::<FleetPicture>(&line).unwrap(), picture, "it goes over a socket");
    });
}

#[test]
fn what_ran_on_a_machine_that_is_lost_is_unknown_and_does_not_count() {
    let keys = Keys::below("/health");
    let mut mirror = Mirror::default();
    let put = |key: &str, value: &str| crate::fleet::etcd::Entry {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    };
    let camera = r#"{"status":"fatal","cause":"crashed","message":"crashed (signal 9)"}"#;
    mirror.list(&keys, &[put("/health/hosts/phobos", PHOBOS), put("/health/services/phobos/camera", camera)]);
    mirror.list(&keys, &[]);
    let dir = TempDir::new().unwrap();
    let config = config(dir.path(), "http://127.0.0.1:1");
    let state =
        picture::judged(&mirror, &keys::Told::default(), &snapshot::now(), snapshot::policy(&config, true));
    let etcd = config.fleet.etcd.as_ref().unwrap();
    let seen = Seen { at: Timestamp::now(), host: "deimos".into(), etcd, teller: None, remarks: Vec::new() };
    let picture = fleet_picture(&mirror, &state, seen);
    let phobos = &picture.machines["phobos"];
    assert_eq!((phobos.presence, phobos.status), (Presence::Offline, Status::Error));
    let camera = &phobos.services["camera"];
    assert_eq!((camera.status, &*camera.cause), (Status::Unknown, "not_observed"));
    assert_eq!(camera.message, "its machine is offline, was fatal: crashed (signal 9)");
    assert_eq!(picture.overall_status(), Status::Error, "not fatal: nobody knows");
}

#[test]
fn a_machine_that_does_not_come_back_is_forgotten_unless_it_lives() {
    with_etcd(|server, config| {
        server.ctl(&["put", "/health/hosts/phobos", PHOBOS]);
        server.ctl(&["put", "/health/told", &told(&[("vesta", "error")])]);
        let lives = forget("phobos", config).unwrap_err().to_string();
        assert!(lives.contains("phobos is alive: run `healthcheck retire` there"), "{lives}");
        let typo = forget("phobs", config).unwrap_err().to_string();
        assert!(typo.contains("did you mean phobos?"), "{typo}");
        assert!(server.below("/health/stopped/").is_empty());
        server.ctl(&["put", "/health/services/vesta/left", "{}"]);
        forget("vesta", config).unwrap();
        let left = server.below("/health/stopped/");
        assert!(left[0].0.ends_with("/vesta") && left[0].1.contains(r#""retired":true"#), "{left:?}");
        assert!(server.below("/health/services/").is_empty());
        assert!(look(config, "deimos").unwrap().machines.keys().eq(["phobos"]));
    });
}

#[test]
fn whoever_says_goodbye_for_good_leaves_nothing_but_that() {
    with_etcd(|server, config| {
        let host = keys::name(&machine::host_name());
        server.ctl(&["put", &format!("/health/hosts/{host}"), PHOBOS]);
        assert!(retire(config).unwrap());
        let left = server.below("/health/");
        assert!(left.len() == 1 && left[0].0 == format!("/health/stopped/{host}"), "{left:?}");
        assert!(look(config, "deimos").unwrap().machines.is_empty());
    });
}

#[test]
fn without_an_etcd_it_is_said_which_and_why() {
    let dir = TempDir::new().unwrap();
    let away = look(&config(dir.path(), "http://user:canary@127.0.0.1:1"), "deimos").unwrap_err().to_string();
    assert!(away.contains("127.0.0.1:1") && away.contains("refused") && !away.contains("canary"), "{away}");
    let file = dir.path().join("empty.toml");
    std::fs::write(&file, "").unwrap();
    let none = crate::config::load(&Surroundings::of_this_process(Some(&file), &|_| None)).unwrap();
    let cure = settings(&none).unwrap_err().to_string();
    assert!(cure.contains("write [fleet.etcd]"), "{cure}");
}
