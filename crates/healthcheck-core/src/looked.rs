//! What a look from outside means: how it is, and that in words.

use crate::{
    CommandEnd, CommandFacts, Connection, Echo, FileAge, HttpFacts, ProbeFacts, ProcessesFound, Unanswered,
    ZmqFacts, ZmqSight, perfdata, wording,
};
use health_reporter::Status;

/// How what was seen is, and in words what it is.
pub(crate) fn look(facts: &ProbeFacts) -> (Status, String) {
    match facts {
        ProbeFacts::Process(found) => processes(found),
        ProbeFacts::Command(command) => self::command(command),
        ProbeFacts::Http(http) => self::http(http),
        ProbeFacts::Tcp(connection) => tcp(connection),
        ProbeFacts::FileAge(file) => file_age(file),
        ProbeFacts::Zmq(zmq) => self::zmq(zmq),
        ProbeFacts::Delivery(delivery) => match &delivery.problem {
            Some(problem) => (Status::Error, format!("notices do not arrive: {problem}")),
            None => (Status::Healthy, "notices arrive".to_owned()),
        },
        ProbeFacts::Unit(_) | ProbeFacts::Container(_) => (Status::Healthy, String::new()),
    }
}

fn processes(found: &ProcessesFound) -> (Status, String) {
    match (found.count, found.pids.first()) {
        (0, _) => (Status::Error, format!("no process {}", found.pattern)),
        (1, Some(pid)) => (Status::Healthy, format!("pid {pid}")),
        (count, _) => (Status::Healthy, format!("{count} processes")),
    }
}

/// The exit code is the health. That 1 is only a warning is believed of a program that speaks as a plug-in.
fn command(command: &CommandFacts) -> (Status, String) {
    let says = perfdata::text(&command.output);
    let says_that = |words: &[&str]| perfdata::is_plug_in(&command.output, words);
    let (status, words) = match command.end {
        CommandEnd::Exited(0) => return (Status::Healthy, says.to_owned()),
        CommandEnd::Exited(1) if says_that(&["WARNING", "WARN"]) => {
            return (Status::Warning, says.to_owned());
        }
        CommandEnd::Exited(3) if says_that(&["UNKNOWN"]) => return (Status::Unknown, says.to_owned()),
        CommandEnd::Exited(code) => (Status::Error, format!("exit {code}")),
        CommandEnd::Killed(signal) => (Status::Error, format!("killed by signal {signal}")),
        CommandEnd::TimedOut(after) => {
            (Status::Error, format!("timed out after {}", wording::duration(after)))
        }
        CommandEnd::Flooded(bytes) => (Status::Error, format!("killed, wrote more than {bytes} bytes")),
    };
    let said = if says.is_empty() { String::new() } else { format!(": {says}") };
    (status, format!("{} {words}{said}", command.program))
}

fn http(http: &HttpFacts) -> (Status, String) {
    match page(http) {
        (Status::Healthy, words) => (Status::Healthy, words),
        (status, words) => (status, format!("{} {words}", http.place)),
    }
}

fn page(http: &HttpFacts) -> (Status, String) {
    let answer = match &http.answer {
        Ok(answer) => answer,
        Err(unanswered) => return (Status::Error, self::unanswered(unanswered)),
    };
    let is_wanted = match answer.status_wanted {
        Some(wanted) => answer.status == wanted,
        None => (200..300).contains(&answer.status),
    };
    if !is_wanted {
        let wanted = answer.status_wanted.map_or_else(|| "2xx".to_owned(), |wanted| wanted.to_string());
        return (Status::Error, format!("answers {} instead of {wanted}", answer.status));
    }
    if let Some(lacks) = &answer.body_lacks {
        return (Status::Error, format!("answers {}, without \"{lacks}\" in its body", answer.status));
    }
    match http.certificate_left.filter(|left| *left < http.certificate_wanted) {
        Some(left) => {
            (Status::Warning, format!("has a certificate that ends in {}", wording::duration(left)))
        }
        None => (Status::Healthy, format!("status {}", answer.status)),
    }
}

fn unanswered(why: &Unanswered) -> String {
    match why {
        Unanswered::Refused => "refused".to_owned(),
        Unanswered::TimedOut(after) => format!("timed out after {}", wording::duration(*after)),
        Unanswered::Unresolved(problem) => format!("no address: {problem}"),
        Unanswered::Tls(problem) => format!("TLS: {problem}"),
        Unanswered::Failed(problem) => problem.clone(),
    }
}

fn tcp(connection: &Connection) -> (Status, String) {
    match &connection.outcome {
        Ok(()) => (Status::Healthy, format!("{} accepts", connection.address)),
        Err(why) => (Status::Error, format!("{} {}", connection.address, unanswered(why))),
    }
}

fn file_age(file: &FileAge) -> (Status, String) {
    let max = wording::duration(file.max_age);
    match file.age {
        None => (Status::Error, format!("{} is not there", file.path)),
        Some(age) if age > file.max_age => {
            (Status::Error, format!("{} is {} old, limit {max}", file.path, wording::duration(age)))
        }
        Some(age) => (Status::Healthy, format!("{} old", wording::duration(age))),
    }
}

fn zmq(zmq: &ZmqFacts) -> (Status, String) {
    let at = |problem: String| (Status::Error, format!("{} {problem}", zmq.endpoint));
    match &zmq.sight {
        ZmqSight::Unreachable(why) => at(unanswered(why)),
        ZmqSight::Silent(after) => at(format!("accepts, and says nothing for {}", wording::duration(*after))),
        ZmqSight::Closed => at("ends the conversation before it says what it is".to_owned()),
        ZmqSight::NotZmtp(said) if said.is_empty() => at("does not speak ZMTP".to_owned()),
        ZmqSight::NotZmtp(said) => at(format!("does not speak ZMTP, it says \"{said}\"")),
        ZmqSight::OldVersion(major) => old_version(zmq, *major),
        ZmqSight::Alive { socket, mechanism } => alive(zmq, socket.as_deref(), mechanism),
    }
}

/// It lives; whether it is what it must be, nobody can say.
fn old_version(zmq: &ZmqFacts, major: u8) -> (Status, String) {
    let status = if zmq.wanted.is_some() { Status::Unknown } else { Status::Healthy };
    (status, format!("{} speaks ZMTP {major}, which does not say what it is", zmq.endpoint))
}

fn alive(zmq: &ZmqFacts, socket: Option<&str>, mechanism: &str) -> (Status, String) {
    let endpoint = &zmq.endpoint;
    if let (Some(socket), Some(wanted)) = (socket, zmq.wanted.as_deref())
        && socket != wanted
    {
        return (Status::Error, format!("{endpoint} is a {socket}, not a {wanted}"));
    }
    if let Some(Echo::TimedOut(after)) = zmq.echo {
        let after = wording::duration(after);
        return (Status::Error, format!("{endpoint} does not answer a question for {after}"));
    }
    if let Some(silence) = zmq.silence.filter(|silence| silence.lasted > silence.max) {
        let (lasted, max) = (wording::duration(silence.lasted), wording::duration(silence.max));
        return (Status::Error, format!("{endpoint} sent no message for {lasted}, limit {max}"));
    }
    (Status::Healthy, socket.map_or_else(|| mechanism.to_owned(), str::to_owned))
}
