//! The services of a snapshot and what they depend on.

use super::ServiceView;
use crate::dependencies::{self, Node};
use crate::subject::service_type;
use crate::{Cause, SubjectView};
use health_reporter::Status;

/// A dependency on a service means at most this many of its instances.
const MAX_INSTANCES: usize = 32;

/// Who depends on whom, by position in the slice of services, which is in the order of names.
pub(super) struct Graph {
    nodes: Vec<Node>,
}

impl Graph {
    pub(super) fn of(services: &[ServiceView]) -> Self {
        let node = |service: &ServiceView| Node {
            is_bad: service.subject.status.is_bad(),
            is_suspect: is_suspect(&service.subject),
            parents: service.depends_on.iter().flat_map(|name| positions(services, name)).collect(),
        };
        Self { nodes: services.iter().map(node).collect() }
    }

    /// Names the root of each bad service, and whom it affects.
    pub(super) fn explain(self, services: &mut [ServiceView]) {
        let roots = dependencies::roots(&self.nodes);
        let affected = dependencies::affected(&self.nodes, &roots);
        for (at, (root, affected)) in roots.into_iter().zip(affected).enumerate() {
            let name = |at: usize| services[at].subject.name.to_string();
            let affects = affected.into_iter().map(name).collect();
            let root = root.map(|root| (name(root), reason(&services[root].subject)));
            services[at].affects = affects;
            if let Some((root, reason)) = root {
                services[at].root = Some(root);
                services[at].subject.reasons.push(reason.into());
            }
        }
    }
}

/// Whether it may be what makes others bad.
fn is_suspect(view: &SubjectView) -> bool {
    view.status.is_bad() || (view.status == Status::Unknown && view.cause != Cause::NotObserved)
}

/// The service of this name, else the instances of this type.
fn positions(services: &[ServiceView], name: &str) -> Vec<usize> {
    match services.binary_search_by(|service| (*service.subject.name).cmp(name)) {
        Ok(at) => vec![at],
        Err(_) => {
            let prefix = format!("{name}@");
            let first = services.partition_point(|service| *service.subject.name < *prefix);
            let named =
                services[first..].iter().take_while(|service| service.subject.name.starts_with(&prefix));
            let positions =
                (first..).zip(named).filter(|(_, service)| service_type(&service.subject.name) == name);
            positions.map(|(at, _)| at).take(MAX_INSTANCES).collect()
        }
    }
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
