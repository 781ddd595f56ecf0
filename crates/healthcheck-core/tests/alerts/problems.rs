//! A problem is told, once, and so is its end.

use crate::host::*;
use health_reporter::Status;
use healthcheck_core::alerts::Held;

#[test]
fn f4_a_recovery_is_told_with_its_duration() {
    let mut host = Host::running(&[("camera", &[])]);
    host.pass(600.0);
    host.crashes("camera");
    host.pass(60.0);
    println!("{:#?}", host.server("phone").last());
    host.pass(180.0);
    host.starts("camera");
    host.pass(60.0);
    for (_, n) in &host.server("phone").accepted {
        println!("{}\n  {}", n.title, n.text);
    }
    assert_eq!(host.news(), ["x"]);
    assert_eq!(host.held("camera"), Some(Held::Told));
    let _ = Status::Healthy;
}
