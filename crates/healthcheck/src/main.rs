//! Tells how the services on this machine are.

mod channels;
mod cli;
mod commands;
mod config;
#[cfg(test)]
#[expect(dead_code, reason = "stories use more of it")]
#[path = "../../../tests/support/etcd.rs"]
mod etcd_server;
mod fleet;
mod history;
mod monitor;
#[cfg(test)]
#[path = "../../../tests/support/postgres.rs"]
mod postgres_server;
mod processes;
mod render;
mod secret;
mod sources;
mod sqlite;
mod state;
mod system_error;
mod terminal;
mod tls;
#[cfg(test)]
#[path = "../../../tests/support/web.rs"]
mod web;

use clap::Parser;
use clap::error::ErrorKind as Usage;
use cli::{Cli, Command, Common, ConfigCommand, ExitCodes, Format};
use commands::config::ShowFormat;
use commands::past::Moment;
use commands::retire::Retire;
use commands::running_monitor::{Directories, RunningMonitor};
use config::{Config, Surroundings};
use health_reporter::directory::{self, Environment};
use monitor::published::Places;
use render::Picture;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing::{error, warn};
use tracing_subscriber::filter::LevelFilter;

/// Wrong usage, a wrong configuration, and whatever else keeps us from judging: unknown.
const UNKNOWN: u8 = 3;
/// Where a monitor is looked for if the configuration does not say where state is kept.
const DEVELOPMENT_STATE_DIR: &str = "logs";

fn main() -> ExitCode {
    let env = Environment::of_this_process();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    log_to_stderr(&cli.common, &env);
    match run(&cli, &env) {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            unknown(cli.exit_code)
        }
    }
}

fn unknown(codes: ExitCodes) -> ExitCode {
    ExitCode::from(match codes {
        ExitCodes::Nagios => UNKNOWN,
        ExitCodes::Simple => 1,
    })
}

fn usage(error: &clap::Error) -> ExitCode {
    // Whoever asked for help and closed the pipe has seen enough.
    let _ = error.print();
    match error.kind() {
        Usage::DisplayHelp | Usage::DisplayVersion => ExitCode::SUCCESS,
        // What was wrong may stand before or after the flag, so it is looked for by itself.
        _ if std::env::args_os().any(|argument| argument.as_encoded_bytes().ends_with(b"simple")) => {
            unknown(ExitCodes::Simple)
        }
        _ => unknown(ExitCodes::Nagios),
    }
}

fn run(cli: &Cli, env: &Environment) -> anyhow::Result<u8> {
    let variable = |name: &str| std::env::var_os(name);
    let given = Surroundings::of_this_process(cli.common.config.as_deref(), &variable);
    if cli.at.is_some() && cli.command.is_some() {
        anyhow::bail!("--at shows the snapshot of another time: leave out the command");
    }
    match &cli.command {
        None => {
            let picture = snapshot(cli, env, &load(&given)?)?;
            commands::snapshot::show(&picture, cli.common.format, cli.exit_code, env)
        }
        Some(Command::Monitor) => {
            let load = || {
                let config = load(&given)?;
                let dirs = dirs(&cli.common, env, &config.health_dirs).dirs;
                Ok(monitor::Settings::of(config, dirs))
            };
            monitor::run(&load, env)
        }
        Some(Command::Report(report)) => report.write(&writers_dir(&cli.common, env, &given)).map(|()| 0),
        Some(Command::Run(run)) => Ok(exit_byte(run.run(&writers_dir(&cli.common, env, &given)))),
        Some(Command::Publish(publish)) => {
            let config = load(&given)?;
            publish.publish(&config, Box::new(watcher(cli, env, &config)))
        }
        Some(Command::Config(command)) => configuration(*command, &given, cli.common.format),
        Some(command) => ask(command, cli, env, &load(&given)?),
    }
}

/// What is asked of the monitor, where one runs.
fn ask(command: &Command, cli: &Cli, env: &Environment, config: &Config) -> anyhow::Result<u8> {
    let (meant, monitor) = watched(cli, env, config);
    let (monitor, format) = (monitor.as_ref(), cli.common.format);
    match command {
        Command::Why(why) => {
            let chain = why.chain(monitor, config, &meant.dirs)?;
            commands::why::show(&chain, format, env)?;
        }
        Command::Incidents(list) => list.show(monitor, &config.state_dir, env, format)?,
        Command::History(history) => history.run(monitor, config, env, format)?,
        Command::Uptime(uptime) => uptime.show(monitor, config, env, format)?,
        Command::Replay(replay) => replay.show(monitor, config, env, format)?,
        Command::Ack(ack) => ack.acknowledge(monitor, env, format)?,
        Command::Silence(silence) => {
            let find = || watched(cli, env, config).1;
            return silence.silence(&find, env, format).map(exit_byte);
        }
        Command::Silences => commands::silences::list(monitor, &config.state_dir, env, format)?,
        Command::Unsilence(unsilence) => unsilence.end(monitor, env, format)?,
        Command::Forget(forget) => forget.forget(monitor, &config.state_dir, &meant.dirs)?,
        Command::Fleet(fleet) => return fleet.run(monitor, config, env, format, cli.exit_code),
        Command::Drill(drill) if !drill.drill(monitor, config, env, format)? => {
            return Ok(UNKNOWN);
        }
        Command::Retire(_) => Retire::retire(monitor, config, env, format)?,
        _ => {}
    }
    Ok(0)
}

