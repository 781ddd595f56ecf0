//! Short items one after the other, on as many lines as they need.

use super::Table;
use crate::render::text::{pad, width, wrapped};
use health_reporter::Status;
use std::io;

/// Columns of the word on the left.
const LABEL_COLUMNS: usize = 14;
/// Lines that one item may take.
const MAX_LINES: usize = 3;

/// Something short, in the colour of its status if it has one.
pub(in crate::render) struct Item {
    pub(super) status: Option<Status>,
    pub(super) text: String,
}

impl Item {
    pub(in crate::render) const fn of(status: Status, text: String) -> Self {
        Self { status: Some(status), text }
    }

    pub(in crate::render) const fn plain(text: String) -> Self {
        Self { status: None, text }
    }
}

impl Table<'_> {
    /// Writes the items beside a label, if there is one; nothing where there are no items.
    pub(in crate::render) fn flow(&mut self, label: &str, gap: usize, items: &[Item]) -> io::Result<()> {
        let indent = if label.is_empty() { 0 } else { LABEL_COLUMNS };
        let room = self.surface.columns.saturating_sub(indent);
        let (mut written, mut taken) = (pad(label, indent), 0);
        for item in items {
            for (number, piece) in wrapped(&item.text, room, MAX_LINES).iter().enumerate() {
                let is_first = number == 0;
                if taken > 0 && is_first && taken + gap + width(piece) <= room {
                    written += &" ".repeat(gap);
                    taken += gap;
                } else if taken > 0 {
                    written = written + "\n" + &" ".repeat(indent);
                    taken = 0;
                }
                written += &item.status.map_or_else(|| piece.clone(), |status| self.coloured(status, piece));
                taken += width(piece);
            }
        }
        if items.is_empty() { Ok(()) } else { writeln!(self.out, "{written}") }
    }
}
