//! A ping for services that tell when it stays away: the monitor of the monitor, elsewhere.

use super::http::{Client, Request};
use super::secret::Address;
use healthcheck_core::alerts::Outcome;
use ureq::http::Method;

#[derive(Debug)]
pub(crate) struct Ping {
    url: Address,
    client: Client,
}

impl Ping {
    pub(crate) fn new(url: Address, client: Client) -> Self {
        Self { url, client }
    }

    /// Says that the monitor lives.
    pub(crate) fn send(&self) -> Outcome {
        let request = Request::to_address(Method::GET, &self.url);
        request.map_or_else(|outcome| outcome, |request| self.client.send(request.login_keys("its url")))
    }
}
