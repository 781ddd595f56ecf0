//! The whole, in a few words.

use super::Picture;
use health_reporter::Status;
use healthcheck_core::{Kind, SubjectView};

/// `2 of 7 need attention`. Services and probes are counted; of all else it says only that something is wrong.
pub(super) fn on_all(picture: &Picture) -> String {
    let (total, bad) = (picture.counted().count(), picture.counted().filter(needs_attention).count());
    match (total, bad) {
        (0, _) => on_the_rest(picture),
        (_, 0) => format!("{}{}", all_well(picture, total), but(picture)),
        (total, 1) => format!("1 of {total} needs attention"),
        (total, bad) => format!("{bad} of {total} need attention"),
    }
}

fn needs_attention(view: &&SubjectView) -> bool {
    view.status != Status::Healthy
}

fn all_well(picture: &Picture, total: usize) -> String {
    match (total, picture.snapshot.services.len()) {
        (1, 0) => "1 probe is well".to_owned(),
        (1, _) => "1 service is well".to_owned(),
        (total, _) => format!("all {total} are well"),
    }
}

/// Without a service or a probe there still may be endpoints.
fn on_the_rest(picture: &Picture) -> String {
    let endpoints = picture.others(Kind::Zmq).count();
    match (endpoints, picture.others(Kind::Zmq).filter(needs_attention).count()) {
        (0, _) => "no services".to_owned(),
        (_, bad) if bad > 0 => but(picture).trim_start_matches(", but ").to_owned(),
        (1, _) => format!("1 endpoint is well{}", but(picture)),
        (all, _) => format!("all {all} endpoints are well{}", but(picture)),
    }
}

/// `, but resources and zmq need attention`
fn but(picture: &Picture) -> String {
    let has = |kind| picture.others(kind).any(|view| needs_attention(&view));
    let areas = [
        ("resources", has(Kind::Resource)),
        ("zmq", has(Kind::Zmq)),
        ("remarks", picture.remarks.iter().any(|remark| remark.status != Status::Healthy)),
    ];
    let bad: Vec<&str> = areas.iter().filter(|(_, is_bad)| *is_bad).map(|(area, _)| *area).collect();
    match bad[..] {
        [] => String::new(),
        ["zmq"] => ", but zmq needs attention".to_owned(),
        [one] => format!(", but {one} need attention"),
        [ref first @ .., last] => format!(", but {} and {last} need attention", first.join(", ")),
    }
}
