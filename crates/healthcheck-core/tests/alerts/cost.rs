//! What a plan costs.

use crate::host::*;
use health_reporter::Status;
use healthcheck_core::alerts::Alerts;
use std::time::{Duration, Instant};

/// Five hundred that are bad, five channels: while nothing is told yet, and when all of it is.
#[test]
fn many_bad_subjects_are_planned_in_a_moment() {
    let mut host = Host::running(&[]);
    let names: Vec<String> = (0..500).map(|at| format!("service-{at}")).collect();
    for channel in ["a", "b", "c", "d"] {
        host.rules.channels.insert(channel.into(), everything(Status::Warning));
    }
    names.iter().for_each(|name| host.starts(name));
    names.iter().for_each(|name| host.errs(name));
    let gathered = fastest(&mut host);
    host.pass_until(host.t + Duration::from_millis(1_999));
    host.t += Duration::from_millis(2);
    let composed = (0..20).map(|_| {
        let mut host = host.clone();
        timed(|| drop(host.with_world(Alerts::plan)))
    });
    let composed = composed.min().unwrap();
    host.turn(&[]);
    host.pass(10.0);
    assert_eq!(host.titles("a").len(), 1);
    let told = fastest(&mut host);
    println!("gathered {gathered:?}, composed {composed:?}, told {told:?}");
    assert!(told < Duration::from_millis(50) && gathered < Duration::from_millis(50));
}

fn fastest(host: &mut Host) -> Duration {
    (0..20).map(|_| timed(|| drop(host.with_world(Alerts::plan)))).min().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "what it costs is what is asked")]
fn timed(act: impl FnOnce()) -> Duration {
    let began = Instant::now();
    act();
    began.elapsed()
}
