//! Temperatures, as `/sys/class/hwmon` shows them, or `/sys/class/thermal` where there are none.

use super::text;
use healthcheck_core::Temperature;
use std::collections::HashMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// A big machine has one for each of its cores.
const MAX_SENSORS: usize = 256;
const MAX_NAME_CHARS: usize = 64;
/// What is not connected tells -128 or 255 °C.
const PLAUSIBLE: RangeInclusive<f64> = -50.0..=200.0;

/// Each sensor with something to say, in the kernel's order.
pub(super) fn look(root: &Path) -> Vec<Temperature> {
    let chips = numbered(&root.join("sys/class/hwmon"), "hwmon", "");
    let mut found: Vec<_> = chips.iter().flat_map(|chip| of_chip(chip)).take(MAX_SENSORS).collect();
    if found.is_empty() {
        let zones = numbered(&root.join("sys/class/thermal"), "thermal_zone", "");
        found = zones.iter().filter_map(|zone| of_zone(zone)).take(MAX_SENSORS).collect();
    }
    number_namesakes(&mut found);
    found
}

fn of_chip(chip: &Path) -> Vec<Temperature> {
    let inputs = numbered(chip, "temp", "_input");
    let own = |name: &str| word(&chip.join(name)).or_else(|| word(&chip.join("device").join(name)));
    let Some(name) = inputs.first().and_then(|_| own("name")) else { return Vec::new() };
    let sensor = |input: &PathBuf| {
        let stem = input.file_name()?.to_str()?.strip_suffix("_input")?;
        let label = word(&input.with_file_name(format!("{stem}_label")));
        let name = format!("{name} {}", label.as_deref().unwrap_or(stem));
        Some(Temperature { name, celsius: celsius(input)? })
    };
    inputs.iter().filter_map(sensor).collect()
}

fn of_zone(zone: &Path) -> Option<Temperature> {
    Some(Temperature { name: word(&zone.join("type"))?, celsius: celsius(&zone.join("temp"))? })
}

/// The entries of a folder that are called `{before}{number}{after}`, in the order of their numbers.
fn numbered(folder: &Path, before: &str, after: &str) -> Vec<PathBuf> {
    let number = |path: &Path| -> Option<u32> {
        path.file_name()?.to_str()?.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = entries.filter_map(|path| Some((number(&path)?, path))).collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn word(path: &Path) -> Option<String> {
    let text = text::read(path)?;
    let word: String =
        text.trim().chars().filter(|letter| !letter.is_control()).take(MAX_NAME_CHARS).collect();
    (!word.is_empty()).then_some(word)
}

/// The kernel tells thousandths.
fn celsius(path: &Path) -> Option<f64> {
    let celsius = text::read(path)?.trim().parse::<f64>().ok()? / 1000.0;
    PLAUSIBLE.contains(&celsius).then_some(celsius)
}

/// Two disks of one kind have sensors of one name: the second gets a number.
fn number_namesakes(sensors: &mut [Temperature]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for sensor in sensors {
        let count = seen.entry(sensor.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            sensor.name = format!("{} {count}", sensor.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join("sys/class").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn found(root: &Path) -> Vec<(String, f64)> {
        look(root).into_iter().map(|sensor| (sensor.name, sensor.celsius)).collect()
    }

    #[test]
    fn each_sensor_has_the_name_of_its_chip_and_its_own() {
        let root = tempfile::tempdir().unwrap();
        put(
            root.path(),
            &[
                ("hwmon/hwmon10/name", "nvme\n"),
                ("hwmon/hwmon10/temp1_input", "38850\n"),
                ("hwmon/hwmon10/temp1_label", "Composite\n"),
                ("hwmon/hwmon2/name", "nvme\n"),
                ("hwmon/hwmon2/temp1_input", "41000\n"),
                ("hwmon/hwmon2/temp1_label", "Composite\n"),
                ("hwmon/hwmon0/device/name", "k10temp\n"),
                ("hwmon/hwmon0/temp10_input", "51000\n"),
                ("hwmon/hwmon0/temp2_input", "-5000\n"),
                ("hwmon/hwmon0/temp3_input", "-128000\n"),
                ("hwmon/hwmon0/temp4_input", "garbage\n"),
                ("hwmon/hwmon1/fan1_input", "1200\n"),
                ("thermal/thermal_zone0/type", "acpitz\n"),
                ("thermal/thermal_zone0/temp", "27800\n"),
            ],
        );
        let wanted = [
            ("k10temp temp2", -5.0),
            ("k10temp temp10", 51.0),
            ("nvme Composite", 41.0),
            ("nvme Composite 2", 38.85),
        ];
        assert_eq!(found(root.path()), wanted.map(|(name, celsius)| (name.to_owned(), celsius)));
    }

    #[test]
    fn zones_count_where_no_chip_tells() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(found(root.path()), []);
        put(
            root.path(),
            &[
                ("hwmon/hwmon0/name", "rpi_volt\n"),
                ("hwmon/hwmon0/in0_lcrit_alarm", "0\n"),
                ("thermal/thermal_zone0/type", "cpu-thermal\n"),
                ("thermal/thermal_zone0/temp", "48312\n"),
                ("thermal/cooling_device0/type", "Processor\n"),
            ],
        );
        assert_eq!(found(root.path()), [("cpu-thermal".to_owned(), 48.312)]);
    }

    #[test]
    fn hostile_names_and_numbers_are_bounded() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &[("hwmon/hwmon0/name", &"\u{1b}[31mx".repeat(99))]);
        for number in 0..300 {
            put(root.path(), &[(&format!("hwmon/hwmon0/temp{number}_input"), "1000")]);
        }
        put(
            root.path(),
            &[("hwmon/hwmon0/temp99999999999_input", "nan"), ("hwmon/hwmon0/temp7_input", "inf")],
        );
        let found = found(root.path());
        assert_eq!(found.len(), MAX_SENSORS);
        assert!(found.iter().all(|(name, _)| name.chars().count() < 80 && !name.contains('\u{1b}')));
    }
}
