//! How one verdict came about, from what was seen to what is held, in plain words.

mod page;
mod people;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use page::write;
pub(super) use page::{Page, moment, time};
pub(super) use words::of_key;

use super::{Source, full_name};
use healthcheck_core::alerts::{Alerts, ChannelView, Incident, Outgoing};
use healthcheck_core::{ServiceView, Snapshot, Subject, SubjectView, Transition};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// All that led to the verdict on one subject. Serialised, it goes from the monitor to whoever asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Chain {
    /// Whoever shows it knows who looked, and need not be told.
    #[serde(skip)]
    pub(crate) source: Source,
    /// The instant at which it is told.
    pub(crate) at: Timestamp,
    pub(crate) view: View,
    #[serde(flatten)]
    pub(crate) past: Past,
}

/// What went before, and what followed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Past {
    /// The last changes of the verdict, the newest first.
    pub(crate) transitions: Vec<Transition>,
    pub(crate) people: People,
}

/// Who was told, and who was not.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct People {
    /// The incident that it belongs to, or last belonged to.
    pub(crate) incident: Option<Incident>,
    pub(crate) channels: Vec<ChannelView>,
    /// The last notices that tell of it, the newest first.
    pub(crate) notices: Vec<Outgoing>,
}

impl People {
    /// An incident that is over is known only as it was kept.
    pub(crate) fn of(
        alerts: &Alerts,
        subject: &Subject,
        kept: impl FnOnce(u64) -> Option<Incident>,
        notices: Vec<Outgoing>,
    ) -> Self {
        let open = |id| alerts.open_incidents().find(|incident| incident.id == id).cloned();
        let incident = alerts.incident_of(subject).and_then(|id| open(id).or_else(|| kept(id)));
        Self { incident, channels: alerts.channels_of(subject), notices }
    }
}

/// What is held of a subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum View {
    Service(Box<ServiceView>),
    Other(Box<SubjectView>),
}

impl Chain {
    /// The chain of the subject that is called `name`; its past is asked for of that one only.
    pub(crate) fn of(snapshot: &Snapshot, name: &str, past: impl FnOnce(&Subject) -> Past) -> Option<Self> {
        let view = View::of(snapshot, name)?;
        let SubjectView { kind, name, .. } = view.subject();
        let past = past(&Subject::new(*kind, name));
        Some(Self { source: Source::Direct, at: snapshot.timestamp, view, past })
    }
}

impl View {
    /// A service by its name; anything else by its name, with its kind before it where several have the same.
    fn of(snapshot: &Snapshot, name: &str) -> Option<Self> {
        if let Some(service) = snapshot.service(name) {
            return Some(Self::Service(Box::new(service.clone())));
        }
        let by = |is_it: &dyn Fn(&SubjectView) -> bool| {
            let mut found = snapshot.others.iter().filter(|view| is_it(view));
            found.next().filter(|_| found.next().is_none())
        };
        let other = by(&|view| full_name(view) == name).or_else(|| by(&|view| *view.name == *name))?;
        Some(Self::Other(Box::new(other.clone())))
    }

    pub(crate) fn subject(&self) -> &SubjectView {
        match self {
            Self::Service(service) => &service.subject,
            Self::Other(view) => view,
        }
    }
}

/// The names under which something can be asked for.
pub(crate) fn names(snapshot: &Snapshot) -> Vec<String> {
    snapshot.subjects().map(full_name).collect()
}
