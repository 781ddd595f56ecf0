//! Secrets in lines that programs write. What only looks like one is masked too: a line is evidence, not a record.

use health_reporter::mask_credentials;

const MASK: &str = "***";
/// In a name, `-` and `_` left out, what its value makes a secret.
const SECRET_PARTS: [&str; 14] = [
    "accesskey",
    "apikey",
    "authkey",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "sessionid",
    "token",
];
/// The same as a whole name: inside of others they mean nothing.
const SECRET_NAMES: [&str; 6] = ["auth", "basic", "pass", "psk", "pw", "pwd"];
/// The same in the query of a URL.
const SECRET_PARAMETERS: [&str; 4] = ["code", "key", "sig", "signature"];
/// What of a header's value is not the secret itself.
const SCHEMES: [&str; 6] = ["apikey", "basic", "bearer", "digest", "negotiate", "token"];
/// Headers whose value has spaces in it.
const WHOLE_LINES: [&str; 2] = ["authorization", "cookie"];
/// How the keys of well-known services begin.
const PREFIXES: [&str; 10] =
    ["eyJ", "ghp_", "gho_", "github_pat_", "glpat-", "sk-", "sk_live_", "tk_", "xoxb-", "xoxp-"];
const MIN_KNOWN_KEY: usize = 16;
/// A word so long that has letters of both cases and digits in it is no word.
const MIN_KEY: usize = 24;
/// After the name of a secret, a word so long is its value, whatever stands between.
const MIN_VALUE: usize = 16;
const MIN_BASE64_LINE: usize = 40;

