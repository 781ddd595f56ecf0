//! Units are followed: systemd tells when something happens to one, and then it is looked at.

mod signals;
mod troubled;
mod watched;

use super::{Bus, MANAGER, MANAGER_INTERFACE, Manager, Trouble};
use healthcheck_core::{Facts, Observation, ProbeError, ProbeFacts, Subject, UnitFacts};
use signals::{Signal, Signals, shows_trouble};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use troubled::Troubled;
use watched::{Due, Watched};

/// A connection that lasted longer was one.
const SETTLED: Duration = Duration::from_millis(200);
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// What is to be followed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    /// The unit of each subject, by its name.
    pub(crate) units: BTreeMap<Subject, String>,
    /// Whether units that fail, or are started again and again, are told of also if nobody asked for them.
    pub(crate) troubled: bool,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum News {
    /// A wanted unit was looked at, or cannot be.
    Looked(Observation),
    /// All units in trouble that are not wanted, whenever they are others than before.
    Troubled(Vec<String>),
    /// From now on everything is seen.
    Connected,
    /// Nothing is seen any more; told once, however often it is tried to connect.
    Lost(ProbeError),
}

/// How fast it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two looks at one unit.
    pub(super) look: Duration,
    /// Between two lists of all that is in trouble: each makes systemd walk through its units.
    pub(super) list: Duration,
    /// Between two looks at everything, so that one notices that nothing is told any more.
    pub(super) round: Duration,
    /// How long systemd may take for an answer. While it reads its unit files it gives none.
    pub(super) patience: Duration,
    pub(super) first_wait: Duration,
    pub(super) longest_wait: Duration,
}

pub(super) const USUAL: Pace = Pace {
    look: Duration::from_millis(100),
    list: Duration::from_secs(1),
    round: Duration::from_secs(60),
    patience: Duration::from_secs(5),
    first_wait: Duration::from_millis(100),
    longest_wait: Duration::from_secs(10),
};

/// Tells of what is wanted until nobody is left to want anything. A connection that is lost is made anew, and then
/// everything is looked at again.
pub(crate) async fn follow(bus: Bus, wanted: watch::Receiver<Wanted>, tell: impl Fn(News)) {
    follow_at(USUAL, bus, wanted, tell).await;
}

pub(super) async fn follow_at(pace: Pace, bus: Bus, wanted: watch::Receiver<Wanted>, tell: impl Fn(News)) {
    let (watched, troubled) = (Watched::new(pace.look), Troubled::default());
    Follower { bus, wanted, tell, pace, watched, troubled, problem: None }.run().await;
}

struct Follower<T> {
    bus: Bus,
    wanted: watch::Receiver<Wanted>,
    tell: T,
    pace: Pace,
    watched: Watched,
    troubled: Troubled,
    /// Why there is no connection, since one was tried.
    problem: Option<ProbeError>,
}

/// A connection, and what is asked over it.
struct Session {
    manager: Arc<Manager>,
    signals: Signals,
    asked: JoinSet<Answer>,
    patience: Duration,
    round_at: Instant,
    is_pinging: bool,
}

enum Answer {
    Look { name: String, outcome: Result<Option<Box<UnitFacts>>, Trouble>, took: Duration },
    List(Result<Vec<String>, Trouble>),
    Ping { is_round: bool, outcome: Result<(), Trouble> },
}

enum Event {
    /// Something else is wanted; or nobody is there any more who could want anything.
    Wanted(bool),
    Heard(Option<Signal>),
    Answered(Result<Answer, JoinError>),
    Due,
}

/// Why a connection is given up.
enum End {
    NobodyIsThere,
    NothingIsWanted,
    Lost(ProbeError),
}

impl<T: Fn(News)> Follower<T> {
    async fn run(mut self) {
        self.want();
        let mut wait = self.pace.first_wait;
        while self.until_anything_is_wanted().await {
            let began = Instant::now();
            let problem = match self.connect_and_attend().await {
                End::NobodyIsThere => return,
                End::NothingIsWanted => continue,
                End::Lost(problem) => problem,
            };
            self.lose(problem);
            // Whoever lets us in only to throw us out again is given the same time as who does not.
            if began.elapsed() > SETTLED {
                wait = self.pace.first_wait;
            }
            if self.meanwhile(sleep(wait)).await.is_none() {
                return;
            }
            wait = (wait * 2).min(self.pace.longest_wait);
        }
    }

    /// Whether anybody is there who wants anything.
    async fn until_anything_is_wanted(&mut self) -> bool {
        while !self.wants_anything() {
            if self.wanted.changed().await.is_err() {
                return false;
            }
            self.problem = None;
            self.want();
        }
        true
    }

    fn wants_anything(&self) -> bool {
        !self.watched.is_empty() || self.troubled.is_wanted
    }

    /// Takes over what is wanted now.
    fn want(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let now = Instant::now();
        let new = self.watched.want(&wanted.units, now);
        self.troubled.want(wanted.troubled, &self.watched);
        self.troubled.schedule(now, self.pace.list);
        if let Some(problem) = self.problem.clone() {
            self.watched.fail();
            self.tell_failure(new, &problem);
        }
    }

