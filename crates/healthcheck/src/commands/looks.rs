//! Which looks the configuration asks for.

use crate::config::{
    Bus as ConfiguredBus, Config, HttpLook, Look as Configured, ServiceLooks, Threshold, ZmqEndpoint,
    ZmqSettings,
};
use crate::sources::http::Question;
use crate::sources::looks::{Ask, Look};
use crate::sources::{systemd, zmq};
use healthcheck_core::{Kind, Limits, Quantity, Subject};
use std::collections::BTreeMap;

/// Everything that is looked at by configuration.
pub(crate) fn configured(config: &Config) -> Vec<Look> {
    let mut looks = Vec::new();
    for (name, service) in &config.services {
        let look = |ask| Look { subject: Subject::service(name), ask, timeout: service.schedule.timeout };
        looks.extend(asks_of_service(&service.looks).into_iter().map(look));
    }
    for (name, probe) in &config.probes {
        let subject = Subject::new(Kind::Probe, name);
        looks.push(Look { subject, ask: ask(&probe.look), timeout: probe.schedule.timeout });
    }
    for (name, settings) in &config.zmq {
        let subject = Subject::new(Kind::Zmq, name);
        looks.push(Look { subject, ask: Ask::Zmq(question(settings)), timeout: settings.schedule.timeout });
    }
    looks
}

fn asks_of_service(looks: &ServiceLooks) -> Vec<Ask> {
    let ServiceLooks { unit, container, process, command, http, tcp } = looks.clone();
    let http = http.map(|url| Ask::Http(http_question(&HttpLook::of(url))));
    let tcp = tcp.map(|address| Ask::Tcp(address.as_str().to_owned()));
    let asks = [
        unit.map(Ask::Unit),
        container.map(Ask::Container),
        process.map(Ask::Process),
        command.map(Ask::Command),
        http,
        tcp,
    ];
    asks.into_iter().flatten().collect()
}

fn ask(look: &Configured) -> Ask {
    match look.clone() {
        Configured::Tcp { address } => Ask::Tcp(address.as_str().to_owned()),
        Configured::Http(look) => Ask::Http(http_question(&look)),
        Configured::Command { command } => Ask::Command(command),
        Configured::FileAge { path, max_age } => Ask::FileAge { path, max_age },
        Configured::Process { process } => Ask::Process(process),
        Configured::Unit { unit } => Ask::Unit(unit),
        Configured::Container { container } => Ask::Container(container),
    }
}

fn http_question(look: &HttpLook) -> Question {
    Question {
        url: look.url.expose().to_owned(),
        status: look.status,
        body: look.body.clone(),
        ca_file: look.ca_file.clone(),
        certificate_wanted: look.certificate,
    }
}

fn question(settings: &ZmqSettings) -> zmq::Question {
    zmq::Question {
        endpoint: match &settings.endpoint {
            ZmqEndpoint::Tcp(address) => zmq::Endpoint::Tcp(address.as_str().to_owned()),
            ZmqEndpoint::Ipc(path) => zmq::Endpoint::Ipc(path.clone()),
        },
        wanted: settings.socket.map(|socket| socket.as_str().to_owned()),
        echo: settings.echo.clone().map(String::into_bytes),
    }
}

/// The bus on which systemd is asked; nothing on a machine without it. Who names another one knows that it is there.
pub(crate) fn bus(configured: &ConfiguredBus, is_booted_with_systemd: bool) -> Option<systemd::Bus> {
    match configured {
        ConfiguredBus::System => is_booted_with_systemd.then_some(systemd::Bus::System),
        ConfiguredBus::User => Some(systemd::Bus::User),
        ConfiguredBus::Address(address) => Some(systemd::Bus::Address(address.clone())),
    }
}

/// The limits of each number.
pub(crate) fn limits(config: &Config) -> BTreeMap<Quantity, Limits> {
    let resources = &config.resources;
    let above = |threshold| limits_of(threshold, false);
    let mut limits = BTreeMap::from([
        (Quantity::Memory, above(&resources.memory)),
        (Quantity::Cpu, above(&resources.cpu)),
        (Quantity::Disk, above(&resources.disk)),
    ]);
    let shares = [
        (Quantity::Inodes, &resources.inodes),
        (Quantity::Swap, &resources.swap),
        (Quantity::PressureCpu, &resources.pressure_cpu),
        (Quantity::PressureMemory, &resources.pressure_memory),
        (Quantity::PressureIo, &resources.pressure_io),
        (Quantity::Descriptors, &resources.descriptors),
    ];
    limits
        .extend(shares.into_iter().filter_map(|(quantity, share)| Some((quantity, above(share.as_ref()?)))));
    let numbers = [(Quantity::Load, &resources.load), (Quantity::Temperature, &resources.temperature)];
    limits.extend(
        numbers
            .into_iter()
            .filter_map(|(quantity, number)| Some((quantity, limits_of(number.as_ref()?, false)))),
    );
    limits.extend(resources.disk_free.as_ref().map(|free| (Quantity::DiskFree, limits_of(free, true))));
    limits
}

fn limits_of<T: crate::config::units::Quantity>(threshold: &Threshold<T>, is_bad_below: bool) -> Limits {
    let number = |limit: Option<T>| limit.map(T::value);
    Limits {
        warning: number(threshold.warning),
        error: number(threshold.error),
        clear: number(threshold.clear),
        hold: threshold.hold,
        is_bad_below,
    }
}

/// How often a bad look is repeated before it is believed.
pub(crate) fn retries(config: &Config) -> BTreeMap<Subject, u8> {
    let services = config.services.iter().map(|(name, service)| (Subject::service(name), &service.schedule));
    let probes = config.probes.iter().map(|(name, probe)| (Subject::new(Kind::Probe, name), &probe.schedule));
    let zmq = config.zmq.iter().map(|(name, zmq)| (Subject::new(Kind::Zmq, name), &zmq.schedule));
    services.chain(probes).chain(zmq).map(|(subject, schedule)| (subject, schedule.retries)).collect()
}