/// The line without what may be secret in it.
pub(super) fn masked(line: &str) -> String {
    if is_base64(line.trim()) {
        return MASK.to_owned();
    }
    let line = mask_credentials(line);
    let (mut out, mut rest) = (String::with_capacity(line.len()), line.as_str());
    while let Some(start) = rest.find(is_of_name) {
        let before = &rest[..start];
        let name = &rest[start..];
        let (name, after) = name.split_at(name.find(|c| !is_of_name(c)).unwrap_or(name.len()));
        out.push_str(before);
        let value = if is_secret(name, before) { value_after(name, after) } else { None };
        out.push_str(if is_key(name) { MASK } else { name });
        rest = after;
        if let Some((from, to)) = value {
            out.push_str(&after[..from]);
            out.push_str(MASK);
            rest = &after[to..];
        }
    }
    out + rest
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn is_secret(name: &str, before: &str) -> bool {
    let name = plain(name);
    let is_parameter = || before.ends_with(['?', '&']) && SECRET_PARAMETERS.contains(&&*name);
    SECRET_PARTS.iter().any(|part| name.contains(part)) || SECRET_NAMES.contains(&&*name) || is_parameter()
}

/// Where the value of a name begins and ends in what follows it.
fn value_after(name: &str, after: &str) -> Option<(usize, usize)> {
    let value = after.trim_start_matches(['"', '\'', '\\', ']', ' ']);
    let value = value.strip_prefix("is").filter(|rest| !rest.starts_with(is_of_name)).unwrap_or(value);
    let set = value.trim_start_matches([':', '=', '>']);
    let is_set = set.len() < value.len();
    let value = set.trim_start();
    let from = after.len() - value.len();
    let is_whole_line = is_set && WHOLE_LINES.iter().any(|header| plain(name).contains(header));
    let length = if is_whole_line { whole_line(value) } else { length(value) };
    let is_value = || is_set || is_given(name, &value[..length]);
    (length > 0 && is_value()).then_some((from, from + length))
}

/// Without `=` or `:` between them, the next word is a value after an option, after a scheme, and where it looks so.
fn is_given(name: &str, word: &str) -> bool {
    let has_digit = word.contains(|c: char| c.is_ascii_digit());
    name.starts_with("--")
        || SCHEMES.contains(&&*plain(name)) && word.len() >= MIN_VALUE / 2 && has_digit
        || word.len() >= MIN_VALUE && has_digit
}

fn whole_line(value: &str) -> usize {
    value.find(['"', '\'']).filter(|end| *end > 0).unwrap_or(value.len())
}

/// Of a value, with its quotes, and with the scheme before it.
fn length(value: &str) -> usize {
    let escaped = value.strip_prefix('\\').unwrap_or(value);
    if let Some(quote) = escaped.chars().next().filter(|c| "\"'`".contains(*c)) {
        let from = value.len() - escaped.len() + 1;
        return value[from..].find(quote).map_or(value.len(), |end| from + end + 1);
    }
    let end =
        |text: &str| text.find(|c: char| c.is_whitespace() || ",;&)}]\"'".contains(c)).unwrap_or(text.len());
    let first = end(value);
    let rest = &value[first..];
    let next = rest.trim_start();
    match SCHEMES.contains(&&*plain(&value[..first])) && next.len() < rest.len() {
        true => value.len() - next.len() + end(next),
        false => first,
    }
}

/// A word that can only be a key. The names of functions, as compilers write them, are not.
fn is_key(word: &str) -> bool {
    let count = |is: fn(&char) -> bool| word.chars().filter(is).count();
    let is_mangled = word.starts_with("_Z") || word.starts_with("_R");
    let is_mixed = || {
        count(char::is_ascii_uppercase) > 1
            && count(char::is_ascii_lowercase) > 1
            && count(char::is_ascii_digit) > 1
    };
    let is_known = PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    is_known && word.len() >= MIN_KNOWN_KEY || word.len() >= MIN_KEY && !is_mangled && is_mixed()
}

/// A line of a private key in its file.
fn is_base64(line: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let has = |is: fn(char) -> bool| line.contains(is);
    let is_mixed =
        has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_digit());
    line.len() >= MIN_BASE64_LINE && is_mixed && !line.starts_with('/') && line.chars().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "c4naryHunter2Secret9x";

    #[test]
    fn a_canary_is_nowhere_however_it_is_written() {
        for form in [
            "password=#",
            "PASSWORD: #",
            "db_password = '#'",
            "passwd=\"# with spaces\"",
            "pass=# next",
            "Pwd=#;Server=x",
            "login with token #",
            "token is: #",
            "api-key: #",
            "X-Api-Key:#",
            "{\"client_secret\": \"#\", \"x\": 1}",
            "{\\\"access_token\\\":\\\"#\\\"}",
            "Authorization: Bearer #",
            "authorization: Basic #",
            "Authorization: AWS4 Credential=a/b, Signature=#",
            "-H 'Authorization: Token #' http://x",
            "Bearer #",
            "curl --password # http://x",
            "--token=#",
            "params[password]=#",
            "GET /x?key=#&y=1",
            "GET /x?a=1&sig=# HTTP/1.1",
            "postgres://app:#@db/x",
            "Set-Cookie: session=#; Path=/",
            "SECRET_KEY => '#'",
            "auth: #",
            "token: Bearer #",
            "bot123456:#aBcDeFgHiJkL7",
            "https://hooks.slack.com/services/T00000000/B00000000/#abcd",
            "ghp_#",
            "eyJhbGciOiJIUzI1#",
        ] {
            let line = form.replace('#', CANARY);
            let masked = masked(&line);
            assert!(!masked.contains("c4nary") && masked.contains(MASK), "{line} became {masked}");
        }
    }

    #[test]
    fn what_is_beside_a_secret_stays() {
        for (line, wanted) in [
            ("user=a password=x host=b", "user=a password=*** host=b"),
            ("{\"token\": \"x\", \"id\": 7}", "{\"token\": ***, \"id\": 7}"),
            ("token: Bearer abc, id 7", "token: ***, id 7"),
            ("ü password=ü1 ü", "ü password=*** ü"),
        ] {
            assert_eq!(masked(line), wanted);
        }
    }

    #[test]
    fn evidence_stays_as_it_is() {
        for line in [
            "thread 'main' panicked at src/main.rs:12:5: index out of bounds: the len is 3",
            "Traceback (most recent call last): File \"/usr/lib/python3.11/site-packages/App2/Main.py\", line 3",
            "at _ZN4core9panicking5panic17h0123456789abcdefE (0x7f3a)",
            "commit 3f786850e387550fdab836ed7e6dc881de23001b, id 123e4567-e89b-12d3-a456-426614174000",
            "2026-11-22T07:36:55.123456Z ERROR com.example.CameraControllerServiceImplementation: no frame",
            "password is wrong",
            "the token has expired, basic checks passed, compass: 7",
            "bearer of bad news",
            "key=value, code: 7",
            "password:",
            "",
        ] {
            assert_eq!(masked(line), line);
        }
    }

    #[test]
    fn a_line_of_a_private_key_is_masked() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        assert_eq!(masked(line), MASK);
    }

    #[test]
    fn no_text_is_too_odd() {
        let parts =
            ["password", "=", "\"", "\\", "'", "ü", " ", ":", "token", "--", "]", "\u{202e}", "a1B2", "?key"];
        let mut state = 7_usize;
        for _ in 0..20_000 {
            let mut line = String::new();
            for _ in 0..8 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                line += parts[(state >> 33) % parts.len()];
            }
            let _ = masked(&line);
        }
    }
}
