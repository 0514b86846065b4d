//! Combining marks that scripts need inside words and that `char::is_alphanumeric` leaves out:
//! viramas, nuktas, tone marks, diacritics.
//!
//! The standard library knows no general categories, and a crate for one table is not worth its
//! tree. The ranges are the characters of category Mn or Mc of Unicode 14 that are not alphabetic,
//! without variation selectors and joiners (they are invisible) and without musical and sign
//! notation (they write no words).

/// Whether the character is such a mark.
pub(super) fn is_combining_mark(character: char) -> bool {
    let after = RANGES.partition_point(|&(first, _)| first <= character);
    after
        .checked_sub(1)
        .and_then(|index| RANGES.get(index))
        .is_some_and(|&(_, last)| character <= last)
}

/// First and last character of each range, ascending.
#[rustfmt::skip]
const RANGES: &[(char, char)] = &[
    ('\u{300}', '\u{344}'), ('\u{346}', '\u{34E}'), ('\u{350}', '\u{362}'), ('\u{483}', '\u{487}'),
    ('\u{591}', '\u{5AF}'), ('\u{658}', '\u{658}'), ('\u{6DF}', '\u{6E0}'), ('\u{6EA}', '\u{6EC}'),
    ('\u{740}', '\u{74A}'), ('\u{7EB}', '\u{7F3}'), ('\u{7FD}', '\u{7FD}'), ('\u{818}', '\u{819}'),
    ('\u{82D}', '\u{82D}'), ('\u{859}', '\u{85B}'), ('\u{898}', '\u{89F}'), ('\u{8CA}', '\u{8D3}'),
    ('\u{8E0}', '\u{8E1}'), ('\u{8EA}', '\u{8EF}'), ('\u{93C}', '\u{93C}'), ('\u{94D}', '\u{94D}'),
    ('\u{951}', '\u{954}'), ('\u{9BC}', '\u{9BC}'), ('\u{9CD}', '\u{9CD}'), ('\u{9FE}', '\u{9FE}'),
    ('\u{A3C}', '\u{A3C}'), ('\u{A4D}', '\u{A4D}'), ('\u{ABC}', '\u{ABC}'), ('\u{ACD}', '\u{ACD}'),
    ('\u{AFD}', '\u{AFF}'), ('\u{B3C}', '\u{B3C}'), ('\u{B4D}', '\u{B4D}'), ('\u{B55}', '\u{B55}'),
    ('\u{BCD}', '\u{BCD}'), ('\u{C3C}', '\u{C3C}'), ('\u{C4D}', '\u{C4D}'), ('\u{CBC}', '\u{CBC}'),
    ('\u{CCD}', '\u{CCD}'), ('\u{D3B}', '\u{D3C}'), ('\u{D4D}', '\u{D4D}'), ('\u{DCA}', '\u{DCA}'),
    ('\u{E47}', '\u{E4C}'), ('\u{E4E}', '\u{E4E}'), ('\u{EBA}', '\u{EBA}'), ('\u{EC8}', '\u{ECC}'),
    ('\u{F18}', '\u{F19}'), ('\u{F35}', '\u{F35}'), ('\u{F37}', '\u{F37}'), ('\u{F39}', '\u{F39}'),
    ('\u{F3E}', '\u{F3F}'), ('\u{F84}', '\u{F84}'), ('\u{F86}', '\u{F87}'), ('\u{FC6}', '\u{FC6}'),
    ('\u{1037}', '\u{1037}'), ('\u{1039}', '\u{103A}'), ('\u{135D}', '\u{135F}'),
    ('\u{1714}', '\u{1715}'), ('\u{1734}', '\u{1734}'), ('\u{17C9}', '\u{17D3}'),
    ('\u{17DD}', '\u{17DD}'), ('\u{1939}', '\u{193B}'), ('\u{1A60}', '\u{1A60}'),
    ('\u{1A75}', '\u{1A7C}'), ('\u{1A7F}', '\u{1A7F}'), ('\u{1AB0}', '\u{1ABD}'),
    ('\u{1AC1}', '\u{1ACB}'), ('\u{1B34}', '\u{1B34}'), ('\u{1B44}', '\u{1B44}'),
    ('\u{1B6B}', '\u{1B73}'), ('\u{1BAA}', '\u{1BAB}'), ('\u{1BE6}', '\u{1BE6}'),
    ('\u{1BF2}', '\u{1BF3}'), ('\u{1C37}', '\u{1C37}'), ('\u{1CD0}', '\u{1CD2}'),
    ('\u{1CD4}', '\u{1CE8}'), ('\u{1CED}', '\u{1CED}'), ('\u{1CF4}', '\u{1CF4}'),
    ('\u{1CF7}', '\u{1CF9}'), ('\u{1DC0}', '\u{1DD2}'), ('\u{1DF5}', '\u{1DFF}'),
    ('\u{20D0}', '\u{20DC}'), ('\u{20E1}', '\u{20E1}'), ('\u{20E5}', '\u{20F0}'),
    ('\u{2CEF}', '\u{2CF1}'), ('\u{2D7F}', '\u{2D7F}'), ('\u{302A}', '\u{302F}'),
    ('\u{3099}', '\u{309A}'), ('\u{A66F}', '\u{A66F}'), ('\u{A67C}', '\u{A67D}'),
    ('\u{A6F0}', '\u{A6F1}'), ('\u{A806}', '\u{A806}'), ('\u{A82C}', '\u{A82C}'),
    ('\u{A8C4}', '\u{A8C4}'), ('\u{A8E0}', '\u{A8F1}'), ('\u{A92B}', '\u{A92D}'),
    ('\u{A953}', '\u{A953}'), ('\u{A9B3}', '\u{A9B3}'), ('\u{A9C0}', '\u{A9C0}'),
    ('\u{AABF}', '\u{AABF}'), ('\u{AAC1}', '\u{AAC1}'), ('\u{AAF6}', '\u{AAF6}'),
    ('\u{ABEC}', '\u{ABED}'), ('\u{FE20}', '\u{FE2F}'), ('\u{101FD}', '\u{101FD}'),
    ('\u{102E0}', '\u{102E0}'), ('\u{10A38}', '\u{10A3A}'), ('\u{10A3F}', '\u{10A3F}'),
    ('\u{10AE5}', '\u{10AE6}'), ('\u{10F46}', '\u{10F50}'), ('\u{10F82}', '\u{10F85}'),
    ('\u{11046}', '\u{11046}'), ('\u{11070}', '\u{11070}'), ('\u{1107F}', '\u{1107F}'),
    ('\u{110B9}', '\u{110BA}'), ('\u{11133}', '\u{11134}'), ('\u{11173}', '\u{11173}'),
    ('\u{111C0}', '\u{111C0}'), ('\u{111C9}', '\u{111CC}'), ('\u{11235}', '\u{11236}'),
    ('\u{112E9}', '\u{112EA}'), ('\u{1133B}', '\u{1133C}'), ('\u{1134D}', '\u{1134D}'),
    ('\u{11366}', '\u{1136C}'), ('\u{11370}', '\u{11374}'), ('\u{11442}', '\u{11442}'),
    ('\u{11446}', '\u{11446}'), ('\u{1145E}', '\u{1145E}'), ('\u{114C2}', '\u{114C3}'),
    ('\u{115BF}', '\u{115C0}'), ('\u{1163F}', '\u{1163F}'), ('\u{116B6}', '\u{116B7}'),
    ('\u{1172B}', '\u{1172B}'), ('\u{11839}', '\u{1183A}'), ('\u{1193D}', '\u{1193E}'),
    ('\u{11943}', '\u{11943}'), ('\u{119E0}', '\u{119E0}'), ('\u{11A33}', '\u{11A34}'),
    ('\u{11A47}', '\u{11A47}'), ('\u{11A98}', '\u{11A99}'), ('\u{11C3F}', '\u{11C3F}'),
    ('\u{11D42}', '\u{11D42}'), ('\u{11D44}', '\u{11D45}'), ('\u{11D97}', '\u{11D97}'),
    ('\u{16AF0}', '\u{16AF4}'), ('\u{16B30}', '\u{16B36}'), ('\u{16FE4}', '\u{16FE4}'),
    ('\u{1E130}', '\u{1E136}'), ('\u{1E2AE}', '\u{1E2AE}'), ('\u{1E2EC}', '\u{1E2EF}'),
    ('\u{1E8D0}', '\u{1E8D6}'), ('\u{1E944}', '\u{1E946}'), ('\u{1E948}', '\u{1E94A}'),
];
