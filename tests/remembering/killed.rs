//! The monitor is killed again and again while it remembers: each transition is there once.

use super::{Worker, sql};
use crate::support::{Dice, Machine};
use std::time::Duration;

#[test]
fn each_transition_is_remembered_once_however_often_the_monitor_is_killed() {
    let machine = Machine::new();
    machine.configures("[history]\nrecord = \"heartbeats\"\n");
    let mut dice = Dice::new("killed while it remembers");
    let workers: Vec<Worker> =
        (0..5).map(|number| Worker::begin(&machine, &format!("worker{number}"))).collect();
    for round in 0..20 {
        let monitor = machine.monitors();
        for step in 0..1 + dice.below(6) {
            let status = if dice.below(2) == 0 { "healthy" } else { "warning" };
            workers.iter().for_each(|worker| worker.beats(&machine, status, &format!("{round}.{step}")));
            std::thread::sleep(Duration::from_millis(dice.below(120)));
        }
        monitor.kill();
    }
    let mut monitor = machine.monitors();
    monitor.stop();
    let kept: Vec<String> = machine.kept("transitions").iter().map(|row| row["id"].to_string()).collect();
    let remembered = sql(
        &machine,
        "SELECT transition_id FROM system_status_history WHERE transition_id IS NOT NULL ORDER BY transition_id",
    );
    assert!(kept.len() > 20, "{} transitions", kept.len());
    assert_eq!(remembered.lines().collect::<Vec<_>>(), kept);
    let gaps = sql(&machine, "SELECT count(*) FROM system_gaps");
    assert_eq!(gaps, machine.kept("gaps").len().to_string());
    let twice = "SELECT service_name, heartbeat_timestamp, count(*) FROM system_status_history \
                 WHERE heartbeats = 1 GROUP BY 1, 2 HAVING count(*) > 1";
    assert_eq!(
        sql(&machine, twice),
        "",
        "a report that is still there when the next monitor starts is known"
    );
}
