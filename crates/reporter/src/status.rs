//! How a service is, and where it is in its life.

use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// How something is. The order is what wins when several are put together.
///
/// ```
/// use health_reporter::Status;
///
/// let checks = [Status::Healthy, Status::Error, Status::Warning];
/// assert_eq!(checks.into_iter().max(), Some(Status::Error));
/// assert!(Status::Healthy < Status::Unknown && Status::Unknown < Status::Warning);
/// assert_eq!("ERROR".parse(), Ok(Status::Error));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All is as it should be.
    Healthy,
    /// Nobody could tell: neither healthy nor bad.
    Unknown,
    /// It works, and somebody should look soon.
    Warning,
    /// It does not do its job.
    Error,
    /// It cannot do its job again by itself.
    Fatal,
}

impl Status {
    /// The word on disk, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// Whether it is an error or fatal.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Error | Self::Fatal)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no status; names the five that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord(&'static str);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected one of {}", self.0)
    }
}

impl std::error::Error for UnknownWord {}

impl FromStr for Status {
    type Err = UnknownWord;

    /// Any case, as the readers of the original compare.
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Healthy, Self::Unknown, Self::Warning, Self::Error, Self::Fatal]
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(word))
            .ok_or(UnknownWord("healthy, warning, error, fatal, unknown"))
    }
}

/// Where a service says it is in its life.
///
/// ```
/// use health_reporter::State;
///
/// assert_eq!("finished".parse(), Ok(State::Finished));
/// assert!(State::Stopped.is_goodbye() && !State::Stopping.is_goodbye());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not ready yet.
    Starting,
    /// Doing its work; also what a report without a state means.
    #[default]
    Running,
    /// On its way out: no goodbye yet.
    Stopping,
    /// It said goodbye.
    Stopped,
    /// Its job is done, until it is due again.
    Finished,
}

impl State {
    /// The word on disk, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
        }
    }

    /// Whether the process may end in this state without having crashed.
    #[must_use]
    pub const fn is_goodbye(self) -> bool {
        matches!(self, Self::Stopped | Self::Finished)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::Starting, Self::Running, Self::Stopping, Self::Stopped, Self::Finished]
            .into_iter()
            .find(|state| state.as_str().eq_ignore_ascii_case(word))
            .ok_or(UnknownWord("starting, running, stopping, stopped, finished"))
    }
}
