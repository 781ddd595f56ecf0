//! Tells how the services on this machine are.

mod cli;
mod commands;
#[cfg_attr(not(test), expect(dead_code, reason = "the parts that take these settings do not exist yet"))]
#[expect(unused_imports, reason = "the parts that take these settings do not exist yet")]
mod config;
mod render;
mod sources;
mod terminal;

use clap::Parser;
use clap::error::ErrorKind as Usage;
use cli::{Cli, Command, Common, ConfigCommand, ExitCodes, Format};
use commands::config::ShowFormat;
use config::{Config, Surroundings};
use health_reporter::directory::{self, Environment};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing::{error, warn};
use tracing_subscriber::filter::LevelFilter;

/// Wrong usage, a wrong configuration, and whatever else keeps us from judging: unknown.
const UNKNOWN: u8 = 3;

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
    match &cli.command {
        None => {
            let config = load(&given)?;
            let picture = commands::snapshot::look(&config, &dirs(&cli.common, env, &config), cli.sample);
            commands::snapshot::show(&picture, cli.common.format, cli.exit_code, env)
        }
        Some(Command::Report(report)) => report.write(&writers_dir(&cli.common, env, &given)).map(|()| 0),
        Some(Command::Run(run)) => Ok(exit_byte(run.run(&writers_dir(&cli.common, env, &given)))),
        Some(Command::Config(command)) => configuration(*command, &given, cli.common.format),
    }
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

fn dirs(common: &Common, env: &Environment, config: &Config) -> Vec<PathBuf> {
    directory::resolve(common.health_dir.as_deref(), env, &config.health_dirs, None)
}

/// Where a writer writes. Nothing is left unsaid, and no command unrun, because of a wrong configuration.
fn writers_dir(common: &Common, env: &Environment, given: &Surroundings<'_>) -> PathBuf {
    let config = load(given).inspect_err(|error| warn!("{error:#}")).ok();
    let configured = config.as_ref().map_or(&[][..], |config| &config.health_dirs);
    directory::resolve(common.health_dir.as_deref(), env, configured, None).swap_remove(0)
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
