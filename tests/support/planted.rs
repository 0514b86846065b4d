//! A recognisable value, and the search for it in whatever leaves the server: as UTF-8 in upper and
//! lower case, as UTF-16 in both orders, in base64 at each of its three alignments, and as search by
//! name would write it.

/// The value.
pub const PLANTED: &str = "Zorvinka Ąbłęcka-7391";

/// The forms in which the value may not be found. Letters of ASCII are compared without their case
/// where the flag says so.
fn forms() -> Vec<(String, Vec<u8>, bool)> {
    let wide: Vec<u16> = PLANTED.encode_utf16().collect();
    let little = wide.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big = wide.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let mut forms = vec![
        ("UTF-8".to_owned(), PLANTED.as_bytes().to_vec(), true),
        ("a part of it".to_owned(), b"zorvinka".to_vec(), true),
        ("another part".to_owned(), "Ąbłęcka".into(), true),
        ("in lower case".to_owned(), "ąbłęcka".into(), true),
        ("in Latin letters".to_owned(), b"ablecka".to_vec(), true),
        ("UTF-16LE".to_owned(), little, true),
        ("UTF-16BE".to_owned(), big, true),
    ];
    for shift in 0..3 {
        let mut padded = vec![0; shift];
        padded.extend_from_slice(PLANTED.as_bytes());
        let encoded = base64(&padded);
        // The first and the last group depend on what stands beside it.
        let whole = encoded.as_bytes()[4..encoded.len() - 4].to_vec();
        forms.push((format!("base64, shifted by {shift}"), whole, false));
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0_u32, |number, place| {
            (number << 8) | u32::from(group.get(place).copied().unwrap_or_default())
        });
        for place in 0..=group.len() {
            text.push(DIGITS[(number >> (18 - 6 * place) & 63) as usize].into());
        }
    }
    text
}

/// In which forms the value is in these bytes.
pub fn found_in(what: &str, bytes: &[u8]) -> Vec<String> {
    let lower = bytes.to_ascii_lowercase();
    let found = forms().into_iter().filter(|(_, form, without_case)| {
        let is_in = |bytes: &[u8], form: &[u8]| memchr::memmem::find(bytes, form).is_some();
        if *without_case {
            is_in(&lower, &form.to_ascii_lowercase())
        } else {
            is_in(bytes, form)
        }
    });
    found
        .map(|(form, _, _)| format!("{form} in {what}"))
        .collect()
}

/// That the search finds what is there.
pub fn assert_that_the_search_finds() {
    let beside = format!("before {PLANTED} behind");
    let found = found_in("text", beside.to_uppercase().as_bytes());
    assert!(!found.is_empty());
    let wide: Vec<u16> = beside.encode_utf16().collect();
    for bytes in [
        wide.iter().flat_map(|it| it.to_le_bytes()).collect(),
        wide.iter()
            .flat_map(|it| it.to_be_bytes())
            .collect::<Vec<_>>(),
    ] {
        assert!(!found_in("UTF-16", &bytes).is_empty());
    }
    for start in 0..3 {
        let text = base64(&beside.as_bytes()[start..]);
        assert!(!found_in("base64", text.as_bytes()).is_empty(), "{start}");
    }
}
