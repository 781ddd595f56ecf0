//! Everything that is not healthy, the worst first.

use super::{Picture, full_name, message_of};
use health_reporter::Status;
use healthcheck_core::SubjectView;
use std::borrow::Cow;
use std::cmp::Reverse;

/// Something that is not healthy.
pub(super) struct Issue<'a> {
    pub(super) status: Status,
    pub(super) message: &'a str,
    about: About<'a>,
}

enum About<'a> {
    Subject(&'a SubjectView),
    Looking(&'a str),
}

impl<'a> Issue<'a> {
    /// The subject's own name, or what else it is about.
    pub(super) fn name(&self) -> &'a str {
        match self.about {
            About::Subject(view) => &view.name,
            About::Looking(word) => word,
        }
    }

    /// The same, with the kind where it is no service.
    pub(super) fn full_name(&self) -> Cow<'a, str> {
        match self.about {
            About::Subject(view) => full_name(view).into(),
            About::Looking(word) => word.into(),
        }
    }
}

pub(super) fn issues(picture: &Picture) -> Vec<Issue<'_>> {
    let subjects = picture.snapshot.subjects().filter(|view| view.status != Status::Healthy);
    let subjects = subjects.map(|view| Issue {
        status: view.status,
        message: message_of(view),
        about: About::Subject(view),
    });
    let remarks = picture.remarks.iter().map(|remark| Issue {
        status: remark.status,
        message: &remark.message,
        about: About::Looking(&remark.about),
    });
    let mut issues: Vec<_> = subjects.chain(remarks).collect();
    issues.sort_by_key(|issue| Reverse(issue.status));
    issues
}
