//! Kills between a subject's first value and the store's next word from the log: which key is whose
//! stands in the log, and a start takes it from there.

use casetrail::wire::v1::PersonalClass as Class;
use tonic_types::StatusExt;

use super::office::{MASTER_KEY, MASTER_KEY_VARIABLE, Office, subject, text, with_values};
use super::support::server::{Server, casetrail, copy, serve};

#[tokio::test]
async fn values_of_new_subjects_are_there_after_a_kill_and_later_ones_use_the_same_key() {
    let mut office = Office::open().await;
    let (mut subjects, mut cases) = (Vec::new(), Vec::new());
    for round in 0..4 {
        // Each round adds to subjects of every round before it, which were new when it was killed.
        subjects.push(subject());
        for (number, subject) in subjects.iter().enumerate() {
            let value = format!("value {round}.{number}");
            let values = vec![text(subject, Class::Identity, &value)];
            cases.push((office.case_with(values).await, value));
        }
        office.kill();
        office.start().await;
        for (case_id, value) in &cases {
            assert_eq!(office.texts(case_id).await, [value.as_str()]);
        }
    }
    // One key a subject, however often the server was killed.
    let records = office.records().await;
    let mut keys = std::collections::HashMap::new();
    for sealed in records.iter().flat_map(|record| &record.sealed) {
        let known = keys
            .entry(sealed.subject_id.clone())
            .or_insert(sealed.key_id);
        assert_eq!(*known, sealed.key_id);
    }
    let distinct: std::collections::HashSet<_> = keys.values().collect();
    assert_eq!(distinct.len(), keys.len());
}

#[tokio::test]
async fn a_store_that_was_told_nothing_since_it_was_made_learns_all_from_the_log() {
    let mut office = Office::open().await;
    // What a power cut can leave of the store: the keys, which were durable before their use, and
    // nothing of whose they became.
    let warm_up = office
        .case_with(vec![text(&subject(), Class::Identity, "first")])
        .await;
    let kept = office.folder.path().join("kept");
    copy(&office.keys(), &kept);
    let later = office
        .case_with(vec![text(&subject(), Class::Identity, "second")])
        .await;
    office.stop().await;
    std::fs::remove_dir_all(office.keys()).unwrap();
    copy(&kept, &office.keys());
    office.start().await;
    assert_eq!(office.texts(&warm_up).await, ["first"]);
    assert_eq!(office.texts(&later).await, ["second"]);
}

#[tokio::test]
async fn a_store_that_never_had_the_logs_keys_is_refused_unless_that_is_accepted() {
    let mut office = Office::open().await;
    let lost = office
        .case_with(vec![text(&subject(), Class::Identity, "lost")])
        .await;
    office.stop().await;
    std::fs::rename(office.keys(), office.folder.path().join("elsewhere")).unwrap();
    let data = office.data();
    let refused = office.try_start(&data, &[]).await.unwrap_err();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("never had"), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("--accept-missing-keys"),
        "{}",
        refused.stderr
    );
    // Nothing was made where a copy of the keys is to be put back.
    assert!(!office.keys().exists());
    office
        .try_start(&data, &["--accept-missing-keys"])
        .await
        .unwrap();
    let opened = office.opened(&lost).await;
    assert_eq!((opened.entries.len(), opened.without_key), (0, 1));
    let new = office
        .case_with(vec![text(&subject(), Class::Identity, "new")])
        .await;
    assert_eq!(office.texts(&new).await, ["new"]);
    // Accepted once, it is no question any more.
    office.stop().await;
    office.start().await;
    assert_eq!(office.texts(&new).await, ["new"]);
}

