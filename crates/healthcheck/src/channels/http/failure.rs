//! No answer at all, in words: without any of the URL's, since there may be a secret in it.

use crate::channels::reach::{Nameless, in_words, too_late};
use crate::channels::{failed, refused};
use crate::tls::NoAuthorities;
use healthcheck_core::alerts::Outcome;
use std::time::Duration;
use ureq::Error;

/// What became of a request that has no answer.
pub(super) fn outcome(error: Error, deadline: Duration) -> Outcome {
    match error {
        Error::Timeout(_) => failed(too_late(deadline)),
        Error::Io(error) => failed(in_words(&error)),
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
