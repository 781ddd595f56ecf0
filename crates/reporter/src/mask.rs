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
        let word =
            authority.split(|c: char| c.is_whitespace() || "\"'<>".contains(c)).next().unwrap_or_default();
        match login_end(word) {
            Some(end) => {
                masked.push_str("***");
                rest = &authority[end..];
            }
            None if is_cut && word.len() == authority.len() && !word.contains(PATH) => {
                masked.push_str("***");
                rest = "";
            }
            None => rest = authority,
        }
    }
    masked + rest
}

/// What ends the host of a URL.
const PATH: [char; 3] = ['/', '?', '#'];

/// Where the `@` behind a login is, if there is one. A password may have a `/` in it that nobody escaped: then what
/// stands before it looks like a port, and is no number.
fn login_end(word: &str) -> Option<usize> {
    let host = word.split(PATH).next().unwrap_or_default();
    let has_odd_port = || {
        let port = host.rsplit_once(':').map(|(_, port)| port);
        !host.starts_with('[') && port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    host.rfind('@').or_else(|| word.rfind('@').filter(|_| has_odd_port()))
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
            ("https://u:pa/ss?#@host/x", "https://***@host/x"),
            ("http://[::1]:80/me@example.org", "http://[::1]:80/me@example.org"),
            ("http://host:80/me@example.org", "http://host:80/me@example.org"),
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
