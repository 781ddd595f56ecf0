//! What typical notices say, word by word.

use crate::host::*;
use health_reporter::Status;

#[test]
fn x() {
    let show = |host: &mut Host| {
        for (_, n) in &host.server("phone").accepted.clone() {
            println!("[{}] {}\n{}\n", n.reason, n.title, n.text);
        }
        println!("=====");
        host.server("phone").accepted.clear();
    };
    let mut host =
        Host::running(&[("camera", &[]), ("recorder", &["camera"]), ("wall", &["camera"]), ("disk", &[])]);
    host.pass(4.2 * HOUR);
    host.all(&["camera", "recorder", "wall"], |host, name| {
        if name == "camera" { host.crashes(name) } else { host.errs(name) }
    });
    host.pass(240.0);
    host.all(&["camera", "recorder", "wall"], Host::starts);
    host.pass(600.0);
    show(&mut host);
    host.warns("disk");
    host.pass(600.0);
    host.errs("disk");
    host.pass(3.0 * HOUR);
    host.warns("disk");
    host.pass(3.0 * HOUR);
    host.heals("disk");
    host.pass(10.0);
    show(&mut host);
    for _ in 0..2 {
        host.crashes("camera");
        host.pass(3.0);
        host.starts("camera");
        host.pass(1000.0);
    }
    show(&mut host);
    host.crashes("camera");
    host.pass(30.0);
    host.stops("camera");
    host.pass(30.0);
    show(&mut host);
    for at in 0..9 {
        if at % 2 == 0 {
            host.errs("disk")
        } else {
            host.heals("disk")
        }
        host.pass(10.0);
    }
    host.pass(1000.0);
    show(&mut host);
    host.heals("disk");
    host.pass(1000.0);
    show(&mut host);
    host.reboots(false, 240.0);
    host.pass(10.0);
    host.all(&["recorder", "wall", "disk"], Host::starts);
    host.pass(100.0);
    host.starts("camera");
    host.pass(1000.0);
    show(&mut host);
    host.all(&["camera", "disk", "wall"], |host, name| {
        if name == "wall" { host.warns(name) } else { host.says(name, Status::Fatal, "no space left") }
    });
    host.pass(1000.0);
    show(&mut host);
    host.server("phone").weather = crate::server::Weather::Down;
    host.all(&["camera", "disk", "wall"], Host::heals);
    host.pass(1000.0);
    host.errs("camera");
    host.pass(100.0);
    host.heals("camera");
    host.pass(1000.0);
    host.server("phone").weather = crate::server::Weather::Works;
    host.pass(1000.0);
    show(&mut host);
    host.server("phone").weather = crate::server::Weather::Down;
    host.errs("camera");
    host.pass(100.0);
    host.heals("camera");
    host.pass(1000.0);
    host.server("phone").weather = crate::server::Weather::Works;
    host.pass(1000.0);
    show(&mut host);
    let names: Vec<String> = (0..500).map(|at| format!("service-{at}")).collect();
    for name in &names {
        host.starts(name);
    }
    host.pass(10.0);
    for name in &names {
        host.errs(name);
    }
    host.pass(100.0);
    host.pass(HOUR);
    for (_, n) in &host.server("phone").accepted.clone() {
        println!("[{}] {}\n{}\n", n.reason, n.title, n.text.chars().take(300).collect::<String>());
    }
}
