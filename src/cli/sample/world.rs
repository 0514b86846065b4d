//! What the histories of a sample are made of: chance, identifiers, references, places and dates.
//!
//! Everything follows from the seed: there is no clock and no other source of chance. All of it is
//! fictional: the countries are XA to XZ, which ISO 3166-1 leaves to users, and no reference names
//! a person.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use time::{Date, Duration, Month};
use uuid::Builder;

use crate::wire::v1::{
    ConditionsAssessed, Credibility, CriterionRating, CriterionScore, DurableSolutionCriterion,
    Place, ReasonCode, Source, SourceConnection, SourceReliability, SubmitEventsRequest,
};

/// The first day on which a case may begin.
const FIRST_DAY: Date = day(2021, Month::January, 4);
/// How many days later the last case begins.
const BEGINNING_DAYS: u32 = 1000;
/// The last day on which anything happens; every date of a sample is past.
pub(super) const LAST_DAY: Date = day(2025, Month::December, 20);

/// One word of a reference in each of several scripts; none comes first by rule.
type Words = [&'static str; 8];

/// An authority, in references.
pub(super) const AUTHORITY: Words = [
    "AUTHORITY",
    "ΑΡΧΗ",
    "ВЕДОМСТВО",
    "سلطة",
    "机关",
    "अधिकारी",
    "OFFICE",
    "AUTORITE",
];
/// A team or an organisation, in references.
pub(super) const TEAM: Words = [
    "TEAM",
    "ΟΜΑΔΑ",
    "ГРУППА",
    "فريق",
    "小组",
    "दल",
    "MISSION",
    "EQUIPO",
];
/// An operation or a movement, in references.
pub(super) const OPERATION: Words = [
    "OPERATION",
    "ΠΟΡΕΙΑ",
    "КОЛОННА",
    "قافلة",
    "行动",
    "काफिला",
    "CONVOY",
    "VIAJE",
];
/// A document, in references.
pub(super) const DOCUMENT: Words = [
    "LIST",
    "ΑΡΧΕΙΟ",
    "РЕЕСТР",
    "سجل",
    "名册",
    "सूची",
    "REPORT",
    "ACTA",
];
/// A label, a seal or a barcode, in references.
pub(super) const LABEL: Words = [
    "LABEL",
    "ΕΤΙΚΕΤΑ",
    "МЕТКА",
    "وسم",
    "标签",
    "अंक",
    "SEAL",
    "SELLO",
];
/// A source, in references.
const SOURCE: Words = [
    "SRC",
    "ΠΗΓΗ",
    "ИСТОЧНИК",
    "مصدر",
    "来源",
    "सोत",
    "INFO",
    "FUENTE",
];

/// Chance and what is known of the whole sample so far.
pub(super) struct World {
    random: ChaCha8Rng,
    /// Whether whatever may happen in a story does: so a story shows all of its event types.
    pub(super) thorough: bool,
    /// How many cases may still be begun.
    pub(super) cases_left: u64,
    /// How many events there are so far.
    pub(super) events: u64,
    /// The submissions of the histories under way, with the day on which each was made.
    pub(super) submissions: Vec<(Date, SubmitEventsRequest)>,
    /// A detention case and a remains case to which others may refer.
    pub(super) known_detention: Option<String>,
    pub(super) known_remains: Option<String>,
}

impl World {
    pub(super) fn new(cases: u64, seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            thorough: false,
            cases_left: cases,
            events: 0,
            submissions: Vec::new(),
            known_detention: None,
            known_remains: None,
        }
    }

    /// A number below `limit`; 0 where the limit is 0.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        let scaled = u64::from(self.random.next_u32()) * u64::from(limit);
        u32::try_from(scaled >> 32).unwrap_or(0)
    }

    /// Whether something happens that happens in so many of a hundred cases. In a thorough story
    /// whatever may happen does.
    pub(super) fn sometimes(&mut self, percent: u32) -> bool {
        self.by_chance(percent) || self.thorough
    }

    /// The same, in thorough stories too.
    pub(super) fn by_chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of the choices, each as likely as the others.
    #[expect(
        clippy::indexing_slicing,
        reason = "below() stays below the length, which is not 0"
    )]
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        const { assert!(N > 0) };
        let index = self.below(u32::try_from(N).unwrap_or(u32::MAX));
        choices[usize::try_from(index).unwrap_or(0)]
    }

    /// One of the choices, each as likely as its weight says; the last one where all are 0.
    pub(super) fn weighted<T: Copy>(&mut self, choices: &[(T, u32)], otherwise: T) -> T {
        let mut left = self.below(choices.iter().map(|(_, weight)| weight).sum());
        for (choice, weight) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        otherwise
    }

    /// An identifier of version 7 that bears the day.
    pub(super) fn uuid(&mut self, date: Date) -> String {
        let seconds = date.midnight().assume_utc().unix_timestamp();
        let milliseconds =
            u64::try_from(seconds).unwrap_or(0) * 1000 + u64::from(self.below(86_400_000));
        let mut bytes = [0; 10];
        self.random.fill_bytes(&mut bytes);
        Builder::from_unix_timestamp_millis(milliseconds, &bytes)
            .into_uuid()
            .to_string()
    }

    /// The day on which a case begins.
    pub(super) fn first_day(&mut self) -> Date {
        let days = self.below(BEGINNING_DAYS);
        later(FIRST_DAY, days)
    }

    /// A reference: a word in one of several scripts, and a number.
    pub(super) fn reference(&mut self, words: Words) -> String {
        let word = self.pick(words);
        format!("{word}-{:04}", self.below(10_000))
    }

    /// A source of a connection, with a reliability that fits it.
    pub(super) fn source(&mut self, connection: SourceConnection) -> Source {
        use SourceReliability as R;
        let reliability = match connection {
            SourceConnection::OwnStaff | SourceConnection::Official => {
                self.pick([R::HighlyReliable, R::HighlyReliable, R::LikelyReliable])
            }
            SourceConnection::ThirdParty => self.pick([
                R::Unsure,
                R::LikelyUnreliable,
                R::HighlyUnreliable,
                R::Unknown,
            ]),
            _ => self.pick([R::LikelyReliable, R::LikelyReliable, R::Unsure]),
        };
        Source {
            reference: self.reference(SOURCE),
            connection: connection.into(),
            reliability: reliability.into(),
        }
    }

    /// How far an allegation is held to be true.
    pub(super) fn doubt(&mut self) -> Credibility {
        use Credibility as C;
        self.pick([
            C::Likely,
            C::Likely,
            C::Possible,
            C::Possible,
            C::Unlikely,
            C::Unknown,
        ])
    }

    /// A place in one of some first-level districts.
    pub(super) fn place(&mut self) -> Place {
        let letter = char::from(b'A'.saturating_add(u8::try_from(self.below(26)).unwrap_or(0)));
        let district = 1 + self.below(4);
        let word = self.pick([
            "SITE",
            "ΤΟΠΟΣ",
            "МЕСТО",
            "موقع",
            "地点",
            "जगह",
            "PLACE",
            "LUGAR",
        ]);
        Place {
            place_id: format!("{word}-{:04}", self.below(10_000)),
            country: format!("X{letter}"),
            district: format!("X{letter}{district:02}"),
            unknown: false,
        }
    }

    /// Another place near this one.
    pub(super) fn place_near(&mut self, place: &Place) -> Place {
        if place.unknown || self.by_chance(25) {
            return self.place();
        }
        Place {
            place_id: self.place().place_id,
            ..place.clone()
        }
    }

    /// Why something did not take place as planned.
    pub(super) fn reason(&mut self) -> i32 {
        use ReasonCode as R;
        self.pick([
            R::Security,
            R::Access,
            R::Weather,
            R::Transport,
            R::Health,
            R::Documents,
            R::DecisionOfAuthority,
            R::DecisionOfPerson,
            R::ConditionsAtDestination,
            R::Other,
            R::Unknown,
        ])
        .into()
    }

    /// Scores of some of the eight criteria, each once; a better outlook meets more of them.
    pub(super) fn scores(&mut self, good: bool) -> Vec<CriterionScore> {
        use CriterionRating as R;
        use DurableSolutionCriterion as C;
        let all = [
            C::Safety,
            C::StandardOfLiving,
            C::Livelihoods,
            C::HousingLandProperty,
            C::Documentation,
            C::FamilyReunification,
            C::Participation,
            C::Remedies,
        ];
        let asked = 3 + usize::try_from(self.below(6)).unwrap_or(0);
        all.into_iter()
            .take(asked)
            .map(|criterion| {
                let rating = if good {
                    self.pick([R::Met, R::Met, R::PartlyMet])
                } else {
                    self.pick([R::Met, R::PartlyMet, R::NotMet])
                };
                CriterionScore {
                    criterion: criterion.into(),
                    rating: rating.into(),
                }
            })
            .collect()
    }

    /// An assessment of the conditions at a place.
    pub(super) fn conditions(&mut self, place: &Place, good: bool) -> ConditionsAssessed {
        ConditionsAssessed {
            place: Some(place.clone()),
            scores: self.scores(good),
        }
    }

    /// When something happened that followed what happened until `since`: the text, and the latest
    /// day on which it can have happened, by which events are ordered.
    pub(super) fn occurred(&mut self, since: Date) -> (String, Date) {
        let date = later(since, self.below(33));
        let month_end = end_of_month(date);
        let (year, month) = (date.year(), u8::from(date.month()));
        match self.below(100) {
            0..6 => (format!("{}?", text(date)), date),
            6..9 => (format!("{}~", text(date)), date),
            9..15 => {
                let (hour, minute) = (self.below(24), self.below(60));
                (format!("{}T{hour:02}:{minute:02}:00Z", text(date)), date)
            }
            15..19 => {
                let earlier = date.saturating_sub(Duration::days(i64::from(1 + self.below(9))));
                (format!("{}/{}", text(earlier), text(date)), date)
            }
            19..22 if month_end <= LAST_DAY => (format!("{year:04}-{month:02}?"), month_end),
            22..24 if month_end <= LAST_DAY => (format!("{year:04}-{month:02}"), month_end),
            24..26 if month_end <= LAST_DAY => (format!("{year:04}-{month:02}-XX"), month_end),
            _ => (text(date), date),
        }
    }

    /// When a case may have begun of which little is known: a year, or a month of it.
    pub(super) fn began(&mut self, date: Date) -> (String, Date) {
        let year_end = day(date.year(), Month::December, 31);
        if year_end < LAST_DAY && self.sometimes(8) {
            return (format!("{:04}-XX", date.year()), year_end);
        }
        self.occurred(date)
    }
}

/// A day of the calendar as `YYYY-MM-DD`.
pub(super) fn text(date: Date) -> String {
    format!(
        "{:04}-{:02}-{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
}

/// So many days later, but not after the last day of a sample.
pub(super) fn later(date: Date, days: u32) -> Date {
    date.saturating_add(Duration::days(i64::from(days)))
        .min(LAST_DAY)
}

fn end_of_month(date: Date) -> Date {
    date.replace_day(date.month().length(date.year()))
        .unwrap_or(date)
}

const fn day(year: i32, month: Month, day: u8) -> Date {
    match Date::from_calendar_date(year, month, day) {
        Ok(date) => date,
        Err(_) => Date::MIN,
    }
}
