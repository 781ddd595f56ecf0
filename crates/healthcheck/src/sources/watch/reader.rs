//! The thread that waits: for events of inotify, for changes of what is mounted, and for the next look at what cannot be
//! watched. Where everything is watched it wakes up for nothing else.

use super::way::Role;
use super::{POLL_INTERVAL, Pending, Place, Places, Shared, Subject};
use health_reporter::ServiceName;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::inotify::{Event, ReadFlags, Reader};
use std::ffi::CStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

const BUFFER_BYTES: usize = 16 * 1024;
/// Wake-ups in one span without a pause: more come only from somebody who writes all the time.
const MAX_WAKES: u32 = 100;
const SPAN: Duration = Duration::from_millis(100);
/// In a pause the kernel puts equal events together.
const PAUSE: Duration = Duration::from_millis(2);
const MOVED: ReadFlags = ReadFlags::MOVE_SELF.union(ReadFlags::DELETE_SELF);
/// The watch is over, or that which it watches is elsewhere.
const GONE: ReadFlags = MOVED.union(ReadFlags::IGNORED).union(ReadFlags::UNMOUNT);

pub(super) fn run(shared: &Shared, walks: &SyncSender<()>) {
    // It says when it has changed; where there is none, the slow rescan sees what is mounted.
    let mounts = File::open("/proc/self/mountinfo").ok().map(OwnedFd::from);
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
    let (mut pace, mut last_poll) = (Pace::new(), Instant::now());
    loop {
        let woken = wait(shared, mounts.as_ref(), last_poll);
        if shared.pending().is_over {
            return;
        }
        if woken.has_events {
            pace.breathe();
            read(shared, &mut buffer);
        }
        if last_poll.elapsed() >= POLL_INTERVAL {
            last_poll = Instant::now();
            look_again(shared);
        }
        if std::mem::take(&mut shared.places().is_walk_wanted) || woken.has_mounted {
            // Where one waits already, it begins after this.
            let _ = walks.try_send(());
        }
    }
}

#[derive(Debug, Default)]
struct Woken {
    has_events: bool,
    has_mounted: bool,
}

fn wait(shared: &Shared, mounts: Option<&OwnedFd>, last_poll: Instant) -> Woken {
    let mut sources = Vec::with_capacity(3);
    let wake = shared.wake.as_ref().ok();
    sources.extend(wake.map(|wake| PollFd::new(wake, PollFlags::IN)));
    sources.extend(mounts.map(|mounts| PollFd::new(mounts, PollFlags::PRI)));
    sources.extend(shared.inotify.get().map(|inotify| PollFd::new(inotify, PollFlags::IN)));
    // Without a descriptor to wake us, we look for ourselves.
    let is_polled = wake.is_none() || shared.places().is_polled();
    let timeout = is_polled.then(|| POLL_INTERVAL.saturating_sub(last_poll.elapsed()));
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    if poll(&mut sources, timeout.as_ref()).is_err() {
        return Woken::default();
    }
    let mut ready = sources.iter().map(|source| !source.revents().is_empty());
    let mut next = |is_there: bool| is_there && ready.next().unwrap_or(false);
    let is_woken = next(wake.is_some());
    let woken =
        Woken { has_mounted: next(mounts.is_some()), has_events: next(shared.inotify.get().is_some()) };
    if let Some(wake) = wake.filter(|_| is_woken) {
        let _ = rustix::io::read(wake, &mut [0_u8; 8]);
    }
    woken
}

/// Keeps whoever writes all the time from waking us all the time. Nobody else waits for that.
struct Pace {
    since: Instant,
    wakes: u32,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), wakes: 0 }
    }

    fn breathe(&mut self) {
        if self.since.elapsed() >= SPAN {
            *self = Self::new();
        }
        self.wakes += 1;
        if self.wakes > MAX_WAKES {
            thread::sleep(PAUSE);
        }
    }
}

/// What no event tells of may have changed.
fn look_again(shared: &Shared) {
    let mut places = shared.places();
    places.is_walk_wanted |= places.is_polled();
    let due: Vec<_> = places.all.iter().filter(|place| place.is_due()).map(|place| place.subject).collect();
    drop(places);
    shared.hint(|pending| due.into_iter().for_each(|subject| pending.again(subject)));
}

/// One reading of the queue: what does not fit into it wakes us again.
fn read(shared: &Shared, buffer: &mut [MaybeUninit<u8>]) {
    let Some(inotify) = shared.inotify.get() else { return };
    let mut events = Reader::new(inotify, buffer);
    let mut places = shared.places();
    shared.hint(|pending| {
        while let Ok(event) = events.next() {
            take_in(&mut places, pending, &event);
            if events.is_buffer_empty() {
                break;
            }
        }
        // The walker waits for neither.
        drop(places);
    });
}

fn take_in(places: &mut Places, pending: &mut Pending, event: &Event<'_>) {
    if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
        places.all.iter().for_each(|place| pending.again(place.subject));
        places.is_walk_wanted = true;
        return;
    }
    let Some(roles) = places.roles.get(&event.wd()) else { return };
    for (index, role) in roles {
        let Some(place) = places.all.get(*index) else { continue };
        places.is_walk_wanted |= leads_elsewhere(place, role, event);
        if *role == Role::Goal {
            note(place.subject, pending, event);
        }
    }
}

/// Whether the path may lead elsewhere from now on.
fn leads_elsewhere(place: &Place, role: &Role, event: &Event<'_>) -> bool {
    let is_of_itself = event.file_name().is_none();
    match role {
        Role::Holds(next) => {
            let is_next = |name: &CStr| name.to_bytes() == next.as_encoded_bytes();
            event.file_name().is_some_and(is_next) || event.events().intersects(GONE)
        }
        Role::Leads => is_of_itself,
        // A file that another one was renamed over is told to have one name less.
        Role::Goal => {
            event.events().intersects(GONE)
                || (place.subject == Subject::File && event.events().contains(ReadFlags::ATTRIB))
        }
    }
}

fn note(subject: Subject, pending: &mut Pending, event: &Event<'_>) {
    match (subject, event.file_name()) {
        (Subject::Reports(dir), Some(name)) => {
            if let Some(name) = service(name.to_bytes()) {
                pending.name(dir, name);
            }
        }
        // Who may read it has changed; of what is gone the walker tells.
        (Subject::Reports(_), None) if !event.events().contains(ReadFlags::ATTRIB) => {}
        (subject, _) => pending.again(subject),
    }
}

/// The service of a report. What is no report is not even looked at further.
fn service(file: &[u8]) -> Option<ServiceName> {
    let stem = file.strip_suffix(b".json").filter(|stem| !stem.starts_with(b"."))?;
    std::str::from_utf8(stem).ok()?.parse().ok()
}
