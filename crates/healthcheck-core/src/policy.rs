//! What is expected, and how long things may take.

use crate::subject::service_type;
use crate::{Limits, Quantity, Subject};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The settings of the judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The expected services by name. An entry for `camera` covers each instance, `camera@2` too.
    pub services: BTreeMap<String, ServicePolicy>,
    /// The limits of numbers; a number without one is not judged.
    pub limits: BTreeMap<Quantity, Limits>,
    /// How often a bad look from outside is repeated before it is believed; none if it is not named here. An entry of
    /// a service covers all its looks.
    pub retries: BTreeMap<Subject, u8>,
    /// An expected service that was stopped is a warning after this time.
    pub stopped_after: Duration,
    /// An expected subject that cannot be judged is an error after this time.
    pub unknown_after: Duration,
    /// Another machine whose lease ended may be away for this time before that is an error; none if there is none.
    pub host_offline_after: Option<Duration>,
    /// Services have this time from boot to report for the first time.
    pub grace: Duration,
    /// Whether this is a single look: then grace is over, and times run from the file's own.
    pub once: bool,
}

impl Default for Policy {
    /// No expected services; an hour, five minutes and a minute, and a lost machine is an error at once.
    fn default() -> Self {
        Self {
            services: BTreeMap::new(),
            limits: BTreeMap::new(),
            retries: BTreeMap::new(),
            stopped_after: Duration::from_secs(3_600),
            unknown_after: Duration::from_secs(300),
            host_offline_after: None,
            grace: Duration::from_secs(60),
            once: false,
        }
    }
}

impl Policy {
    /// The settings of the service `name`: its own, else those of its type.
    ///
    /// ```
    /// use healthcheck_core::{Policy, ServicePolicy};
    ///
    /// let mut policy = Policy::default();
    /// policy.services.insert("camera".into(), ServicePolicy::default());
    /// assert!(policy.service("camera@2").is_some() && policy.service("camera2").is_none());
    /// ```
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServicePolicy> {
        self.services.get(name).or_else(|| self.services.get(service_type(name)))
    }

    /// The expected services: each one without a report is to be observed as missing.
    pub fn expected(&self) -> impl Iterator<Item = Subject> {
        self.services.keys().map(|name| Subject::service(name))
    }
}

/// The settings of one expected service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServicePolicy {
    /// How much it counts.
    pub priority: Priority,
    /// The services that it needs, besides those that its report names.
    pub depends_on: Vec<String>,
    /// The deadline where the report declares none.
    pub deadline: Option<Duration>,
    /// Whether it is looked at in another way too (unit, container, command, …): then a report is optional.
    pub looked_at_from_outside: bool,
}

/// How much a subject counts in the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// With its own status.
    #[default]
    Critical,
    /// At most as a warning, and not at all while it is unknown.
    Optional,
}
