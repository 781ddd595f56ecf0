use super::*;
use std::process::Command;

fn service(text: &str) -> Option<(String, Option<String>)> {
    let said = parse(text, "stem").unwrap_or_else(|problem| panic!("{problem}"));
    said.map(|(namespace, service)| (namespace.as_str().to_owned(), service))
}

#[test]
fn what_has_the_key_is_a_service() {
    let named = "metadata:\n  namespace: chora-base\n  other: [1]\nchora_service:\n  name: base\n  port: 1\n";
    assert_eq!(service(named), Some(("chora-base".to_owned(), Some("base".to_owned()))));
    assert_eq!(service("chora_service: base"), Some(("stem".to_owned(), Some("base".to_owned()))));
    for text in ["chora_service: true", "chora_service:", "chora_service: {port: 1}", "chora_service: [a]"] {
        assert_eq!(service(text), Some(("stem".to_owned(), None)), "{text}");
    }
    let merged = "base: &base {namespace: shared}\nmetadata: *base\nchora_service: {}";
    assert_eq!(service(merged), Some(("shared".to_owned(), None)));
    for text in ["", "kind: pattern", "metadata: [1]\nkind: x", "chora_service: false", "# nothing"] {
        assert_eq!(service(text), None, "{text}");
    }
}

#[test]
fn what_cannot_be_used_says_why() {
    let bomb: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1)).collect();
    let bomb = format!("a0: &a0 [x, x]\n{bomb}chora_service: *a29\n");
    let deep = format!("chora_service: {}", "[".repeat(100_000));
    for (text, word) in [
        ("chora_service: [", "line 1"),
        ("chora_service: a\n---\nchora_service: b", ""),
        ("chora_service: a\nmetadata: {namespace: a/b}", "would break its key"),
        ("chora_service: a\nmetadata: [a]", "correct the YAML"),
        ("[a, b]", "correct the YAML"),
        (&bomb, "correct the YAML"),
        (&deep, "correct the YAML"),
    ] {
        let began = std::time::Instant::now();
        let problem = parse(text, "stem").expect_err(text);
        assert!(problem.contains(word) && problem.len() < 500 && !problem.contains('\n'), "{problem}");
        assert!(began.elapsed() < Duration::from_secs(2), "{problem}: {:?}", began.elapsed());
    }
}

/// Files of a directory, each written a while ago.
struct Folder(tempfile::TempDir);

impl Folder {
    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        let then = SystemTime::now() - Duration::from_secs(10);
        File::options().append(true).open(path).unwrap().set_modified(then).unwrap();
    }
}

fn names_of(announced: &Announced) -> Vec<&str> {
    announced.keys().map(Namespace::as_str).collect()
}

#[test]
fn manifests_are_followed_as_they_come_change_and_go() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write("a.yaml", "chora_service: a");
    folder.write("b.yml", "chora_service: b");
    folder.write("pattern.yaml", "kind: pattern");
    folder.write("c.json", "chora_service: c");
    folder.write(".d.yaml", "chora_service: d");
    let mut manifests = Manifests::of(folder.0.path()).unwrap();
    assert_eq!(names_of(&manifests.look()), ["a", "b"]);
    folder.write("pattern.yaml", "chora_service: now\nmetadata: {namespace: z}");
    folder.write("a.yaml", "chora_service: a\nmetadata: {namespace: other}");
    fs::remove_file(folder.0.path().join("b.yml")).unwrap();
    assert_eq!(names_of(&manifests.look()), ["other", "z"]);
    assert_eq!(names_of(&manifests.look()), ["other", "z"]);
}

#[test]
fn the_first_of_two_with_one_namespace_counts() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write("a.yaml", "chora_service: first\nmetadata: {namespace: same}");
    folder.write("b.yaml", "chora_service: second\nmetadata: {namespace: same}");
    let mut manifests = Manifests::of(folder.0.path()).unwrap();
    let service = |announced: Announced| announced.into_values().next().unwrap();
    assert_eq!(service(manifests.look()).as_deref(), Some("first"));
    fs::remove_file(folder.0.path().join("a.yaml")).unwrap();
    assert_eq!(service(manifests.look()).as_deref(), Some("second"));
}

#[test]
fn a_bad_manifest_costs_its_own_heartbeat() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let at = |name: &str| folder.0.path().join(name);
    folder.write("good.yaml", "chora_service: good");
    folder.write("large.yaml", &format!("chora_service: a\nx: {}", "y".repeat(1 << 20)));
    fs::write(at("binary.yaml"), b"chora_service: \xff").unwrap();
    fs::create_dir(at("dir.yaml")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("dangling.yaml")).unwrap();
    std::os::unix::fs::symlink("good.yaml", at("linked.yaml")).unwrap();
    assert!(Command::new("mkfifo").arg(at("fifo.yaml")).status().unwrap().success());
    let mut manifests = Manifests::of(folder.0.path()).unwrap();
    assert_eq!(names_of(&manifests.look()), ["good", "linked"]);
}

/// An editor that empties a file before it fills it again makes nobody disappear.
#[test]
fn a_manifest_that_is_being_written_counts_as_it_was() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write("a.yaml", "chora_service: a");
    let mut manifests = Manifests::of(folder.0.path()).unwrap();
    assert_eq!(names_of(&manifests.look()), ["a"]);
    fs::write(folder.0.path().join("a.yaml"), "").unwrap();
    assert_eq!(names_of(&manifests.look()), ["a"]);
    folder.write("a.yaml", "");
    assert!(manifests.look().is_empty());
}

#[test]
fn a_directory_that_goes_away_takes_nobody_with_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder(tempfile::tempdir_in(root.path()).unwrap());
    folder.write("a.yaml", "chora_service: a");
    let mut manifests = Manifests::of(folder.0.path()).unwrap();
    manifests.look();
    let away = root.path().join("away");
    fs::rename(folder.0.path(), &away).unwrap();
    assert_eq!(names_of(&manifests.look()), ["a"]);
    fs::rename(&away, folder.0.path()).unwrap();
    fs::remove_file(folder.0.path().join("a.yaml")).unwrap();
    assert!(manifests.look().is_empty());
    assert!(Manifests::of(&away).is_err());
}
