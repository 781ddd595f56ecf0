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

/// What one more costs among a thousand that are bad, beside what it costs among ten.
#[test]
fn one_more_costs_as_much_as_it_changes() {
    let ((few, _), (many, all)) = (one_more_among(10), one_more_among(1_000));
    println!("one more among ten {few:?}, among a thousand {many:?}, with a look at each of them {all:?}");
    assert!(many < few * 10 && many * 10 < all, "{few:?} among ten, {many:?} among a thousand, all {all:?}");
}

/// With a look at what changed, and with one at everything.
fn one_more_among(count: usize) -> (Duration, Duration) {
    let mut host = Host::running(&[]);
    let names: Vec<String> = (0..=count).map(|at| format!("service-{at}")).collect();
    names.iter().for_each(|name| host.starts(name));
    for name in &names {
        host.errs(name);
        host.pass(3.0);
    }
    let one_more = |looks: fn(&mut Alerts)| {
        let mut alerts = host.alerts.clone();
        looks(&mut alerts);
        timed(|| {
            host.with_other(&mut alerts, |alerts, world| {
                host.last_news.iter().for_each(|transition| alerts.note(transition, world));
                alerts.plan(world);
            });
        })
    };
    let fastest = |looks: fn(&mut Alerts)| (0..20).map(|_| one_more(looks)).min().unwrap();
    (fastest(|_| ()), fastest(Alerts::look_at_everything))
}
