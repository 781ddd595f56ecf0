//! What is there for whoever runs it on many machines: units and containers that are accepted as they are written.

use crate::support::{copy_program, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_healthcheck");

fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra")
}

/// The unit with one drop-in, as systemd sees it: an unknown key is no error to it, and is said.
#[track_caller]
fn complaints(drop_in: &str) -> String {
    let dir = TempDir::new().unwrap();
    let unit = fs::read_to_string(infra().join("systemd/healthcheck.service")).unwrap();
    copy_program(PROGRAM, dir.path().join("healthcheck"));
    let program = dir.path().join("healthcheck");
    let unit = unit.replace("/usr/local/bin/healthcheck", program.to_str().unwrap());
    let path = dir.path().join("healthcheck.service");
    fs::write(&path, unit).unwrap();
    fs::create_dir(dir.path().join("healthcheck.service.d")).unwrap();
    fs::write(dir.path().join("healthcheck.service.d/fleet.conf"), drop_in).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let ours = said.lines().filter(|line| line.contains("healthcheck"));
    ours.chain((!output.status.success()).then_some("refused")).collect()
}

#[test]
fn the_drop_in_of_a_fleet_is_accepted_with_all_that_it_offers() {
    let drop_in = fs::read_to_string(infra().join("systemd/healthcheck.service.d/fleet.conf")).unwrap();
    assert_eq!(complaints(&drop_in), "");
    let offered = drop_in.replace("#LoadCredential", "LoadCredential");
    assert!(offered.matches("\nLoadCredential=").count() == 2, "{offered}");
    assert_eq!(complaints(&offered), "");
    assert!(complaints(&format!("{drop_in}\nLoadCredentials=a:b\n")).contains("Unknown key"));
}

#[test]
fn the_containers_are_two_machines_whose_configuration_is_accepted() {
    let file = infra().join("compose.yaml");
    let read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let compose: Value =
        serde_json::from_str(&run("python3", &["-c", read, file.to_str().unwrap()])).unwrap();
    let services = compose["services"].as_object().unwrap();
    let built = services.values().filter(|it| it["build"]["dockerfile"] == "infra/Dockerfile");
    let names: Vec<_> = built.map(|it| it["hostname"].as_str().unwrap()).collect();
    assert_eq!(names, ["deimos", "phobos"]);
    let needed = services["deimos"]["depends_on"].as_object().unwrap();
    assert!(needed.keys().all(|name| services[name].get("healthcheck").is_some()), "{needed:?}");
    assert!(infra().join("Dockerfile").exists());

    let dir = TempDir::new().unwrap();
    let config = dir.path().join("healthcheck.toml");
    fs::write(&config, compose["configs"]["healthcheck"]["content"].as_str().unwrap()).unwrap();
    run(PROGRAM, &["config", "check", "--config", config.to_str().unwrap()]);

    // Where there is an engine's own opinion.
    let docker = |arguments: &[&str]| {
        Command::new("docker").arg("compose").args(arguments).env("HEALTH_DB_PASSWORD", "canary").output()
    };
    if docker(&["version"]).is_ok_and(|output| output.status.success()) {
        let checked = docker(&["-f", file.to_str().unwrap(), "config", "--quiet"]).unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}
