//! What keeps us from using the database, and what helps.

use rusqlite::{Error, ErrorCode, ffi};

/// What keeps us from using the database.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its content is not what we wrote.
    Damage(String),
    /// It may pass: a full disk, somebody else's lock.
    Hindrance(String),
}

impl Trouble {
    pub(crate) fn of(error: &Error) -> Self {
        if is_damage(error) {
            return Self::Damage(error.to_string());
        }
        let cure = error.sqlite_error_code().map_or("", cure);
        Self::Hindrance(format!("{error}{cure}"))
    }

    /// Why the database of a name cannot be used.
    pub(crate) fn into_reason(self, name: &str) -> String {
        match self {
            Self::Damage(reason) => reason,
            Self::Hindrance(reason) => format!("{name}: {reason}"),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

/// Our own statements are right, so what they stumble over is not what we wrote.
fn is_damage(error: &Error) -> bool {
    let Error::SqliteFailure(failure, _) = error else { return true };
    let is_short =
        matches!(failure.extended_code, ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS);
    is_short
        || matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::InternalMalfunction
                | ErrorCode::TooBig
                | ErrorCode::Unknown
        )
}

const fn cure(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::DiskFull => ": make room on its file system",
        ErrorCode::ReadOnly => ": make its file system and the file writable",
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            ": make the state directory writable for this user, or set STATE_DIRECTORY"
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ": end the program that holds it",
        ErrorCode::SystemIoFailure => ": look after its disk, and make room on it",
        _ => "",
    }
}
