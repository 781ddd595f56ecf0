//! From text to settings: everything is checked here, once, and everything that is wrong is told at once.

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::Table;

use super::environment::{self, FromEnvironment};
use super::locate::{Located, Source, Surroundings};
use super::problems::{ConfigErrors, Scope};
use super::raw::{RawConfig, schema};
use super::{
    Config, alerts, argv, channels, dead_man, fleet, history, maintenance, name, probes, resources, routes,
    services, shape, systemd, zmq,
};

pub(super) fn validate(located: Located, given: &Surroundings<'_>) -> Result<Config, ConfigErrors> {
    let place = located.source.to_string();
    let mut table = parse(&place, &located.text)?;
    let (errors, errors_around) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let file = Scope::root(&place, &errors);
    let around = environment::read(given, &Scope::root(environment::PLACE, &errors_around));
    let warnings = located.warnings;
    let declared = table.get("channels").and_then(|all| all.as_table()).into_iter().flat_map(Table::keys);
    let declared = declared.chain(around.channels.keys()).cloned().collect();
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
    let config = settings(&file, raw, &declared, around);
    let errors = [errors.into_inner(), errors_around.into_inner()].concat();
    match (config, errors) {
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
fn settings(
    at: &Scope<'_>,
    raw: RawConfig,
    declared: &BTreeSet<String>,
    around: FromEnvironment,
) -> Option<Config> {
    let dirs = raw.health_dirs.into_iter().enumerate();
    let health_dirs =
        dirs.filter_map(|(i, dir)| argv::path(&at.key("health_dirs").index(i), Some(dir))).collect();
    let project = raw.project.filter(|project| name::check_value(&at.key("project"), project));
    let services = services::services(&at.key("services"), raw.services);
    let zmq = zmq::zmq(&at.key("zmq"), raw.zmq);
    let probes = probes::probes(&at.key("probes"), raw.probes);
    let resources = resources::resources(&at.key("resources"), &raw.resources);
    let alerts = alerts::alerts(&at.key("alerts"), &raw.alerts, &around.alerts);
    let mut channels = around.channels;
    channels.extend(channels::channels(&at.key("channels"), raw.channels));
    let routes = routes::routes(&at.key("routes"), raw.routes, declared);
    let maintenance = maintenance::maintenance(&at.key("maintenance"), raw.maintenance);
    let dead_man = dead_man::dead_man(&at.key("dead_man"), raw.dead_man, &channels, declared);
    let systemd = systemd::systemd(&at.key("systemd"), raw.systemd);
    let history = history::history(&at.key("history"), raw.history);
    let fleet = fleet::fleet(&at.key("fleet"), raw.fleet, around.fleet);
    Some(Config {
        source: Source::Defaults,
        warnings: Vec::new(),
        production: around.production,
        state_dir: around.state_dir,
        project: project.or(around.project),
        health_dirs,
        services: around.services.into_iter().chain(services).collect(),
        zmq,
        probes,
        resources,
        alerts,
        channels,
        routes,
        maintenance,
        dead_man,
        systemd,
        history: history?,
        fleet,
    })
}
