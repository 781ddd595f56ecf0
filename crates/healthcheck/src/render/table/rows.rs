//! What is not healthy, one row each.

use super::held;
use crate::render::text::printable;
use crate::render::{Picture, message_of};
use health_reporter::{State, Status};
use healthcheck_core::{Cause, Kind, ServiceView, SubjectView, wording};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::time::Duration;

/// One row, all of it printable.
pub(in crate::render) struct Row {
    pub(in crate::render) status: Status,
    pub(in crate::render) name: String,
    pub(in crate::render) message: String,
    /// What stands on the right.
    pub(in crate::render) aside: String,
}

/// Services, probes and numbers of the machine that are not healthy, the worst first.
pub(super) fn of(picture: &Picture) -> Vec<Row> {
    let now = picture.snapshot.timestamp;
    let services = picture.snapshot.services.iter().filter(|view| is_bad(&view.subject));
    let others = picture.others(Kind::Probe).chain(picture.others(Kind::Resource));
    let others = others.filter(|view| is_bad(view));
    let mut rows: Vec<Row> = services.map(|view| of_service(view, now)).collect();
    rows.extend(others.map(|view| row(view, &since_when(view, now), String::new())));
    rows.sort_by_key(|row| Reverse(row.status));
    rows
}

fn is_bad(view: &SubjectView) -> bool {
    view.status != Status::Healthy
}

fn row(view: &SubjectView, more: &str, aside: String) -> Row {
    let (name, message) = (printable(&view.name), printable(message_of(view)));
    Row { status: view.status, name: name.into_owned(), message: message.into_owned() + more, aside }
}

fn of_service(view: &ServiceView, now: Timestamp) -> Row {
    let is_job = view.state == Some(State::Finished) && view.subject.cause == Cause::Crashed;
    let mut more = match held(&view.subject, now).filter(|_| is_job) {
        Some(held) => format!(", {held} ago"),
        None => since_when(&view.subject, now),
    };
    if let Some(root) = &view.root {
        more = format!("{more} (because of {})", printable(root));
    }
    if !view.affects.is_empty() {
        more = format!("{more}; also affected: {}", printable(&view.affects.join(", ")));
        if view.affects_left_out > 0 {
            more = format!("{more} and {} more", view.affects_left_out);
        }
    }
    row(&view.subject, &more, aside(view))
}

/// Since when it is so, where the message does not say it already.
fn since_when(view: &SubjectView, now: Timestamp) -> String {
    match view.cause {
        Cause::Crashed | Cause::OomKilled | Cause::Hung | Cause::Overdue | Cause::NeverStarted => {
            String::new()
        }
        _ => held(view, now).map(|held| format!(", for {held}")).unwrap_or_default(),
    }
}

/// What it was doing, else when it last said something.
fn aside(view: &ServiceView) -> String {
    if let Some(task) = &view.current_task {
        return format!("task: {}", printable(task));
    }
    let is_fresh = view.subject.cause == Cause::SelfReported;
    match view.age_s.filter(|_| is_fresh).map(Duration::try_from_secs_f64) {
        Some(Ok(age)) => format!("beat {} ago", wording::duration(age)),
        _ => String::new(),
    }
}
