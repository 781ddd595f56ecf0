//! The JSON of etcd's gateway: keys and values in base64, 64-bit numbers as texts.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

pub(super) fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The first key behind everything that begins with a prefix.
pub(super) fn range_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Header {
    #[serde(deserialize_with = "number")]
    pub(super) cluster_id: u64,
    #[serde(deserialize_with = "number")]
    pub(super) revision: i64,
}

/// A key with its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    #[serde(deserialize_with = "bytes")]
    pub(crate) key: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) value: Vec<u8>,
    #[serde(deserialize_with = "number")]
    pub(crate) create_revision: i64,
    #[serde(deserialize_with = "number")]
    pub(crate) mod_revision: i64,
    #[serde(deserialize_with = "number")]
    pub(crate) lease: i64,
}

impl Entry {
    /// Nobody is to fill our memory.
    pub(super) fn shorten(&mut self, bytes: usize) {
        if self.value.len() > bytes {
            self.value.truncate(bytes);
            self.value.shrink_to_fit();
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ranged {
    pub(super) header: Header,
    pub(super) kvs: Vec<Entry>,
    pub(super) more: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Transacted {
    pub(super) header: Header,
    pub(super) succeeded: bool,
    pub(super) responses: Vec<Response>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response {
    pub(super) response_range: Option<Ranged>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Granted {
    #[serde(rename = "ID", deserialize_with = "number")]
    pub(super) id: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeptAlive {
    #[serde(rename = "TTL", deserialize_with = "number")]
    ttl: u64,
}

impl KeptAlive {
    /// How long the lease lives from now on; none that has ended does.
    pub(super) fn left(&self) -> Option<Duration> {
        (self.ttl > 0).then(|| Duration::from_secs(self.ttl))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Login {
    pub(super) token: String,
}

/// One answer of those that come as a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Streamed<T> {
    pub(super) result: Option<T>,
    pub(super) error: Option<Refusal>,
}

/// What a member says where it does nothing.
///
/// A question alone is refused in words and with a code; what comes as a stream has both in its `error`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    message: String,
    error: Option<Why>,
    #[serde(alias = "grpc_code")]
    code: i64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Why {
    Words(String),
    Whole(Box<Refusal>),
}

impl Refusal {
    pub(super) fn words(&self) -> &str {
        match &self.error {
            _ if !self.message.is_empty() => &self.message,
            Some(Why::Words(words)) => words,
            Some(Why::Whole(refusal)) => refusal.words(),
            None => "",
        }
    }

    pub(super) fn code(&self) -> i64 {
        match &self.error {
            Some(Why::Whole(refusal)) => refusal.code(),
            _ => self.code,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Watched {
    pub(super) header: Header,
    pub(super) created: bool,
    pub(super) canceled: bool,
    pub(super) cancel_reason: String,
    #[serde(deserialize_with = "number")]
    pub(super) compact_revision: i64,
    pub(super) fragment: bool,
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    /// A put where it says nothing.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) kv: Entry,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text.as_bytes()).map_err(de::Error::custom)
}

/// A number, or a text with one.
fn number<'de, D: Deserializer<'de>, N>(deserializer: D) -> Result<N, D::Error>
where
    N: FromStr + TryFrom<u64> + TryFrom<i64>,
{
    struct Number<N>(PhantomData<N>);

    impl<N: FromStr + TryFrom<u64> + TryFrom<i64>> de::Visitor<'_> for Number<N> {
        type Value = N;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number, or a text with one")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<N, E> {
            text.parse().map_err(|_| E::custom("no whole number"))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<N, E> {
            N::try_from(number).map_err(|_| E::custom("too large"))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<N, E> {
            N::try_from(number).map_err(|_| E::custom("too large"))
        }
    }

    deserializer.deserialize_any(Number(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_next() {
        for (prefix, end) in
            [(&b"/health/"[..], &b"/health0"[..]), (b"a\xff", b"b"), (b"\xff", b"\0"), (b"", b"\0")]
        {
            assert_eq!(range_end(prefix), end);
        }
    }

    #[test]
    fn a_refusal_is_understood_in_both_shapes() {
        let plain = r#"{"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14}"#;
        let streamed =
            r#"{"error":{"grpc_code":16,"http_code":401,"message":"etcdserver: invalid auth token"}}"#;
        for (text, code, words) in [(plain, 14, "no leader"), (streamed, 16, "invalid auth token")] {
            let refusal: Refusal = serde_json::from_str(text).unwrap();
            assert!(refusal.code() == code && refusal.words().ends_with(words), "{text}");
        }
    }

    #[test]
    fn numbers_are_texts_or_numbers_and_what_is_left_out_is_none() {
        let text = r#"{"header":{"revision":"7","cluster_id":18446744073709551615},"kvs":[{"key":"L2g=","mod_revision":7}]}"#;
        let ranged: Ranged = serde_json::from_str(text).unwrap();
        assert_eq!((ranged.header.revision, ranged.header.cluster_id), (7, u64::MAX));
        assert_eq!(
            (&ranged.kvs[0].key[..], ranged.kvs[0].mod_revision, ranged.kvs[0].lease),
            (&b"/h"[..], 7, 0)
        );
        for wrong in
            [r#"{"header":{"revision":"x"}}"#, r#"{"kvs":[{"key":"*"}]}"#, r#"{"header":{"revision":-1.5}}"#]
        {
            assert!(serde_json::from_str::<Ranged>(wrong).is_err(), "{wrong}");
        }
    }
}
