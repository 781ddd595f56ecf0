//! Numbers and their limits: `for`, `clear`, and what a single look makes of them.

use crate::world::*;
use health_reporter::Status::{self, Error, Healthy, Unknown, Warning};
use healthcheck_core::Cause::{self, *};
use healthcheck_core::{
    Facts, Kind, Limits, Measure, MountSight, Observation, ProbeError, Quantity, Snapshot, Subject, step,
};
use std::time::Duration;

fn limited(quantity: Quantity, limits: Limits) -> World {
    let mut world = World::new();
    world.policy.limits.insert(quantity, limits);
    world
}

const fn disk() -> Limits {
    let hold = Duration::from_secs(600);
    Limits { warning: Some(0.95), error: Some(0.99), clear: Some(0.92), hold, is_bad_below: false }
}

impl World {
    fn look_at(&mut self, name: &str, outcome: Result<Facts, ProbeError>) {
        let subject = Subject::new(Kind::Resource, name);
        let state = std::mem::take(&mut self.state);
        let observation = Observation { subject, outcome, took: Duration::ZERO };
        let (state, transitions) = step(state, observation, &self.now, &self.policy);
        self.state = state;
        self.transitions.extend(transitions);
    }

    fn measure(&mut self, name: &str, quantity: Quantity, value: f64) -> Option<(Status, Cause)> {
        self.look_at(name, Ok(Facts::Measure(Measure { quantity, value })));
        self.of_resource(name)
    }

    fn of_resource(&self, name: &str) -> Option<(Status, Cause)> {
        let verdict = self.state.verdict(&Subject::new(Kind::Resource, name))?;
        Some((verdict.status, verdict.cause))
    }
}

const WELL: Option<(Status, Cause)> = Some((Healthy, SelfReported));
const WORRIES: Option<(Status, Cause)> = Some((Warning, Threshold));

#[test]
fn f13_a_limit_must_be_passed_for_its_time_and_left_for_good() {
    let mut world = limited(Quantity::Disk, disk());
    let mut at = |seconds: f64, value: f64| {
        world.pass(seconds);
        world.measure("disk /", Quantity::Disk, value)
    };
    assert_eq!(at(0.0, 0.94), WELL);
    assert_eq!(at(1.0, 0.96), WELL, "a peak");
    assert_eq!(at(1.0, 0.93), WELL, "which leaves nothing behind");
    assert_eq!(at(598.0, 0.96), WELL);
    assert_eq!(at(599.0, 0.96), WELL);
    assert_eq!(at(1.0, 0.96), WORRIES);
    assert_eq!(at(1.0, 0.93), WORRIES, "below the limit, not below clear");
    assert_eq!(at(1.0, 0.995), WORRIES, "the error has its own time");
    assert_eq!(at(600.0, 0.995), Some((Error, Threshold)));
    assert_eq!(at(1.0, 0.97), WORRIES, "clear belongs to the first limit");
    assert_eq!(at(1.0, 0.91), WELL);
}

#[test]
fn time_in_which_nobody_looked_does_not_count() {
    let mut world = limited(Quantity::Disk, disk());
    world.measure("disk /", Quantity::Disk, 0.96);
    world.pass(3_600.0);
    assert_eq!(world.measure("disk /", Quantity::Disk, 0.96), WELL);
    world.pass(600.0);
    assert_eq!(world.measure("disk /", Quantity::Disk, 0.96), WORRIES);
    world.pass(3_600.0);
    assert_eq!(
        world.measure("disk /", Quantity::Disk, 0.96),
        WORRIES,
        "what was bad is not well because of that"
    );
}

#[test]
fn time_alone_makes_it_bad_at_the_right_moment() {
    let mut world = limited(Quantity::Disk, disk());
    world.measure("disk /", Quantity::Disk, 0.96);
    let due = world.state.next_deadline().unwrap();
    assert_eq!(due, world.now.boottime + Duration::from_secs(600));
    world.pass(600.0);
    world.look_at("disk /", Ok(Facts::TimePassed));
    assert_eq!(world.of_resource("disk /"), WORRIES);
}

#[test]
fn a_single_look_does_not_wait() {
    let mut world = limited(Quantity::Memory, Limits { clear: None, ..disk() });
    world.policy.once = true;
    assert_eq!(world.measure("memory", Quantity::Memory, 0.96), WORRIES);
    let verdict = world.state.verdict(&Subject::new(Kind::Resource, "memory")).unwrap();
    assert_eq!(verdict.message, "96 %, limit 95 %");
}

#[test]
fn a_lower_limit_is_passed_downwards() {
    let limits = Limits {
        warning: Some(1e9),
        error: None,
        clear: Some(2e9),
        hold: Duration::ZERO,
        is_bad_below: true,
    };
    let mut world = limited(Quantity::DiskFree, limits);
    assert_eq!(world.measure("disk_free /", Quantity::DiskFree, 3e9), WELL);
    assert_eq!(world.measure("disk_free /", Quantity::DiskFree, 0.5e9), WORRIES);
    assert_eq!(world.measure("disk_free /", Quantity::DiskFree, 1.5e9), WORRIES);
    assert_eq!(world.measure("disk_free /", Quantity::DiskFree, 2.5e9), WELL);
}

#[test]
fn what_has_no_limit_is_no_subject_and_resources_alone_are_nothing_to_judge() {
    let mut world = limited(Quantity::Disk, disk());
    assert_eq!(world.measure("load", Quantity::Load, 99.0), None);
    world.measure("disk /", Quantity::Disk, 0.5);
    let snapshot = Snapshot::of(&world.state, &world.now, &world.policy);
    assert!(snapshot.has_nothing_to_judge());
    assert_eq!((snapshot.counts.total, snapshot.overall_status), (0, Unknown));
    world.see("camera", world.beat(0.0));
    world.policy.once = true;
    world.measure("disk /", Quantity::Disk, 0.96);
    let snapshot = Snapshot::of(&world.state, &world.now, &world.policy);
    assert_eq!((snapshot.counts.total, snapshot.overall_status), (1, Warning));
}

#[test]
fn f13_mounts_that_vanished_or_turned_read_only_are_bad() {
    let mut world = World::new();
    let mut see = |sight| {
        world.look_at("mount /data", Ok(Facts::Mount(sight)));
        world.of_resource("mount /data")
    };
    assert_eq!(see(MountSight::AsExpected), None, "nothing to say of it");
    assert_eq!(see(MountSight::ReadOnly), Some((Error, ProbeFailed)));
    assert_eq!(see(MountSight::AsExpected), WELL, "it was bad, and is told to be well");
    assert_eq!(see(MountSight::Vanished), Some((Error, ProbeFailed)));
    assert_eq!(see(MountSight::VanishedOptional), Some((Warning, ProbeFailed)));
    world.look_at("mount /data", Err(ProbeError::new("it does not answer")));
    assert_eq!(world.of_resource("mount /data"), Some((Unknown, ProbeUnavailable)));
}
