//! All machines, with the keys of the snapshot.

use super::{SCHEMA_VERSION, Word};
use crate::render::Remark;
use crate::render::fleet::{self, FleetPicture, MachineView};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// All machines of a fleet.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "healthcheck fleet, version 1", inline)]
pub(super) struct Document<'a> {
    /// The version of this format.
    schema_version: u32,
    /// When it was taken, RFC 3339 in UTC.
    #[schemars(with = "String")]
    timestamp: Timestamp,
    /// Who looked: `monitor`, the one that runs here, or `direct`, the very process that shows it.
    source: &'static str,
    /// The machine that looked.
    host: &'a str,
    /// Where in etcd the machines are.
    prefix: &'a str,
    /// The members of etcd.
    endpoints: &'a [String],
    /// The worst of all machines and their services.
    overall_status: Word,
    /// The watcher that tells people, where there is one.
    teller: Option<&'a str>,
    /// Each machine, by name.
    machines: BTreeMap<&'a str, Machine<'a>>,
    /// What is wrong with the looking itself.
    remarks: Vec<Said<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Machine<'a> {
    /// What it is known by: its name.
    id: &'a str,
    name: &'a str,
    hostname: &'a str,
    description: &'a str,
    /// Whether it is there: `online`, `offline`, `stopped` or `unknown`.
    presence: &'static str,
    /// The verdict on the machine itself; what runs there is judged by itself.
    status: Word,
    /// Why, one of a closed set: `self_reported`, `overdue`, `stopped`, `not_observed`.
    cause: &'static str,
    message: &'a str,
    #[schemars(with = "String")]
    since: Timestamp,
    /// When its lease was last known to live.
    #[schemars(with = "Option<String>")]
    last_seen: Option<Timestamp>,
    /// Of the program that holds its lease.
    version: &'a str,
    /// The worst of everything there, as it says itself.
    reported: Word,
    /// Whether it is the machine that looked.
    is_own: bool,
    /// As their own machine judged them; of a machine that is lost, unknown with what they last were.
    services: BTreeMap<&'a str, Service<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FleetService")]
struct Service<'a> {
    status: Word,
    cause: &'a str,
    message: &'a str,
    #[schemars(with = "Option<String>")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_task: Option<&'a str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Remark")]
struct Said<'a> {
    about: &'a str,
    status: Word,
    message: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn of(picture: &'a FleetPicture) -> Self {
        let machines = picture.machines.iter();
        Self {
            schema_version: SCHEMA_VERSION,
            timestamp: picture.timestamp,
            source: picture.source.as_str(),
            host: &picture.host,
            prefix: &picture.prefix,
            endpoints: &picture.endpoints,
            overall_status: picture.overall_status().into(),
            teller: picture.teller.as_deref(),
            machines: machines.map(|(name, view)| (&**name, Machine::of(name, view))).collect(),
            remarks: picture.remarks.iter().map(Said::of).collect(),
        }
    }
}

impl<'a> Machine<'a> {
    fn of(name: &'a str, view: &'a MachineView) -> Self {
        let services = view.services.iter();
        Self {
            id: name,
            name,
            hostname: &view.hostname,
            description: &view.description,
            presence: view.presence.as_str(),
            status: view.status.into(),
            cause: view.cause.as_str(),
            message: &view.message,
            since: view.since,
            last_seen: view.last_seen,
            version: &view.version,
            reported: view.reported.into(),
            is_own: view.is_own,
            services: services.map(|(name, service)| (&**name, Service::of(service))).collect(),
        }
    }
}

impl<'a> Service<'a> {
    fn of(service: &'a fleet::ServiceView) -> Self {
        let fleet::ServiceView { status, cause, message, since, current_task } = service;
        let current_task = current_task.as_deref();
        Self { status: (*status).into(), cause, message, since: *since, current_task }
    }
}

impl<'a> Said<'a> {
    fn of(remark: &'a Remark) -> Self {
        Self { about: &remark.about, status: remark.status.into(), message: &remark.message }
    }
}

#[cfg(test)]
mod tests {
    use crate::render::fleet::tests::{lost, picture, well};
    use crate::render::json::{schema_of, write_fleet};
    use serde_json::json;

    #[test]
    fn the_kept_schema_of_the_fleet_is_the_one_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fleet.schema.json");
        let schema = serde_json::to_string_pretty(&schema_of::<super::Document<'_>>()).unwrap() + "\n";
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == schema, "docs/fleet.schema.json is old: run the tests with UPDATE_DOCS=1");
    }

    #[test]
    fn each_machine_has_its_verdict_and_what_is_known_of_it() {
        let mut out = Vec::new();
        write_fleet(&picture([lost("phobos"), well("deimos")]), false, &mut out).unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&shown["overall_status"], &shown["teller"]), (&json!("error"), &json!("deimos")));
        assert_eq!(
            shown["machines"]["phobos"],
            json!({
                "id": "phobos", "name": "phobos", "hostname": "phobos.lan", "description": "rack 2",
                "presence": "offline", "status": "error", "cause": "overdue",
                "message": "its lease ended, last seen 31 s ago; phobos.lan, rack 2; ran camera",
                "since": "2025-06-01T11:59:29Z", "last_seen": "2025-06-01T11:59:29Z", "version": "0.1.0",
                "reported": "healthy", "is_own": false,
                "services": {"camera": {
                    "status": "unknown", "cause": "not_observed", "message": "its machine is offline, was healthy",
                    "since": "2025-06-01T11:59:29Z",
                }},
            })
        );
        assert_eq!(shown["machines"]["deimos"]["presence"], "online");
    }
}
