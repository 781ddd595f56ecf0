//! `healthcheck config check|show|schema`: what the configuration is, and what is wrong with it.

use std::io::Write;

use crate::config::{self, Config, Surroundings};

/// Exit code of a command that did what it was asked for.
const DONE: u8 = 0;
/// Exit code of a configuration that cannot be used.
const UNUSABLE: u8 = 3;

/// How `show` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShowFormat {
    Toml,
    Json,
}

/// Says which file counts and that it is well, or everything that is wrong with it; the exit code is 0 or 3.
pub(crate) fn check(out: &mut dyn Write, given: &Surroundings<'_>) -> anyhow::Result<u8> {
    match config::load(given) {
        Ok(config) => {
            writeln!(out, "{}: ok", config.source)?;
            for warning in &config.warnings {
                writeln!(out, "warning: {warning}")?;
            }
            Ok(DONE)
        }
        Err(errors) => {
            writeln!(out, "{errors}")?;
            Ok(UNUSABLE)
        }
    }
}

/// Writes the configuration as it counts: every default filled in, secrets masked. As TOML it can be used as a file.
///
/// # Errors
///
/// Everything that is wrong with the configuration; or that `out` cannot be written to.
pub(crate) fn show(out: &mut dyn Write, given: &Surroundings<'_>, format: ShowFormat) -> anyhow::Result<u8> {
    let config = config::load(given)?;
    match format {
        ShowFormat::Toml => show_toml(out, &config)?,
        ShowFormat::Json => show_json(out, &config)?,
    }
    Ok(DONE)
}

fn show_toml(out: &mut dyn Write, config: &Config) -> anyhow::Result<()> {
    writeln!(out, "# source: {}", config.source)?;
    writeln!(out, "# state directory: {}", config.state_dir.display().to_string().escape_debug())?;
    for warning in &config.warnings {
        writeln!(out, "# warning: {warning}")?;
    }
    write!(out, "\n{}", toml::to_string_pretty(config)?)?;
    Ok(())
}

fn show_json(out: &mut dyn Write, config: &Config) -> anyhow::Result<()> {
    let shown = serde_json::json!({
        "source": config.source.to_string(),
        "state_directory": config.state_dir.to_string_lossy(),
        "warnings": config.warnings,
        "configuration": toml::Table::try_from(config)?,
    });
    serde_json::to_writer_pretty(&mut *out, &shown)?;
    writeln!(out)?;
    Ok(())
}

/// Writes the JSON Schema of the file.
pub(crate) fn schema(out: &mut dyn Write) -> anyhow::Result<u8> {
    serde_json::to_writer_pretty(&mut *out, &config::schema())?;
    writeln!(out)?;
    Ok(DONE)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::path::Path;

    use super::*;

    const SECRET: &str = "canary-7f3a";

    fn with_file<T>(text: &str, run: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.toml");
        fs::write(&path, text).unwrap();
        let env = |_: &str| None::<OsString>;
        run(&Surroundings { flag: Some(&path), ..Surroundings::of_this_process(None, &env) })
    }

    fn without_file<T>(run: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        let dir = tempfile::tempdir().unwrap();
        let env = |_: &str| None::<OsString>;
        let nowhere = Path::new("/nonexistent/healthcheck.toml");
        let this = Surroundings::of_this_process(None, &env);
        run(&Surroundings { working_dir: dir.path(), system_file: nowhere, ..this })
    }

    fn output(run: impl FnOnce(&mut dyn Write) -> anyhow::Result<u8>) -> (u8, String) {
        let mut out = Vec::new();
        let code = run(&mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn check_names_the_file() {
        let (code, text) = with_file("[fleet]", |given| output(|out| check(out, given)));
        assert_eq!(code, 0);
        assert!(text.ends_with("own.toml: ok\n"), "{text}");
        assert_eq!(without_file(|given| output(|out| check(out, given))), (0, "defaults: ok\n".to_owned()));
    }

    #[test]
    fn check_tells_every_error_and_ends_with_3() {
        let wrong = "projekt = 1\n[services.a]\nretries = 21\n";
        let (code, text) = with_file(wrong, |given| output(|out| check(out, given)));
        assert_eq!((code, text.lines().count()), (3, 2), "{text}");
        assert!(text.contains("own.toml: projekt: unknown key; did you mean \"project\"?\n"), "{text}");
        assert!(text.contains("own.toml: services.a.retries = 21: must be 0 to 20"), "{text}");
    }

    #[test]
    fn show_fills_in_defaults_and_masks_secrets() {
        let text = format!("[history]\nurl = \"postgres://u:{SECRET}@db/h\"\n");
        let (_, toml) = with_file(&text, |given| output(|out| show(out, given, ShowFormat::Toml)));
        let (_, json) = with_file(&text, |given| output(|out| show(out, given, ShowFormat::Json)));
        assert!(toml.starts_with("# source: ") && toml.contains("own.toml\n"), "{toml}");
        assert!(toml.contains("stopped_after = \"1h\"") && toml.contains("postgres://***@db/h"), "{toml}");
        assert!(!toml.contains(SECRET) && !json.contains(SECRET));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["configuration"]["history"]["url"], "postgres://***@db/h");
        assert_eq!(json["configuration"]["alerts"]["cooldown"], "5m");
        assert!(json["source"].as_str().is_some_and(|source| source.ends_with("own.toml")));
    }

    #[test]
    fn show_of_a_wrong_configuration_is_an_error() {
        let mut out = Vec::new();
        let error = with_file("x = 1", |given| show(&mut out, given, ShowFormat::Toml)).unwrap_err();
        assert!(error.to_string().contains("x: unknown key"), "{error}");
        assert!(out.is_empty());
    }

    #[test]
    fn schema_is_the_kept_one() {
        let (_, text) = output(schema);
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.schema.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&kept, &text).unwrap();
        }
        let same = fs::read_to_string(&kept).is_ok_and(|kept| kept == text);
        assert!(same, "docs/configuration.schema.json is out of date: run the tests with UPDATE_DOCS=1");
    }
}
