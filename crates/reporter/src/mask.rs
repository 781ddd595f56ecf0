//! Secrets that stand where everybody writes addresses.

/// `scheme://user:password@host` becomes `scheme://***@host`.
///
/// ```
/// use health_reporter::mask_credentials;
///
/// assert_eq!(mask_credentials("GET https://u:p@host/x failed"), "GET https://***@host/x failed");
/// ```
#[must_use]
pub fn mask_credentials(text: &str) -> String {
    mask(text, false)
}

/// The same. Where the text was cut, what would have shown that a password stood there may be gone.
pub(crate) fn mask(text: &str, is_cut: bool) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, authority) = rest.split_at(at + "://".len());
        masked.push_str(before);
        let end = authority.find(|c: char| c == '/' || c.is_whitespace() || "\"'<>?#".contains(c));
        let end = end.unwrap_or(authority.len());
        match authority[..end].rfind('@') {
            Some(user) => {
                masked.push_str("***");
                rest = &authority[user..];
            }
            None if is_cut && end == authority.len() => {
                masked.push_str("***");
                rest = "";
            }
            None => rest = authority,
        }
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::{mask, mask_credentials};

    #[test]
    fn credentials_in_urls_are_masked() {
        for (text, masked) in [
            ("no url", "no url"),
            ("GET https://u:p@host/x failed", "GET https://***@host/x failed"),
            ("postgres://app:hunter2@db/x and redis://:k@r", "postgres://***@db/x and redis://***@r"),
            ("https://host/path@2", "https://host/path@2"),
            ("https://u:p@ss@host", "https://***@host"),
        ] {
            assert_eq!(mask_credentials(text), masked);
        }
    }

    #[test]
    fn what_may_be_half_of_a_password_is_masked() {
        for (text, masked) in [
            ("GET https://u:p@host/x and https://u:hunt", "GET https://***@host/x and https://***"),
            ("GET https://host/x and mor", "GET https://host/x and mor"),
        ] {
            assert_eq!(mask(text, true), masked);
        }
    }
}
