//! Looks from outside: what they show, and what that means.

use crate::invariants::{Judged, Shown, TOLERANCE, UNKNOWN_AFTER};
use crate::script::{Answer, LookPlan};
use health_reporter::Status;
use healthcheck_core::{
    Cause, CommandEnd, CommandFacts, Connection, Exit, Facts, ProbeError, ProbeFacts, ProbeKind, Unanswered,
    UnitActive, UnitFacts, ZmqFacts, ZmqSight,
};
use std::time::Duration;

/// What the monitor was shown by a look.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// What it believes, and since when, as time awake.
    believed: Option<Shown<Answer>>,
    /// How many looks in a row were worse than that.
    doubts: u8,
}

/// What a look shows.
pub(crate) fn look(kind: ProbeKind, answer: Answer) -> Result<Facts, ProbeError> {
    let is_good = match answer {
        Answer::Good => true,
        Answer::Bad => false,
        Answer::Blind => return Err(ProbeError::of(kind, "too many open files")),
    };
    Ok(Facts::Probe(match kind {
        ProbeKind::Command => command(is_good),
        ProbeKind::Zmq => zmq(is_good),
        ProbeKind::Unit => unit(is_good),
        _ => tcp(is_good),
    }))
}

fn tcp(is_good: bool) -> ProbeFacts {
    let outcome = if is_good { Ok(()) } else { Err(Unanswered::Refused) };
    ProbeFacts::Tcp(Connection { address: "[::1]:80".into(), outcome })
}

fn command(is_good: bool) -> ProbeFacts {
    let end = if is_good { CommandEnd::Exited(0) } else { CommandEnd::TimedOut(Duration::from_secs(1)) };
    ProbeFacts::Command(CommandFacts { program: "check".into(), end, output: "load 1 | load=1;;;".into() })
}

fn zmq(is_good: bool) -> ProbeFacts {
    let alive = || ZmqSight::Alive { socket: Some("PUB".into()), mechanism: "NULL".into() };
    let sight = if is_good { alive() } else { ZmqSight::Closed };
    let (endpoint, wanted) = ("tcp://[::1]:5555".into(), Some("PUB".into()));
    ProbeFacts::Zmq(ZmqFacts { endpoint, wanted, sight, echo: None, silence: None })
}

fn unit(is_good: bool) -> ProbeFacts {
    let (active, sub, result, exit) = if is_good {
        (UnitActive::Active, "running", "success", None)
    } else {
        (UnitActive::Failed, "failed", "exit-code", Some(Exit::Code(1)))
    };
    let (sub, result) = (sub.into(), result.into());
    let name = "mail.service".into();
    ProbeFacts::Unit(Box::new(UnitFacts {
        name,
        active,
        sub,
        result,
        exit,
        was_active: true,
        ..UnitFacts::default()
    }))
}

impl Answer {
    const fn badness(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Blind => 1,
            Self::Bad => 2,
        }
    }
}

impl Asked {
    /// What is worse than what is believed is believed after its retries; a keeper such as systemd is at once.
    pub(crate) fn learn(&mut self, answer: Answer, plan: &LookPlan, awake: Duration) {
        let held = self.believed.map_or(Answer::Good, |believed| believed.what);
        let retries = if plan.kind == ProbeKind::Unit { 0 } else { plan.retries };
        if answer.badness() > held.badness() && self.doubts < retries {
            self.doubts += 1;
            return;
        }
        self.doubts = 0;
        let former = self.believed.filter(|former| former.what == answer);
        self.believed = Some(Shown { what: answer, since: former.map_or(awake, |former| former.since) });
    }

    /// Nobody looked for so long: that counts against nobody.
    pub(crate) fn after_gap(&mut self, lasted: Duration) {
        self.forget_doubts();
        self.believed.iter_mut().for_each(|believed| believed.since += lasted);
    }

    pub(crate) const fn forget_doubts(&mut self) {
        self.doubts = 0;
    }

    /// What the verdict may be.
    pub(crate) fn candidates(&self, kind: ProbeKind, awake: Duration) -> Vec<Judged> {
        let Some(Shown { what, since }) = self.believed else {
            return vec![(self.doubts > 0).then_some((Status::Unknown, Cause::NotObserved))];
        };
        let lasted = awake.saturating_sub(since);
        let blind = |status| Some((status, Cause::ProbeUnavailable));
        match what {
            Answer::Good => vec![Some((Status::Healthy, Cause::SelfReported))],
            Answer::Bad if kind == ProbeKind::Unit => vec![Some((Status::Error, Cause::Crashed))],
            Answer::Bad => vec![Some((Status::Error, Cause::ProbeFailed))],
            Answer::Blind if lasted > UNKNOWN_AFTER + TOLERANCE => vec![blind(Status::Error)],
            Answer::Blind if lasted + TOLERANCE < UNKNOWN_AFTER => vec![blind(Status::Unknown)],
            Answer::Blind => vec![blind(Status::Unknown), blind(Status::Error)],
        }
    }
}
