//! What each machine says, as its keys were last seen: which of them live, and what runs there.

use super::etcd::{Change, Entry};
use super::keys::{self, HostValue, Keys, Place, ServiceValue, Tombstone};
use healthcheck_core::{Farewell, HostAbout, MAX_NAMED_SERVICES};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A lease that says nothing of itself.
const DEFAULT_TTL: Duration = Duration::from_secs(30);
/// Machines that are remembered, and services of one: whoever writes more is not listened to.
const MAX_MACHINES: usize = 100_000;
const MAX_SERVICES: usize = 2_000;

/// What each machine says, by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mirror {
    machines: BTreeMap<String, Machine>,
}

/// One machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Machine {
    /// What it last said of itself.
    pub(crate) value: HostValue,
    /// Whether its lease lives.
    pub(crate) is_alive: bool,
    /// Whether it ever did: services alone are no machine.
    has_lived: bool,
    /// When its lease ended, where that was seen.
    pub(crate) ended: Option<Timestamp>,
    pub(crate) tombstone: Option<Tombstone>,
    /// What runs there; of one that does not live what ran there.
    pub(crate) services: BTreeMap<String, ServiceValue>,
}

/// How it stands with a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    Alive,
    /// Its lease ended, or nobody knows of one.
    Gone,
    Stopped(Farewell),
    /// It said goodbye for good.
    Retired,
}

impl Mirror {
    pub(crate) fn machines(&self) -> impl Iterator<Item = (&String, &Machine)> {
        self.machines.iter().filter(|(_, machine)| machine.has_lived)
    }

    pub(crate) fn machine(&self, host: &str) -> Option<&Machine> {
        self.machines.get(host)
    }

    /// Nobody asks for it any more.
    pub(crate) fn forget(&mut self, host: &str) {
        self.machines.remove(host);
    }

    /// These were there before.
    pub(crate) fn expect(&mut self, hosts: &[String]) {
        for host in hosts.iter().filter(|host| keys::name(host) == **host) {
            self.machines.entry(host.clone()).or_default().has_lived = true;
        }
    }

    /// Everything as it was listed. Returns every machine that is there, or was until now.
    pub(crate) fn list(&mut self, keys: &Keys, entries: &[Entry]) -> BTreeSet<String> {
        let before: BTreeSet<String> = self.machines().map(|(host, _)| host.clone()).collect();
        for machine in self.machines.values_mut() {
            // Whoever lived until now ended at some time since.
            machine.ended = machine.ended.filter(|_| !machine.is_alive);
            (machine.is_alive, machine.tombstone) = (false, None);
        }
        let mut seen = BTreeMap::new();
        for entry in entries {
            if let Some(place) = keys.place(&entry.key) {
                self.put(&place, &entry.value);
                if let Place::Service { host, service } = place {
                    seen.entry(host).or_insert_with(BTreeSet::new).insert(service);
                }
            }
        }
        for (host, machine) in self.machines.iter_mut().filter(|(_, machine)| machine.is_alive) {
            machine.services.retain(|name, _| seen.get(host).is_some_and(|names| names.contains(name)));
        }
        before.into_iter().chain(self.machines().map(|(host, _)| host.clone())).collect()
    }

    /// What changed at one instant. Returns the machines of which it is to be asked anew how it stands with them.
    pub(crate) fn take(&mut self, keys: &Keys, changes: &[Change]) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        let mut services_gone = Vec::new();
        for change in changes {
            let (Change::Put(Entry { key, .. }) | Change::Deleted(key)) = change;
            let Some(place) = keys.place(key) else { continue };
            match (change, place) {
                (Change::Put(entry), place) => {
                    self.put(&place, &entry.value);
                    touched.extend(host_of(place));
                }
                (Change::Deleted(_), Place::Service { host, service }) => services_gone.push((host, service)),
                (Change::Deleted(_), place) => {
                    self.end(&place);
                    touched.extend(host_of(place));
                }
            }
        }
        // What ends with its machine is what ran there.
        for (host, service) in services_gone {
            if let Some(machine) = self.machines.get_mut(&host).filter(|machine| machine.is_alive) {
                machine.services.remove(&service);
            }
        }
        touched
    }

    fn put(&mut self, place: &Place, value: &[u8]) {
        let (Place::Host(host) | Place::Service { host, .. } | Place::Stopped(host)) = place else { return };
        if self.machines.len() >= MAX_MACHINES && !self.machines.contains_key(host) {
            return;
        }
        let machine = self.machines.entry(host.clone()).or_default();
        match place {
            Place::Host(_) => {
                if !machine.is_alive {
                    machine.services.clear();
                }
                (machine.is_alive, machine.has_lived) = (true, true);
                (machine.is_alive, machine.ended) = (true, None);
                machine.value = keys::read(value).unwrap_or_default();
            }
            Place::Service { service, .. } => {
                let has_room =
                    machine.services.len() < MAX_SERVICES || machine.services.contains_key(service);
                if let Some(value) = keys::read(value).filter(|_| has_room) {
                    machine.services.insert(service.clone(), value);
                }
            }
            // A goodbye that cannot be read is one.
            Place::Stopped(_) => {
                machine.has_lived = true;
                machine.tombstone = Some(keys::read(value).unwrap_or_else(Tombstone::unreadable));
            }
            Place::Watcher(_) | Place::Teller | Place::Told => {}
        }
    }

    fn end(&mut self, place: &Place) {
        let (Place::Host(host) | Place::Stopped(host)) = place else { return };
        let Some(machine) = self.machines.get_mut(host) else { return };
        match place {
            Place::Host(_) => (machine.is_alive, machine.ended) = (false, Some(Timestamp::now())),
            _ => machine.tombstone = None,
        }
    }
}

