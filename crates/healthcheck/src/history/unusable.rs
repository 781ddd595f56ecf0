//! A history that is kept nowhere, because its settings are wrong: each call says so.

use super::{
    HistoryError, HistoryStore, Host, Judged, Origin, Portion, Position, Pruned, RunRow, Selection, Series,
    Slice, StatusRow, Stock,
};
use healthcheck_core::Gap;
use healthcheck_core::history::{Resolution, Window};
use std::path::Path;

/// Why it cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable(HistoryError);

impl Unusable {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self(HistoryError::new(problem))
    }

    fn says_no<T>(&self) -> Result<T, HistoryError> {
        Err(self.0.clone())
    }
}

impl HistoryStore for Unusable {
    fn position(&mut self, _: &Origin) -> Result<Position, HistoryError> {
        self.says_no()
    }

    fn write(&mut self, _: &Portion) -> Result<(), HistoryError> {
        self.says_no()
    }

    fn remark(&mut self) -> Option<String> {
        None
    }

    fn hosts(&mut self) -> Result<Vec<Host>, HistoryError> {
        self.says_no()
    }

    fn statuses(&mut self, _: &Selection) -> Result<Vec<StatusRow>, HistoryError> {
        self.says_no()
    }

    fn judged(&mut self, _: &Selection, _: Window) -> Result<Vec<Judged>, HistoryError> {
        self.says_no()
    }

    fn runs(
        &mut self,
        _: &Selection,
        _: Window,
        _: &mut dyn FnMut(RunRow) -> bool,
    ) -> Result<(), HistoryError> {
        self.says_no()
    }

    fn gaps(&mut self, _: &str, _: Window) -> Result<Vec<Gap>, HistoryError> {
        self.says_no()
    }

    fn series(&mut self, _: &Selection, _: Resolution, _: Window) -> Result<Vec<Series>, HistoryError> {
        self.says_no()
    }

    fn stock(&mut self) -> Result<Stock, HistoryError> {
        self.says_no()
    }

    fn prune(&mut self, _: &Slice, _: u32) -> Result<Pruned, HistoryError> {
        self.says_no()
    }

    fn backup(&mut self, _: &Path) -> Result<(), HistoryError> {
        self.says_no()
    }
}
