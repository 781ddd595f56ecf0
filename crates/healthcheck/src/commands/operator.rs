//! Who asks a monitor for something, and how that is asked.

use super::running_monitor::RunningMonitor;
use crate::monitor::control::{Answer, Question};
use anyhow::{anyhow, bail};
use health_reporter::directory::Environment;

/// Who asks: as told, else the user who became root, else the user.
pub(super) fn author(given: Option<&str>, env: &Environment) -> String {
    let of_environment = || ["SUDO_USER", "USER"].iter().find_map(|key| env.get(key));
    let named = given.or_else(of_environment).filter(|name| !name.is_empty());
    named.map_or_else(user, str::to_owned)
}

fn user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &users).map_or_else(|| format!("uid {uid}"), str::to_owned)
}

fn name_of(uid: u32, users: &str) -> Option<&str> {
    let is_it = |line: &&str| line.split(':').nth(2).is_some_and(|field| field.parse() == Ok(uid));
    users.lines().find(is_it)?.split(':').next().filter(|name| !name.is_empty())
}

/// Asks the monitor for what only a monitor can do.
pub(super) fn ask(monitor: Option<&RunningMonitor>, question: &Question) -> anyhow::Result<Answer> {
    let Some(monitor) = monitor else {
        bail!("no monitor runs for these health directories, and only a monitor tells people: start one")
    };
    let pid = monitor.pid();
    match monitor.ask(question) {
        Ok(Answer::Refused { problem }) => Err(anyhow!(problem)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(anyhow!("the monitor (pid {pid}) gives no answer: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_became_root_is_who_asks() {
        let env = |variables: &[(&str, &str)]| -> Environment { variables.iter().copied().collect() };
        let sudo = env(&[("SUDO_USER", "ann"), ("USER", "root")]);
        assert_eq!(author(None, &sudo), "ann");
        assert_eq!(author(Some("bob"), &sudo), "bob");
        assert_eq!(author(None, &env(&[("USER", "carl")])), "carl");
        assert!(!author(None, &env(&[])).is_empty());
    }

    #[test]
    fn a_user_is_found_by_his_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!((name_of(1000, users), name_of(0, users)), (Some("ann"), Some("root")));
        assert_eq!((name_of(7, users), name_of(1, "")), (None, None));
    }
}
