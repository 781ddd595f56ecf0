//! Which proxy leads to a server, by the variables that every other client reads.

use super::refused;
use health_reporter::directory::Environment;
use healthcheck_core::alerts::Outcome;
use std::fmt;
use std::net::IpAddr;
use ureq::Proxy;
use ureq::http::Uri;

/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in small letters too. They may have a password in them.
#[derive(Default)]
pub(super) struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    none: Vec<String>,
}

/// A proxy and the variable that names it.
type Named = (String, String);

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").field("none", &self.none).finish_non_exhaustive()
    }
}

impl Proxies {
    pub(super) fn of(env: &Environment) -> Self {
        let named = |name: &str| {
            let names = [name.to_owned(), name.to_uppercase()];
            names.into_iter().find_map(|name| Some((env.get(&name)?.to_owned(), name)))
        };
        let none = named("no_proxy").map_or_else(String::new, |(hosts, _)| hosts);
        let hosts = none.split([',', ' ']).map(|host| host.trim().to_lowercase());
        Self {
            https: named("https_proxy").or_else(|| named("all_proxy")),
            http: named("http_proxy").or_else(|| named("all_proxy")),
            none: hosts.filter(|host| !host.is_empty()).collect(),
        }
    }

    /// The proxy for a URL. An unusable one is not passed over: the way around it may be forbidden.
    pub(super) fn proxy(&self, url: &str) -> Result<Option<Proxy>, Outcome> {
        let Ok(uri) = url.parse::<Uri>() else { return Ok(None) };
        let named = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        let Some((proxy, name)) = named.as_ref().filter(|_| !self.is_direct(&uri)) else { return Ok(None) };
        let unusable = || {
            refused(format!("the proxy in {name} cannot be used: it must be a URL such as http://host:port"))
        };
        Proxy::new(proxy).map(Some).map_err(|_| unusable())
    }

    /// Nobody means the proxy's own machine by the name of this one.
    fn is_direct(&self, uri: &Uri) -> bool {
        let host = crate::tls::bare(uri.host().unwrap_or_default()).trim_end_matches('.').to_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        is_here || self.none.iter().any(|entry| fits(entry, &host, address, port))
    }
}

fn fits(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    let (entry, wanted) = match entry.rsplit_once(':') {
        Some((name, number)) if !name.contains(':') || name.ends_with(']') => (name, number.parse().ok()),
        _ => (entry, None),
    };
    let entry = crate::tls::bare(entry);
    if wanted.is_some_and(|wanted: u16| wanted != port) {
        return false;
    }
    if let Some(address) = address {
        return entry == "*" || is_in(entry, address);
    }
    let name = entry.trim_start_matches("*.").trim_start_matches('.');
    entry == "*" || host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether an address is one, or in a network: `10.0.0.0/8`.
fn is_in(network: &str, address: IpAddr) -> bool {
    let (first, bits) = network.split_once('/').unwrap_or((network, "128"));
    let (Ok(first), Ok(bits)) = (first.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let (first, address, length) = match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => {
            (u128::from(first.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(first), IpAddr::V6(address)) => (first.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let ignored = length - bits.min(length);
    first.checked_shr(ignored).unwrap_or(0) == address.checked_shr(ignored).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads(env: &[(&str, &str)], url: &str) -> Option<String> {
        let proxies = Proxies::of(&env.iter().copied().collect());
        proxies.proxy(url).unwrap().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn the_proxy_is_the_one_of_the_scheme() {
        let env = [
            ("HTTPS_PROXY", "http://secure:1"),
            ("http_proxy", "http://open:2"),
            ("ALL_PROXY", "socks5://any:3"),
        ];
        assert_eq!(leads(&env, "https://a.org/").as_deref(), Some("secure:1"));
        assert_eq!(leads(&env, "http://a.org/").as_deref(), Some("open:2"));
        assert_eq!(leads(&env[2..], "http://a.org/").as_deref(), Some("any:3"));
        assert_eq!(leads(&[], "https://a.org/"), None);
        assert_eq!(leads(&env, "https://127.0.0.1:8080/"), None);
        assert_eq!(leads(&env, "https://localhost/"), None);
        assert_eq!(leads(&env, "https://[::1]/"), None);
    }

    #[test]
    fn what_needs_no_proxy_is_named_as_everywhere() {
        for (none, url, is_direct) in [
            ("a.org", "https://a.org/", true),
            ("a.org", "https://b.a.org/", true),
            (".a.org,c.org", "https://b.a.org/", true),
            ("*.a.org", "https://b.a.org/", true),
            ("a.org", "https://ba.org/", false),
            ("A.org:443", "https://a.org/", true),
            ("a.org:444", "https://a.org/", false),
            ("*", "https://a.org/", true),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.0.0.0/16", "https://10.1.2.3/", false),
            ("10.1.2.3", "https://10.1.2.3/", true),
            ("fd00::/8", "https://[fd12::1]/", true),
            ("[fd12::1]:443", "https://[fd12::1]/", true),
            ("fd13::1", "https://[fd12::1]/", false),
        ] {
            let found = leads(&[("https_proxy", "http://p:1"), ("NO_PROXY", none)], url);
            assert_eq!(found.is_none(), is_direct, "{none} {url}");
        }
    }

    #[test]
    fn an_unusable_proxy_is_named_and_not_shown() {
        let env = [("HTTPS_PROXY", "ftp://user:canary@proxy:1")].into_iter().collect();
        let proxies = Proxies::of(&env);
        let outcome = format!("{:?} {proxies:?}", proxies.proxy("https://a.org/").map(|_| ()).unwrap_err());
        assert!(outcome.contains("HTTPS_PROXY") && !outcome.contains("canary"), "{outcome}");
    }
}
