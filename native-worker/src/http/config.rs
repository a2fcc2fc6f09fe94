//! How the API is served: who may ask, from where, how much and how long.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderValue;

use super::auth::ApiKeys;

/// Everything that is decided before the first request.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Keys that may ask; with none everybody may.
    pub api_keys: ApiKeys,
    /// Names in `Host` that are answered, without port; `None`: every name.
    pub allowed_hosts: Option<Vec<String>>,
    /// Origins of other pages that may ask. With none, CORS is off.
    pub cors_allow_origins: Vec<Origin>,
    /// Most bytes of a body.
    pub payload_limit_bytes: usize,
    /// Longest time until the head of a request is there, and so the longest that a
    /// connection is kept without one.
    pub head_timeout: Duration,
    /// Longest time of an ordinary request; streams and waits have their own.
    pub request_timeout: Duration,
    /// Longest time that `?wait=` and the synchronous image route wait.
    pub longest_wait: Duration,
    /// Longest synchronous image request.
    pub images_timeout: Duration,
    /// How often a stream says that it is alive.
    pub ping_interval: Duration,
    /// Longest time of the device probe.
    pub probe_timeout: Duration,
    /// How long a browser stays logged in.
    pub session_age: Duration,
}

/// An origin of pages, `scheme://name[:port]`, as browsers send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl Origin {
    /// As the value of a header.
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// Text that is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an origin is written http://NAME or https://NAME, with a port if it has one; * is none")]
pub struct BadOrigin;

impl FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(BadOrigin)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
        let is_fine = matches!(scheme, "http" | "https")
            && !authority.is_empty()
            && authority.bytes().all(is_plain);
        let value = HeaderValue::from_str(text).map_err(|_| BadOrigin)?;
        is_fine.then_some(Self(value)).ok_or(BadOrigin)
    }
}

impl Default for HttpConfig {
    /// For a worker on this machine, without a key.
    fn default() -> Self {
        Self {
            api_keys: ApiKeys::default(),
            allowed_hosts: Some(loopback_names()),
            cors_allow_origins: Vec::new(),
            payload_limit_bytes: 2_000_000,
            head_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            longest_wait: Duration::from_secs(60),
            images_timeout: Duration::from_secs(600),
            ping_interval: Duration::from_secs(15),
            probe_timeout: Duration::from_secs(5),
            session_age: Duration::from_secs(12 * 60 * 60),
        }
    }
}

/// The names of this machine to itself.
pub fn loopback_names() -> Vec<String> {
    ["localhost", "127.0.0.1", "[::1]"].map(String::from).into()
}

/// An address that other machines can reach, and no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{hostname} can be reached from other machines and there is no key; give --api-key, or serve on 127.0.0.1"
)]
pub struct OpenToEverybody {
    hostname: String,
}

impl HttpConfig {
    /// Refuses to serve other machines without a key. Where only this machine can ask,
    /// only its own names are answered (a foreign page may point its name here), beside
    /// those in `more_hosts`.
    ///
    /// # Errors
    /// [`OpenToEverybody`].
    pub fn for_address(
        mut self,
        hostname: &str,
        address: IpAddr,
        more_hosts: &[String],
    ) -> Result<Self, OpenToEverybody> {
        if !address.is_loopback() && self.api_keys.is_empty() {
            let hostname = hostname.to_owned();
            return Err(OpenToEverybody { hostname });
        }
        let mut hosts = more_hosts.to_vec();
        if address.is_loopback() || !hosts.is_empty() {
            hosts.extend(loopback_names());
            hosts.push(hostname.to_owned());
        }
        hosts
            .iter_mut()
            .for_each(|name| name.make_ascii_lowercase());
        self.allowed_hosts = Some(hosts).filter(|hosts| !hosts.is_empty());
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_a_key() {
        let check = |address: &str, key: Option<&str>, expected: bool| {
            let config = HttpConfig {
                api_keys: ApiKeys::new(key),
                ..HttpConfig::default()
            };
            let served = config.for_address(address, address.parse().unwrap(), &[]);
            assert_eq!(served.is_ok(), expected, "{address} {key:?}");
        };
        check("127.0.0.1", None, true);
        check("127.9.9.9", None, true);
        check("::1", None, true);
        check("0.0.0.0", None, false);
        check("::", None, false);
        check("192.168.1.2", None, false);
        check("0.0.0.0", Some("secret"), true);
    }

    #[test]
    fn origins_are_whole() {
        let check = |text: &str, expected| {
            assert_eq!(text.parse::<Origin>().is_ok(), expected, "{text}");
        };
        check("https://ui.example", true);
        check("http://localhost:8080", true);
        check("http://[::1]:8080", true);
        check("*", false);
        check("null", false);
        check("https://", false);
        check("https://ui.example/", false);
        check("ftp://ui.example", false);
    }

    #[test]
    fn names_are_limited_where_only_this_machine_asks() {
        let keyed = HttpConfig {
            api_keys: ApiKeys::new(["secret"]),
            ..HttpConfig::default()
        };
        let names = |address: &str, more: &[String]| {
            let config = keyed.clone();
            let served = config.for_address(address, address.parse().unwrap(), more);
            served.unwrap().allowed_hosts
        };
        assert_eq!(names("0.0.0.0", &[]), None);
        assert!(
            names("127.0.0.1", &[])
                .unwrap()
                .contains(&"localhost".into())
        );
        let named = names("0.0.0.0", &["Dfa.Example".into()]).unwrap();
        assert!(named.contains(&"dfa.example".into()));
    }
}
