//! Webhooks: signed posts to whatever takes JSON, in the bodies that such receivers know.

mod alertmanager;
mod bodies;
mod signature;

use super::http::{Client, Request};
use super::{Channel, failed};
use crate::secret::{Address, Secret};
use bodies::Post;
use healthcheck_core::alerts::{Notice, Outcome};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;
use ureq::http::Method;

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) url: Address,
    /// The keys for signatures, one a line, the newest first: `whsec_` with base64, or any text.
    pub(crate) secret: Option<Secret>,
    /// The whole value of `Authorization`.
    pub(crate) authorization: Option<Secret>,
    pub(crate) body: Body,
}

/// What is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Body {
    /// The whole notice.
    #[default]
    Healthcheck,
    /// `machine.offline` and `machine.online`, one post a machine; nothing else is told.
    Machine,
    /// As Alertmanager posts it, version 4.
    Alertmanager,
    /// `service_health` of one service, `system_health` of everything else.
    ServiceHealth,
}

#[derive(Debug)]
pub(crate) struct Webhook {
    settings: Arc<Settings>,
    client: Client,
    /// What of the notice that could not be sent as a whole was accepted, by the ids of the posts.
    accepted: BTreeSet<String>,
}

impl Webhook {
    pub(crate) fn new(settings: Settings, client: Client) -> Self {
        Self { settings: Arc::new(settings), client, accepted: BTreeSet::new() }
    }

    /// All of them, though one fails: whoever comes last must not be forgotten for the sake of the first.
    fn post_all(&mut self, posts: &[Post]) -> Outcome {
        let begun = Instant::now();
        let mut result = Outcome::Accepted;
        for post in posts {
            if self.accepted.contains(&post.id) {
                continue;
            }
            if begun.elapsed() > self.client.deadline() {
                return worse(result, failed("too slow for all of them: the rest follows"));
            }
            let (settings, request) = (self.settings.clone(), post.clone());
            let outcome = self.client.send(move || settings.request(&request));
            if outcome == Outcome::Accepted {
                self.accepted.insert(post.id.clone());
            }
            result = worse(result, outcome);
        }
        result
    }
}

impl Settings {
    fn request(&self, post: &Post) -> Result<Request, Outcome> {
        let request = Request::to_address(Method::POST, &self.url)?;
        let request = self.authorized(request.login_keys("url, secret_file and auth_file"))?;
        let body = post.body.to_string().into_bytes();
        let at = Timestamp::now().as_second();
        let request =
            request.header("webhook-id", post.id.clone()).header("webhook-timestamp", at.to_string());
        let request = self.signed(request, &post.id, at, &body)?;
        Ok(request.body("application/json", body))
    }

    fn authorized(&self, request: Request) -> Result<Request, Outcome> {
        let Some(authorization) = &self.authorization else { return Ok(request) };
        let value = authorization.read().map_err(failed)?;
        let request = request.hiding(&value);
        // What stands behind the scheme is the secret proper.
        let secret = value.split_once(' ').map_or(value.as_str(), |(_, secret)| secret);
        Ok(request.hiding(secret).header("authorization", value.clone()))
    }

    fn signed(&self, request: Request, id: &str, at: i64, body: &[u8]) -> Result<Request, Outcome> {
        let Some(secret) = &self.secret else { return Ok(request) };
        let text = secret.read().map_err(failed)?;
        let keys = signature::keys(&text).map_err(|why| failed(format!("{secret}: {why}")))?;
        let request = request.header("webhook-signature", signature::standard(&keys, id, at, body));
        let request = match keys.first() {
            Some(newest) => request.header("x-webhook-signature", signature::of_body(newest, body)),
            None => request,
        };
        Ok(text.lines().fold(request, |request, line| request.hiding(line.trim())))
    }
}

impl Channel for Webhook {
    fn send(&mut self, notice: &Notice) -> Outcome {
        let posts = bodies::posts(self.settings.body, notice);
        self.accepted.retain(|id| posts.iter().any(|post| post.id == *id));
        let outcome = self.post_all(&posts);
        if outcome == Outcome::Accepted {
            self.accepted.clear();
        }
        outcome
    }
}

/// What has to be said of both: something to be tried again before a refusal, a refusal before an acceptance.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Accepted => 0,
        Outcome::Refused { .. } => 1,
        Outcome::Failed { .. } => 2,
    };
    match (one, other) {
        (Outcome::Failed { error, retry_after }, Outcome::Failed { retry_after: later, .. }) => {
            Outcome::Failed { error, retry_after: retry_after.max(later) }
        }
        (one, other) if rank(&other) > rank(&one) => other,
        (one, _) => one,
    }
}
