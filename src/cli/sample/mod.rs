//! `casetrail sample`: fictional histories in the format that `casetrail submit` reads, of any
//! size, the same for the same seed.
//!
//! Invariants: every submission is accepted by a server that is given all of them in order, into
//! any log that has none of them yet; from [`COVERING_CASES`] cases on, every event type occurs;
//! there are at least ten events a case.
//!
//! It deliberately knows nothing of the lifecycle tables: its stories are an independent account of
//! what can happen, and the tests hold the one against the other.

mod detention;
mod history;
mod remains;
mod return_home;
mod world;

use std::collections::VecDeque;

use clap::Args;

use self::world::World;
use super::failure::Failure;
use super::output::Output;
use crate::wire::v1::SubmitEventsRequest;

/// The number of cases from which on a sample has every event type: one story of each plot in which
/// whatever may happen does, with the cases that they bring about.
pub const COVERING_CASES: u64 = 60;

/// How many stories are told beside one another: their submissions are in the order of their days.
const STORIES_TOGETHER: usize = 128;

/// How many events a case has at least on average.
const EVENTS_PER_CASE_MIN: u64 = 10;

/// What to print.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  casetrail sample --cases 300 > sample.jsonl
  casetrail sample --cases 10000 --seed 7 | casetrail submit -")]
pub struct SampleArguments {
    /// Number of cases
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub cases: u64,
    /// Seed: the same seed gives the same sample
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
}

/// Prints a sample as JSON Lines.
pub fn run(arguments: &SampleArguments) -> Result<(), Failure> {
    let mut output = Output::stdout();
    for submission in Sample::new(arguments.cases, arguments.seed) {
        output.json(&submission)?;
    }
    output.flush()
}

/// A sample, submission by submission in the order in which they are to be submitted. What it holds
/// in memory does not grow with the number of cases.
pub struct Sample {
    world: World,
    stories_told: usize,
    cases: u64,
    ready: VecDeque<SubmitEventsRequest>,
}

#[derive(Clone, Copy)]
enum Plot {
    Detention(detention::Plot),
    Remains(remains::Plot),
    Return(return_home::Plot),
}

impl Sample {
    /// A sample of so many cases, the same for the same seed.
    pub fn new(cases: u64, seed: u64) -> Self {
        Self {
            world: World::new(cases, seed),
            stories_told: 0,
            cases,
            ready: VecDeque::new(),
        }
    }

    /// Tells some stories, and puts their submissions in the order of their days. The order within
    /// a case is kept, since the days of a case never decrease and the sort is stable.
    fn tell_stories(&mut self) {
        for _ in 0..STORIES_TOGETHER {
            if self.world.cases_left == 0 {
                break;
            }
            self.tell_story();
        }
        self.world.submissions.sort_by_key(|(date, _)| *date);
        self.ready.extend(
            self.world
                .submissions
                .drain(..)
                .map(|(_, submission)| submission),
        );
    }

    fn tell_story(&mut self) {
        let begun = self.cases - self.world.cases_left;
        let behind = self.world.events < (begun + 1) * EVENTS_PER_CASE_MIN;
        let (plot, thorough) = match covering_plot(self.stories_told) {
            Some(plot) => (plot, true),
            // A short story is made up for by a long one.
            None if behind && begun > COVERING_CASES => (self.longest_plot(), true),
            None => (self.any_plot(), false),
        };
        self.stories_told += 1;
        self.world.thorough = thorough;
        match plot {
            Plot::Detention(plot) => detention::tell(&mut self.world, plot),
            Plot::Remains(plot) => remains::tell(&mut self.world, plot),
            Plot::Return(plot) => return_home::tell(&mut self.world, plot),
        }
    }

    fn longest_plot(&mut self) -> Plot {
        self.world.pick([
            Plot::Detention(detention::Plot::HandedOver),
            Plot::Remains(remains::Plot::RevokedAfterHandover),
            Plot::Return(return_home::Plot::Returned),
        ])
    }

    fn any_plot(&mut self) -> Plot {
        let world = &mut self.world;
        match world.below(100) {
            0..45 => {
                Plot::Detention(world.weighted(&detention::PLOTS, detention::Plot::HandedOver))
            }
            45..70 => Plot::Remains(world.weighted(&remains::PLOTS, remains::Plot::Identified)),
            _ => Plot::Return(world.weighted(&return_home::PLOTS, return_home::Plot::Returned)),
        }
    }
}

impl Iterator for Sample {
    type Item = SubmitEventsRequest;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.tell_stories();
        }
        self.ready.pop_front()
    }
}

/// The plots of the first stories: each once, told thoroughly.
fn covering_plot(story: usize) -> Option<Plot> {
    detention::PLOTS
        .iter()
        .map(|(plot, _)| Plot::Detention(*plot))
        .chain(remains::PLOTS.iter().map(|(plot, _)| Plot::Remains(*plot)))
        .chain(
            return_home::PLOTS
                .iter()
                .map(|(plot, _)| Plot::Return(*plot)),
        )
        .nth(story)
}
