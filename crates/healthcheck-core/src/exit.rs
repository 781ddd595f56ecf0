//! How processes end.

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i64),
    /// By this signal.
    Signal(i64),
}

impl Exit {
    /// The raw status that `wait` returns, and field 52 of a zombie's `/proc/PID/stat` holds.
    pub(crate) fn of_wait_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Code(i64::from(status >> 8 & 0xff)),
            signal => Self::Signal(i64::from(signal)),
        }
    }

    pub(crate) fn in_words(self) -> String {
        match self {
            Self::Code(code) => format!("exit {code}"),
            Self::Signal(signal) => format!("signal {signal}"),
        }
    }
}
