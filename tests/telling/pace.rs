//! How soon people are told, and how often.

use super::arrival::{AT_ONCE, sleeper, starts};
use crate::support::ntfy::{Ntfy, Received};
use crate::support::{Machine, PATIENCE, Process, beat_of};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// On a machine that is busy with other tests.
const LATE: Duration = Duration::from_secs(1);
const GROUP_WAIT: Duration = Duration::from_secs(1);

fn returns(machine: &Machine, service: &str) -> Process {
    let process = sleeper(machine);
    machine.reports(service, &beat_of(process.pid()));
    process
}

#[test]
fn f9_a_steady_stream_of_failures_is_told_group_wait_after_the_first() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    let alerts = "[alerts]\ngrace = \"0s\"\ngroup_wait = \"1s\"\nrestart_wait = \"0s\"\n";
    machine.configures(&format!("{}{alerts}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let names: Vec<String> = (0..12).map(|number| format!("service{number:02}")).collect();
    let all: Vec<Process> = names.iter().map(|name| starts(&machine, &monitor, name)).collect();
    let began = Instant::now();
    for process in all {
        process.kill();
        sleep(Duration::from_millis(250));
    }
    let first = ntfy.message(&["service00"]);
    let took = first.at - began;
    println!("a failure each 250 ms: the first message came after {took:?}");
    assert!(took >= GROUP_WAIT && took < GROUP_WAIT + LATE, "{took:?}");
    assert!(!first.words().contains("service11"), "the stream had ended: {first:?}");
    let is_told = |name: &String| ntfy.messages().iter().any(|it| it.words().contains(name));
    let deadline = Instant::now() + PATIENCE;
    while !names.iter().all(is_told) {
        assert!(Instant::now() < deadline, "{:#?}", ntfy.messages());
        sleep(Duration::from_millis(5));
    }
    assert!(ntfy.messages().len() <= 5, "gathered: {:#?}", ntfy.messages());
}

#[test]
fn f5_a_second_incident_within_the_cooldown_is_told_at_its_end_if_it_lasts() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    let cooldown = Duration::from_secs(2);
    machine.configures(&format!("{}{AT_ONCE}cooldown = \"2s\"\n", ntfy.channel("phone")));
    let monitor = machine.monitors();
    starts(&machine, &monitor, "camera").kill();
    let first = ntfy.message(&["camera is down"]);
    let camera = returns(&machine, "camera");
    ntfy.message(&["camera is back"]);
    camera.kill();
    let crashed = monitor.transition("camera", "error", "crashed");
    assert!(first.at.elapsed() < cooldown, "too slow for this story: {crashed}");
    let second = ntfy.message(&["camera is down"]);
    let pause = second.at - first.at;
    println!("a cooldown of {cooldown:?}: told again after {pause:?}");
    // The cooldown begins when the answer is there, a little after the server has it.
    assert!(pause >= cooldown && pause < cooldown + LATE, "{pause:?}");
}

#[test]
fn f5_one_that_is_over_within_the_cooldown_is_not_told() {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{AT_ONCE}cooldown = \"2s\"\n", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let audio = starts(&machine, &monitor, "audio");
    starts(&machine, &monitor, "camera").kill();
    let first = ntfy.message(&["camera is down"]);
    let camera = returns(&machine, "camera");
    ntfy.message(&["camera is back"]);
    camera.kill();
    monitor.transition("camera", "error", "crashed");
    let _camera = returns(&machine, "camera");
    monitor.transition("camera", "healthy", "self_reported");
    assert!(first.at.elapsed() < Duration::from_secs(2), "too slow for this story");
    sleep(Duration::from_secs(3));
    audio.kill();
    ntfy.message(&["audio is down"]);
    let told: Vec<String> = ntfy.messages().iter().map(Received::words).collect();
    assert_eq!(told.iter().filter(|words| words.contains("camera")).count(), 2, "{told:#?}");
}

/// From the crash to the push.
fn to_push(alerts: &str) -> Duration {
    let (machine, ntfy) = (Machine::new(), Ntfy::new());
    machine.configures(&format!("{}{alerts}", ntfy.channel("phone")));
    let monitor = machine.monitors();
    let camera = starts(&machine, &monitor, "camera");
    let crashed = Instant::now();
    camera.kill();
    ntfy.message_within(&["camera is down"], Duration::from_secs(40)).at - crashed
}

#[test]
fn f17_from_crash_to_push_it_takes_the_waits_and_hardly_more() {
    let at_once = to_push(AT_ONCE);
    let by_default = to_push("");
    println!("from crash to push: {by_default:?} with the defaults, {at_once:?} without any wait");
    assert!(at_once < Duration::from_secs(1), "{at_once:?}");
    // restart_wait and group_wait of the defaults.
    let (restart_wait, group_wait) = (Duration::from_secs(15), Duration::from_secs(2));
    let is_in_time = by_default >= restart_wait && by_default < restart_wait + group_wait + LATE;
    assert!(is_in_time, "{by_default:?}");
}

#[test]
fn f26_two_that_fall_at_once_are_both_told_in_every_format() {
    let (machine, server) = (Machine::new(), Ntfy::new());
    let formats = ["healthcheck", "alertmanager", "service_health", "machine"];
    let channel = |format: &&str| {
        let url = server.url();
        format!("[channels.{format}]\nkind = \"webhook\"\nurl = \"{url}/{format}\"\nformat = \"{format}\"\n")
    };
    let channels: String = formats.iter().map(channel).collect();
    let alerts = "[alerts]\ngrace = \"0s\"\ngroup_wait = \"1s\"\nrestart_wait = \"0s\"\n";
    machine.configures(&format!("{channels}{alerts}"));
    let monitor = machine.monitors();
    let both = ["audio", "camera"].map(|name| starts(&machine, &monitor, name));
    both.into_iter().for_each(Process::kill);
    for _ in formats {
        let delivery = monitor.event("a delivery", |event| event["type"] == "delivery");
        assert_eq!(delivery["outcome"], "accepted", "{delivery}");
    }
    for format in &formats[..3] {
        let posts: Vec<_> =
            server.messages().into_iter().filter(|it| it.path == format!("/{format}")).collect();
        assert_eq!(posts.len(), 1, "{format}: {posts:#?}");
        assert!(posts[0].raw.contains("audio") && posts[0].raw.contains("camera"), "{:#?}", posts[0]);
    }
    let of_machine = server.messages().iter().filter(|it| it.path == "/machine").count();
    assert_eq!(of_machine, 0, "no machine went away");
}
