//! Which units belong to which services, where nobody said so.

use super::looks;
use crate::config::Config;
use crate::sources::looks::{Ask, Look};
use crate::sources::machine;
use crate::sources::systemd::{self, Bus, Manager};
use healthcheck_core::{Facts, Kind, Observation, ProbeError, ProbeFacts, State, Subject, UnitLoad};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// How long systemd may take for an answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// The bus on which systemd is asked on this machine.
pub(crate) fn bus(config: &Config) -> Option<Bus> {
    looks::bus(&config.systemd.bus, machine::is_booted_with_systemd(Path::new("/")))
}

/// Units of services that were found by a rule, and what the rule demands of them.
#[derive(Debug, Default)]
pub(crate) struct FoundUnits(BTreeMap<Subject, Found>);

#[derive(Debug)]
struct Found {
    unit: String,
    rule: Rule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Its process is in the unit's cgroup.
    Cgroup,
    /// `{service}@{project}`: if there is such a unit.
    Pattern,
    /// The unit of the same name, if its last main process wrote the report.
    Namesake { pid: u64 },
    /// It is in trouble, and nobody said what matters on this machine.
    Troubled,
    /// It was, and is shown until it is well.
    WasTroubled,
}

impl FoundUnits {
    /// The units of what reports or is expected.
    pub(crate) fn of(state: &State, config: &Config, bus: &Bus) -> Self {
        let expected = config.services.keys().map(|name| Subject::service(name));
        let subjects = state.subjects(Kind::Service).cloned().chain(expected);
        let without = subjects.filter(|subject| !has_home(config, subject));
        let found = without.filter_map(|subject| {
            let found = find(state, config, bus, &subject)?;
            Some((subject, found))
        });
        Self(found.collect())
    }

    /// The failed and the restarting units of this machine as well.
    pub(crate) async fn add_troubled(
        &mut self,
        manager: &Manager,
        config: &Config,
    ) -> Result<(), ProbeError> {
        for unit in manager.troubled(TIMEOUT).await? {
            self.add(unit, config);
        }
        Ok(())
    }

    fn add(&mut self, unit: String, config: &Config) {
        if let Some(known) = self.0.values_mut().find(|found| found.unit == unit) {
            if known.rule == Rule::WasTroubled {
                known.rule = Rule::Troubled;
            }
            return;
        }
        let subject = Subject::service(service_of(&unit, config.project.as_deref()));
        // Another unit is that service already: this one goes by its own whole name.
        let is_taken = self.0.contains_key(&subject);
        let subject = if is_taken { Subject::service(&unit) } else { subject };
        self.0.insert(subject, Found { unit, rule: Rule::Troubled });
    }

    /// Looks for the unit of one service. Whether it is another one than before.
    pub(crate) fn learn(&mut self, state: &State, config: &Config, bus: &Bus, subject: &Subject) -> bool {
        if has_home(config, subject) {
            return false;
        }
        let Some(found) = find(state, config, bus, subject) else { return false };
        let former = self.0.insert(subject.clone(), found);
        former.is_none_or(|former| self.0.get(subject).is_none_or(|found| found.unit != former.unit))
    }

    /// Takes in which units are in trouble that nobody asked for.
    pub(crate) fn note_troubled(&mut self, units: &[String], config: &Config) {
        for unit in units {
            self.add(unit.clone(), config);
        }
        let is_over = |found: &Found| found.rule == Rule::Troubled && !units.contains(&found.unit);
        self.0.values_mut().filter(|found| is_over(found)).for_each(|found| found.rule = Rule::WasTroubled);
    }

    /// The units that were in trouble, and are well by now.
    pub(crate) fn untroubled(&self, is_well: impl Fn(&Subject) -> bool) -> Vec<Subject> {
        let was = self.0.iter().filter(|(_, found)| found.rule == Rule::WasTroubled);
        was.map(|(subject, _)| subject.clone()).filter(is_well).collect()
    }

    pub(crate) fn drop_troubled(&mut self, subject: &Subject) {
        self.0.remove(subject);
    }

    /// The unit of each service.
    pub(crate) fn names(&self) -> BTreeMap<Subject, String> {
        self.0.iter().map(|(subject, found)| (subject.clone(), found.unit.clone())).collect()
    }

    pub(crate) fn looks(&self) -> impl Iterator<Item = Look> {
        self.0.iter().map(|(subject, found)| Look {
            subject: subject.clone(),
            ask: Ask::Unit(found.unit.clone()),
            timeout: TIMEOUT,
        })
    }

    /// Whether an observation of a unit is of the one that it was looked for as; of all else nothing is said.
    pub(crate) fn accept(&self, observation: &Observation) -> bool {
        let Some(found) = self.0.get(&observation.subject) else { return true };
        let Ok(Facts::Probe(ProbeFacts::Unit(unit))) = &observation.outcome else { return true };
        match found.rule {
            Rule::Troubled | Rule::WasTroubled => true,
            Rule::Cgroup | Rule::Pattern => unit.load != UnitLoad::NotFound,
            Rule::Namesake { pid } => unit.main_pid.is_some_and(|main| u64::from(main) == pid),
        }
    }
}

/// Whether the configuration says where it runs.
fn has_home(config: &Config, subject: &Subject) -> bool {
    let settings =
        config.services.get(&*subject.name).or_else(|| config.services.get(subject.service_type()));
    settings.is_some_and(|settings| settings.looks.unit.is_some() || settings.looks.container.is_some())
}

fn find(state: &State, config: &Config, bus: &Bus, subject: &Subject) -> Option<Found> {
    let process = state.process(subject);
    if let Some((pid, true)) = process {
        let unit = systemd::unit_of_process(Path::new("/proc"), bus, pid)?;
        return Some(Found { unit, rule: Rule::Cgroup });
    }
    // What runs several times has one unit of this name: which of them that is nobody knows.
    let is_instance = subject.service_type() != &*subject.name;
    if let Some(project) = config.project.as_ref().filter(|_| !is_instance) {
        let unit = format!("{}@{project}.service", subject.service_type());
        return Some(Found { unit, rule: Rule::Pattern });
    }
    let (pid, _) = process?;
    Some(Found { unit: format!("{}.service", subject.service_type()), rule: Rule::Namesake { pid } })
}

/// The service that a unit is: `core` for `core.service`, and for `core@experimance.service` of that project.
fn service_of<'a>(unit: &'a str, project: Option<&str>) -> &'a str {
    let Some(name) = unit.strip_suffix(".service") else { return unit };
    let of_project = project.and_then(|project| name.strip_suffix(project)?.strip_suffix('@'));
    of_project.filter(|service| !service.is_empty()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_the_service_of_its_name() {
        for (unit, service) in [
            ("core.service", "core"),
            ("core@fire.service", "core"),
            ("core@other.service", "core@other"),
            ("@fire.service", "@fire"),
            ("data.mount", "data.mount"),
        ] {
            assert_eq!(service_of(unit, Some("fire")), service);
        }
        assert_eq!(service_of("core@fire.service", None), "core@fire");
    }
}
