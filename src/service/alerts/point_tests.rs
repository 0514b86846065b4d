use super::*;

fn point(position: u64) -> Point {
    Point {
        position,
        day: Day(20_000),
        thresholds: AlertThresholds::default(),
    }
}

/// Tells so many changes, and gives those that go out.
fn tell(telling: &mut Telling, changes: &[&'static str]) -> Vec<&'static str> {
    let mut out = Vec::new();
    for change in changes {
        if telling.is_to_tell() {
            out.push(*change);
        }
    }
    out
}

#[test]
fn whoever_is_cut_off_twice_is_told_each_change_once() {
    // Given a watcher who was cut off after two of four changes,
    let changes = ["a", "b", "c", "d"];
    let mut telling = Telling::resumed(Cursor::default());
    telling.begin(point(9));
    assert_eq!(tell(&mut telling, &changes[..2]), ["a", "b"]);

    // when it resumes, and is cut off again by the time a sign of life was sent and nothing new,
    let mut resumed = Telling::resumed(telling.cursor());
    resumed.begin(point(9));
    assert_eq!(tell(&mut resumed, &changes[..1]), [""; 0]);
    let sign_of_life = resumed.cursor();
    assert_eq!(sign_of_life, telling.cursor());

    // then it is told the other two, and no change twice.
    let mut resumed = Telling::resumed(sign_of_life);
    resumed.begin(point(9));
    assert_eq!(tell(&mut resumed, &changes), ["c", "d"]);
    assert_eq!(resumed.cursor().told, 4);
}

#[test]
fn on_the_way_to_the_next_point_nothing_is_left_out() {
    let mut telling = Telling::resumed(Cursor {
        from: None,
        to: Some(point(9)),
        told: 7,
    });
    telling.begin(point(9));
    assert_eq!(tell(&mut telling, &["a"]), [""; 0]);
    telling.arrive(point(9));
    telling.begin(point(12));
    assert_eq!(tell(&mut telling, &["b"]), ["b"]);
    assert_eq!(telling.cursor().told, 1);
}
