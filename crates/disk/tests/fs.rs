//! The seam: what all file systems have in common, and what a power cut leaves of the one in memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use sonde_disk::fs::{FaultRates, Operation};
use sonde_disk::{Entry, FaultFs, Fs, MemFs, OsFs, read_all, write_atomic};

fn names(fs: &dyn Fs, dir: &Path) -> Vec<String> {
    fs.list(dir).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn kind<T>(result: io::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn check_file_system(fs: &dyn Fs, root: &Path) {
    let dir = root.join("a/b/c");
    fs.create_dir_all(&dir).unwrap();
    fs.create_dir_all(&dir).unwrap();
    let (one, two) = (dir.join("one"), dir.join("two"));

    let file = fs.create(&one).unwrap();
    assert_eq!(kind(fs.create(&one)), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(fs.open(&two)), Some(ErrorKind::NotFound));
    assert_eq!(kind(fs.remove_file(&two)), Some(ErrorKind::NotFound));
    assert!(file.is_empty().unwrap());
    file.write_at(b"world", 10).unwrap();
    file.write_at(b"hello", 0).unwrap();
    file.sync().unwrap();
    let mut bytes = [1; 20];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 15);
    assert_eq!(&bytes[..15], b"hello\0\0\0\0\0world");
    assert_eq!(file.read_at(&mut bytes, 15).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, 99).unwrap(), 0);
    assert_eq!(kind(file.read_exact_at(&mut bytes, 0)), Some(ErrorKind::UnexpectedEof));
    file.set_len(12).unwrap();
    file.set_len(14).unwrap();
    assert_eq!(read_all(fs, &one, 14).unwrap(), b"hello\0\0\0\0\0wo\0\0");
    assert_eq!(kind(read_all(fs, &one, 13)), Some(ErrorKind::FileTooLarge));

    fs.create(&two).unwrap().write_at(b"2", 0).unwrap();
    let entry = |name: &str, len| Entry { name: name.to_owned(), is_dir: false, len };
    assert_eq!(fs.list(&dir).unwrap(), [entry("one", 14), entry("two", 1)]);
    assert!(fs.list(&root.join("a")).unwrap()[0].is_dir);
    fs.rename(&one, &two).unwrap();
    fs.sync_dir(&dir).unwrap();
    assert_eq!(names(fs, &dir), ["two"]);
    assert_eq!(fs.open(&two).unwrap().len().unwrap(), 14);
    fs.remove_file(&two).unwrap();
    assert_eq!(file.len().unwrap(), 14, "an open file outlives its name");
    fs.rename(&dir, &root.join("a/d")).unwrap();
    assert!(!fs.exists(&dir).unwrap() && fs.exists(&root.join("a/d")).unwrap());
    fs.remove_dir_all(&root.join("a")).unwrap();
    assert!(!fs.exists(&root.join("a/d")).unwrap());
    assert!(fs.available_space(root).unwrap() > 0);

    let lock = fs.lock(&root.join("lock")).unwrap();
    assert_eq!(kind(fs.lock(&root.join("lock"))), Some(ErrorKind::WouldBlock));
    drop(lock);
    fs.lock(&root.join("lock")).unwrap();

    write_atomic(fs, &root.join("state"), b"old").unwrap();
    write_atomic(fs, &root.join("state"), b"newer").unwrap();
    assert_eq!(read_all(fs, &root.join("state"), 100).unwrap(), b"newer");
    assert_eq!(names(fs, root), ["lock", "state"]);
}

#[test]
fn all_file_systems_agree() {
    let dir = tempfile::tempdir().unwrap();
    check_file_system(&OsFs, dir.path());
    let mem = MemFs::new();
    mem.create_dir_all(Path::new("/root")).unwrap();
    check_file_system(&FaultFs::new(mem.clone(), 1), Path::new("/root"));
    mem.remove_dir_all(Path::new("/root")).unwrap();
    mem.create_dir_all(Path::new("root")).unwrap();
    check_file_system(&mem, Path::new("/root"));
}

/// What 200 power cuts leave of what `prepare` did, sorted, each once.
fn outcomes(prepare: impl FnOnce(&MemFs), look: impl Fn(&MemFs) -> String) -> Vec<String> {
    let fs = MemFs::new();
    fs.create_dir_all(Path::new("/d")).unwrap();
    prepare(&fs);
    let mut outcomes = (0..200).map(|seed| look(&fs.crash(seed))).collect::<Vec<_>>();
    outcomes.sort();
    outcomes.dedup();
    outcomes
}

