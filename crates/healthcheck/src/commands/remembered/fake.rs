//! A store that has what it was given.

use crate::history::{
    HistoryError, HistoryStore, Host, Judged, Origin, Portion, Position, Pruned, RunRow, Selection, Series,
    Slice, StatusRow, Stock,
};
use healthcheck_core::history::{Resolution, Window};
use healthcheck_core::{Gap, Subject};
use jiff::Timestamp;
use std::path::Path;

pub(in crate::commands) fn now() -> Timestamp {
    "2025-06-01T12:00:00Z".parse().unwrap()
}

/// What is known of the machine `deimos`.
#[derive(Default)]
pub(in crate::commands) struct Fake {
    pub(in crate::commands) last_seen: Option<Timestamp>,
    pub(in crate::commands) statuses: Vec<StatusRow>,
    pub(in crate::commands) judged: Vec<Judged>,
    /// The newest first.
    pub(in crate::commands) runs: Vec<RunRow>,
    pub(in crate::commands) gaps: Vec<Gap>,
    pub(in crate::commands) series: Vec<(Resolution, Series)>,
}

fn is_of(of: &Selection, subject: &Subject) -> bool {
    assert_eq!(of.host.as_deref(), Some("deimos"), "of another machine");
    of.subject.as_ref().is_none_or(|wanted| wanted == subject)
}

impl HistoryStore for Fake {
    fn position(&mut self, _: &Origin) -> Result<Position, HistoryError> {
        unreachable!("who shows does not write")
    }

    fn write(&mut self, _: &Portion) -> Result<(), HistoryError> {
        unreachable!("who shows does not write")
    }

    fn hosts(&mut self) -> Result<Vec<Host>, HistoryError> {
        let host = |last_seen| Host { name: "deimos".into(), last_seen };
        Ok(self.last_seen.into_iter().map(host).collect())
    }

    fn statuses(&mut self, of: &Selection) -> Result<Vec<StatusRow>, HistoryError> {
        Ok(self.statuses.iter().filter(|row| is_of(of, &row.subject)).cloned().collect())
    }

    fn judged(&mut self, of: &Selection, _: Window) -> Result<Vec<Judged>, HistoryError> {
        Ok(self.judged.iter().filter(|row| is_of(of, &row.subject)).cloned().collect())
    }

    fn runs(
        &mut self,
        of: &Selection,
        window: Window,
        take: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        let reaches = |row: &&RunRow| row.heartbeat_timestamp >= window.from && row.begun_at < window.to;
        let rows = self.runs.iter().filter(|row| is_of(of, &row.subject)).filter(reaches);
        rows.cloned().all(take);
        Ok(())
    }

    fn gaps(&mut self, _: &str, _: Window) -> Result<Vec<Gap>, HistoryError> {
        Ok(self.gaps.clone())
    }

    fn series(
        &mut self,
        of: &Selection,
        resolution: Resolution,
        _: Window,
    ) -> Result<Vec<Series>, HistoryError> {
        let of_it = |(its, series): &&(Resolution, Series)| *its == resolution && is_of(of, &series.subject);
        Ok(self.series.iter().filter(of_it).map(|(_, series)| series.clone()).collect())
    }

    fn stock(&mut self) -> Result<Stock, HistoryError> {
        Ok(Stock::default())
    }

    fn prune(&mut self, _: &Slice, _: u32) -> Result<Pruned, HistoryError> {
        unreachable!("who shows drops nothing")
    }

    fn backup(&mut self, _: &Path) -> Result<(), HistoryError> {
        unreachable!("who shows copies nothing")
    }
}
