//! Times as they stand in the tables: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC. They compare as texts, also with what
//! `datetime('now', '-7 days')` gives.

use jiff::Timestamp;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

const LENGTH: usize = 26;
const DAY: i64 = 86_400;
/// The beginning of the year 0 and the end of the year 9999, in microseconds since 1970: others have no four digits.
const FIRST: i64 = -62_167_219_200 * 1_000_000;
const LAST: i64 = 253_402_207_200_000_000;
/// Days from the first of March of the year 0 to 1970.
const EPOCH_FROM_MARCH: i64 = 719_468;
const DAYS_OF_400_YEARS: i64 = 146_097;

/// A time, written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp([u8; LENGTH]);

impl Stamp {
    pub(super) fn of(at: Timestamp) -> Self {
        let micros = at.as_nanosecond().div_euclid(1_000);
        let micros = i64::try_from(micros).unwrap_or(LAST).clamp(FIRST, LAST);
        let (second, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let (year, month, day) = civil(second.div_euclid(DAY));
        let of_day = second.rem_euclid(DAY);
        let mut text = *b"0000-00-00 00:00:00.000000";
        write(&mut text[0..4], year);
        write(&mut text[5..7], month);
        write(&mut text[8..10], day);
        write(&mut text[11..13], of_day / 3_600);
        write(&mut text[14..16], of_day / 60 % 60);
        write(&mut text[17..19], of_day % 60);
        write(&mut text[20..26], fraction);
        Self(text)
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl ToSql for Stamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

/// The time that is written; nothing where it is none.
pub(super) fn parse(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; LENGTH] = text.try_into().ok()?;
    let separators = [text[4], text[7], text[10], text[13], text[16], text[19]];
    if separators != *b"-- ::." {
        return None;
    }
    let days = days(read(&text[0..4])?, read(&text[5..7])?, read(&text[8..10])?);
    let of_day = read(&text[11..13])? * 3_600 + read(&text[14..16])? * 60 + read(&text[17..19])?;
    Timestamp::from_microsecond((days * DAY + of_day) * 1_000_000 + read(&text[20..26])?).ok()
}

fn write(to: &mut [u8], mut number: i64) {
    for digit in to.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn read(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// Year, month and day of a day since 1970; years are counted from March on, so that the odd day is their last.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_FROM_MARCH;
    let (era, of_era) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * DAYS_OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_FROM_MARCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_jiff_writes_and_is_read_again() {
        let mut micros = FIRST;
        while micros < LAST - 10_000_000_000 {
            let at = Timestamp::from_microsecond(micros).unwrap();
            let stamp = Stamp::of(at);
            let expected = at.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string();
            assert_eq!(std::str::from_utf8(stamp.bytes()).unwrap(), expected);
            assert_eq!(parse(stamp.bytes()), Some(at));
            micros += 7_777_777_777_777_777;
        }
        assert_eq!(Stamp::of(Timestamp::MIN).bytes(), b"0000-01-01 00:00:00.000000");
        assert_eq!(parse(Stamp::of(Timestamp::MAX).bytes()).unwrap().as_microsecond(), LAST);
    }

    #[test]
    fn each_day_of_four_hundred_years_is_the_one_it_is() {
        let mut at: Timestamp = "1900-01-01T23:59:59.999999Z".parse().unwrap();
        for _ in 0..146_097 {
            assert_eq!(parse(Stamp::of(at).bytes()), Some(at));
            at += jiff::SignedDuration::from_hours(24);
        }
        assert_eq!(at.to_string(), "2300-01-01T23:59:59.999999Z");
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2025-06-01",
            "2025-06-01T12:00:00.000000",
            "2025-06-0x 12:00:00.000000",
            "2025-06-01 12:00:00.0000000",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
