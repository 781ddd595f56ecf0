//! What typical notices say, word by word: `faces.txt` has them all.

use crate::host::*;
use crate::server::Weather;
use health_reporter::Status;
use healthcheck_core::{Farewell, HostSight};
use jiff::SignedDuration;
use std::fmt::Write;
use std::time::Duration;

/// Bytes of a long text that are shown.
const SHOWN_BYTES: usize = 300;

struct Album {
    host: Host,
    text: String,
}

impl Album {
    /// Something happens, and what is told of it is added.
    fn add(&mut self, what: &str, act: impl FnOnce(&mut Host)) {
        act(&mut self.host);
        let _ = writeln!(self.text, "## {what}\n");
        for (_, notice) in std::mem::take(&mut self.host.server("phone").accepted) {
            let text: String = notice.text.chars().take(SHOWN_BYTES).collect();
            let _ = writeln!(self.text, "{} · {}\n{}\n{text}\n", notice.reason, notice.status, notice.title);
        }
    }
}

fn album() -> Album {
    let services: [(&str, &[&str]); 4] =
        [("camera", &[]), ("recorder", &["camera"]), ("wall", &["camera"]), ("core", &[])];
    let mut host = Host::running(&services);
    host.pass(4.2 * HOUR);
    host.all(&["camera", "recorder", "wall", "core"], |host, name| host.writes(name, |_| ()));
    Album { host, text: String::new() }
}

#[test]
fn what_is_told_reads_well() {
    let mut album = album();
    problems(&mut album);
    crashes(&mut album);
    many(&mut album);
    failing(&mut album);
    boots(&mut album);
    machines(&mut album);
    many_machines(&mut album);
    planned(&mut album);
    assert!(album.text == include_str!("faces.txt"), "\n{}", album.text);
}

fn problems(album: &mut Album) {
    album.add("a root, and who depends on it", |host| {
        host.pass(3.0);
        host.crashes("camera");
        host.all(&["recorder", "wall"], Host::errs);
        host.pass(60.0);
    });
    album.add("it is still down", |host| host.pass(HOUR));
    album.add("all of them are back", |host| {
        host.all(&["camera", "recorder", "wall"], Host::starts);
        host.pass(HOUR);
    });
    album.add("a warning", |host| {
        host.warns("core");
        host.pass(600.0);
    });
    album.add("it is worse", |host| {
        host.errs("core");
        host.pass(600.0);
    });
    album.add("it is better", |host| {
        host.warns("core");
        host.pass(600.0);
    });
    album.add("it is well", |host| {
        host.heals("core");
        host.pass(600.0);
    });
    album.add("one that cannot go on", |host| {
        host.says("core", Status::Fatal, "no space left");
        host.pass(600.0);
        host.heals("core");
        host.pass(600.0);
    });
    album.add("a report that nobody can read", |host| {
        host.tears("core");
        host.pass(600.0);
        host.starts("core");
        host.pass(600.0);
    });
}

fn crashes(album: &mut Album) {
    album.add("a supervisor was faster, twice", |host| {
        for _ in 0..2 {
            host.crashes("camera");
            host.pass(3.0);
            host.starts("camera");
            host.pass(1_000.0);
        }
    });
    album.add("somebody stopped what had crashed", |host| {
        host.crashes("camera");
        host.pass(30.0);
        host.stops("camera");
        host.pass(600.0);
        host.starts("camera");
        host.pass(600.0);
    });
    album.add("one that changes all the time", |host| {
        for turn in 0..9 {
            host.is_now("core", turn % 2 == 0);
            host.pass(20.0);
        }
        host.pass(1_000.0);
        host.heals("core");
        host.pass(1_000.0);
    });
}

fn many(album: &mut Album) {
    album.add("two at once", |host| {
        host.all(&["camera", "core"], Host::errs);
        host.pass(HOUR);
    });
    album.add("one of them is back", |host| {
        host.heals("core");
        host.pass(60.0);
        host.heals("camera");
        host.pass(HOUR);
    });
    album.add("very many", |host| {
        let names: Vec<String> = (0..500).map(|at| format!("service-{at}")).collect();
        names.iter().for_each(|name| host.starts(name));
        names.iter().for_each(|name| host.errs(name));
        host.pass(60.0);
        names.iter().for_each(|name| host.heals(name));
        host.pass(600.0);
        names.iter().for_each(|name| host.forgets(name));
        host.pass(HOUR);
    });
}

fn failing(album: &mut Album) {
    album.add("what nobody could be told of in time", |host| {
        host.server("phone").weather = Weather::Down;
        host.errs("core");
        host.pass(100.0);
        host.heals("core");
        host.pass(1_000.0);
        host.server("phone").weather = Weather::Works;
        host.pass(1_000.0);
    });
    album.add("another channel does not work", |host| {
        host.rules.channels.insert("mail".into(), everything(Status::Warning));
        host.server("mail").weather = Weather::Refuses;
        host.errs("core");
        host.pass(10.0);
        host.looks_at_channels();
        host.pass(10.0);
        host.server("mail").weather = Weather::Works;
        host.heals("core");
        host.pass(600.0);
        host.looks_at_channels();
        host.pass(HOUR);
    });
    album.add("one that nobody watches any more", |host| {
        host.errs("wall");
        host.pass(60.0);
        host.forgets("wall");
        host.pass(60.0);
    });
}

fn boots(album: &mut Album) {
    album.add("the power failed", |host| {
        host.reboots(false, 240.0);
        host.pass(20.0);
        host.all(&["camera", "recorder", "core"], Host::starts);
        host.pass(HOUR);
    });
    album.add("it failed again, and one did not come back", |host| {
        host.reboots(false, 240.0);
        host.pass(20.0);
        host.all(&["camera", "core"], Host::starts);
        host.pass(60.0);
    });
}

fn machines(album: &mut Album) {
    album.add("another machine", |host| {
        host.starts("recorder");
        host.pass(DAY);
        host.server("phone").accepted.clear();
        host.loses_machine("phobos");
        host.pass(60.0);
    });
    album.add("it is still offline", |host| host.pass(HOUR));
    album.add("it is back", |host| {
        host.sees_machine("phobos", HostSight::Alive);
        host.pass(DAY);
    });
    album.add("three of them, whose leases end one after the other", |host| {
        for name in ["mars", "phobos", "venus"] {
            host.loses_machine(name);
            host.pass(4.0);
        }
        host.pass(600.0);
    });
    album.add("they are back one after the other", |host| {
        for name in ["mars", "phobos", "venus"] {
            host.sees_machine(name, HostSight::Alive);
            host.pass(4.0);
        }
        host.pass(DAY);
    });
}

fn many_machines(album: &mut Album) {
    album.add("a thousand of them", |host| {
        let names: Vec<String> = (0..1_000).map(|at| format!("node-{at:03}")).collect();
        let (last_seen, grace) = (host.now().wall, Duration::ZERO);
        names.iter().for_each(|name| host.notes_machine(name, HostSight::Lost { last_seen, grace }));
        host.pass(60.0);
        names.iter().for_each(|name| host.notes_machine(name, HostSight::Alive));
        host.pass(600.0);
    });
}

fn planned(album: &mut Album) {
    album.add("one that stopped as planned, and for too long", |host| {
        let now = host.now().wall;
        let farewell = Farewell {
            at: now,
            reason: "kernel update".into(),
            expected_back: Some(now + SignedDuration::from_mins(10)),
        };
        host.sees_machine("phobos", HostSight::Stopped(farewell));
        host.pass(HOUR);
        host.sees_machine("phobos", HostSight::Alive);
        host.pass(600.0);
    });
}
