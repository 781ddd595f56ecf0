//! The partitions of `system_status_history`: one a month, made before it is needed, and dropped whole.

use super::connection::Connected;
use super::errors::Failure;
use super::schema::LOCK;
use healthcheck_core::history::Window;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use std::collections::BTreeSet;
use std::fmt;

const PARENT: &str = "system_status_history";
const THERE: &str = "SELECT relname::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
     WHERE inhparent = 'system_status_history'::regclass";
/// How many are made before their time: this month's, and those after it.
const AHEAD: usize = 3;

/// A month, UTC. As text it is the name of its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(Date);

impl Month {
    pub(super) fn of(at: Timestamp) -> Self {
        Self(at.to_zoned(TimeZone::UTC).date().first_of_month())
    }

    /// Of the name of a partition.
    pub(super) fn named(name: &str) -> Option<Self> {
        let digits = name.strip_prefix(PARENT)?.strip_prefix('_')?;
        let (year, month) = digits.split_at_checked(4)?;
        Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok().map(Self)
    }

    fn next(self) -> Self {
        Self(self.0.saturating_add(1.month()))
    }

    pub(super) fn window(self) -> Window {
        Window { from: self.begin(), to: self.next().begin() }
    }

    fn begin(self) -> Timestamp {
        self.0.to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |begin| begin.timestamp())
    }

    /// The name of its table once it is no part of the history any more: by the time, since it may be made anew.
    pub(super) fn taken_out(self) -> String {
        let number = Timestamp::now().as_microsecond();
        format!("{PARENT}_dropped_{:04}{:02}_{number}", self.0.year(), self.0.month())
    }

    /// A table of its own is made and then joined to the others, because that makes nobody wait; made as a part of
    /// them it would wait for everyone who reads.
    pub(super) fn making(self) -> String {
        let (from, to) = (self.0, self.next().0);
        format!(
            "CREATE TABLE {self} (LIKE {PARENT} INCLUDING ALL);
             ALTER TABLE {PARENT} ATTACH PARTITION {self} FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00');\n"
        )
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PARENT}_{:04}{:02}", self.0.year(), self.0.month())
    }
}

/// The months that there are.
pub(super) async fn there(on: &mut Connected) -> Result<BTreeSet<Month>, Failure> {
    let rows = on.ask(THERE, &[]).await?;
    let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, _>>()?;
    Ok(names.into_iter().filter_map(Month::named).collect())
}

/// Sees to it that there is a partition for each of the months, for this one and for the next ones.
pub(super) async fn provide(on: &mut Connected, mut wanted: BTreeSet<Month>) -> Result<(), Failure> {
    let now = Month::of(Timestamp::now());
    wanted.extend(std::iter::successors(Some(now), |month| Some(month.next())).take(AHEAD));
    if wanted.is_subset(&on.months) {
        return Ok(());
    }
    on.months = there(on).await?;
    // One by one: what took too long is not begun anew by the next attempt.
    for month in wanted {
        if !on.months.contains(&month) {
            make(on, month).await?;
        }
    }
    Ok(())
}

/// Another monitor may make the same one: whoever comes second sees it.
async fn make(on: &mut Connected, month: Month) -> Result<(), Failure> {
    on.run(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    on.months = there(on).await?;
    if !on.months.contains(&month) {
        on.run(&month.making()).await?;
    }
    on.run("COMMIT").await?;
    on.months.insert(month);
    Ok(())
}