fn host_of(place: Place) -> Option<String> {
    match place {
        Place::Host(host) | Place::Stopped(host) => Some(host),
        _ => None,
    }
}

impl Machine {
    /// How it stands with it.
    pub(crate) fn presence(&self) -> Presence {
        match &self.tombstone {
            _ if self.is_alive => Presence::Alive,
            Some(tombstone) if tombstone.retired => Presence::Retired,
            Some(tombstone) => Presence::Stopped(Farewell {
                at: tombstone.at,
                reason: tombstone.reason.clone(),
                expected_back: tombstone.expected_back,
            }),
            None => Presence::Gone,
        }
    }

    /// What it said of itself; nothing if it never did.
    pub(crate) fn about(&self) -> Option<HostAbout> {
        let HostValue { hostname, description, .. } = &self.value;
        let is_known = self.is_alive || !hostname.is_empty() || !self.services.is_empty();
        is_known.then(|| HostAbout {
            hostname: hostname.clone(),
            description: description.clone(),
            services: self.services.keys().take(MAX_NAMED_SERVICES).cloned().collect(),
            service_count: self.services.len().max(if self.is_alive { self.value.services } else { 0 }),
        })
    }

    /// How long its lease lives after it was renewed.
    pub(crate) fn ttl(&self) -> Duration {
        if self.value.ttl_s == 0 { DEFAULT_TTL } else { Duration::from_secs(self.value.ttl_s.min(86_400)) }
    }

    /// How often it renews its lease.
    pub(crate) fn interval(&self) -> Duration {
        let said = Duration::try_from_secs_f64(self.value.interval_s).ok().filter(|it| !it.is_zero());
        said.unwrap_or(self.ttl() / 3).min(self.ttl())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIVE: &str = r#"{"hostname":"phobos.lan","description":"rack 2","ttl_s":10,"interval_s":3.5}"#;

    fn keys() -> Keys {
        Keys::below("/h")
    }

    fn put(key: &str, value: &str) -> Change {
        let (key, value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
        Change::Put(Entry { key, value, ..Entry::default() })
    }

    fn deleted(key: &str) -> Change {
        Change::Deleted(key.as_bytes().to_vec())
    }

    fn after(changes: &[Change]) -> Mirror {
        let mut mirror = Mirror::default();
        mirror.take(&keys(), changes);
        mirror
    }

    #[test]
    fn what_ran_on_a_machine_is_known_after_its_end_and_not_after_its_return() {
        let mut mirror = after(&[
            put("/h/hosts/phobos", ALIVE),
            put("/h/services/phobos/core", r#"{"status":"healthy"}"#),
            put("/h/services/phobos/camera", r#"{"status":"error","cause":"crashed"}"#),
        ]);
        let lost = [
            deleted("/h/services/phobos/camera"),
            deleted("/h/hosts/phobos"),
            deleted("/h/services/phobos/core"),
        ];
        assert_eq!(mirror.take(&keys(), &lost), ["phobos".to_owned()].into());
        let phobos = mirror.machine("phobos").unwrap();
        assert_eq!(phobos.presence(), Presence::Gone);
        let about = phobos.about().unwrap();
        assert_eq!((about.description.as_str(), about.services.join(" ")), ("rack 2", "camera core".into()));
        assert_eq!(
            (phobos.ttl(), phobos.interval()),
            (Duration::from_secs(10), Duration::from_millis(3_500))
        );
        mirror.take(&keys(), &[put("/h/hosts/phobos", ALIVE)]);
        let phobos = mirror.machine("phobos").unwrap();
        assert!(phobos.presence() == Presence::Alive && phobos.services.is_empty());
    }

    #[test]
    fn f24_whoever_said_goodbye_has_stopped_and_is_not_lost() {
        let stop = |more: &str| {
            put("/h/stopped/phobos", &format!(r#"{{"at":"2026-11-22T10:00:00Z","reason":"reboot"{more}}}"#))
        };
        let mut mirror = after(&[put("/h/hosts/phobos", ALIVE)]);
        mirror.take(&keys(), &[deleted("/h/hosts/phobos"), stop("")]);
        let stopped = mirror.machine("phobos").unwrap().presence();
        assert!(
            matches!(&stopped, Presence::Stopped(farewell) if farewell.reason == "reboot"),
            "{stopped:?}"
        );
        mirror.take(&keys(), &[stop(r#","retired":true"#)]);
        assert_eq!(mirror.machine("phobos").unwrap().presence(), Presence::Retired);
        mirror.take(&keys(), &[deleted("/h/stopped/phobos")]);
        assert_eq!(mirror.machine("phobos").unwrap().presence(), Presence::Gone);
    }

    #[test]
    fn a_list_takes_the_place_of_everything_that_was_known() {
        let mut mirror = after(&[
            put("/h/hosts/a", ALIVE),
            put("/h/services/a/old", "{}"),
            put("/h/hosts/b", ALIVE),
            put("/h/services/b/ran", "{}"),
        ]);
        let entry = |key: &str| Entry { key: key.into(), value: b"{}".to_vec(), ..Entry::default() };
        let entries = ["/h/hosts/a", "/h/hosts/c", "/h/services/a/new"].map(entry);
        assert_eq!(mirror.list(&keys(), &entries).len(), 3);
        let is = |host: &str| mirror.machine(host).unwrap();
        assert!(is("a").is_alive && !is("b").is_alive && is("c").is_alive);
        assert!(is("a").services.keys().eq(["new"]) && is("b").services.keys().eq(["ran"]));
    }
}
