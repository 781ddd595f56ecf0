//! How words and shared texts are saved: as plain text.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// Reads a word of a closed set, such as a status.
pub(crate) fn word<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// The same where there may be none.
pub(crate) fn word_if_any<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let word = Option::<Cow<str>>::deserialize(deserializer)?;
    word.map(|word| word.parse().map_err(D::Error::custom)).transpose()
}

pub(crate) fn write_shared<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

pub(crate) fn read_shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    Ok(Cow::<str>::deserialize(deserializer)?.into())
}
