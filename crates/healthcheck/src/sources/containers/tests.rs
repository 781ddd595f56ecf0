use super::*;
use healthcheck_core::ContainerHealth;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use tempfile::TempDir;
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(400);

/// An engine with one answer to each question that it is asked.
fn engine(answer: impl Fn(&str, &mut UnixStream) + Send + 'static) -> (TempDir, Engine) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let (mut head, mut reader) = (String::new(), BufReader::new(stream.try_clone().unwrap()));
            while !head.ends_with("\r\n\r\n") && matches!(reader.read_line(&mut head), Ok(1..)) {}
            answer(&head, &mut stream);
        }
    });
    (dir, Engine::at(socket))
}

fn speaks(text: String) -> (TempDir, Engine) {
    engine(move |_, stream| {
        let _ = stream.write_all(text.as_bytes());
    })
}

fn look_within(engine: &Engine, timeout: Duration) -> Result<ContainerFacts, ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let facts = runtime.block_on(engine.look("web", timeout));
    runtime.shutdown_background();
    facts.map(|facts| match facts {
        ProbeFacts::Container(facts) => *facts,
        other => panic!("{other:?}"),
    })
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn seen(inspection: &Value) -> ContainerFacts {
    let (_dir, engine) = speaks(ok(&inspection.to_string()));
    look_within(&engine, LONG).unwrap()
}

/// As the Docker Engine API documents it, with what else is in it.
fn inspection(state: &Value) -> Value {
    let mut full = json!({
        "Status": "running", "Running": true, "Paused": false, "Restarting": false, "OOMKilled": false,
        "Dead": false, "Pid": 1234, "ExitCode": 0, "Error": "",
        "StartedAt": ago(3600), "FinishedAt": "0001-01-01T00:00:00Z",
    });
    full.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    json!({ "Id": "ba033ac4", "Created": "2026-01-06T16:46:08Z", "Path": "date", "Args": [], "State": full,
        "Name": "/web", "RestartCount": 2, "HostConfig": {}, "Config": {"Image": "web:1"} })
}

