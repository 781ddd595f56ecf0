//! A ping for services that tell when it stays away: the monitor of the monitor, elsewhere.

use super::http::{Client, Request};
use crate::secret::Address;
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
        let url = self.url.clone();
        self.client.send(move || Ok(Request::to_address(Method::GET, &url)?.login_keys("its url")))
    }
}
