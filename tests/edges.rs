//! The edges between crates and modules, which only go one way.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn dependencies(package: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("crates").join(package).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

#[test]
fn crates_depend_in_one_direction() {
    let has = |package: &str, other: &str| dependencies(package).iter().any(|name| name == other);
    assert!(!has("reporter", "healthcheck-core") && !has("reporter", "healthcheck"));
    assert!(has("healthcheck-core", "health-reporter") && !has("healthcheck-core", "healthcheck"));
    assert!(has("healthcheck", "healthcheck-core"));
}

/// What decides can be simulated: it reads no clock, opens nothing, and starts nothing.
#[test]
fn the_core_is_pure() {
    let banned = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "std::process",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "rustix",
        "tokio",
        "RandomState",
        "HashMap",
        "reporter::clock",
    ];
    let core = sources(&root().join("crates/healthcheck-core/src"));
    assert!(core.len() > 10, "the core is elsewhere");
    for (path, text) in core {
        for word in banned {
            let line = text.lines().find(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(line.is_none(), "{}: {word}: {}", path.display(), line.unwrap_or_default());
        }
    }
    let allowed = ["health-reporter", "jiff", "serde"];
    for name in dependencies("healthcheck-core") {
        assert!(allowed.contains(&name.as_str()), "{name} is new in the core");
    }
}

/// Whether there is a `crate::part`, alone or in a group.
fn uses(code: &str, part: &str) -> bool {
    let packed: String = code.split_whitespace().collect();
    let groups = packed.split("crate::{").skip(1).map(|rest| rest.split(';').next().unwrap_or_default());
    let is_named =
        |group: &str| group.split(['{', '}', ',']).any(|path| path.split("::").next() == Some(part));
    packed.contains(&format!("crate::{part}")) || groups.into_iter().any(is_named)
}

#[test]
fn an_edge_is_seen_however_it_is_written() {
    assert!(uses("use crate::render::table;", "render") && uses("use crate::{cli, render};", "render"));
    assert!(!uses("use crate::{cli::Format, sources};\nlet render = 1;", "render"));
}

/// Only the commands, the command line, the terminal and `main` see two of the parts.
#[test]
fn the_parts_of_the_program_do_not_know_one_another() {
    let program = root().join("crates/healthcheck/src");
    let parts = ["sources", "render", "config", "state", "history", "channels", "fleet", "commands", "cli"];
    // `sqlite` is below those that keep something in one.
    for part in ["sources", "render", "config", "state", "history", "channels", "fleet", "sqlite"] {
        let mut files = sources(&program.join(part));
        let file = program.join(format!("{part}.rs"));
        files.push((file.clone(), fs::read_to_string(file).unwrap()));
        for (path, text) in files {
            // Tests may look at anything.
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for other in parts.iter().filter(|other| **other != part) {
                assert!(!uses(code, other), "{} uses {other}", path.display());
            }
        }
    }
}

/// Whoever links the reporter gets at most 20 crates with it.
#[test]
fn the_reporter_stays_light() {
    let arguments =
        ["tree", "--offline", "--package", "health-reporter", "--edges", "normal", "--prefix", "none"];
    let cargo =
        std::process::Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let text = String::from_utf8(cargo.stdout).unwrap();
    let names: std::collections::BTreeSet<&str> =
        text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("serde") && names.len() <= 20, "{} crates: {names:?}", names.len());
}

/// Everything is held to the same lints.
#[test]
fn each_crate_takes_the_lints_of_the_workspace() {
    for package in ["reporter", "healthcheck-core", "healthcheck"] {
        let text = fs::read_to_string(root().join("crates").join(package).join("Cargo.toml")).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{package}");
    }
    let all = sources(&root().join("crates"));
    assert!(all.len() > 50, "the crates are elsewhere");
    for (path, text) in all {
        assert!(!text.contains("#[allow("), "{}: use #[expect(…, reason = …)]", path.display());
    }
}
