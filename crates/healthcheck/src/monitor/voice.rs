//! What the monitor says on its standard output: one JSON object a line. Whoever does not read it holds up nobody.

use super::posts::Delivered;
use healthcheck_core::alerts::Notice;
use healthcheck_core::{Gap, Transition};
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Duration;

/// Lines that wait for a reader; beyond that the oldest are dropped, and counted.
const MAX_WAITING: usize = 10_000;
/// What a pipe takes for sure when it takes anything.
const PORTION_BYTES: usize = 4_096;
/// How often a reader that is behind is looked at again.
const AGAIN: Duration = Duration::from_millis(100);

/// The standard output.
#[derive(Debug)]
pub(super) struct Voice<W> {
    out: W,
    waiting: VecDeque<Vec<u8>>,
    /// What of the first line is written.
    written: usize,
    dropped: u64,
    is_closed: bool,
}

/// What is said of a transition.
#[derive(Serialize)]
struct Told<'a> {
    r#type: &'static str,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    subject: &'a str,
    kind: &'static str,
    from: &'static str,
    to: &'static str,
    cause: &'static str,
    message: &'a str,
    since: Timestamp,
    reasons: &'a [std::borrow::Cow<'static, str>],
    evidence: &'a healthcheck_core::Evidence,
    #[serde(skip_serializing_if = "is_false")]
    healed_by_supervisor: bool,
    #[serde(skip_serializing_if = "is_false")]
    flapping: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl<W: AsFd> Voice<W> {
    pub(super) const fn to(out: W) -> Self {
        Self { out, waiting: VecDeque::new(), written: 0, dropped: 0, is_closed: false }
    }

    /// A change of verdict; with its number in the store, if it is kept.
    pub(super) fn transition(&mut self, id: Option<i64>, transition: &Transition) {
        self.tell("transition", transition.at, id, transition);
    }

    /// What was found out about a transition after it was told.
    pub(super) fn evidence(&mut self, at: Timestamp, id: Option<i64>, transition: &Transition) {
        self.tell("evidence", at, id, transition);
    }

    fn tell(&mut self, r#type: &'static str, at: Timestamp, id: Option<i64>, transition: &Transition) {
        let told = Told {
            r#type,
            at,
            id,
            subject: &transition.subject.name,
            kind: transition.subject.kind.as_str(),
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            cause: transition.cause.as_str(),
            message: &transition.message,
            since: transition.since,
            reasons: &transition.reasons,
            evidence: &transition.evidence,
            healed_by_supervisor: transition.is_healed_by_supervisor,
            flapping: transition.is_flapping,
        };
        self.line(serde_json::to_vec(&told).unwrap_or_default());
    }

    /// Somebody is to be told.
    pub(super) fn notice(&mut self, notice: &Notice) {
        let subjects: Vec<&str> = notice.items.iter().map(|item| &*item.subject.name).collect();
        let more = json!({
            "id": notice.id,
            "channel": notice.channel,
            "incident": notice.incident,
            "reason": notice.reason,
            "status": notice.status.as_str(),
            "subjects": subjects,
            "title": notice.title,
            "text": notice.text,
        });
        self.say("notice", notice.at, more);
    }

    /// How an attempt to tell somebody ended.
    pub(super) fn delivery(&mut self, at: Timestamp, delivered: &Delivered) {
        let more = json!({
            "channel": delivered.channel,
            "notice": delivered.notice,
            "outcome": delivered.outcome.as_str(),
            "attempt": delivered.attempt,
            "took_ms": delivered.took.as_secs_f64() * 1e3,
            "error": delivered.outcome.error(),
        });
        self.say("delivery", at, more);
    }

    /// Time in which nobody looked.
    pub(super) fn gap(&mut self, at: Timestamp, gap: &Gap) {
        let Gap { from, to, reason } = gap;
        self.say("gap", at, json!({ "from": from, "to": to, "reason": reason }));
    }

    /// Anything else: `type`, `at`, and what more there is to say.
    pub(super) fn say(&mut self, r#type: &str, at: Timestamp, more: Value) {
        let mut told = json!({ "type": r#type, "at": at });
        if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
            told.extend(more);
        }
        self.line(told.to_string().into_bytes());
    }

    /// When it is to be tried again.
    pub(super) fn again(&self, boottime: Duration) -> Option<Duration> {
        (!self.waiting.is_empty()).then(|| boottime + AGAIN)
    }

    /// What could not be said so far, in words.
    pub(super) fn problem(&self) -> Option<String> {
        match (self.is_closed, self.dropped, self.waiting.len()) {
            (true, ..) => Some("nobody reads the standard output".to_owned()),
            (_, 0, _) => None,
            (_, dropped, _) => {
                Some(format!("{dropped} lines dropped: the reader of the standard output is behind"))
            }
        }
    }

    fn line(&mut self, mut line: Vec<u8>) {
        if self.is_closed {
            return;
        }
        line.push(b'\n');
        self.waiting.push_back(line);
        self.go_on();
        if self.waiting.len() > MAX_WAITING {
            // The first one may be half written.
            self.waiting.remove(1);
            self.dropped += 1;
        }
    }

    /// Writes what can be written without waiting.
    pub(super) fn go_on(&mut self) {
        while let Some(line) = self.waiting.front() {
            let portion = &line[self.written..];
            let portion = &portion[..portion.len().min(PORTION_BYTES)];
            if !is_ready(&self.out) {
                return;
            }
            match rustix::io::write(&self.out, portion) {
                Ok(written) => self.written += written,
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => {
                    (self.is_closed, self.written) = (true, 0);
                    return self.waiting.clear();
                }
            }
            if self.written >= line.len() {
                self.written = 0;
                self.waiting.pop_front();
            }
        }
    }
}

/// Whether a write would not wait. Whoever has gone is told so by the write.
fn is_ready(out: &impl AsFd) -> bool {
    let mut polled = [PollFd::new(out, PollFlags::OUT)];
    matches!(poll(&mut polled, Some(&Timespec::default())), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn a_reader_that_is_behind_holds_up_nobody_and_gets_whole_lines() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut voice = Voice::to(writer);
        let at = Timestamp::UNIX_EPOCH;
        let count = MAX_WAITING + 2_000;
        (0..count)
            .for_each(|number| voice.say("test", at, json!({ "number": number, "fill": "x".repeat(100) })));
        assert!(voice.problem().is_some() && voice.again(Duration::ZERO).is_some());
        let mut lines = BufReader::new(reader).lines();
        let (mut read, mut last) = (0_u64, None);
        while !voice.waiting.is_empty() || last != Some(count - 1) {
            voice.go_on();
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            last = line["number"].as_u64().map(|number| usize::try_from(number).unwrap());
            read += 1;
        }
        assert_eq!(read + voice.dropped, count as u64);
    }

    #[test]
    fn nobody_is_spoken_to_who_went_away() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut voice = Voice::to(writer);
        voice.say("test", Timestamp::UNIX_EPOCH, json!({}));
        assert!(voice.is_closed && voice.waiting.is_empty());
    }
}
