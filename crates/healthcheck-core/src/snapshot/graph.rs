//! The services of a snapshot and what they depend on.

use super::ServiceView;
use crate::dependencies::{self, Node};
use crate::subject::service_type;
use crate::{Cause, SubjectView};
use health_reporter::Status;
use std::collections::BTreeMap;

/// A dependency on a service means at most this many of its instances.
const MAX_INSTANCES: usize = 16;
/// Dependencies that are followed in all: who floods a directory must not buy memory with a few words.
const MAX_EDGES: usize = 200_000;
/// Names of the affected that are told; of the rest only how many there are.
const MAX_AFFECTED: usize = 32;

/// Who depends on whom, by position in the slice of services, which is in the order of names.
pub(super) struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    pub(super) fn of(services: &[ServiceView]) -> Self {
        let directory = Directory::of(services);
        let mut edges_left = MAX_EDGES;
        let mut node = |service: &ServiceView| {
            let named = service.depends_on.iter().flat_map(|name| directory.positions(name));
            let parents: Vec<usize> = named.take(edges_left).collect();
            edges_left -= parents.len();
            let (is_bad, is_suspect) = (service.subject.status.is_bad(), is_suspect(&service.subject));
            Node { is_bad, is_suspect, parents }
        };
        Self { nodes: services.iter().map(&mut node).collect() }
    }

    /// Names the root of each bad service, and whom it affects.
    pub(super) fn explain(self, services: &mut [ServiceView]) {
        let roots = dependencies::roots(&self.nodes);
        let affected = dependencies::affected(&self.nodes, &roots);
        for (at, (root, affected)) in roots.into_iter().zip(affected).enumerate() {
            let name = |at: usize| services[at].subject.name.to_string();
            let affects = affected.iter().take(MAX_AFFECTED).map(|at| name(*at)).collect();
            let root = root.map(|root| (name(root), reason(&services[root].subject)));
            services[at].affects = affects;
            services[at].affects_left_out = affected.len().saturating_sub(MAX_AFFECTED);
            if let Some((root, reason)) = root {
                services[at].root = Some(root);
                services[at].subject.reasons.push(reason.into());
            }
        }
    }
}

/// Where a service, or the instances of a type, are in the slice.
struct Directory<'a> {
    services: &'a [ServiceView],
    instances: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Directory<'a> {
    fn of(services: &'a [ServiceView]) -> Self {
        let mut instances: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, service) in services.iter().enumerate() {
            let name = &*service.subject.name;
            let kind = service_type(name);
            if kind.len() < name.len() {
                instances.entry(kind).or_default().push(at);
            }
        }
        Self { services, instances }
    }

    /// The service of this name, else the instances of this type.
    fn positions(&self, name: &str) -> impl Iterator<Item = usize> + use<'_> {
        let itself = self.services.binary_search_by(|service| (*service.subject.name).cmp(name)).ok();
        let instances = self.instances.get(name).filter(|_| itself.is_none());
        itself.into_iter().chain(instances.into_iter().flatten().copied().take(MAX_INSTANCES))
    }
}

/// Whether it may be what makes others bad.
fn is_suspect(view: &SubjectView) -> bool {
    view.status.is_bad() || (view.status == Status::Unknown && view.cause != Cause::NotObserved)
}

fn reason(root: &SubjectView) -> String {
    let name = &root.name;
    match root.cause {
        Cause::SelfReported | Cause::Threshold | Cause::ProbeFailed if root.status.is_bad() => {
            format!("depends on {name}, which reports {}", root.status)
        }
        cause if root.status.is_bad() => {
            format!("depends on {name}, which is {}", cause.as_str().replace('_', " "))
        }
        _ => format!("depends on {name}, which is unknown"),
    }
}
