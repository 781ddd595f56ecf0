//! Families of samples as text.

use crate::render::text::printable;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Where families are written, one after the other.
pub(super) struct Exposition<'a> {
    out: &'a mut dyn Write,
}

/// A metric with its samples. Of two samples with the same labels only the first counts: readers refuse a file that
/// has both.
pub(super) struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    seen: HashSet<String>,
    samples: String,
}

impl<'a> Exposition<'a> {
    pub(super) fn on(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    /// Writes a family; one without a sample is none.
    pub(super) fn write(&mut self, family: Family) -> io::Result<()> {
        let Family { name, kind, help, samples, .. } = family;
        if samples.is_empty() {
            return Ok(());
        }
        write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}")
    }
}

impl Family {
    pub(super) fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, "gauge", help)
    }

    /// Its name ends in `_total`.
    pub(super) fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, "counter", help)
    }

    fn new(name: &'static str, kind: &'static str, help: &'static str) -> Self {
        Self { name, kind, help, seen: HashSet::new(), samples: String::new() }
    }

    /// A sample; `labels` are made by [`labels`], or nothing.
    pub(super) fn add(&mut self, labels: &str, value: f64) {
        if value.is_finite() && self.seen.insert(labels.to_owned()) {
            let name = self.name;
            // Writing into a string does not fail.
            let _ = writeln!(self.samples, "{name}{labels} {value}");
        }
    }

    pub(super) fn maybe(&mut self, labels: &str, value: Option<f64>) {
        value.into_iter().for_each(|value| self.add(labels, value));
    }
}

/// `{name="value",…}`
pub(super) fn labels(labels: &[(&str, &str)]) -> String {
    let each: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", each.join(","))
}

fn escaped(value: &str) -> String {
    // A line feed has its own way of being written; all else that a terminal obeys is none of a label's business.
    let lines: Vec<_> = value.split('\n').map(printable).collect();
    lines.join("\n").replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_no_sample_comes_twice() {
        let mut family = Family::gauge("x", "An example.");
        let hostile = labels(&[("a", "q\"b\\n\nc\u{1b}"), ("b", "")]);
        family.add(&hostile, 1.5);
        family.add(&hostile, 2.0);
        family.add("", f64::NAN);
        let mut out = Vec::new();
        let mut exposition = Exposition::on(&mut out);
        exposition.write(family).unwrap();
        exposition.write(Family::counter("y_total", "Nothing.")).unwrap();
        let wanted = "# HELP x An example.\n# TYPE x gauge\nx{a=\"q\\\"b\\\\n\\nc\u{fffd}\",b=\"\"} 1.5\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