    fn lose(&mut self, problem: ProbeError) {
        self.troubled.lost();
        let subjects = self.watched.fail();
        self.tell_failure(subjects, &problem);
        if self.problem.is_none() {
            (self.tell)(News::Lost(problem.clone()));
        }
        self.problem = Some(problem);
    }

    fn tell_failure(&self, subjects: Vec<Subject>, problem: &ProbeError) {
        for subject in subjects {
            self.tell_look(subject, Err(problem.clone()), Duration::ZERO);
        }
    }

    fn tell_look(&self, subject: Subject, outcome: Result<Box<UnitFacts>, ProbeError>, took: Duration) {
        let outcome = outcome.map(|facts| Facts::Probe(ProbeFacts::Unit(facts)));
        (self.tell)(News::Looked(Observation { subject, outcome, took }));
    }

    /// Does it while what is wanted is taken over; nothing where nobody is there any more.
    async fn meanwhile<F: Future>(&mut self, doing: F) -> Option<F::Output> {
        let mut doing = pin!(doing);
        loop {
            let changed = {
                let mut changed = pin!(self.wanted.changed());
                let first = poll_fn(|context| match doing.as_mut().poll(context) {
                    Poll::Ready(done) => Poll::Ready(Ok(done)),
                    Poll::Pending => changed.as_mut().poll(context).map(Err),
                });
                first.await
            };
            match changed {
                Ok(done) => return Some(done),
                Err(Ok(())) => self.want(),
                Err(Err(_)) => return None,
            }
        }
    }

    async fn connect_and_attend(&mut self) -> End {
        let connecting = Session::open(self.bus.clone(), self.pace);
        match self.meanwhile(connecting).await {
            None => End::NobodyIsThere,
            Some(Err(problem)) => End::Lost(problem),
            Some(Ok(session)) => self.attend(session).await,
        }
    }

    async fn attend(&mut self, mut session: Session) -> End {
        self.problem = None;
        (self.tell)(News::Connected);
        self.look_at_all();
        loop {
            self.ask(&mut session);
            let event = self.next(&mut session).await;
            if let Err(end) = self.meet(&mut session, event) {
                return end;
            }
        }
    }

    fn meet(&mut self, session: &mut Session, event: Event) -> Result<(), End> {
        match event {
            Event::Wanted(false) => Err(End::NobodyIsThere),
            Event::Wanted(true) => {
                self.want();
                if self.wants_anything() { Ok(()) } else { Err(End::NothingIsWanted) }
            }
            Event::Heard(signal) => self.hear(session, signal),
            Event::Answered(answer) => self.answered(session, answer),
            Event::Due => Ok(()),
        }
    }

    fn look_at_all(&mut self) {
        let now = Instant::now();
        self.watched.all(now);
        self.troubled.schedule(now, self.pace.list);
    }

    /// Asks whatever is due.
    fn ask(&mut self, session: &mut Session) {
        let now = Instant::now();
        if self.troubled.take_due(now) {
            session.list();
        }
        while let Some(due) = self.watched.take_due(now, session.asked.len()) {
            session.look(due);
        }
        if session.round_at <= now {
            session.round_at = now + self.pace.round;
            session.ping(true);
        }
    }

    /// Whatever comes first.
    async fn next(&mut self, session: &mut Session) -> Event {
        let dues = [self.watched.next_due(), self.troubled.next_due()].into_iter().flatten();
        let due = dues.fold(session.round_at, Instant::min);
        let mut timer = pin!(sleep_until(due));
        let mut changed = pin!(self.wanted.changed());
        poll_fn(|context| {
            if let Poll::Ready(changed) = changed.as_mut().poll(context) {
                return Poll::Ready(Event::Wanted(changed.is_ok()));
            }
            if let Poll::Ready(event) = session.poll(context) {
                return Poll::Ready(event);
            }
            timer.as_mut().poll(context).map(|()| Event::Due)
        })
        .await
    }

