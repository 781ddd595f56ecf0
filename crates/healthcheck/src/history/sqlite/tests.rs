//! What is taken in is there, whatever happens to the process, the disk and the file.

mod costs;
mod damage;
mod disks;
mod kills;
mod queries;
mod sharing;
mod versions;

use super::*;
use crate::history::Record;
use crate::history::suite::{self, Teller};

#[test]
fn it_does_what_every_store_does() {
    let mut dirs = Vec::new();
    suite::every(&mut || {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Sqlite::to_write(database(dir.path()));
        dirs.push(dir);
        Box::new(store)
    });
}

fn database(dir: &Path) -> PathBuf {
    dir.join("history.db")
}

fn teller(dir: &Path) -> Teller {
    Teller::new(Box::new(Sqlite::to_write(database(dir))), Record::Changes)
}

/// One who goes on from where the store is.
#[track_caller]
fn returned(dir: &Path) -> Teller {
    let mut teller = teller(dir);
    teller.position = teller.store.position(&teller.origin).unwrap();
    teller
}

/// The names in a directory, sorted.
fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// xorshift: the same numbers in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}
