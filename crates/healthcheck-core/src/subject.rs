//! What is judged.

use crate::saved;
use health_reporter::ServiceName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The kind of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program that reports, or is expected to.
    Service,
    /// A ZMQ endpoint.
    Zmq,
    /// A thing that is no service, looked at from outside.
    Probe,
    /// Memory, processor, a disk.
    Resource,
    /// A machine.
    Host,
    /// A way of telling people.
    Channel,
}

impl Kind {
    /// The word on disk, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Zmq => "zmq",
            Self::Probe => "probe",
            Self::Resource => "resource",
            Self::Host => "host",
            Self::Channel => "channel",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is judged: its kind and its name are its identity. Cheap to clone.
///
/// ```
/// use healthcheck_core::Subject;
///
/// let second = Subject::service("camera@2");
/// assert_eq!((second.to_string().as_str(), second.service_type()), ("service camera@2", "camera"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique within the kind.
    #[serde(serialize_with = "saved::write_shared", deserialize_with = "saved::read_shared")]
    pub name: Arc<str>,
}

impl Subject {
    /// A subject of any kind.
    #[must_use]
    pub fn new(kind: Kind, name: &str) -> Self {
        Self { kind, name: name.into() }
    }

    /// The service called `name`.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self::new(Kind::Service, name)
    }

    /// The name without the slot of an instance: `camera` of `camera@2`.
    #[must_use]
    pub fn service_type(&self) -> &str {
        service_type(&self.name)
    }
}

impl From<&ServiceName> for Subject {
    fn from(name: &ServiceName) -> Self {
        Self::service(name.as_str())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// `camera` of `camera@2`; what is no service's name is its own type.
pub(crate) fn service_type(name: &str) -> &str {
    if !name.contains('@') {
        return name;
    }
    name.parse::<ServiceName>().map_or(name, |service| &name[..service.service_type().len()])
}
