//! Who depends on what is known to be bad does not page.

use crate::host::*;
use health_reporter::Status;
use healthcheck_core::alerts::{Held, Route};

const FAMILY: [(&str, &[&str]); 3] = [("camera", &[]), ("recorder", &["camera"]), ("wall", &["recorder"])];

fn inhibited() -> Option<Held> {
    Some(Held::Inhibited { root: "camera".into() })
}

#[test]
fn dependants_are_named_and_do_not_page() {
    let mut host = Host::running(&FAMILY);
    host.all(&["wall", "recorder", "camera"], Host::errs);
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    let notice = host.server("phone").last().clone();
    assert!(notice.text.ends_with("; also affected: recorder, wall"), "{}", notice.text);
    assert_eq!((host.held("wall"), host.held("recorder")), (inhibited(), inhibited()));
    host.all(&["wall", "recorder", "camera"], Host::heals);
    host.pass(60.0);
    assert_eq!(host.news(), ["deimos: camera is back"]);
}

#[test]
fn dependants_that_do_not_recover_with_their_root_page_then() {
    let mut host = Host::running(&FAMILY);
    host.all(&["camera", "recorder", "wall"], Host::errs);
    host.pass(60.0);
    host.heals("camera");
    host.heals("wall");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: camera is down", "deimos: camera is back"]);
    assert_eq!(host.held("recorder"), Some(Held::Returning), "it has its time to come back");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: recorder is down"]);
    host.heals("recorder");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: recorder is back"]);
}

#[test]
fn who_was_told_before_its_root_went_bad_is_told_as_back() {
    let mut host = Host::running(&FAMILY);
    host.errs("wall");
    host.pass(10.0);
    host.errs("recorder");
    host.pass(10.0);
    host.heals("wall");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: wall is down", "deimos: recorder is down", "deimos: wall is back"]);
}

#[test]
fn a_dependant_is_not_reminded_of_while_its_root_is_bad() {
    let mut host = Host::running(&FAMILY);
    host.errs("recorder");
    host.pass(10.0);
    host.errs("camera");
    host.pass(1.5 * HOUR);
    let told = ["deimos: recorder is down", "deimos: camera is down", "deimos: camera is still down"];
    assert_eq!(host.news(), told);
}

#[test]
fn who_is_not_told_of_the_root_is_told_of_its_dependants() {
    let mut host = Host::running(&FAMILY);
    let subjects = vec!["wall".to_owned()];
    host.channel().routes = vec![Route { kinds: Vec::new(), subjects, level: Status::Warning, quiet: None }];
    host.all(&["camera", "wall"], Host::errs);
    host.errs("recorder");
    host.pass(10.0);
    assert_eq!(host.news(), ["deimos: wall is down"]);
    assert_eq!(host.held("recorder"), Some(Held::NotRouted));
}

#[test]
fn a_dependant_that_fails_when_its_root_is_known_is_told_to_nobody() {
    let mut host = Host::running(&FAMILY);
    host.errs("camera");
    host.pass(10.0);
    host.errs("recorder");
    host.pass(600.0);
    assert_eq!(host.news(), ["deimos: camera is down"]);
    assert_eq!(host.held("recorder"), inhibited());
}
