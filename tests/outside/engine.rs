//! A container engine that has the containers of its test, after the published API of Docker Engine.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// What the engine says when it is asked for a container; for any other it says that there is none.
#[derive(Debug, Clone)]
pub(super) enum Says {
    Inspection(Value),
    /// Anything, as it is.
    Raw(&'static str),
    /// Nothing, for as long as the one who asks stays.
    Nothing,
}

pub(super) struct Engine {
    dir: TempDir,
}

impl Engine {
    pub(super) fn with(containers: &[(&str, Says)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let containers: BTreeMap<String, Says> =
            containers.iter().map(|(name, says)| ((*name).to_owned(), says.clone())).collect();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let containers = containers.clone();
                std::thread::spawn(move || answer(stream, &containers));
            }
        });
        Self { dir }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }
}

fn answer(mut stream: UnixStream, containers: &BTreeMap<String, Says>) {
    let (mut head, mut reader) = (String::new(), BufReader::new(stream.try_clone().unwrap()));
    while !head.ends_with("\r\n\r\n") && matches!(reader.read_line(&mut head), Ok(1..)) {}
    let name = head.split(['/', ' ']).skip_while(|part| *part != "containers").nth(1).unwrap_or_default();
    let answered = match containers.get(name) {
        Some(Says::Inspection(inspection)) => write_json(&mut stream, "200 OK", inspection),
        Some(Says::Raw(text)) => stream.write_all(text.as_bytes()),
        Some(Says::Nothing) => reader.read_to_end(&mut Vec::new()).map(drop),
        None => {
            let message = format!("No such container: {name}");
            write_json(&mut stream, "404 Not Found", &json!({ "message": message }))
        }
    };
    drop(answered);
}

/// In chunks, as engines do where the answer is long.
fn write_json(stream: &mut UnixStream, status: &str, body: &Value) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    for chunk in body.to_string().as_bytes().chunks(100) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}

/// An inspection of a running container, whose state is changed by these keys.
pub(super) fn container(name: &str, state: &Value) -> Says {
    let mut full = json!({
        "Status": "running", "Running": true, "Paused": false, "Restarting": false, "OOMKilled": false,
        "Dead": false, "Pid": 1234, "ExitCode": 0, "Error": "",
        "StartedAt": ago(7200), "FinishedAt": "0001-01-01T00:00:00Z",
    });
    full.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    Says::Inspection(json!({
        "Id": "ba033ac4401106a3b513bc9d639eee123ad78ca3616b921167cd74b20e25ed39", "Created": ago(9000),
        "Path": "date", "Args": [], "State": full, "Image": "sha256:72297848", "Name": format!("/{name}"),
        "RestartCount": 0, "Driver": "overlay2", "Mounts": [], "Config": {"Hostname": name},
    }))
}

/// So many seconds ago, as the engine writes it.
pub(super) fn ago(seconds: u64) -> String {
    let at = SystemTime::now() - Duration::from_secs(seconds);
    jiff::Timestamp::try_from(at).unwrap().to_string()
}
