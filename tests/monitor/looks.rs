//! Looks from outside, each at its own pace.

use crate::support::{Machine, Process};
use std::net::TcpListener;

const PROBE: &str = "kind = \"tcp\"\ninterval = \"400ms\"\ntimeout = \"200ms\"\nretry_interval = \"100ms\"\n";

#[test]
fn a_port_that_is_refused_is_looked_at_again_before_it_is_believed() {
    let machine = Machine::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    machine.configures(&format!("[probes.door]\n{PROBE}retries = 2\naddress = \"{address}\"\n"));
    let monitor = machine.monitors();
    monitor.transition("door", "healthy", "self_reported");
    drop(listener);
    let refused = monitor.transition("door", "error", "probe_failed");
    assert!(refused["message"].as_str().unwrap().ends_with("refused"), "{refused}");
    let again = TcpListener::bind(address).unwrap();
    monitor.transition("door", "healthy", "self_reported");
    drop(again);
}

#[test]
fn a_publisher_that_says_nothing_is_told_when_its_silence_has_lasted_too_long() {
    let machine = Machine::new();
    let script = "import sys, time, zmq\nsocket = zmq.Context().socket(zmq.PUB)\n\
                  port = socket.bind_to_random_port('tcp://127.0.0.1')\nprint(port, flush=True)\n\
                  while not sys.stdin.readline().startswith('q'):\n    end = time.time() + 1\n    \
                  while time.time() < end:\n        socket.send(b'x')\n        time.sleep(0.05)\n    print('said', flush=True)\n";
    let mut publisher = Process::start(&mut machine.any_command("python3", &["-c", script]));
    let port = publisher.line();
    let zmq = format!(
        "endpoint = \"tcp://127.0.0.1:{port}\"\ninterval = \"30s\"\nretries = 0\nmax_silence = \"3s\"\n"
    );
    machine.configures(&format!("[zmq.events]\n{zmq}"));
    let monitor = machine.monitors();
    publisher.tell("more");
    monitor.transition("events", "healthy", "self_reported");
    let silent = monitor.transition("events", "error", "probe_failed");
    assert!(silent["message"].as_str().unwrap().contains("sent no message for"), "{silent}");
}
