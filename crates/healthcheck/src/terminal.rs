//! The terminal: how wide it is, and whether it wants colour.

use crate::render::table::Surface;
use health_reporter::directory::Environment;

const DEFAULT_COLUMNS: usize = 80;
const MIN_COLUMNS: usize = 40;
const MAX_COLUMNS: usize = 1_000;

/// The surface of the standard output. `NO_COLOR` wins over whatever asks for colour.
pub(crate) fn surface(env: &Environment, is_terminal: bool) -> Surface {
    let given = env.get("COLUMNS").and_then(|columns| columns.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let columns = given.or_else(asked).filter(|columns| *columns > 0).unwrap_or(DEFAULT_COLUMNS);
    Surface { columns: columns.clamp(MIN_COLUMNS, MAX_COLUMNS), colour: wants_colour(env, is_terminal) }
}

fn wants_colour(env: &Environment, is_terminal: bool) -> bool {
    let is_forced =
        ["CLICOLOR_FORCE", "FORCE_COLOR"].iter().any(|key| env.get(key).is_some_and(|value| value != "0"));
    if env.get("NO_COLOR").is_some() {
        return false;
    }
    is_forced || (is_terminal && env.get("TERM") != Some("dumb"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_colour_wins() {
        let wants = |variables: &[(&str, &str)], is_terminal| {
            wants_colour(&variables.iter().copied().collect(), is_terminal)
        };
        assert!(wants(&[], true) && !wants(&[], false));
        assert!(wants(&[("CLICOLOR_FORCE", "1")], false));
        assert!(!wants(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
        assert!(wants(&[("NO_COLOR", "")], true));
        assert!(!wants(&[("TERM", "dumb")], true));
    }
}
