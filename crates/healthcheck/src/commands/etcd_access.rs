//! The etcd of the configuration, in the terms of who asks it.

use crate::config::{Config, EtcdLogin, EtcdSettings};
use crate::fleet::etcd::Access;
use crate::secret::Secret;

/// Where the etcd of `[fleet.etcd]` is, and as whom it is asked.
pub(crate) fn access(config: &Config, etcd: &EtcdSettings) -> Access {
    Access {
        endpoints: etcd.endpoints.iter().map(|url| url.expose().to_owned()).collect(),
        login: etcd.login.as_ref().map(|login| (login.user.clone(), password(config, login))),
        ca_file: etcd.ca_file.clone(),
        identity: etcd.identity.as_ref().map(|it| (it.cert_file.clone(), it.key_file.clone())),
    }
}

/// Where the password is; who has none is refused by etcd, and says so.
fn password(config: &Config, login: &EtcdLogin) -> Secret {
    let given = config.fleet.etcd_password.as_ref().map(|password| password.expose().to_owned());
    match &login.password_file {
        Some(file) => Secret::File(file.clone()),
        None => Secret::Value(given.unwrap_or_default()),
    }
}
