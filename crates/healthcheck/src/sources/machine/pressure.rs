//! Pressure stall information, `/proc/pressure`.

/// The share of the last ten seconds in which at least one process waited. A kernel without it, or with it switched
/// off, has no such file, or one that cannot be read: then it is absent, never zero.
pub(super) fn some_ratio(text: &str) -> Option<f64> {
    let fields = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let percent = fields.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?;
    let percent = percent.parse::<f64>().ok().filter(|percent| (0.0..=100.0).contains(percent))?;
    Some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IO: &str =
        "some avg10=12.50 avg60=0.90 avg300=1.50 total=1828167308\nfull avg10=3.00 avg60=0.00 total=0\n";

    #[test]
    fn it_is_the_share_in_which_some_waited() {
        assert_eq!(some_ratio(IO), Some(0.125));
        // Linux 5.4 has no line of all for the processor.
        assert_eq!(some_ratio("some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"), Some(0.0));
    }

    #[test]
    fn f13_what_makes_no_sense_is_absent_and_not_zero() {
        for text in [
            "",
            "full avg10=1.00\n",
            "some avg10=nan\n",
            "some avg10=-1\n",
            "some avg10=101\n",
            "some avg10=",
        ] {
            assert_eq!(some_ratio(text), None, "{text}");
        }
        for cut in 0..IO.len() {
            let _ = some_ratio(&IO[..cut]);
        }
    }
}