    fn hear(&mut self, session: &Session, signal: Option<Signal>) -> Result<(), End> {
        let now = Instant::now();
        match signal {
            None => return Err(session.lost("has ended the connection")),
            Some(Signal::Left) => return Err(session.lost("is no longer the one that was asked")),
            Some(Signal::Reloaded) => self.look_at_all(),
            Some(Signal::Unit { label, .. }) if self.watched.has(&label) => self.watched.hear(&label, now),
            Some(Signal::Unit { label, message }) => {
                if self.troubled.is_wanted && (self.troubled.has(&label) || shows_trouble(&message)) {
                    self.troubled.schedule(now, self.pace.list);
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, session: &mut Session, answer: Result<Answer, JoinError>) -> Result<(), End> {
        match answer {
            Ok(Answer::Look { name, outcome, took }) => self.looked(session, &name, outcome, took),
            Ok(Answer::List(outcome)) => self.listed(session, outcome),
            Ok(Answer::Ping { is_round, outcome }) => self.pinged(session, is_round, outcome),
            Err(_) => Err(session.lost("was asked in vain")),
        }
    }

    fn looked(
        &mut self,
        session: &mut Session,
        name: &str,
        outcome: Result<Option<Box<UnitFacts>>, Trouble>,
        took: Duration,
    ) -> Result<(), End> {
        let outcome = match outcome {
            Ok(Some(facts)) => Ok(facts),
            Ok(None) => {
                self.watched.forgotten(name);
                return Ok(());
            }
            Err(trouble) => Err(session.suspect(&trouble)?),
        };
        for subject in self.watched.looked(name, outcome.as_deref().ok()) {
            self.tell_look(subject, outcome.clone(), took);
        }
        Ok(())
    }

    fn listed(&mut self, session: &mut Session, outcome: Result<Vec<String>, Trouble>) -> Result<(), End> {
        let names = match outcome {
            Ok(names) => Some(names),
            Err(trouble) => {
                let problem = session.suspect(&trouble)?;
                tracing::warn!(%problem, "the failed units are not known");
                None
            }
        };
        if let Some(names) = self.troubled.listed(names, &self.watched) {
            (self.tell)(News::Troubled(names));
        }
        Ok(())
    }

    fn pinged(
        &mut self,
        session: &mut Session,
        is_round: bool,
        outcome: Result<(), Trouble>,
    ) -> Result<(), End> {
        session.is_pinging = false;
        match outcome {
            Err(Trouble::Silent) => return Err(session.given_up(&Trouble::Silent)),
            Err(trouble) => drop(session.suspect(&trouble)?),
            Ok(()) => {}
        }
        if is_round {
            self.look_at_all();
        } else {
            self.watched.failed(Instant::now());
        }
        Ok(())
    }
}

impl Session {
    /// Connects, and hears everything from then on.
    async fn open(bus: Bus, pace: Pace) -> Result<Self, ProbeError> {
        let patience = pace.patience;
        let manager = Manager::connect(&bus, patience).await?;
        let signals = Signals::of(&manager, patience).await;
        let signals = signals.map_err(|trouble| manager.unavailable(&trouble, patience))?;
        Ok(Self {
            manager: Arc::new(manager),
            signals,
            asked: JoinSet::new(),
            patience,
            round_at: Instant::now() + pace.round,
            is_pinging: false,
        })
    }

    fn look(&mut self, due: Due) {
        let (manager, patience) = (Arc::clone(&self.manager), self.patience);
        self.asked.spawn(async move {
            let (began, name) = (Instant::now(), due.name);
            let outcome = if due.is_forced {
                manager.look(&name, patience).await.map(Some)
            } else {
                manager.look_if_loaded(&name, patience).await
            };
            Answer::Look { name, outcome: outcome.map(|facts| facts.map(Box::new)), took: began.elapsed() }
        });
    }

    fn list(&mut self) {
        let (manager, patience) = (Arc::clone(&self.manager), self.patience);
        self.asked.spawn(async move { Answer::List(manager.list_troubled(patience).await) });
    }

    fn ping(&mut self, is_round: bool) {
        if !self.is_pinging {
            self.is_pinging = true;
            let (manager, patience) = (Arc::clone(&self.manager), self.patience);
            self.asked.spawn(async move { Answer::Ping { is_round, outcome: manager.ping(patience).await } });
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(answer)) = self.asked.poll_join_next(context) {
            return Poll::Ready(Event::Answered(answer));
        }
        self.signals.poll(context).map(Event::Heard)
    }

    /// Why one question has no answer. Silence may be all that is left: that is asked for at once.
    fn suspect(&mut self, trouble: &Trouble) -> Result<ProbeError, End> {
        match trouble {
            Trouble::Broken(_) => return Err(self.given_up(trouble)),
            Trouble::Silent => self.ping(false),
            Trouble::Refused(_) | Trouble::Nonsense => {}
        }
        Ok(self.manager.unavailable(trouble, self.patience))
    }

    fn given_up(&self, trouble: &Trouble) -> End {
        End::Lost(self.manager.unavailable(trouble, self.patience))
    }

    fn lost(&self, problem: &str) -> End {
        End::Lost(self.manager.unavailable_because(problem))
    }
}

impl Manager {
    /// The unit, where systemd knows it without being made to load it.
    async fn look_if_loaded(&self, name: &str, patience: Duration) -> Result<Option<UnitFacts>, Trouble> {
        let is_unknown = |error: &zbus::Error| matches!(error, zbus::Error::MethodError(name, ..) if name.as_str() == NO_SUCH_UNIT);
        match self.call(MANAGER, MANAGER_INTERFACE, "GetUnit", &name, patience).await {
            Err(Trouble::Refused(error)) if is_unknown(&error) => Ok(None),
            Err(trouble) => Err(trouble),
            Ok(_) => self.look(name, patience).await.map(Some),
        }
    }

    /// Whether it is there at all.
    async fn ping(&self, patience: Duration) -> Result<(), Trouble> {
        self.call(MANAGER, "org.freedesktop.DBus.Peer", "Ping", &(), patience).await.map(|_| ())
    }
}
