//! The cause of what is wrong with one service, found without looking at all the others.

use crate::dependencies::{self, Node};
use crate::subject::service_type;
use crate::{Cause, Kind, Policy, State, Subject};
use health_reporter::Status;
use std::collections::BTreeMap;

/// A cause that is farther away than this many services is not looked for.
const MAX_SERVICES: usize = 256;
/// A dependency on a service means at most this many of its instances.
const MAX_INSTANCES: usize = 16;

impl State {
    /// The root of what is wrong with a service: of what it depends on, also through others, what is bad and depends
    /// on nothing bad itself.
    #[must_use]
    pub fn root_of(&self, subject: &Subject, policy: &Policy) -> Option<Subject> {
        if subject.kind != Kind::Service || self.parents(subject, policy).is_empty() {
            return None;
        }
        let found = self.suspects_above(subject, policy);
        let names: Vec<&Subject> = found.keys().collect();
        let position = |name: &Subject| names.binary_search(&name).ok();
        let nodes: Vec<Node> = found
            .iter()
            .map(|(subject, parents)| Node {
                is_bad: self.verdict(subject).is_some_and(|verdict| verdict.status.is_bad()),
                is_suspect: true,
                parents: parents.iter().filter_map(position).collect(),
            })
            .collect();
        let root = names[search(&nodes, position(subject)?)?];
        self.verdict(root).filter(|verdict| verdict.status.is_bad()).map(|_| root.clone())
    }

    /// Whether a service is said to depend on any other, known or not.
    pub(crate) fn depends_on_any(&self, subject: &Subject, policy: &Policy) -> bool {
        subject.kind == Kind::Service && self.names_of_parents(subject, policy).next().is_some()
    }

    /// What may be at fault, each with what it depends on.
    fn suspects_above(&self, subject: &Subject, policy: &Policy) -> BTreeMap<Subject, Vec<Subject>> {
        let mut found = BTreeMap::new();
        let mut next = vec![subject.clone()];
        while let Some(subject) = next.pop().filter(|_| found.len() < MAX_SERVICES) {
            if found.contains_key(&subject) {
                continue;
            }
            let mut parents = self.parents(&subject, policy);
            parents.retain(|parent| self.is_suspect(parent));
            next.extend(parents.iter().cloned());
            found.insert(subject, parents);
        }
        found
    }

    fn parents(&self, subject: &Subject, policy: &Policy) -> Vec<Subject> {
        self.names_of_parents(subject, policy).flat_map(|name| self.services_called(name)).collect()
    }

    fn names_of_parents<'a>(
        &'a self,
        subject: &Subject,
        policy: &'a Policy,
    ) -> impl Iterator<Item = &'a str> {
        let configured = policy.service(&subject.name).into_iter().flat_map(|it| it.depends_on.iter());
        let reported = self.record(subject).and_then(|record| record.memory.report.as_ref());
        let reported = reported.into_iter().flat_map(|report| report.depends_on.iter());
        configured.map(String::as_str).chain(reported.map(|name| &**name))
    }

    /// The service of this name, else the instances of this type.
    fn services_called(&self, name: &str) -> Vec<Subject> {
        let itself = Subject::service(name);
        if self.record(&itself).is_some() {
            return vec![itself];
        }
        let first = Subject::service(&format!("{name}@"));
        let instances = self.subjects_from(&first).take_while(|other| service_type(&other.name) == name);
        instances.take(MAX_INSTANCES).cloned().collect()
    }

    /// Whether it may be what makes others bad.
    fn is_suspect(&self, subject: &Subject) -> bool {
        self.verdict(subject).is_some_and(|verdict| {
            verdict.status.is_bad()
                || (verdict.status == Status::Unknown && verdict.cause != Cause::NotObserved)
        })
    }
}

/// The root of a node that may only be a warning: it is asked as if it were bad.
fn search(nodes: &[Node], asked: usize) -> Option<usize> {
    let mut nodes = nodes.to_vec();
    nodes[asked].is_bad = true;
    dependencies::roots(&nodes)[asked]
}
