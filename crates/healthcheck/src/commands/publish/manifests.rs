//! Manifests of services: YAML files in one directory. Whoever writes them is a stranger.

use super::namespace::Namespace;
use crate::system_error::plain;
use rustix::fs::OFlags;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{DuplicateKeyPolicy, Options};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tracing::{info, warn};

const MAX_BYTES: u64 = 1024 * 1024;
/// Files that are read, by name.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 64;
/// What aliases may make of a file, in the parser's events.
const MAX_REPLAYED: usize = 100_000;
/// What is told of a parser's complaint.
const MAX_WORDS: usize = 200;
/// A file that was written so lately may be written again within the same tick of its clock, or be half there.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Whose heartbeats are to be sent: the namespace, and the name of its service, where it may be another.
pub(super) type Announced = BTreeMap<Namespace, Option<String>>;

/// The manifests of a directory, followed from look to look.
#[derive(Debug)]
pub(super) struct Manifests {
    dir: PathBuf,
    files: BTreeMap<OsString, Known>,
    /// Those that say what another one says already.
    doubles: BTreeMap<OsString, Namespace>,
    trouble: Option<String>,
}

#[derive(Debug, Clone)]
struct Known {
    stamp: Stamp,
    is_settled: bool,
    said: Said,
}

/// What a manifest says: a service, a pattern that is none, or nothing that can be used.
type Said = Result<Option<(Namespace, Option<String>)>, String>;

/// By what it is seen that a file was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp([i64; 4], [u64; 3]);

impl Manifests {
    /// # Errors
    ///
    /// The directory cannot be read.
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        fs::read_dir(dir)?;
        let dir = dir.to_owned();
        Ok(Self { dir, files: BTreeMap::new(), doubles: BTreeMap::new(), trouble: None })
    }

    /// Looks again. What cannot be read now is as it was.
    pub(super) fn look(&mut self) -> Announced {
        match names(&self.dir) {
            Ok(names) => {
                let known = std::mem::take(&mut self.files);
                let read = names.into_iter().filter_map(|name| {
                    let known = known.get(&name);
                    Some((self.read(&name, known)?, name))
                });
                self.files = read.map(|(known, name)| (name, known)).collect();
                self.trouble = None;
            }
            Err(error) => self.complain(format!(
                "cannot read {}: {}: its manifests count as they were",
                self.dir.display(),
                plain(&error)
            )),
        }
        self.announced()
    }

    fn complain(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            warn!("{trouble}");
        }
        self.trouble = Some(trouble);
    }

    /// The first by name counts.
    fn announced(&mut self) -> Announced {
        let mut announced: BTreeMap<Namespace, (OsString, Option<String>)> = BTreeMap::new();
        let mut doubles = BTreeMap::new();
        for (name, known) in &self.files {
            let Ok(Some((namespace, service))) = &known.said else { continue };
            match announced.get(namespace) {
                Some((first, _)) => {
                    if self.doubles.get(name) != Some(namespace) {
                        let (path, first) = (shown(&self.dir.join(name)), shown(Path::new(first)));
                        warn!("{path}: namespace {namespace} is that of {first}, which counts");
                    }
                    doubles.insert(name.clone(), namespace.clone());
                }
                None => drop(announced.insert(namespace.clone(), (name.clone(), service.clone()))),
            }
        }
        self.doubles = doubles;
        announced.into_iter().map(|(namespace, (_, service))| (namespace, service)).collect()
    }

    /// Nothing if the file is gone.
    fn read(&self, name: &OsString, known: Option<&Known>) -> Option<Known> {
        let path = self.dir.join(name);
        let now = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            found => found.map(|metadata| (Stamp::of(&metadata), is_settled(&metadata))),
        };
        let (stamp, is_settled) = now.unwrap_or((Stamp([0; 4], [0; 3]), true));
        if let Some(known) = known.filter(|known| known.is_settled && known.stamp == stamp) {
            return Some(known.clone());
        }
        let said = said(&path);
        let was = known.map(|known| &known.said);
        // It may be about to be written: it is believed when it has been left alone.
        if let Some(Ok(Some(_))) = was
            && !is_settled
            && !matches!(said, Ok(Some(_)))
        {
            return known.map(|known| Known { is_settled: false, ..known.clone() });
        }
        if was != Some(&said) {
            tell(&path, &said);
        }
        Some(Known { stamp, is_settled, said })
    }
}

fn tell(path: &Path, said: &Said) {
    let path = shown(path);
    match said {
        Err(problem) => warn!("{path}: no heartbeat: {problem}"),
        Ok(Some((namespace, _))) => info!("{path}: a heartbeat for {namespace}"),
        Ok(None) => info!("{path}: no service, so no heartbeat"),
    }
}

/// On one line, whatever its name is.
fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        Self(times, [found.dev(), found.ino(), found.size()])
    }
}

fn is_settled(found: &Metadata) -> bool {
    let modified = found.modified().ok();
    let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age >= SETTLED_AFTER)
}

/// Names of manifests, the first of them in order.
fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let is_yaml = Path::new(&name).extension().is_some_and(|it| it == "yaml" || it == "yml");
        if is_yaml && !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort();
    names.truncate(MAX_FILES);
    Ok(names)
}

fn said(path: &Path) -> Said {
    let text = read_file(path)?;
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let said = parse(&text, stem.ok_or("its name is not UTF-8: rename it")?);
    // What is wrong with it has words of it, which may be those of another file.
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    said.map_err(|problem| if is_link { "what it leads to is no manifest".to_owned() } else { problem })
}

/// Never waits for a writer of a pipe, and never reads what has no end.
fn read_file(path: &Path) -> Result<String, String> {
    let problem = |error: io::Error| format!("cannot read it: {}", plain(&error));
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file: File = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(problem)?;
    if !file.metadata().map_err(problem)?.is_file() {
        return Err("it is no file: write the manifest into one".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(problem)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("it is larger than 1 MiB: make it smaller".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8: write it so".to_owned())
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default, deserialize_with = "there")]
    chora_service: Option<Service>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Service {
    Flag(bool),
    Named { name: String },
    Name(String),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Named {
    metadata: Option<Metadatum>,
}

#[derive(Deserialize)]
struct Metadatum {
    namespace: Option<String>,
}

/// A key that is there counts, whatever it has.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Service>, D::Error> {
    Service::deserialize(deserializer).map(Some)
}

/// What a manifest of this name says.
fn parse(text: &str, stem: &str) -> Said {
    // An empty one is a manifest of nothing.
    let kind: Option<Kind> = yaml(text)?;
    let service = match kind.and_then(|kind| kind.chora_service) {
        None | Some(Service::Flag(false)) => return Ok(None),
        Some(Service::Named { name } | Service::Name(name)) => Some(name),
        Some(Service::Flag(true) | Service::Other(_)) => None,
    };
    let named: Named = yaml(text)?;
    let namespace = named.metadata.and_then(|metadata| metadata.namespace);
    let namespace = Namespace::parse(namespace.as_deref().unwrap_or(stem))?;
    Ok(Some((namespace, service)))
}

fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str_with_options(text, bounds()).map_err(|error| {
        let words = error.to_string();
        let words = words.lines().next().unwrap_or_default();
        let words: String = words.escape_debug().take(MAX_WORDS).collect();
        format!("{words}: correct the YAML there")
    })
}

fn bounds() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_documents: 1 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        // As those take it whose manifests these are.
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests;