fn ago(seconds: i64) -> String {
    (Timestamp::now() - jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[test]
fn a_running_container_tells_its_health_and_since_when() {
    let log = json!([{"ExitCode": 0, "Output": "fine\n"}, {"ExitCode": 1, "Output": "\n connection refused\nmore"}]);
    let health = json!({"Health": {"Status": "unhealthy", "FailingStreak": 1, "Log": log}});
    let facts = seen(&inspection(&health));
    assert_eq!((facts.name.as_str(), facts.state), ("web", ContainerState::Running));
    assert_eq!(facts.health, Some(ContainerHealth::Unhealthy));
    assert_eq!(facts.health_output.as_deref(), Some("connection refused"));
    assert_eq!((facts.restarts, facts.error), (2, None));
    assert!((3600..4000).contains(&facts.since.unwrap().as_secs()), "{:?}", facts.since);
    for (word, expected) in [
        ("starting", Some(ContainerHealth::Starting)),
        ("healthy", Some(ContainerHealth::Healthy)),
        ("none", None),
    ] {
        let health = json!({"Health": {"Status": word, "Log": null}});
        assert_eq!(seen(&inspection(&health)).health, expected);
    }
    assert_eq!(seen(&inspection(&json!({"Health": null}))).health, None);
}

#[test]
fn an_ended_container_tells_how_and_how_long_ago() {
    let ended = json!({"Status": "exited", "ExitCode": 137, "OOMKilled": true, "Error": "out of memory",
        "StartedAt": ago(9000), "FinishedAt": ago(60)});
    let facts = seen(&inspection(&ended));
    assert_eq!((facts.state, facts.exit_code, facts.oom_killed), (ContainerState::Exited, 137, true));
    assert_eq!(facts.error.as_deref(), Some("out of memory"));
    assert!((60..400).contains(&facts.since.unwrap().as_secs()));
    let created = json!({"Status": "created", "StartedAt": "0001-01-01T00:00:00Z"});
    assert_eq!(
        (seen(&inspection(&created.clone())).state, seen(&inspection(&created)).since),
        (ContainerState::Created, None)
    );
    for (word, state) in [("paused", ContainerState::Paused), ("restarting", ContainerState::Restarting)] {
        assert_eq!(seen(&inspection(&json!({"Status": word}))).state, state);
    }
}

#[test]
fn the_question_is_one_for_this_container_alone() {
    let (sender, heads) = std::sync::mpsc::channel();
    let (_dir, engine) = engine(move |head, stream| {
        sender.send(head.to_owned()).unwrap();
        stream.write_all(ok(&inspection(&json!({})).to_string()).as_bytes()).unwrap();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(engine.look("../images?x=/#é", LONG)).unwrap();
    let head = heads.recv().unwrap();
    let line = "GET /containers/..%2Fimages%3Fx%3D%2F%23%C3%A9/json HTTP/1.1\r\n";
    assert!(head.starts_with(line) && head.to_lowercase().contains("\r\nhost: engine\r\n"), "{head}");
}

#[test]
fn an_answer_in_chunks_is_read() {
    let body = inspection(&json!({})).to_string();
    let (one, two) = body.split_at(100);
    let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let (_dir, engine) = speaks(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"));
    assert_eq!(look_within(&engine, LONG).unwrap().state, ContainerState::Running);
}

#[test]
fn a_container_that_is_not_there_is_a_sight() {
    let body = r#"{"message":"No such container: web"}"#;
    let (_dir, engine) = speaks(ok(body).replace("200 OK", "404 Not Found"));
    let facts = look_within(&engine, LONG).unwrap();
    assert_eq!((facts.name.as_str(), facts.state), ("web", ContainerState::Absent));
}

#[test]
fn an_engine_that_cannot_tell_is_no_bad_container() {
    let refusal = |status: &str| ok(r#"{"message":"no"}"#).replace("200 OK", status);
    for (answer, words) in [
        (refusal("500 Internal Server Error"), "answers 500"),
        (refusal("403 Forbidden"), "let this user"),
        (refusal("301 Moved"), "answers 301"),
        (ok("404 page not found").replace("200 OK", "404 Not Found"), "is it a container engine"),
        (ok("[]"), "not that of a container engine"),
        (ok(r#"{"State":{"Status":7}}"#), "not that of a container engine"),
        (ok(&"[".repeat(100_000)), "not that of a container engine"),
        (ok(&" ".repeat(1_100_000)), "larger than 1024 KiB"),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), "not that of a container engine"),
        (String::new(), "hung up"),
    ] {
        let (_dir, engine) = speaks(answer);
        let error = look_within(&engine, LONG).unwrap_err();
        assert!(error.to_string().contains(words) && error.kind == Some(ProbeKind::Container), "{error}");
    }
}

#[test]
fn a_hung_engine_ends_at_the_deadline() {
    let silent = engine(|_, stream| {
        let _ = stream.read(&mut [0]);
    });
    let dripping = engine(|_, stream| {
        while stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").is_ok() {
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    for (_dir, engine) in [silent, dripping] {
        let started = Instant::now();
        let error = look_within(&engine, SHORT).unwrap_err();
        assert!(error.to_string().contains("did not answer within 0.4 s"), "{error}");
        assert!(started.elapsed() < LONG / 3);
    }
}

#[test]
fn an_engine_whose_queue_is_full_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _held = UnixStream::connect(&socket).unwrap();
    let started = Instant::now();
    let error = look_within(&Engine::at(socket), LONG).unwrap_err();
    assert!(error.to_string().contains("accepts no more"), "{error}");
    assert!(started.elapsed() < LONG / 3);
}

#[test]
fn the_engine_is_where_the_environment_says_or_where_it_usually_is() {
    let dir = tempfile::tempdir().unwrap();
    let found = |docker_host: &str| {
        Engine::found(&|name: &str| match name {
            "DOCKER_HOST" => Some(docker_host.into()),
            "XDG_RUNTIME_DIR" => Some(dir.path().into()),
            _ => None,
        })
    };
    assert_eq!(found("unix:///run/my.sock").unwrap().socket, Path::new("/run/my.sock"));
    let error = found("tcp://user:canary@10.0.0.1:2375").unwrap_err().to_string();
    assert!(error.contains("unix:///path") && !error.contains("canary"), "{error}");
    let podman = dir.path().join("podman/podman.sock");
    std::fs::create_dir(podman.parent().unwrap()).unwrap();
    assert!(first_of(std::slice::from_ref(&podman)).unwrap_err().to_string().contains("DOCKER_HOST"));
    let _listener = UnixListener::bind(&podman).unwrap();
    assert_eq!(first_of(&[dir.path().join("none"), podman.clone()]).unwrap(), podman);
    let absent = look_within(&Engine::at(dir.path().join("none")), LONG).unwrap_err();
    assert!(absent.to_string().contains("start the container engine"), "{absent}");
}
