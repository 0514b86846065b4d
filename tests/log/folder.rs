//! The data folder: ours alone, and refused in words otherwise.

use std::fs;

use casetrail::log::{DataFolder, OpenError};

use super::support::{append, open};

#[test]
fn a_missing_folder_and_an_empty_one_become_ours() {
    let parent = tempfile::tempdir().unwrap();
    for name in ["missing/as/well", "empty"] {
        let path = parent.path().join(name);
        if name == "empty" {
            fs::create_dir(&path).unwrap();
        }
        let folder = DataFolder::open(&path).unwrap();
        assert!(folder.log_path().is_dir() && folder.views_path().is_dir());
        let format = fs::read_to_string(path.join("FORMAT")).unwrap();
        assert!(
            format.starts_with("casetrail data folder\nformat: 1\n"),
            "{format}"
        );
        drop(folder);
        DataFolder::open(&path).unwrap();
    }
}

#[test]
fn what_a_crash_while_making_the_folder_leaves_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("LOCK"), "").unwrap();
    fs::write(folder.path().join("FORMAT.new"), "casetr").unwrap();
    DataFolder::open(folder.path()).unwrap();
    assert!(!folder.path().join("FORMAT.new").exists());
}

#[test]
fn a_folder_of_someone_else_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "chapter one").unwrap();
    let error = DataFolder::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_newer_format_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("FORMAT"),
        "casetrail data folder\nformat: 2\n",
    )
    .unwrap();
    let error = DataFolder::open(folder.path()).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_format_that_says_something_else_is_refused() {
    for text in [
        "",
        "casetrail data folder\n",
        "casetrail data folder\nformat: 0\n",
        "hello",
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("FORMAT"), text).unwrap();
        let error = DataFolder::open(folder.path()).unwrap_err();
        assert!(
            matches!(error, OpenError::FormatUnreadable { .. }),
            "{text:?}: {error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_folder_in_use_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    append(&log, 1);
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(folder.path().to_str().unwrap()) && text.contains("in use"),
        "{text}"
    );
    drop(log);
    assert_eq!(append(&open(folder.path()).unwrap(), 1), 2);
}

#[test]
fn a_mark_is_read_as_it_was_recorded_and_garbage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataFolder::open(folder.path()).unwrap();
    assert_eq!(data.mark().read().unwrap(), 0);
    for position in [1, 99, u64::MAX] {
        data.mark().record(position).unwrap();
        assert_eq!(data.mark().read().unwrap(), position);
    }
    let path = folder.path().join("mark");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(data.mark().read(), Err(OpenError::MarkDamaged { .. })),
            "{length}"
        );
    }
    for bit in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &changed).unwrap();
        assert!(
            matches!(data.mark().read(), Err(OpenError::MarkDamaged { .. })),
            "bit {bit}"
        );
    }
}
