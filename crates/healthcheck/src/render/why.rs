//! How one verdict came about, from what was seen to what is held, in plain words.

mod page;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use page::write;

use super::{Source, full_name};
use healthcheck_core::{ServiceView, Snapshot, SubjectView, Transition};
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
    /// The last changes of the verdict, the newest first.
    pub(crate) transitions: Vec<Transition>,
}

/// What is held of a subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum View {
    Service(Box<ServiceView>),
    Other(Box<SubjectView>),
}

impl Chain {
    /// The chain of the subject that is called `name`; the transitions are asked for of that one only.
    pub(crate) fn of(
        snapshot: &Snapshot,
        name: &str,
        transitions: impl FnOnce(&SubjectView) -> Vec<Transition>,
    ) -> Option<Self> {
        let view = View::of(snapshot, name)?;
        let transitions = transitions(view.subject());
        Some(Self { source: Source::Direct, at: snapshot.timestamp, view, transitions })
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
