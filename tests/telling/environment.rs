//! The environment of the Python original: whoever had it set is told as before.

use super::arrival::sleeper;
use crate::support::ntfy::Ntfy;
use crate::support::{Machine, Monitor, Process, beat_of};
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn monitors(machine: &Machine, env: &[(&str, &str)]) -> Monitor {
    Monitor::from_command(machine.command(&["monitor"]).envs(env.iter().copied()))
}

/// What waits for no supervisor.
fn fails(machine: &Machine, monitor: &Monitor, service: &str) -> Process {
    let process = sleeper(machine);
    let mut report = beat_of(process.pid());
    report["overall_status"] = json!("error");
    report["checks"] = json!([{"name": "lens", "status": "error", "message": "no picture"}]);
    machine.reports(service, &report);
    monitor.transition(service, "error", "self_reported");
    process
}

#[test]
fn its_channels_are_ours() {
    let (machine, push, hook) = (Machine::new(), Ntfy::new(), Ntfy::new());
    let url = format!("{}/hook?key=1", hook.url());
    let env = [
        ("NTFY_TOPIC", "experimance-alerts"),
        ("NTFY_SERVER", &*push.url()),
        ("HEALTH_WEBHOOK_URL", &url),
        ("HEALTH_WEBHOOK_AUTH", "Bearer canary"),
        ("HEALTH_LOG_FILE", "logs/alerts.log"),
        ("NOTIFICATION_BUFFERING", "false"),
    ];
    let monitor = monitors(&machine, &env);
    let began = Instant::now();
    let _camera = fails(&machine, &monitor, "camera");
    let pushed = push.message(&["camera is down", "no picture"]);
    assert_eq!(pushed.text("topic"), "experimance-alerts");
    assert!(pushed.at - began < Duration::from_secs(1), "nothing is buffered");
    let posted = hook.next("the post", Duration::from_secs(5), |it| it.method == "POST");
    assert_eq!((&*posted.path, posted.header("authorization")), ("/hook?key=1", "Bearer canary"));
    let service = &posted.body["service"];
    assert_eq!(
        (&posted.body["type"], &service["service_name"]),
        (&json!("service_health"), &json!("camera"))
    );
    assert_eq!(service["overall_status"], "error");
    assert!(service["checks"][0]["message"].as_str().unwrap().contains("no picture"), "{service:#}");
    for _ in 0..3 {
        let delivery = monitor.event("a delivery", |event| event["type"] == "delivery");
        assert_eq!(delivery["outcome"], "accepted", "{delivery}");
    }
    let log = std::fs::read_to_string(machine.root().join("logs/alerts.log")).unwrap();
    let line: Value = serde_json::from_str(log.trim()).unwrap();
    assert!(line["title"].as_str().unwrap().ends_with("camera is down"), "{line}");
}

#[test]
fn a_dry_run_says_everything_and_sends_nothing() {
    let (machine, server) = (Machine::new(), Ntfy::new());
    let (url, hook) = (server.url(), format!("{}/hook", server.url()));
    let env = [("NTFY_TOPIC", "alerts"), ("NTFY_SERVER", &*url), ("HEALTH_WEBHOOK_URL", &*hook)];
    let dry = [&env[..], &[("NOTIFICATIONS_DRY_RUN", "true"), ("NOTIFICATION_BUFFERING", "no")]].concat();
    let mut monitor = monitors(&machine, &dry);
    let _camera = fails(&machine, &monitor, "camera");
    for channel in ["ntfy", "webhook"] {
        let notice = monitor.event("a notice", |event| event["type"] == "notice");
        assert_eq!(notice["channel"], channel);
        assert!(notice["text"].as_str().unwrap().contains("no picture"), "{notice}");
    }
    let _audio = fails(&machine, &monitor, "audio");
    monitor.event("another notice", |event| event["type"] == "notice");
    monitor.stop();
    assert!(server.messages().is_empty() && server.refused() == 0);
    let sent = monitor.told().iter().filter(|event| event["type"] == "delivery").count();
    assert_eq!(sent, 0, "{:#?}", monitor.told());
    // Nobody was told in the dry run, so whoever must be told is told now.
    let _monitor = monitors(&machine, &env);
    let words: String = (0..2).map(|_| server.message(&["down"]).words()).collect();
    let posted = server.messages().iter().map(|it| it.raw.clone()).collect::<String>();
    assert!((words.clone() + &posted).contains("camera") && (words + &posted).contains("audio"));
}

#[test]
fn its_buffer_gathers_from_the_first_event_on() {
    let (machine, server) = (Machine::new(), Ntfy::new());
    let url = server.url();
    let env = [
        ("NTFY_TOPIC", "alerts"),
        ("NTFY_SERVER", &*url),
        ("NOTIFICATION_BUFFERING", "true"),
        ("NOTIFICATION_BUFFER_TIME", "1.5"),
    ];
    let monitor = monitors(&machine, &env);
    let began = Instant::now();
    let _camera = fails(&machine, &monitor, "camera");
    sleep(Duration::from_millis(700));
    let _audio = fails(&machine, &monitor, "audio");
    let told = server.message(&["camera", "audio"]);
    let took = told.at - began;
    let buffer = Duration::from_millis(1_500);
    assert!(took >= buffer && took < buffer + Duration::from_millis(600), "{took:?}");
    assert_eq!(server.messages().len(), 1);
}
