//! A log whose checksums are right, and in which a sealed value stands elsewhere than where it was
//! sealed for.

use casetrail::log::backup::{BackupWriter, Header};
use casetrail::view::Views;
use casetrail::wire::block::BlockBuilder;
use casetrail::wire::v1::{PersonalClass as Class, Record};
use tonic::Code;
use tonic_types::StatusExt;

use super::erasing::restore;
use super::office::{Office, asking, subject, text};

/// A backup of these records, with whatever checksums and digests they add up to.
fn backup_of(records: &[Record]) -> Vec<u8> {
    let (mut builder, mut views) = (BlockBuilder::new(), Views::default());
    for (position, record) in (0..).zip(records) {
        builder.push(record).unwrap();
        views.fold(position, record).unwrap();
    }
    let header = Header {
        first_position: 0,
        anchor: [0; 32],
    };
    let mut writer = BackupWriter::begin(Vec::new(), &header).unwrap();
    for block in builder.finish(0) {
        writer.block(&block).unwrap();
    }
    let digest = views.frozen().digest();
    writer.end(digest, "0.1.0").unwrap()
}

#[tokio::test]
async fn a_value_that_was_moved_or_changed_does_not_open_and_is_told_as_damaged() {
    let mut office = Office::open().await;
    let person = subject();
    let mut cases = Vec::new();
    for word in ["one", "two", "three", "four"] {
        let values = vec![
            text(&person, Class::Identity, word),
            text(&person, Class::Health, word),
        ];
        cases.push(office.case_with(values).await);
    }
    let mut records = office.records().await;
    office.stop().await;
    // From another case, of the same subject, class and place.
    records[1].sealed = records[0].sealed.clone();
    // To another place and class within its event.
    records[2].sealed[0].values.swap(0, 1);
    // One bit of what is sealed.
    let mut changed = records[3].sealed[0].values[0].sealed.to_vec();
    changed[40] ^= 1;
    records[3].sealed[0].values[0].sealed = changed.into();
    let backup = office.folder.path().join("moved.ctb");
    std::fs::write(&backup, backup_of(&records)).unwrap();
    let data = office.folder.path().join("moved");
    restore(&backup, &data);
    office.try_start(&data, &[]).await.unwrap();
    for (position, case_id) in cases.iter().enumerate().skip(1) {
        let told = office.ask(asking(&[case_id])).await.unwrap_err();
        assert_eq!(told.code(), Code::DataLoss, "{told:?}");
        let info = told.get_details_error_info().unwrap();
        assert_eq!(info.reason, "SEALED_VALUE_DAMAGED");
        assert_eq!(info.metadata["position"], position.to_string());
        for word in ["one", "two", "three", "four"] {
            assert!(!told.message().contains(word), "{told:?}");
        }
    }
    // Nothing of them was disclosed, and the one that stands where it was sealed for is.
    let opened = office.opened(&cases[0]).await;
    assert_eq!((opened.entries.len(), opened.disclosure), (2, Some(0)));
}
