//! Signatures by which a receiver knows us: Standard Webhooks, and the plainer one of the body alone.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign};

const PREFIX: &str = "whsec_";

/// One a line. While a secret is replaced there are two.
pub(super) fn keys(text: &str) -> Result<Vec<Key>, String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(key).collect()
}

fn key(line: &str) -> Result<Key, String> {
    let bytes = match line.strip_prefix(PREFIX) {
        Some(encoded) => BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| format!("what follows {PREFIX} is not base64: copy the whole secret"))?,
        None => line.as_bytes().to_vec(),
    };
    Ok(Key::new(HMAC_SHA256, &bytes))
}

/// One signature with each key.
pub(super) fn standard(keys: &[Key], id: &str, at: i64, body: &[u8]) -> String {
    let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
    let signature = |key: &Key| format!("v1,{}", BASE64_STANDARD.encode(sign(key, &signed)));
    keys.iter().map(signature).collect::<Vec<_>>().join(" ")
}

pub(super) fn of_body(key: &Key, body: &[u8]) -> String {
    let hex: String = sign(key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        let keys = keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            standard(&keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_torn_secret_is_an_error_without_a_word_of_it() {
        let error = keys("plain\nwhsec_canary!").unwrap_err();
        assert!(error.contains("base64") && !error.contains("canary"));
        assert_eq!(keys(" a \n\nb\n").unwrap().len(), 2);
    }
}
