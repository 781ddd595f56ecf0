//! What is taken in is there, whatever happens to the process, the disk and the file.

use super::*;
use crate::history::suite;

#[test]
fn it_does_what_every_store_does() {
    let mut dirs = Vec::new();
    suite::every(&mut || {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let store = Sqlite::to_write(dir.path().join("history.db"));
        dirs.push(dir);
        Box::new(store)
    });
}
