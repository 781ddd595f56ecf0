//! What the monitor answers to other commands, and what it says of itself.

use super::Monitor;
use super::control::{Answer, Asked, Question};
use super::dead_man::Retired;
use crate::commands::fleet::{Seen, fleet_picture};
use crate::commands::snapshot::remarks_of;
use crate::commands::telling::switch;
use crate::fleet::{Heard, keys};
use crate::render::fleet::FleetPicture;
use crate::render::why::{self, Chain, Past};
use crate::render::{Mode, Picture, Source};
use crate::sources::{machine, threads};
use healthcheck_core::{Snapshot, Subject, Transition};
use jiff::Timestamp;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::timeout;

/// Transitions that are shown of one subject.
const LAST: usize = 8;
/// How long it is waited until a goodbye was heard.
const HEARD: Duration = Duration::from_millis(900);
const UNHEARD: &str = "the other machines do not know it yet, since etcd does not answer: they are told as soon as it does, \
    if the monitor still runs then; ask again to be sure";

impl Monitor {
    pub(super) fn answer(&mut self, asked: Asked) {
        let answer = match asked.question {
            Question::Snapshot => Answer::Snapshot(Box::new(self.picture())),
            Question::Fleet => self.machines(),
            Question::Why { service } => self.why(&service),
            Question::Incidents => self.incidents(),
            Question::Silences => self.silences(),
            question if question.changes() && !asked.may_change => {
                Answer::refused("only root and the monitor's own user may change anything")
            }
            Question::Acknowledge { incident, author } => self.acknowledge(incident, &author),
            Question::Silence { silence } => self.silence(silence),
            Question::Unsilence { id } => self.unsilence(id),
            Question::Forget { service } => self.forget_known(&service),
            Question::Drill => self.drill(),
            Question::Drilled => Answer::Drill(Box::new(self.drill.report())),
            Question::Retire => return self.retire(asked.reply),
            Question::Remember if asked.may_change => return self.remember_all(asked.reply),
            // A stranger sees it within a minute.
            Question::Remember => Answer::Done,
            Question::Reload => {
                self.inputs.reload.notify_one();
                Answer::Done
            }
        };
        // Ten thousand services take their time to be written down. Whoever asked may have gone, and looks for himself
        // where no thread is left to answer him.
        drop(threads::begin(move || asked.reply.send(answer.line())));
    }

    /// The answer comes when everything is taken in.
    fn remember_all(&mut self, reply: oneshot::Sender<String>) {
        let (done, outcome) = oneshot::channel();
        self.flush_history(done);
        spawn_local(async move {
            let problem = outcome.await.unwrap_or_else(|_| Some("no history is written".to_owned()));
            let answer = problem.map_or(Answer::Done, Answer::refused);
            let _ = reply.send(answer.line());
        });
    }

    /// The answer comes from the thread that speaks with the server.
    fn retire(&mut self, reply: oneshot::Sender<String>) {
        let left = self.leave_for_good();
        let (done, outcome) = oneshot::channel();
        let at_once = (!self.dead_man.is_there()).then(|| self.retire_without_thread());
        if at_once.is_none() {
            self.dead_man.retire(done);
        }
        spawn_local(async move {
            let ended = || Err("the dead-man's switch ended".to_owned());
            let answer = match at_once {
                Some(answer) => answer,
                None => retired(outcome.await.unwrap_or_else(|_| ended())),
            };
            let answer = if is_heard(left).await { answer } else { Answer::refused(UNHEARD) };
            let _ = reply.send(answer.line());
        });
    }

    fn retire_without_thread(&self) -> Answer {
        let switch = switch(&self.settings.config, &self.env, String::new());
        if switch.is_needed() {
            return Answer::refused("no thread could be started to take the message back");
        }
        retired(switch.retire())
    }

    /// Everything that is known, at this instant.
    fn picture(&self) -> Picture {
        let (now, policy) = (self.now(), &self.settings.policy);
        let snapshot = Snapshot::of(&self.state, &now, policy);
        let nothing_found = snapshot.has_nothing_to_judge();
        Picture {
            source: Source::Monitor { pid: std::process::id() },
            host: machine::host_name(),
            project: self.settings.config.project.clone(),
            mode: if self.settings.bus.is_some() { Mode::Systemd } else { Mode::Processes },
            snapshot,
            resources: self.resources.clone(),
            limits: policy.limits.clone(),
            remarks: remarks_of(self.desk.remarks(), &self.settings.dirs, nothing_found),
        }
    }

