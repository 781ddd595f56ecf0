//! The way to a path: what is watched so that no directory or link on it is exchanged unseen.
//!
//! Where the path exists, its directories tell themselves when they are moved, and its links when they are replaced:
//! whatever else happens beside them wakes nobody. Only the last directory needs its parent's word for its deletion,
//! which is not told to itself while we hold it open. Where the path does not exist, each directory on the way is asked
//! for the next name *before* that is looked for.

use rustix::fd::OwnedFd;
use rustix::fs::inotify::{self, WatchFlags};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;
/// How often what was there and then was not is looked for, before it is watched for more than is needed.
const PASSES: usize = 3;

/// Nothing of reading: our own would lead to the next.
const REPORTS: WatchFlags =
    WatchFlags::CLOSE_WRITE.union(NAMES).union(WatchFlags::ATTRIB).union(MOVED).union(WatchFlags::ONLYDIR);
const CONTENT: WatchFlags = WatchFlags::CLOSE_WRITE.union(WatchFlags::ATTRIB).union(MOVED);
const MOVED: WatchFlags = WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF);
/// A link that has other names, too, is told to have fewer.
const LINK: WatchFlags = WatchFlags::ATTRIB.union(MOVED).union(WatchFlags::DONT_FOLLOW);
const NAMES: WatchFlags = WatchFlags::CREATE.union(WatchFlags::MOVED_TO).union(GONE);
const GONE: WatchFlags = WatchFlags::DELETE.union(WatchFlags::MOVED_FROM);
const FOLDER: WatchFlags = MOVED.union(WatchFlags::ONLYDIR);

/// What a path is to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory, of which every name is told.
    Directory,
    File,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Goal {
    #[default]
    Absent,
    /// It is there, or may be: no event tells of it.
    Unwatched,
    /// The number is that of one directory or file, and never of another one.
    Watched(i32),
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) watch: i32,
    pub(super) flags: WatchFlags,
    pub(super) role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// A directory that holds the next one.
    Holds(OsString),
    /// A directory or link: exchanged, it leads elsewhere.
    Leads,
    Goal,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    pub(super) steps: Vec<Step>,
    pub(super) goal: Goal,
    /// The first part that could not be watched.
    pub(super) trouble: Option<(PathBuf, Errno)>,
}

impl Way {
    /// Where nothing can be watched.
    pub(super) fn unwatched(path: &Path, why: Errno) -> Self {
        Self { steps: Vec::new(), goal: Goal::Unwatched, trouble: Some((path.to_owned(), why)) }
    }
}

/// The watches of one inotify: which there are, and for what.
#[derive(Debug, Default)]
pub(super) struct Watches {
    flags: HashMap<i32, (WatchFlags, PathBuf)>,
}

impl Watches {
    /// Watches everything that `path` leads over.
    pub(super) fn follow(&mut self, inotify: &OwnedFd, path: &Path, kind: Kind) -> Way {
        let mut way = Way::default();
        for _ in 0..PASSES {
            for is_wary in [false, true] {
                way = Walk::along(self, inotify, path, kind, is_wary).way;
                if (way.goal == Goal::Absent) == is_wary {
                    return way;
                }
            }
        }
        way
    }

    /// Lets go of everything that is on none of these ways. Whether an event may have been lost by that.
    pub(super) fn keep<'a>(&mut self, inotify: &OwnedFd, ways: impl Iterator<Item = &'a Way>) -> bool {
        let mut needed: HashMap<i32, WatchFlags> = HashMap::new();
        for step in ways.flat_map(|way| &way.steps) {
            *needed.entry(step.watch).or_insert(step.flags) |= step.flags;
        }
        self.flags.retain(|watch, _| {
            let is_needed = needed.contains_key(watch);
            if !is_needed {
                // Of what was deleted it is gone already.
                let _ = inotify::remove_watch(inotify, *watch);
            }
            is_needed
        });
        let mut is_shaken = false;
        for (watch, enough) in needed {
            is_shaken |= self.reduce(inotify, watch, enough);
        }
        is_shaken
    }

    /// Asks for no more than `enough`. That goes by the path, which may name something else by now.
    fn reduce(&mut self, inotify: &OwnedFd, watch: i32, enough: WatchFlags) -> bool {
        let Some((flags, path)) = self.flags.get_mut(&watch) else { return false };
        if *flags == enough {
            return false;
        }
        *flags = enough;
        match inotify::add_watch(inotify, path.as_path(), enough) {
            Ok(same) if same == watch => false,
            Ok(other) if !self.flags.contains_key(&other) => {
                let _ = inotify::remove_watch(inotify, other);
                true
            }
            Ok(_) => true,
            Err(_) => false,
        }
    }

    fn add(&mut self, inotify: &OwnedFd, path: &Path, flags: WatchFlags) -> Result<i32, Errno> {
        let watch = inotify::add_watch(inotify, path, flags | WatchFlags::MASK_ADD)?;
        let entry = self.flags.entry(watch).or_insert_with(|| (flags, path.to_owned()));
        entry.0 |= flags;
        path.clone_into(&mut entry.1);
        Ok(watch)
    }
}

