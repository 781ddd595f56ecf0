//! What is wrong with an etcd, or with what it was asked for.

use health_reporter::mask_credentials;
use std::fmt;

/// Codes of gRPC, as the gateway gives them.
const NOT_FOUND: i64 = 5;
const ALREADY_EXISTS: i64 = 6;
const UNAVAILABLE: i64 = 14;
const UNAUTHENTICATED: i64 = 16;
/// A part of an answer that is shown.
const SHOWN_BYTES: usize = 200;

/// Why etcd did not do what it was asked for; one line, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EtcdError {
    problem: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No member answered, or none that has a leader.
    Unreachable,
    /// It answered with this code.
    Refused(i64),
    /// It answered more than is read at once.
    TooLarge,
}

impl EtcdError {
    pub(in crate::fleet) fn unreachable(endpoint: &str, why: impl fmt::Display) -> Self {
        let endpoint = mask_credentials(endpoint);
        let problem = health_reporter::bounded(&format!("etcd at {endpoint}: {why}"), SHOWN_BYTES);
        Self { problem, kind: Kind::Unreachable }
    }

    pub(super) fn too_large(endpoint: &str, why: impl fmt::Display) -> Self {
        Self { kind: Kind::TooLarge, ..Self::unreachable(endpoint, why) }
    }

    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self { problem: why.into(), kind: Kind::Refused(0) }
    }

    /// What a member said.
    pub(super) fn said(endpoint: &str, code: i64, message: &str) -> Self {
        // Who has no leader, or waited for it in vain, says so in many ways; another member may have one.
        let is_lost = code == UNAVAILABLE
            || ["no leader", "timed out", "stopped", "not capable", "leader changed", "corrupt"]
                .iter()
                .any(|word| message.contains(word));
        if is_lost {
            return Self::unreachable(endpoint, message);
        }
        let problem = health_reporter::bounded(
            &format!("etcd at {}: {message}", mask_credentials(endpoint)),
            SHOWN_BYTES,
        );
        Self { problem, kind: Kind::Refused(code) }
    }

    /// Whether another member may do it, or this one later.
    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(self.kind, Kind::Unreachable)
    }

    /// Whether less is to be asked for at once.
    pub(super) const fn is_too_large(&self) -> bool {
        matches!(self.kind, Kind::TooLarge)
    }

    /// Whether the lease that was meant has ended.
    pub(crate) fn is_lease_gone(&self) -> bool {
        self.kind == Kind::Refused(NOT_FOUND) && self.problem.contains("lease not found")
    }

    pub(super) fn is_lease_there(&self) -> bool {
        matches!(self.kind, Kind::Refused(NOT_FOUND | ALREADY_EXISTS | 9))
            && self.problem.contains("already exists")
    }

    pub(super) fn wants_login(&self) -> bool {
        self.kind == Kind::Refused(UNAUTHENTICATED)
            || self.problem.contains("invalid auth token")
            || self.problem.contains("user name is empty")
    }

    pub(super) fn is_auth_off(&self) -> bool {
        self.problem.contains("authentication is not enabled")
    }
}

impl fmt::Display for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for EtcdError {}
