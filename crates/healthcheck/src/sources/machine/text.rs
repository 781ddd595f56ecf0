//! Reading the small text files in which the kernel tells of itself.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// 20,000 mounts fit.
const LIMIT: u64 = 4 << 20;
/// Most of these files are read by one call, and one more that finds their end.
const USUAL: usize = 8 << 10;

/// The whole lines of a file, at most `LIMIT` bytes; nothing where it cannot be read.
pub(super) fn read_bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL);
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 == LIMIT {
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
    }
    Some(bytes)
}

/// The same as text.
pub(super) fn read(path: &Path) -> Option<String> {
    let bytes = read_bytes(path)?;
    Some(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into()))
}

/// Fields of mountinfo and of fstab write spaces, and whatever else would end them, as `\040`.
pub(super) fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = (first == b'\\').then(|| octal(after)).flatten();
        plain.push(octal.unwrap_or(first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    plain
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..3)?).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| u8::from_str_radix(digits, 8).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_escapes_are_turned_back_and_nothing_else_is() {
        let plain = |text: &str| String::from_utf8(unescaped(text.as_bytes())).unwrap();
        assert_eq!(plain(r"/mnt/My\040Book\011x\134y\012"), "/mnt/My Book\tx\\y\n");
        for same in [r"a\04", r"a\", r"a\9zz", r"a\777", r"a\+12", ""] {
            assert_eq!(plain(same), same);
        }
        assert_eq!(unescaped(b"\\303\\251\xff"), "é".bytes().chain([0xff]).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_without_end_is_cut_at_its_last_whole_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "a line\n".repeat(1 << 20)).unwrap();
        let read = read_bytes(file.path()).unwrap();
        assert!(read.len() as u64 <= LIMIT && read.len() as u64 > LIMIT - 7 && read.ends_with(b"a line\n"));
        assert!(super::read(Path::new("/dev/zero")).unwrap().is_empty());
        assert_eq!(super::read(Path::new("/nothing/here")), None);
    }
}
