//! Power cuts, by construction. A recorder that is preloaded into the real server writes down every
//! change of its files, every sync and every send, in one order, under load. From that the images
//! are built that a power cut at any moment could leave: everything that was synced, and any part of
//! the rest, torn at sectors of 512 bytes. Each is opened by the ordinary start-up in a process of its
//! own and held against what had been told by then.
//!
//! Nothing that was told may be missing, no submission may be there in part, and every image has to
//! open. That the test would see a loss is shown by controls: the same with a sync left out loses.
//!
//! `CASETRAIL_TEST_POWERCUT_IMAGES` says how many images are checked; from 1,000 on the loads are
//! larger as well. `CASETRAIL_TEST_BINARY` names a server to take, one of a release build is quicker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    missing_docs,
    unreachable_pub
)]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod disk;
mod examine;
mod fate;
#[path = "../process/load.rs"]
mod load;
mod loads;
mod moments;
mod rig;
mod told;
mod trace;

use std::collections::BTreeMap;

use self::check::Fault;
use self::examine::{Examined, Tally};
use self::load::Chance;
use self::loads::Scale;
use self::moments::Kind;
use self::rig::{Recorder, Recording};

const IMAGES: usize = 140;
const IMAGES_OF_LARGE_LOADS: usize = 1_000;
const SEED: u64 = 20_261_124;

/// How many of the things that are wrong are shown.
const FAULTS_SHOWN: usize = 12;

fn images() -> usize {
    let images = std::env::var("CASETRAIL_TEST_POWERCUT_IMAGES");
    images.map_or(IMAGES, |images| images.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_was_told_and_every_image_opens() {
    let Some(recorder) = Recorder::compile() else {
        return;
    };
    let images = images();
    let scale = if images >= IMAGES_OF_LARGE_LOADS {
        Scale::Large
    } else {
        Scale::Small
    };
    let mut tallies = Vec::new();
    let mut examine = |name, images, recording: &Recording| {
        let examined = Examined::new(recording);
        println!("{name}: {}", examined.describe());
        let tally = examined.check(images, SEED);
        show(name, &tally);
        tallies.push(tally);
    };
    // Those with many records take long to check.
    let of_large = images / 14;
    let share = (images - 2 * of_large).div_ceil(5);

    let recording = loads::one_at_a_time(&recorder, None).await;
    examine("one submission at a time", share, &recording);
    let recording = loads::many_in_flight(&recorder, scale).await;
    examine("many in flight", share, &recording);
    let recording = loads::large_submissions(&recorder, scale, None).await;
    examine("submissions of 100 events", of_large, &recording);
    let recording = loads::mark_and_snapshot(&recorder, scale).await;
    examine("mark and snapshot under load", of_large, &recording);
    let recording = loads::end_in_good_order(&recorder).await;
    examine("end in good order, and a start", share, &recording);
    let recording = loads::starts_after_kills(&recorder, SEED).await;
    examine("starts after kills", share, &recording);
    let tally = chain(&recorder, if scale == Scale::Large { 15 } else { 3 }, share).await;
    show("crash, recover, write, crash", &tally);
    tallies.push(tally);

    let mut all = Tally::default();
    tallies.into_iter().for_each(|tally| all.add(tally));
    println!("{}", line("all", &all));
    println!("images by what was going on: {:?}", all.moments);
    // A short load may not have as many different ones as its share.
    assert!(all.images * 10 >= images * 9, "only {} images", all.images);
    assert_eq!(all.fine, all.images);
}

/// What a power cut left is recovered and written on, and then the power is cut again, during the
/// recovery too; so many times.
async fn chain(recorder: &Recorder, generations: usize, images: usize) -> Tally {
    let mut chance = Chance::new(SEED);
    let mut tally = Tally::default();
    let mut recording = loads::one_at_a_time(recorder, None).await;
    for generation in 0..generations {
        let (left, told) = Examined::new(&recording).one_image(&mut chance);
        let seed = SEED + generation as u64;
        recording = loads::on_what_was_left(recorder, left, &recording, told, seed).await;
        let share = images.div_ceil(generations);
        tally.add(Examined::new(&recording).check(share, seed));
    }
    tally
}

/// Without the sync of each commit, what was told is lost; otherwise the test above would show
/// nothing. It is also then that the heads of sled's segments claim more than is durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_without_the_sync_of_a_commit_what_was_told_is_lost() {
    let Some(recorder) = Recorder::compile() else {
        return;
    };
    let recording = loads::one_at_a_time(&recorder, Some("fdatasync")).await;
    loses("one at a time, no fdatasync", &recording, images() / 5);

    let recording = loads::large_submissions(&recorder, Scale::Small, Some("fdatasync")).await;
    let claiming = loses("100 events, no fdatasync", &recording, images() / 5);
    assert!(claiming.contains_key(&Kind::Claiming));
}

/// Of nothing that was told anything is durable; and images at random show it. Gives the moments that
/// were there.
fn loses(name: &str, recording: &Recording, images: usize) -> BTreeMap<Kind, usize> {
    let examined = Examined::new(recording);
    println!("control, {name}: {}", examined.describe());
    let tally = examined.check_what_is_durable(images);
    show("  what is durable at answers", &tally);
    assert!(tally.images > 0);
    assert_eq!(tally.fine, 0, "what was told is there without a sync");

    let tally = examined.check(images, SEED);
    show("  at random", &tally);
    assert!(tally.lost > 0, "none of {} images shows it", tally.images);
    examined.moments_by_kind()
}

/// Without the syncs at the opening and around what is renamed, some images don't open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_without_the_syncs_of_the_opening_not_every_image_opens() {
    let Some(recorder) = Recorder::compile() else {
        return;
    };
    let recording = loads::one_at_a_time(&recorder, Some("fsync")).await;
    let tally = Examined::new(&recording).check(images().div_ceil(5), SEED);
    show("control, one at a time, no fsync", &tally);
    assert!(tally.fine < tally.images, "all open");
}

fn line(name: &str, tally: &Tally) -> String {
    format!(
        "{name:34} {:5} images: {:5} fine, {:3} refused, {:3} lost, {:3} half, {:3} otherwise wrong",
        tally.images, tally.fine, tally.refused, tally.lost, tally.half, tally.wrong
    )
}

fn show(name: &str, tally: &Tally) {
    println!("{}", line(name, tally));
    for (image, fault) in tally.faults.iter().take(FAULTS_SHOWN) {
        let fault = match fault {
            Fault::Refused(text) => format!("refused: {text}"),
            Fault::Lost(text) => format!("lost: {text}"),
            Fault::Half(text) => format!("half: {text}"),
            Fault::Wrong(text) => format!("wrong: {text}"),
        };
        println!("  {image}\n    {fault}");
    }
}
