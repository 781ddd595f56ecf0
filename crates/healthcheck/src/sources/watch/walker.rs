//! The thread that follows paths. It may be stuck in one that leads to a dead mount; then only paths wait for it.

use super::way::{Kind, Watches, Way};
use super::{Asked, Place, Shared};
use crate::sources::machine::{self, MayHang};
use crate::sources::{canary, paths};
use rustix::fs::inotify::{self, CreateFlags};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Whoever exchanges directories all the time does not keep us walking all the time.
const PAUSE: Duration = Duration::from_millis(10);
/// How often a file system that may be dead is asked whether it is.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_mins(1);

pub(super) fn run(shared: &Arc<Shared>, wanted: &Receiver<()>) {
    let mut watches = Watches::default();
    loop {
        walk(shared, &mut watches);
        thread::sleep(PAUSE);
        if wanted.recv().is_err() || shared.pending().is_over {
            return;
        }
    }
}

fn walk(shared: &Arc<Shared>, watches: &mut Watches) {
    let mut places = shared.places();
    places.walking_since = Some(Instant::now());
    let ahead: Vec<_> = places.all.iter().map(|place| (place.path.clone(), place.kind())).collect();
    drop(places);
    let mounts = machine::may_hang();
    for (index, (path, kind)) in ahead.into_iter().enumerate() {
        if may_follow(shared, index, &path, &mounts) {
            let way = follow(shared, watches, &path, kind);
            lead(shared, watches, index, way);
        }
    }
    let mut places = shared.places();
    places.walks += 1;
    places.walking_since = None;
    drop(places);
    shared.walked.notify_all();
}

fn follow(shared: &Shared, watches: &mut Watches, path: &Path, kind: Kind) -> Way {
    let Some(inotify) = shared.inotify.get() else {
        return match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(made) => {
                let inotify = shared.inotify.get_or_init(|| made);
                shared.wake();
                watches.follow(inotify, path, kind)
            }
            Err(why) => Way::unwatched(path, why),
        };
    };
    watches.follow(inotify, path, kind)
}

/// From now on its events are understood. Those before were not: so it is looked at again.
fn lead(shared: &Shared, watches: &mut Watches, index: usize, way: Way) {
    let mut places = shared.places();
    let is_polled = places.is_polled();
    let is_other = places.lead(index, way);
    let subject = places.all.get(index).map(|place| place.subject);
    let is_to_be_polled = !is_polled && places.is_polled();
    let is_shaken = match shared.inotify.get() {
        Some(inotify) => watches.keep(inotify, places.all.iter().map(|place| &place.way)),
        None => false,
    };
    let shaken: Vec<_> = places.all.iter().filter(|_| is_shaken).map(|place| place.subject).collect();
    places.is_walk_wanted |= is_shaken;
    drop(places);
    if is_to_be_polled || is_shaken {
        shared.wake();
    }
    if is_other || is_shaken {
        let changed = subject.filter(|_| is_other).into_iter().chain(shaken);
        shared.hint(|pending| changed.for_each(|subject| pending.again(subject)));
    }
}

/// Whether the path may be followed without being stuck: below a mount that may be dead another process goes ahead.
fn may_follow(shared: &Arc<Shared>, index: usize, path: &Path, mounts: &MayHang) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let is_remote = paths::leads_below(&absolute, mounts);
    let mut places = shared.places();
    let Some(place) = places.all.get_mut(index) else { return false };
    place.is_remote = is_remote;
    match place.asked {
        _ if !is_remote => place.asked = Asked::Not,
        Asked::Out(_) => return false,
        Asked::Alive(since) if since.elapsed() < SIGN_OF_LIFE_INTERVAL => return false,
        Asked::Answered => place.asked = Asked::Alive(Instant::now()),
        Asked::Not | Asked::Alive(_) => {
            place.asked = Asked::Out(Instant::now());
            drop(places);
            send_ahead(shared, index, absolute);
            return false;
        }
    }
    true
}

/// Another process asks, and another thread waits for it, however long that takes.
fn send_ahead(shared: &Arc<Shared>, index: usize, path: PathBuf) {
    let waiting = Arc::downgrade(shared);
    let ask = move || {
        // Kept until all of this ends, and then killed.
        let keep = |canary| with_place(&waiting, index, |place| place.canary = Some(canary));
        let has_come_back = canary::has_come_back(&path, keep);
        with_place(&waiting, index, |place| {
            place.canary = None;
            place.asked = if has_come_back { Asked::Answered } else { Asked::Not };
        });
        if let Some(shared) = waiting.upgrade() {
            shared.places().is_walk_wanted = true;
            shared.wake();
        }
    };
    if thread::Builder::new().name("report mount".to_owned()).spawn(ask).is_err() {
        with_place(&Arc::downgrade(shared), index, |place| place.asked = Asked::Not);
    }
}

fn with_place(shared: &Weak<Shared>, index: usize, change: impl FnOnce(&mut Place)) {
    if let Some(shared) = shared.upgrade()
        && let Some(place) = shared.places().all.get_mut(index)
    {
        change(place);
    }
}