#[tokio::test]
async fn a_wrong_or_missing_master_key_and_a_store_in_use_are_refused_in_words() {
    let mut office = Office::open().await;
    office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    let other = office.folder.path().join("other");
    let refused = office.try_start(&other, &[]).await.unwrap_err();
    assert!(
        refused.stderr.contains("in use by another process"),
        "{}",
        refused.stderr
    );
    office.stop().await;
    let data = office.data();
    let other_key = "command:printf %064d 7".to_owned();
    let refused = office
        .try_start(&data, &["--master-key", &other_key])
        .await
        .unwrap_err();
    assert!(
        refused.stderr.contains("not the one under which"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("printf"), "{}", refused.stderr);
    let master = office.keys().join("master.key");
    let aside = office.keys().join("master.aside");
    std::fs::rename(&master, &aside).unwrap();
    let refused = office.try_start(&data, &[]).await.unwrap_err();
    assert!(
        refused.stderr.contains("is not there"),
        "{}",
        refused.stderr
    );
    // The same key from elsewhere will do.
    let from_there = format!("command:cat '{}'", aside.display());
    office
        .try_start(&data, &["--master-key", &from_there])
        .await
        .unwrap();
    office.stop().await;
    std::fs::rename(&aside, &master).unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(
        std::fs::metadata(&master).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&master, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = office.try_start(&data, &[]).await.unwrap_err();
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
}

#[tokio::test]
async fn the_master_key_can_come_from_the_environment_or_a_file_elsewhere() {
    let variable = format!("env:{MASTER_KEY_VARIABLE}");
    let mut office = Office::open_with(&["--master-key", &variable]).await;
    let one = office
        .case_with(vec![text(&subject(), Class::Identity, "one")])
        .await;
    assert!(!office.keys().join("master.key").exists());
    office.stop().await;
    office.start().await;
    assert_eq!(office.texts(&one).await, ["one"]);
    office.stop().await;

    // The same key, written into a file.
    let elsewhere = office.folder.path().join("elsewhere.key");
    std::fs::write(&elsewhere, MASTER_KEY).unwrap();
    let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&elsewhere, owner_alone).unwrap();
    let mut keys = casetrail(&["keys", "check", "--keys"]);
    keys.arg(office.keys());
    keys.arg("--master-key")
        .arg(format!("file:{}", elsewhere.display()));
    let checked = keys.output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(told.contains("keys of 1 persons"), "{told}");

    // One that isn't set, and one that is no key.
    let data = office.data();
    for (source, fault) in [
        ("env:NO_SUCH_VARIABLE", "is not set"),
        ("env:PATH", "64 hexadecimal digits"),
        ("file:/nowhere/key", "is not there"),
    ] {
        let mut command = serve(&[], &data, "127.0.0.1:0");
        command.arg("--keys").arg(office.keys());
        command.args(["--master-key", source]);
        let refused = Server::try_start(command).err().unwrap();
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains(fault), "{}", refused.stderr);
    }

    // A file that isn't there where the keys are made gets one, for its owner alone.
    let made = office.folder.path().join("made.key");
    let (data, keys) = (
        office.folder.path().join("data-2"),
        office.folder.path().join("keys-2"),
    );
    for _ in 0..2 {
        let mut command = serve(&[], &data, "127.0.0.1:0");
        command.arg("--keys").arg(&keys);
        command
            .arg("--master-key")
            .arg(format!("file:{}", made.display()));
        let server = Server::try_start(command).unwrap();
        assert_eq!(server.stop().await.code, Some(0));
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!keys.join("master.key").exists());
    }
}

#[tokio::test]
async fn many_new_subjects_at_once_each_get_a_key_of_their_own() {
    let office = Office::open().await;
    // More than the store keeps in stock.
    let mut submissions = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let values: Vec<_> = (0..64)
            .map(|_| text(&subject(), Class::Identity, "one"))
            .collect();
        let client = office.client.clone();
        submissions.spawn(async move {
            let request = with_values(values);
            client.cases().submit_events(request).await.unwrap();
        });
    }
    submissions.join_all().await;
    let records = office.records().await;
    let sealed: Vec<_> = records.iter().flat_map(|record| &record.sealed).collect();
    let keys: std::collections::HashSet<_> = sealed.iter().map(|sealed| sealed.key_id).collect();
    assert_eq!((sealed.len(), keys.len()), (40 * 64, 40 * 64));
    let refused = office
        .submit(with_values(vec![text("x", Class::Identity, "one")]))
        .await;
    let reason = refused
        .unwrap_err()
        .get_details_error_info()
        .unwrap()
        .reason;
    assert_eq!(reason, "INVALID_FIELDS");
}
