//! Where the health files are: one rule for whoever writes and whoever reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The directory in development, below the working directory.
pub const DEVELOPMENT_DIR: &str = "logs/health";

/// The environment variables that decide, as a value: nothing here reads the process's own.
///
/// ```
/// use health_reporter::directory::{self, Environment};
///
/// let env = Environment::from_iter([("HEALTH_ENV", "production"), ("HEALTH_APP", "wall")]);
/// assert_eq!(directory::resolve(None, &env, &[], None)[0].as_os_str(), "/var/cache/wall/health");
/// assert_eq!(directory::resolve(None, &Environment::default(), &[], None)[0].as_os_str(), "logs/health");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; those that are not UTF-8 are left out.
    #[must_use]
    pub fn of_this_process() -> Self {
        let text = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// The value of `key`; an empty one is as good as none.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether this is production: `HEALTH_ENV=production`, its old name `EXPERIMANCE_ENV=production`, or a
    /// process that systemd started itself (`SYSTEMD_EXEC_PID` is its own pid).
    #[must_use]
    pub fn is_production(&self) -> bool {
        ["HEALTH_ENV", "EXPERIMANCE_ENV"].into_iter().any(|key| self.get(key) == Some("production"))
            || self.get("SYSTEMD_EXEC_PID") == Some(&std::process::id().to_string())
    }

    /// `HEALTH_APP`, else `PROJECT_ENV`, else `healthcheck`.
    #[must_use]
    pub fn app(&self) -> &str {
        let usable = |name: &&str| name.parse::<crate::ServiceName>().is_ok();
        ["HEALTH_APP", "PROJECT_ENV"]
            .into_iter()
            .find_map(|key| self.get(key).filter(usable))
            .unwrap_or("healthcheck")
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// The directories, the first of which is where a writer writes: `explicit` (`--health-dir`), else
/// `HEALTH_DIR`, else `configured` (`health_dirs`), else `/var/cache/<app>/health` in production, else
/// `logs/health`. `app` stands before `HEALTH_APP` and `PROJECT_ENV`.
#[must_use]
pub fn resolve(
    explicit: Option<&Path>,
    env: &Environment,
    configured: &[PathBuf],
    app: Option<&str>,
) -> Vec<PathBuf> {
    if let Some(dir) = explicit.or_else(|| env.get("HEALTH_DIR").map(Path::new)) {
        return vec![dir.to_owned()];
    }
    if !configured.is_empty() {
        return configured.to_vec();
    }
    if env.is_production() {
        return vec![production_dir(app.unwrap_or_else(|| env.app()))];
    }
    vec![PathBuf::from(DEVELOPMENT_DIR)]
}

/// `/var/cache/<app>/health`.
#[must_use]
pub fn production_dir(app: &str) -> PathBuf {
    Path::new("/var/cache").join(app).join("health")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(variables: &[(&str, &str)]) -> PathBuf {
        resolve(None, &variables.iter().copied().collect(), &[], None).remove(0)
    }

    #[test]
    fn the_old_names_and_systemd_mean_production() {
        let own_pid = std::process::id().to_string();
        assert_eq!(first(&[("EXPERIMANCE_ENV", "production"), ("PROJECT_ENV", "x")]), production_dir("x"));
        assert_eq!(first(&[("SYSTEMD_EXEC_PID", &own_pid)]), production_dir("healthcheck"));
        assert_eq!(first(&[("SYSTEMD_EXEC_PID", "1")]), Path::new("logs/health"));
        assert_eq!(first(&[("HEALTH_ENV", "test")]), Path::new("logs/health"));
    }

    #[test]
    fn the_nearer_word_wins() {
        let env = Environment::from_iter([("HEALTH_DIR", "/b"), ("HEALTH_ENV", "production")]);
        let configured = [PathBuf::from("/c"), PathBuf::from("/d")];
        assert_eq!(resolve(Some(Path::new("/a")), &env, &configured, None), [PathBuf::from("/a")]);
        assert_eq!(resolve(None, &env, &configured, None), [PathBuf::from("/b")]);
        let production = Environment::from_iter([("HEALTH_ENV", "production")]);
        assert_eq!(resolve(None, &production, &configured, None), configured);
        assert_eq!(resolve(None, &production, &[], Some("own")), [production_dir("own")]);
    }

    #[test]
    fn an_app_that_would_leave_its_directory_is_not_believed() {
        assert_eq!(
            first(&[("HEALTH_ENV", "production"), ("HEALTH_APP", "../../etc")]),
            production_dir("healthcheck")
        );
    }
}
