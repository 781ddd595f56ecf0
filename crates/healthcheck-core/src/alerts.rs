//! From transitions to notices: who is told what, when, and why not.

mod delivery;
mod incident;
mod mute;
mod notice;
mod rules;

pub use delivery::{Outcome, Outgoing, OutgoingState};
pub use incident::{Acknowledgement, Incident, Member};
pub use mute::{Held, Hours, MaintenanceWindow, Route, Silence};
pub use notice::{Item, Notice, NoticeReason};
pub use rules::{ChannelRules, Rules};
