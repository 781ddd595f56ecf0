//! No answer at all, in words: without any of the URL's, since there may be a secret in it.

use super::{Nameless, failed, refused};
use crate::system_error::{own_fault, plain};
use crate::tls::{self, NoAuthorities};
use healthcheck_core::alerts::Outcome;
use std::io::{self, ErrorKind};
use std::time::Duration;
use ureq::Error;

/// What became of a request that has no answer.
pub(super) fn outcome(error: Error, deadline: Duration) -> Outcome {
    match error {
        Error::Timeout(_) => failed(too_late(deadline)),
        Error::Io(error) => failed(in_words_of(&error)),
        Error::Other(error) => {
            match (error.downcast_ref::<Nameless>(), error.downcast_ref::<NoAuthorities>()) {
                (Some(error), _) => failed(error.to_string()),
                (_, Some(error)) => failed(error.to_string()),
                _ => failed("it could not be reached"),
            }
        }
        Error::HostNotFound => failed("its name leads to no address"),
        Error::ConnectionFailed => failed("none of its addresses accepts a connection"),
        Error::ConnectProxyFailed(why) => failed(format!("the proxy does not lead there: {why}")),
        Error::LargeResponseHeader(_, limit) => {
            failed(format!("the headers of its answer are larger than {} KiB", limit / 1024))
        }
        Error::Protocol(_) => failed("its answer is not HTTP"),
        Error::Http(_) | Error::BadUri(_) => refused("its URL is none that can be asked"),
        _ => failed("it could not be asked"),
    }
}

pub(super) fn too_late(deadline: Duration) -> String {
    format!("no answer within {} s", deadline.as_secs_f32())
}

pub(super) fn in_words_of(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::in_words(error);
    }
    if let Some(problem) = own_fault(error) {
        return problem;
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused: nobody listens there".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        ErrorKind::UnexpectedEof => "the connection was closed before the answer".to_owned(),
        _ => plain(error),
    }
}