struct Walk<'a> {
    watches: &'a mut Watches,
    inotify: &'a OwnedFd,
    here: PathBuf,
    ahead: VecDeque<OsString>,
    links: usize,
    is_wary: bool,
    way: Way,
}

/// Why a walk ends early: what is ahead is not there, or cannot be asked for.
struct Ended;

impl<'a> Walk<'a> {
    fn along(watches: &'a mut Watches, inotify: &'a OwnedFd, path: &Path, kind: Kind, is_wary: bool) -> Self {
        let here = PathBuf::from(if path.is_absolute() { "/" } else { "." });
        let ahead = names(path).map(OsStr::to_owned).collect();
        let mut walk = Self { watches, inotify, here, ahead, links: 0, is_wary, way: Way::default() };
        if walk.go_on(kind).is_ok() {
            walk.arrive(kind);
        }
        walk
    }

    fn go_on(&mut self, kind: Kind) -> Result<(), Ended> {
        while let Some(next) = self.ahead.pop_front() {
            if next == ".." {
                self.here.push(next);
                continue;
            }
            if self.is_wary {
                self.watch(NAMES, Role::Holds(next.clone()))?;
            } else if self.ahead.is_empty() && kind == Kind::Directory {
                self.watch(GONE, Role::Holds(next.clone()))?;
            }
            self.here.push(next);
            self.step()?;
        }
        Ok(())
    }

    /// Over what is here now.
    fn step(&mut self) -> Result<(), Ended> {
        let kind = self.here.symlink_metadata().map_err(|error| self.end(&error))?.file_type();
        if kind.is_symlink() {
            return self.turn();
        }
        // A file on the way, where a directory should be, is as good as nothing.
        if self.ahead.is_empty() { Ok(()) } else { self.watch(FOLDER, Role::Leads) }
    }

    fn turn(&mut self) -> Result<(), Ended> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.end(&Errno::LOOP.into()));
        }
        self.watch(LINK, Role::Leads)?;
        let target = self.here.read_link().map_err(|error| self.end(&error))?;
        self.here.pop();
        if target.is_absolute() {
            self.here = PathBuf::from("/");
        }
        names(&target).rev().for_each(|name| self.ahead.push_front(name.to_owned()));
        Ok(())
    }

    fn arrive(&mut self, kind: Kind) {
        let flags = if kind == Kind::Directory { REPORTS } else { CONTENT };
        if self.watch(flags, Role::Goal).is_ok() {
            let watch = self.way.steps.last().map(|step| step.watch);
            self.way.goal = watch.map_or(Goal::Unwatched, Goal::Watched);
        }
    }

    /// Watches what is here. That it cannot be is no reason to stop, only that it is not there.
    fn watch(&mut self, flags: WatchFlags, role: Role) -> Result<(), Ended> {
        match self.watches.add(self.inotify, &self.here, flags) {
            Ok(watch) => {
                self.way.steps.push(Step { watch, flags, role });
                Ok(())
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Ended),
            Err(error) => {
                let is_goal = role == Role::Goal;
                self.way.trouble.get_or_insert_with(|| (self.here.clone(), error));
                if is_goal {
                    self.way.goal = Goal::Unwatched;
                    return Err(Ended);
                }
                Ok(())
            }
        }
    }

    fn end(&mut self, error: &io::Error) -> Ended {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        // Nothing is there, or no longer a link: then there will be an event.
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::INVAL) {
            self.way.trouble.get_or_insert_with(|| (self.here.clone(), errno));
            self.way.goal = Goal::Unwatched;
        }
        Ended
    }
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = &OsStr> {
    let named = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    named.map(Component::as_os_str)
}