fn configuration(
    command: ConfigCommand,
    given: &Surroundings<'_>,
    format: Option<Format>,
) -> anyhow::Result<u8> {
    let mut out = io::stdout().lock();
    let code = match command {
        ConfigCommand::Check => commands::config::check(&mut out, given),
        ConfigCommand::Show if format == Some(Format::Json) => {
            commands::config::show(&mut out, given, ShowFormat::Json)
        }
        ConfigCommand::Show => commands::config::show(&mut out, given, ShowFormat::Toml),
        ConfigCommand::Schema => commands::config::schema(&mut out),
    }?;
    out.flush()?;
    Ok(code)
}

fn load(given: &Surroundings<'_>) -> anyhow::Result<Config> {
    let config = config::load(given)?;
    tracing::debug!("configuration: {}", config.source);
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    Ok(config)
}

/// What the monitor sees, where one runs for these directories; else, or if it is wanted so, a look of our own; or what
/// the history tells of another time.
fn snapshot(cli: &Cli, env: &Environment, config: &Config) -> anyhow::Result<Picture> {
    let (meant, monitor) = watched(cli, env, config);
    if let Some(Moment(at)) = cli.at {
        let opened = commands::store::open_to_read(config, monitor.as_ref(), None)?;
        return commands::store::ask(config, opened, |it| commands::past::picture(config, it, at));
    }
    let seen = monitor.as_ref().and_then(commands::snapshot::of_monitor);
    Ok(seen.unwrap_or_else(|| commands::snapshot::look(config, &meant.dirs, cli.sample)))
}

/// The directories that are meant, and the monitor that watches them and is to be asked.
fn watched(cli: &Cli, env: &Environment, config: &Config) -> (Directories, Option<RunningMonitor>) {
    watcher(cli, env, config)()
}

/// The same, for whoever asks again and again.
fn watcher(
    cli: &Cli,
    env: &Environment,
    config: &Config,
) -> impl Fn() -> (Directories, Option<RunningMonitor>) + Send + use<> {
    let meant = dirs(&cli.common, env, &config.health_dirs);
    let is_direct = cli.direct || cli.sample.is_some();
    let places = Places::of(&config.state_dir, env);
    move || {
        if is_direct && meant.are_named {
            return (meant.clone(), None);
        }
        // A direct look is at the same directories: the two would speak of different services otherwise.
        let (meant, monitor) = meant.clone().watched(&places);
        (meant, monitor.filter(|_| !is_direct))
    }
}

fn dirs(common: &Common, env: &Environment, configured: &[PathBuf]) -> Directories {
    let flag = common.health_dir.as_deref();
    let are_named = flag.is_some() || env.get("HEALTH_DIR").is_some() || !configured.is_empty();
    Directories { dirs: directory::resolve(flag, env, configured, None), are_named }
}

/// Where a writer writes. Nothing is left unsaid, and no command unrun, because of a wrong configuration.
fn writers_dir(common: &Common, env: &Environment, given: &Surroundings<'_>) -> PathBuf {
    let config = load(given).inspect_err(|error| warn!("{error:#}")).ok();
    let (configured, state_dir) = match &config {
        Some(config) => (&config.health_dirs[..], &*config.state_dir),
        None => (&[][..], Path::new(DEVELOPMENT_STATE_DIR)),
    };
    dirs(common, env, configured).for_a_writer(&Places::of(state_dir, env))
}

fn exit_byte(code: i32) -> u8 {
    u8::try_from(code & 0xff).unwrap_or(UNKNOWN)
}

fn log_to_stderr(common: &Common, env: &Environment) {
    let from_env =
        || ["LOG_LEVEL", "RUST_LOG"].iter().find_map(|key| env.get(key)?.to_lowercase().parse().ok());
    let level = common.log_level.or_else(from_env).unwrap_or(LevelFilter::WARN);
    let format = tracing_subscriber::fmt().with_writer(io::stderr).with_max_level(level);
    // Without a place for warnings there is none for complaints about that either.
    format.log_internal_errors(false).without_time().with_target(false).with_ansi(false).init();
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_broken)
}
