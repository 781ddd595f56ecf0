//! From text to settings: everything is checked here, once, and everything that is wrong is told at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use health_reporter::directory::Environment;
use toml::Table;

use super::locate::{Located, Source, Surroundings};
use super::problems::{ConfigErrors, Scope};
use super::raw::{RawConfig, schema};
use super::services::ServiceSettings;
use super::{
    Config, alerts, argv, channels, fleet, history, name, probes, resources, routes, services, shape,
    systemd, unused, zmq,
};

const ENVIRONMENT: &str = "environment";
const PRODUCTION_STATE_DIR: &str = "/var/lib/healthcheck";
const DEVELOPMENT_STATE_DIR: &str = "logs";

pub(super) fn validate(located: Located, given: &Surroundings<'_>) -> Result<Config, ConfigErrors> {
    let place = located.source.to_string();
    let mut table = parse(&place, &located.text)?;
    let errors = RefCell::new(Vec::new());
    let file = Scope::root(&place, &errors);
    let mut warnings = located.warnings;
    warnings.extend(unused::warnings(&table));
    let declared = table.get("channels").and_then(|all| all.as_table()).into_iter().flat_map(Table::keys);
    let declared = declared.cloned().collect();
    // Without a file there is nothing to compare, and the snapshot without configuration stays fast.
    if located.source != Source::Defaults {
        shape::keep_known(&mut table, schema().as_value(), &file);
    }
    let raw: RawConfig = table.try_into().unwrap_or_else(|_| {
        file.refuse_unshown(
            "does not fit the schema of the configuration",
            "compare with healthcheck config schema",
        );
        RawConfig::default()
    });
    let mut config = settings(&file, raw, &declared);
    take_environment(config.as_mut(), given, &Scope::root(ENVIRONMENT, &errors));
    match (config, errors.into_inner()) {
        (Some(config), errors) if errors.is_empty() => {
            Ok(Config { source: located.source, warnings, ..config })
        }
        (_, errors) => Err(ConfigErrors(errors)),
    }
}

/// The message of the parser without the line that it quotes: there may be a secret in it.
fn parse(place: &str, text: &str) -> Result<Table, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let problem = error.message().lines().collect::<Vec<_>>().join(", ");
        ConfigErrors::of_file(format!("{place}:{line}:{column}"), problem, "correct the TOML there")
    })
}

/// `None` only where something was refused.
fn settings(at: &Scope<'_>, raw: RawConfig, declared: &BTreeSet<String>) -> Option<Config> {
    let dirs = raw.health_dirs.into_iter().enumerate();
    let health_dirs =
        dirs.filter_map(|(i, dir)| argv::path(&at.key("health_dirs").index(i), Some(dir))).collect();
    let project = raw.project.filter(|project| name::check_value(&at.key("project"), project));
    let services = services::services(&at.key("services"), raw.services);
    let zmq = zmq::zmq(&at.key("zmq"), raw.zmq);
    let probes = probes::probes(&at.key("probes"), raw.probes);
    let resources = resources::resources(&at.key("resources"), &raw.resources);
    let alerts = alerts::alerts(&at.key("alerts"), &raw.alerts);
    let channels = channels::channels(&at.key("channels"), raw.channels);
    let routes = routes::routes(&at.key("routes"), raw.routes, declared);
    let systemd = systemd::systemd(&at.key("systemd"), raw.systemd);
    let history = history::history(&at.key("history"), raw.history);
    let fleet = fleet::fleet(&at.key("fleet"), raw.fleet);
    Some(Config {
        source: Source::Defaults,
        warnings: Vec::new(),
        production: false,
        state_dir: PathBuf::from(DEVELOPMENT_STATE_DIR),
        project,
        health_dirs,
        services,
        zmq,
        probes,
        resources,
        alerts,
        channels,
        routes,
        systemd,
        history: history?,
        fleet,
    })
}

/// What the file does not say, and the services that are expected beside those of the file.
fn take_environment(config: Option<&mut Config>, given: &Surroundings<'_>, at: &Scope<'_>) {
    let project =
        text_of(given, "PROJECT_ENV").filter(|project| name::check_value(&at.key("PROJECT_ENV"), project));
    let names = text_of(given, "SERVICES").unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let expected: Vec<&str> = names.filter(|name| name::check_value(&at.key("SERVICES"), name)).collect();
    let Some(config) = config else { return };
    config.project = config.project.take().or(project);
    for name in expected {
        config.services.entry(name.to_owned()).or_insert_with(ServiceSettings::default);
    }
    config.production = is_production(given);
    config.state_dir = state_dir(given, config.production);
}

fn is_production(given: &Surroundings<'_>) -> bool {
    let mentioned = ["HEALTH_ENV", "EXPERIMANCE_ENV", "SYSTEMD_EXEC_PID"];
    let set = mentioned.into_iter().filter_map(|name| Some((name, text_of(given, name)?)));
    set.collect::<Environment>().is_production()
}

/// systemd names several directories with colons between them; the first is ours.
fn state_dir(given: &Surroundings<'_>, production: bool) -> PathBuf {
    let default = if production { PRODUCTION_STATE_DIR } else { DEVELOPMENT_STATE_DIR };
    let named = given.var("STATE_DIRECTORY");
    let first =
        named.as_ref().and_then(|dirs| dirs.as_bytes().split(|b| *b == b':').find(|dir| !dir.is_empty()));
    first.map_or_else(|| PathBuf::from(default), |dir| PathBuf::from(OsStr::from_bytes(dir)))
}

fn text_of(given: &Surroundings<'_>, name: &str) -> Option<String> {
    given.var(name).map(|value| value.to_string_lossy().into_owned())
}