fn create(fs: &MemFs, name: &str, bytes: &[u8]) -> Arc<dyn sonde_disk::File> {
    let file = fs.create(&Path::new("/d").join(name)).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync().unwrap();
    file
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest() {
    let listing = |fs: &MemFs| names(fs, Path::new("/d")).join(" ");
    let content = |fs: &MemFs| String::from_utf8_lossy(&read_all(fs, Path::new("/d/f"), 9).unwrap()).into_owned();

    let created = outcomes(|fs| drop(create(fs, "f", b"x")), listing);
    assert_eq!(created, ["", "f"], "a name is durable only once its directory is synced");

    let sync = |fs: &MemFs| fs.sync_dir(Path::new("/d")).unwrap();
    let synced = |fs: &MemFs| {
        let file = create(fs, "f", b"old");
        sync(fs);
        file
    };
    assert_eq!(outcomes(|fs| drop(synced(fs)), content), ["old"]);
    let overwritten = outcomes(|fs| synced(fs).write_at(b"new", 0).unwrap(), content);
    for expected in ["old", "new", "ned"] {
        assert!(overwritten.iter().any(|found| found == expected), "{expected} is possible: {overwritten:?}");
    }
    let extended = outcomes(|fs| synced(fs).write_at(b"er", 3).unwrap(), content);
    assert!(extended.iter().all(|found| found.starts_with("old")), "synced bytes stay: {extended:?}");
    assert!(extended.iter().any(|found| found == "older"));
    let again = outcomes(
        |fs| {
            let file = synced(fs);
            file.write_at(b"new", 0).unwrap();
            file.sync().unwrap();
        },
        content,
    );
    assert_eq!(again, ["new"]);

    let renamed = outcomes(
        |fs| {
            synced(fs);
            fs.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap();
        },
        listing,
    );
    assert_eq!(renamed, ["f", "g"], "a rename happens or not");
    let removed = outcomes(
        |fs| {
            synced(fs);
            fs.remove_file(Path::new("/d/f")).unwrap();
        },
        listing,
    );
    assert_eq!(removed, ["", "f"]);
}

#[test]
fn a_sync_after_a_failed_one_proves_nothing() {
    let mut found = Vec::new();
    for seed in 0..50 {
        let fs = FaultFs::new(MemFs::new(), seed);
        let file = fs.create(Path::new("/f")).unwrap();
        file.sync().unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
        file.write_at(b"gone?", 0).unwrap();
        fs.fail(Some(Operation::Sync), 0, 1, ErrorKind::Other);
        file.sync().unwrap_err();
        file.sync().unwrap();
        assert_eq!(read_all(&fs, Path::new("/f"), 9).unwrap(), b"gone?", "reads still see it");
        found.push(read_all(&fs.mem().crash(seed), Path::new("/f"), 9).unwrap());
    }
    assert!(found.iter().any(|bytes| bytes == b"gone?") && found.iter().any(|bytes| bytes == &[0; 5]), "{found:?}");
}

#[test]
fn a_kill_keeps_everything_written_and_nothing_becomes_durable_by_it() {
    let fs = MemFs::new();
    fs.create(Path::new("/f")).unwrap().write_at(b"x", 0).unwrap();
    let fork = fs.fork();
    assert_eq!(read_all(&fork, Path::new("/f"), 9).unwrap(), b"x");
    assert!((0..50).any(|seed| !fork.crash(seed).exists(Path::new("/f")).unwrap()));
    fork.open(Path::new("/f")).unwrap().write_at(b"y", 0).unwrap();
    assert_eq!(read_all(&fs, Path::new("/f"), 9).unwrap(), b"x", "they are two file systems now");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let fs = MemFs::new();
    fs.set_capacity(Some(10));
    let file = fs.create(Path::new("/f")).unwrap();
    assert_eq!(kind(file.write_at(&[1; 12], 0)), Some(ErrorKind::StorageFull));
    assert_eq!((file.len().unwrap(), fs.used(), fs.available_space(Path::new("/")).unwrap()), (10, 10, 0));
    file.write_at(&[2; 10], 0).unwrap();
    assert_eq!(kind(file.set_len(11)), Some(ErrorKind::StorageFull));
    file.set_len(5).unwrap();
    file.write_at(&[3; 5], 5).unwrap();
}

#[test]
fn faults_come_as_scripted_and_end_when_healed() {
    let fs = FaultFs::new(MemFs::new(), 1);
    let file = fs.create(Path::new("/f")).unwrap();
    fs.fail(Some(Operation::Write), 1, 2, ErrorKind::StorageFull);
    let results = (0..4).map(|_| kind(file.write_at(b"x", 0))).collect::<Vec<_>>();
    assert_eq!(results, [None, Some(ErrorKind::StorageFull), Some(ErrorKind::StorageFull), None]);
    fs.fail(None, 0, u64::MAX, ErrorKind::Other);
    assert!(file.sync().is_err() && fs.open(Path::new("/f")).is_err() && file.read_at(&mut [0], 0).is_err());
    fs.heal();
    file.sync().unwrap();
    fs.set_rates(FaultRates { sync: 1.0, ..FaultRates::default() });
    assert!(file.sync().is_err() && fs.sync_dir(Path::new("/")).is_err());
    assert_eq!((fs.operations(), fs.injected()), (11, 7));
}

/// Fails each operation in turn, cuts the power after each failure, and looks.
#[test]
fn an_atomic_file_is_old_or_new() {
    let path = Path::new("/d/state");
    for seed in 0..20 {
        for failing in 0..12 {
            let mem = MemFs::new();
            mem.create_dir_all(Path::new("/d")).unwrap();
            write_atomic(&mem, path, b"old").unwrap();
            let fs = FaultFs::new(mem.clone(), seed);
            fs.fail(None, failing, u64::MAX, ErrorKind::Other);
            let done = write_atomic(&fs, path, b"new content");
            let after = mem.crash(seed);
            let found = read_all(&after, path, 100).unwrap();
            assert!(found == b"new content" || found == b"old" && done.is_err(), "seed {seed}, {failing}: {found:?}");
            assert_eq!(done.is_ok(), fs.injected() == 0);
            write_atomic(&after, path, b"newest").unwrap();
            assert_eq!(read_all(&after, path, 100).unwrap(), b"newest");
        }
    }
}
