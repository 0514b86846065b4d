//! The master key is changed: what was sealed stays readable, nothing in the log changes, and the old
//! wrappings are nowhere.

use casetrail::wire::v1::PersonalClass as Class;

use super::office::{Office, subject, text};
use super::support::server::{casetrail, content};

pub fn rotate(office: &Office, arguments: &[&str]) -> std::process::Output {
    let mut command = casetrail(&["keys", "rotate", "--keys"]);
    command.arg(office.keys()).args(arguments);
    command.output().unwrap()
}

fn slots(office: &Office) -> Vec<Vec<u8>> {
    let store = std::fs::read(office.keys().join("subjects")).unwrap();
    store[4096..]
        .chunks_exact(128)
        .map(<[u8]>::to_vec)
        .collect()
}

#[tokio::test]
async fn after_a_rotation_all_is_readable_and_the_old_wrappings_are_gone() {
    let mut office = Office::open().await;
    let mut cases = Vec::new();
    for number in 0..5 {
        let value = format!("value {number}");
        let values = vec![text(&subject(), Class::Identity, &value)];
        cases.push((office.case_with(values).await, value));
    }
    let records = office.records().await;
    // A store that is in use is left alone.
    let refused = rotate(&office, &[]);
    assert_eq!(refused.status.code(), Some(1));
    office.stop().await;
    for round in 0..2 {
        let (old, master) = (
            slots(&office),
            std::fs::read(office.keys().join("master.key")).unwrap(),
        );
        let rotated = rotate(&office, &[]);
        assert!(rotated.status.success(), "{rotated:?}");
        for slot in old.iter().filter(|slot| slot[0] == 2) {
            for part in [&slot[32..56], &slot[56..88], &slot[88..104]] {
                let mut files = content(office.folder.path()).into_iter();
                assert!(files.all(|(_, content)| memchr::memmem::find(&content, part).is_none()));
            }
        }
        let mut files = content(&office.keys()).into_iter();
        assert!(files.all(|(_, content)| content != master));
        let mut names: Vec<_> = content(&office.keys())
            .into_iter()
            .map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["LOCK", "master.key", "subjects"]);
        office.start().await;
        for (case_id, value) in &cases {
            assert_eq!(office.texts(case_id).await, [value.as_str()]);
        }
        assert!(office.records().await == records, "round {round}");
        office.stop().await;
    }
}

#[tokio::test]
async fn a_rotation_can_move_the_master_key_elsewhere() {
    let mut office = Office::open().await;
    let case_id = office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    office.stop().await;
    let rotated = rotate(&office, &["--new-master-key", "command:printf %064d 7"]);
    assert!(rotated.status.success(), "{rotated:?}");
    let data = office.data();
    let refused = office.try_start(&data, &[]).await.unwrap_err();
    assert!(
        refused.stderr.contains("not the one under which"),
        "{}",
        refused.stderr
    );
    office
        .try_start(&data, &["--master-key", "command:printf %064d 7"])
        .await
        .unwrap();
    assert_eq!(office.texts(&case_id).await, ["one"]);
}

#[tokio::test]
async fn a_rotation_that_was_interrupted_anywhere_is_finished_or_undone_by_the_next_start() {
    let mut office = Office::open().await;
    let case_id = office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    office.stop().await;
    let keys = office.keys();
    let read = |name: &str| std::fs::read(keys.join(name)).unwrap();
    let (old, old_master) = (read("subjects"), read("master.key"));
    assert!(rotate(&office, &[]).status.success());
    let (new, new_master) = (read("subjects"), read("master.key"));
    // The files that a kill leaves, in the order in which the steps are taken.
    type Files<'a> = Vec<(&'a str, &'a [u8])>;
    let torn = &new[..new.len() / 2];
    let zeros = vec![0; old_master.len()];
    let left: Vec<Files<'_>> = vec![
        vec![
            ("subjects", &old),
            ("master.key", &old_master),
            ("master.key.new", &new_master),
        ],
        vec![
            ("subjects", &old),
            ("master.key", &old_master),
            ("master.key.new", &new_master),
            ("subjects.rotated", torn),
        ],
        vec![
            ("subjects.old", &old),
            ("master.key", &old_master),
            ("master.key.new", &new_master),
            ("subjects.rotated", &new),
        ],
        vec![
            ("subjects.old", &old),
            ("master.key", &old_master),
            ("master.key.new", &new_master),
            ("subjects", &new),
        ],
        vec![
            ("subjects.old", &old),
            ("master.key", &zeros),
            ("master.key.new", &new_master),
            ("subjects", &new),
        ],
        vec![
            ("subjects.old", &old),
            ("master.key", &new_master),
            ("subjects", &new),
        ],
    ];
    for (step, files) in left.into_iter().enumerate() {
        for name in [
            "subjects",
            "subjects.old",
            "subjects.rotated",
            "master.key",
            "master.key.new",
        ] {
            let _ = std::fs::remove_file(keys.join(name));
        }
        for (name, content) in files {
            let path = keys.join(name);
            std::fs::write(&path, content).unwrap();
            let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(path, owner_alone).unwrap();
        }
        office.start().await;
        assert_eq!(office.texts(&case_id).await, ["one"], "step {step}");
        office.stop().await;
        assert_eq!(content(&keys).len(), 3, "step {step}");
    }
}