    fn machines(&self) -> Answer {
        let watched = self.fleet_picture();
        watched.map_or_else(
            || Answer::refused("it does not watch other machines"),
            |picture| Answer::Fleet(Box::new(picture)),
        )
    }

    /// All machines at this instant, where this monitor watches them.
    fn fleet_picture(&self) -> Option<FleetPicture> {
        let (fleet, etcd) = (self.membership.fleet()?, self.settings.config.fleet.etcd.as_ref()?);
        let host = keys::name(&machine::host_name());
        let remarks = self.membership.remarks();
        let seen = Seen { at: Timestamp::now(), host, etcd, teller: fleet.teller(), remarks };
        Some(fleet_picture(&*fleet.mirror()?, &self.state, seen))
    }

    fn why(&self, name: &str) -> Answer {
        let snapshot = self.picture().snapshot;
        let chain = Chain::of(&snapshot, name, |subject| self.past(subject));
        match chain.or_else(|| self.why_host(name)) {
            Some(chain) => Answer::Why(Box::new(chain)),
            None => Answer::Unknown { names: why::names(&snapshot) },
        }
    }

    /// Another machine, where nothing here has its name.
    fn why_host(&self, name: &str) -> Option<Chain> {
        let host = name.strip_prefix("host ").unwrap_or(name);
        let snapshot = Snapshot::of_host(&self.state, host, &self.now(), &self.settings.policy)?;
        Chain::of(&snapshot, name, |subject| self.past(subject))
    }

    fn past(&self, subject: &Subject) -> Past {
        Past { transitions: self.last_transitions(subject), people: self.people(subject) }
    }

    fn last_transitions(&self, subject: &Subject) -> Vec<Transition> {
        let kept = self.ledger.store().last_transitions(subject, LAST).unwrap_or_default();
        kept.into_iter().map(|(_, transition)| transition).collect()
    }

    fn forget_known(&mut self, name: &str) -> Answer {
        let subject = Subject::service(name);
        if !self.forget(&subject) {
            return Answer::Unknown { names: why::names(&self.picture().snapshot) };
        }
        self.desk.forget(name);
        self.look_at_everything();
        // What was answered is not taken back by a sudden end.
        let boottime = self.now().boottime;
        self.ledger.save(&self.state, &mut self.alerts, boottime);
        Answer::Done
    }

    /// One line for each source and each sink, into our own report.
    pub(super) fn tell_own_health(&self) {
        let own = &self.own;
        let watched = format!("{} subjects", self.state.len());
        own.tell("reports", self.desk.problems().first().map(String::as_str), &watched);
        own.tell("processes", self.runs.problem(), "their ends are waited for");
        own.tell("state_db", self.ledger.problem().as_deref(), "kept");
        self.tell_health_of_channels();
        if self.dead_man.is_there() {
            own.tell("dead_man", self.dead_man.problem().as_deref(), self.dead_man.how());
        }
        self.tell_health_of_history();
        self.tell_health_of_fleet();
        own.tell("stdout", self.voice.problem().as_deref(), "read");
        if self.settings.bus.is_some() {
            own.tell("systemd", self.units_problem.as_deref(), "followed");
        }
        own.tell("loop", self.last_error.as_deref(), "goes round");
    }

    /// One line for each channel, into our own report. It is no warning there: a channel is judged by itself, and what
    /// is told of it through another one is told once.
    pub(super) fn tell_health_of_channels(&self) {
        let channels = &self.settings.rules.channels;
        for (channel, problem) in self.alerts.channel_problems().filter(|(it, _)| channels.contains_key(*it))
        {
            let how = problem.map_or_else(|| self.posts.how(channel), str::to_owned);
            self.own.note(&format!("channel_{channel}"), &how);
        }
    }
}

/// Whether the other machines, where there are any, know of a goodbye by now.
async fn is_heard(left: Option<Heard>) -> bool {
    let Some(mut left) = left else { return true };
    let heard = timeout(HEARD, left.wait_for(Option::is_some)).await;
    matches!(heard, Ok(Ok(heard)) if *heard == Some(true))
}

fn retired(outcome: Result<Retired, String>) -> Answer {
    outcome.map_or_else(Answer::refused, Answer::Retired)
}
