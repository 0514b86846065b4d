//! The queue file against a bad disk: flipped, with lines missing, or another file altogether.

use super::*;

#[test]
fn a_flipped_bit_is_noticed_or_loses_nothing() {
    let written = written();
    let mut noticed = 0;
    for (place, bit) in (0..written.bytes.len()).zip((0..8).cycle()) {
        let mut bytes = written.bytes.clone();
        bytes[place] ^= 1 << bit;
        match format::read(&bytes) {
            Err(Fault::Damaged { line, .. }) => {
                let lines = &written.bytes[..place];
                let expected = lines.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
                // A line ending that is gone makes two lines one.
                assert!(
                    line == expected,
                    "byte {place}: line {line} and not {expected}"
                );
                noticed += 1;
            }
            Err(fault) => panic!("byte {place}: {fault}"),
            Ok(content) => assert_eq!(content.records, written.records, "byte {place}"),
        }
    }
    // What is not noticed at once is in the last seal, which holds nothing else.
    assert!(noticed > written.bytes.len() - 40, "{noticed}");
}

#[test]
fn a_damaged_first_line_is_told_with_what_to_type_and_the_rest_is_lifted() {
    let written = written();
    for (first, lines) in [("casetrail outbox 7\n", 1), ("casetraim outbox 1\n", 1)] {
        let mut bytes = written.bytes.clone();
        bytes[..first.len()].copy_from_slice(first.as_bytes());
        fs::write(written.path(), &bytes).unwrap();
        let failure = Queue::open(&written.path(), Missing::Refuse).unwrap_err();
        let text = failure.to_string();
        assert!(text.contains("line 1, from byte 0 on"), "{text}");
        assert!(text.contains("casetrail outbox salvage "), "{text}");
        let (entries, others) = read_damaged(&written.path()).unwrap();
        let expected: Entries = written.records.iter().cloned().collect();
        assert_eq!((entries, others.len()), (expected, lines));
        assert_eq!(fs::read(written.path()).unwrap(), bytes);
    }
}

#[test]
fn a_missing_line_is_noticed_and_the_file_left_as_it_is() {
    let written = written();
    let lines: Vec<_> = written.bytes.split_inclusive(|b| *b == b'\n').collect();
    for missing in 1..lines.len() - 1 {
        let mut lines = lines.clone();
        lines.remove(missing);
        let bytes = lines.concat();
        let fault = format::read(&bytes).unwrap_err();
        assert!(matches!(fault, Fault::Damaged { .. }), "line {missing}");
        fs::write(written.path(), &bytes).unwrap();
        let failure = Queue::open(&written.path(), Missing::Make).unwrap_err();
        assert!(matches!(&failure, Failure::Failed(text) if text.contains("outbox salvage")));
        assert_eq!(fs::read(written.path()).unwrap(), bytes);
    }
}

#[test]
fn all_whole_lines_of_a_damaged_file_are_lifted() {
    let written = written();
    let lines: Vec<_> = written.bytes.split_inclusive(|b| *b == b'\n').collect();
    let mut place = 0;
    for (index, line) in lines.iter().enumerate().skip(1) {
        place += lines[index - 1].len();
        let mut bytes = written.bytes.clone();
        bytes[place + line.len() / 2] ^= 1;
        let (records, others) = format::read_whole_lines(&bytes);
        assert_eq!(others, [u64::try_from(index).unwrap() + 1]);
        let is_seal = line.windows(8).any(|word| word == b" sealed ") && line.len() < 30;
        let expected = written.records.len() - usize::from(!is_seal);
        assert_eq!(records.len(), expected);
        assert!(records.iter().all(|each| written.records.contains(each)));
    }
}

#[test]
fn another_file_or_a_newer_one_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (content, says) in [
        (&b"{\"requestId\":\"\"}\n"[..], "no queue file"),
        (b"casetrail outbox 2\nanything\n", "newer version"),
        (
            b"casetrail outbox 1\n4ae1c3f4 moved 1\n",
            "doesn't know what",
        ),
    ] {
        let content = if says == "doesn't know what" {
            let crc = crc32fast::hash(b"moved 1");
            format!("casetrail outbox 1\n{crc:08x} moved 1\n").into_bytes()
        } else {
            content.to_vec()
        };
        fs::write(&path, &content).unwrap();
        let failure = Queue::open(&path, Missing::Make).unwrap_err().to_string();
        assert!(failure.contains(says), "{failure}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    let failure = Queue::open(&folder.path().join("none"), Missing::Refuse).unwrap_err();
    assert!(matches!(failure, Failure::Usage(_)));
    assert!(Queue::open(folder.path(), Missing::Make).is_err());
}
