//! Says to which finger and field a frame belongs: by the moment it was captured, never by when it arrives.
//!
//! * After each change of finger a settling interval passes, and its frames belong to no field: a command and
//!   the hand are not simultaneous, and a frame under the wrong finger is the first hazard of all.
//! * A field ends when the operator says so, or when a readable frame shows a view more than half a width or
//!   height away from where the field began. An unreadable frame begins no field: it may be a smear on the way.
//! * When the track is lost (a jump, or nothing to hold on to; the source opened anew counts as that) the field goes on,
//!   and movement is measured from the first readable frame after the loss. Ending the field instead could count one
//!   place twice and so make evidence out of nothing. Going on may mix two views: if they read alike they
//!   count once, and if they do not, the frames spread and, unless one view was only glimpsed, the field is unstable.
//! * A field whose first readable frame lies within half a width and height of where an earlier field of the finger
//!   began, on an unbroken track, shows that place again. With the track lost in between the place
//!   counts as new only because the operator says so, or because the view has moved since.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Deserialize;

use super::Step;
use crate::finger::Finger;
use crate::frame::FrameId;
use crate::outcome::View;
use crate::report::FieldBegan;
use crate::time::Stamp;

/// Share of a width or height by which a view has to move to be another field: then less than half of the
/// old view is left in it.
pub const NEW_FIELD: f32 = 0.5;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// Time after a change of finger in which frames belong to no field. Half a second is twice a simple human
    /// reaction (about a quarter of one), for operators who speak and move at the same time; ours, not published.
    pub settle_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { settle_ms: 500 }
    }
}

impl Settings {
    pub fn check(&self) -> Result<(), String> {
        let is = self.settle_ms;
        if is <= 10_000 { Ok(()) } else { Err(format!("settle_ms is {is}: it must be 0 to 10000")) }
    }
}

/// How much of a frame was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sight {
    /// The gate let it through.
    Readable(View),
    /// The gate refused it.
    Refused(View),
    /// It never came to the gate: undecodable or dropped.
    Unseen,
}

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Field {
        finger: Finger,
        number: u32,
        because: FieldBegan,
    },
    /// Too soon after a change of finger.
    Settling,
    /// No finger was being recorded.
    Outside,
}

/// The fingers and fields of one exam.
#[derive(Clone, Debug)]
pub struct Timeline {
    settle: Duration,
    /// Number of the last field, by finger.
    last: BTreeMap<Finger, u32>,
    /// Commands that no frame has passed yet, by their stamps.
    pending: VecDeque<(Stamp, Change)>,
    recording: Option<Recording>,
    track: Track,
    /// Since when which place held, ascending: for frames that come late.
    marks: Vec<(Stamp, Place)>,
    /// The first field of the place that each field shows, once that is known.
    shown: BTreeMap<(Finger, u32), u32>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Finger(Finger),
    Field,
    Away,
}

/// The finger being recorded.
#[derive(Clone, Debug)]
struct Recording {
    finger: Finger,
    /// When its next field may begin, and why it will.
    due: Stamp,
    because: FieldBegan,
    field: Option<Field>,
    /// Where its fields began.
    origins: Vec<Origin>,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    number: u32,
    origin: Option<Origin>,
    /// A readable frame has come.
    readable: bool,
}

#[derive(Clone, Copy, Debug)]
struct Origin {
    /// Number of the first field at this place.
    place: u32,
    /// Positions compare only on one unbroken track.
    track: u64,
    view: [f32; 2],
}

impl Origin {
    fn near(&self, track: u64, view: [f32; 2]) -> bool {
        self.track == track && self.view.iter().zip(view).all(|(a, b)| (a - b).abs() <= NEW_FIELD)
    }
}

/// The unbroken track that the views are on.
#[derive(Clone, Copy, Debug, Default)]
struct Track {
    number: u64,
    run: u32,
    newest: Stamp,
}

impl Track {
    /// Goes on to this frame; false if it is older than the newest.
    fn follow(&mut self, frame: FrameId, at: Stamp, view: View) -> bool {
        if at < self.newest {
            return false;
        }
        self.newest = at;
        if view.is_none() || frame.run != self.run {
            self.number += 1;
            self.run = frame.run;
        }
        true
    }
}

impl Timeline {
    /// `fields` are the numbers already given, by finger: none for a new exam.
    pub fn new(settings: &Settings, fields: BTreeMap<Finger, u32>) -> Self {
        Self {
            settle: Duration::from_millis(settings.settle_ms),
            last: fields,
            pending: VecDeque::new(),
            recording: None,
            track: Track::default(),
            marks: vec![],
            shown: BTreeMap::new(),
        }
    }

    /// Takes a step that was decided at `at`. Frames captured before `at` may still be on their way, and
    /// belong to what was before.
    pub fn command(&mut self, at: Stamp, step: &Step) {
        let change = match step {
            Step::BeginFinger(finger) => Change::Finger(*finger),
            Step::NextField(_) => Change::Field,
            Step::EndFinger(_) | Step::CloseExam { .. } => Change::Away,
            Step::OpenExam { .. }
            | Step::ResumeExam { .. }
            | Step::Skip { .. }
            | Step::OwnCall { .. }
            | Step::Prepare(_) => return,
        };
        let after = self.pending.partition_point(|(other, _)| *other <= at);
        self.pending.insert(after, (at, change));
    }

    /// The place of a frame. Frames come about in the order of capture; one that comes late goes where its
    /// moment was, and begins nothing.
    pub fn assign(&mut self, frame: FrameId, at: Stamp, sight: Sight) -> Place {
        self.take_commands(at);
        if self.marks.last().is_some_and(|(since, _)| at < *since) {
            return self.place_at(at);
        }
        self.begin_field(at);
        if let Sight::Readable(view) | Sight::Refused(view) = sight
            && self.track.follow(frame, at, view)
            && matches!(sight, Sight::Readable(_))
        {
            self.look(at, view);
        }
        self.place_at(at)
    }

    /// The first field of the place that this field shows: its own number, unless the place was acquired again.
    /// Settled once a readable frame of the field has been assigned.
    pub fn place_of(&self, finger: Finger, number: u32) -> u32 {
        self.shown.get(&(finger, number)).copied().unwrap_or(number)
    }

    fn place_at(&self, at: Stamp) -> Place {
        let after = self.marks.partition_point(|(since, _)| *since <= at);
        self.marks[..after].last().map_or(Place::Outside, |(_, place)| *place)
    }

    fn mark(&mut self, since: Stamp, place: Place) {
        let latest = self.marks.last().map_or(since, |(latest, _)| *latest);
        self.marks.push((since.max(latest), place));
    }

    fn take_commands(&mut self, at: Stamp) {
        while let Some(&(since, change)) = self.pending.front().filter(|(since, _)| *since <= at) {
            self.pending.pop_front();
            match (change, &mut self.recording) {
                (Change::Finger(finger), _) => {
                    let (due, because) = (since.after(self.settle), FieldBegan::Finger);
                    self.recording = Some(Recording { finger, due, because, field: None, origins: vec![] });
                    self.mark(since, Place::Settling);
                }
                (Change::Away, _) => {
                    self.recording = None;
                    self.mark(since, Place::Outside);
                }
                // A field without a single frame is none: a second press, or one while the finger settles.
                (Change::Field, Some(recording)) if recording.field.is_some() => {
                    recording.field = None;
                    recording.due = since;
                    recording.because = FieldBegan::Operator;
                }
                (Change::Field, _) => {}
            }
        }
    }

    fn begin_field(&mut self, at: Stamp) {
        let Some(recording) = self.recording.as_mut().filter(|r| r.field.is_none() && r.due <= at) else {
            return;
        };
        let number = self.last.entry(recording.finger).or_default();
        *number += 1;
        recording.field = Some(Field { number: *number, origin: None, readable: false });
        let place = Place::Field { finger: recording.finger, number: *number, because: recording.because };
        let since = recording.due;
        self.mark(since, place);
    }

    /// Follows the view through a readable frame: into a new field when it has moved too far.
    fn look(&mut self, at: Stamp, view: View) {
        let track = self.track.number;
        let Some(recording) = &mut self.recording else { return };
        let Some(field) = &mut recording.field else { return };
        let first = !std::mem::replace(&mut field.readable, true);
        let Some(view) = view else { return };
        if let Some(origin) = field.origin.filter(|o| o.track == track) {
            if !origin.near(track, view) {
                recording.field = None;
                recording.due = at;
                recording.because = FieldBegan::Moved;
                self.begin_field(at);
                self.look(at, Some(view));
            }
            return;
        }
        // A field that was readable before goes on after a loss, at what counts as the same place.
        let known = recording.origins.iter().find(|o| first && o.near(track, view)).or(field.origin.as_ref());
        let origin = Origin { place: known.map_or(field.number, |o| o.place), track, view };
        field.origin = Some(origin);
        self.shown.insert((recording.finger, field.number), origin.place);
        recording.origins.push(origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R4: Finger = Finger::PROTOCOL[2];
    const L2: Finger = Finger::PROTOCOL[4];

    fn timeline() -> Timeline {
        Timeline::new(&Settings::default(), BTreeMap::new())
    }

    fn ms(ms: u64) -> Stamp {
        Stamp::from_ms(ms)
    }

    fn readable(timeline: &mut Timeline, at: u64, view: View) -> Place {
        timeline.assign(FrameId { run: 0, seq: at }, ms(at), Sight::Readable(view))
    }

    fn field(finger: Finger, number: u32, because: FieldBegan) -> Place {
        Place::Field { finger, number, because }
    }

    /// Field 1 of R4 begun at 1500 ms with its view at the origin.
    fn recording() -> Timeline {
        let mut t = timeline();
        t.command(ms(1000), &Step::BeginFinger(R4));
        assert_eq!(readable(&mut t, 1500, Some([0.0, 0.0])), field(R4, 1, FieldBegan::Finger));
        t
    }

    #[test]
    fn frames_before_a_finger_and_within_the_settling_interval_belong_to_no_field() {
        let mut t = timeline();
        t.command(ms(1000), &Step::BeginFinger(R4));
        for (at, place) in [
            (999, Place::Outside),
            (1000, Place::Settling),
            (1499, Place::Settling),
            (1500, field(R4, 1, FieldBegan::Finger)),
            (9000, field(R4, 1, FieldBegan::Finger)),
        ] {
            assert_eq!(readable(&mut t, at, None), place, "at {at} ms");
        }
    }

    #[test]
    fn frames_captured_before_a_command_belong_to_what_was_before_it() {
        let mut t = recording();
        t.command(ms(3000), &Step::EndFinger(R4));
        t.command(ms(3000), &Step::BeginFinger(L2));
        t.command(ms(9000), &Step::EndFinger(L2));
        for (at, place) in [
            (2999, field(R4, 1, FieldBegan::Finger)),
            (3000, Place::Settling),
            (3500, field(L2, 1, FieldBegan::Finger)),
            (8999, field(L2, 1, FieldBegan::Finger)),
            (9000, Place::Outside),
        ] {
            assert_eq!(readable(&mut t, at, Some([0.0, 0.0])), place, "at {at} ms");
        }
    }

    #[test]
    fn frames_that_come_late_go_where_their_moment_was() {
        let mut t = recording();
        t.command(ms(3000), &Step::NextField(R4));
        assert_eq!(readable(&mut t, 3005, Some([0.0, 0.0])), field(R4, 2, FieldBegan::Operator));
        assert_eq!(readable(&mut t, 2990, Some([9.0, 0.0])), field(R4, 1, FieldBegan::Finger));
        assert_eq!(readable(&mut t, 3001, Some([9.0, 0.0])), field(R4, 2, FieldBegan::Operator));
        assert_eq!(readable(&mut t, 1200, None), Place::Settling);
        assert_eq!(readable(&mut t, 500, None), Place::Outside);
    }

    #[test]
    fn a_finger_named_again_goes_on_counting_its_fields() {
        let mut t = recording();
        t.command(ms(3000), &Step::BeginFinger(L2));
        t.command(ms(5000), &Step::BeginFinger(R4));
        readable(&mut t, 4000, None);
        assert_eq!(readable(&mut t, 5500, None), field(R4, 2, FieldBegan::Finger));

        let mut resumed = Timeline::new(&Settings::default(), BTreeMap::from([(R4, 3)]));
        resumed.command(ms(0), &Step::BeginFinger(R4));
        assert_eq!(readable(&mut resumed, 500, None), field(R4, 4, FieldBegan::Finger));
    }

    #[test]
    fn a_view_more_than_half_a_width_or_height_away_is_a_new_field() {
        for (view, moved) in
            [([0.5, 0.0], false), ([0.51, 0.0], true), ([-0.51, 0.0], true), ([0.0, 0.51], true), ([0.4, -0.4], false)]
        {
            let mut t = recording();
            let expected = if moved { field(R4, 2, FieldBegan::Moved) } else { field(R4, 1, FieldBegan::Finger) };
            assert_eq!(readable(&mut t, 1600, Some(view)), expected, "{view:?}");
            assert_eq!(readable(&mut t, 1700, Some(view)), expected, "{view:?} held");
        }
    }

    #[test]
    fn an_unreadable_frame_begins_no_field_but_counts_in_the_one_that_runs() {
        let mut t = recording();
        let far = Some([0.9, 0.0]);
        let refused = t.assign(FrameId { run: 0, seq: 2 }, ms(1600), Sight::Refused(far));
        assert_eq!(refused, field(R4, 1, FieldBegan::Finger));
        assert_eq!(t.assign(FrameId::default(), ms(1700), Sight::Unseen), field(R4, 1, FieldBegan::Finger));
        assert_eq!(readable(&mut t, 1800, far), field(R4, 2, FieldBegan::Moved));
    }

    #[test]
    fn a_lost_track_ends_no_field_and_movement_counts_from_the_first_view_after_it() {
        let mut t = recording();
        assert_eq!(readable(&mut t, 1600, None), field(R4, 1, FieldBegan::Finger));
        assert_eq!(readable(&mut t, 1700, Some([7.0, 7.0])), field(R4, 1, FieldBegan::Finger));
        assert_eq!(readable(&mut t, 1800, Some([7.4, 7.0])), field(R4, 1, FieldBegan::Finger));
        assert_eq!(readable(&mut t, 1900, Some([7.6, 7.0])), field(R4, 2, FieldBegan::Moved));
        assert_eq!(t.place_of(R4, 2), 2);
    }

    #[test]
    fn a_source_opened_anew_counts_as_a_lost_track() {
        let mut t = recording();
        let reopened = t.assign(FrameId { run: 1, seq: 0 }, ms(4000), Sight::Readable(Some([3.0, 0.0])));
        assert_eq!(reopened, field(R4, 1, FieldBegan::Finger));
    }

    #[test]
    fn the_next_field_of_a_view_that_has_not_moved_shows_the_same_place() {
        let mut t = recording();
        t.command(ms(2000), &Step::NextField(R4));
        assert_eq!(readable(&mut t, 2100, Some([0.3, 0.0])), field(R4, 2, FieldBegan::Operator));
        assert_eq!((t.place_of(R4, 1), t.place_of(R4, 2)), (1, 1));
    }

    #[test]
    fn a_view_that_comes_back_shows_its_first_place_again() {
        let mut t = recording();
        readable(&mut t, 2000, Some([0.8, 0.0]));
        readable(&mut t, 3000, Some([1.6, 0.0]));
        assert_eq!(readable(&mut t, 4000, Some([0.1, 0.0])), field(R4, 4, FieldBegan::Moved));
        let places: Vec<u32> = (1..=4).map(|number| t.place_of(R4, number)).collect();
        assert_eq!(places, [1, 2, 3, 1]);
    }

    #[test]
    fn the_place_is_that_of_the_first_readable_frame() {
        let mut t = recording();
        readable(&mut t, 2000, Some([1.0, 0.0]));
        t.command(ms(3000), &Step::NextField(R4));
        t.assign(FrameId { run: 0, seq: 9 }, ms(3100), Sight::Refused(Some([0.55, 0.9])));
        assert_eq!(readable(&mut t, 3200, Some([0.1, 0.0])), field(R4, 3, FieldBegan::Operator));
        assert_eq!(t.place_of(R4, 3), 1);
    }

    #[test]
    fn with_the_track_lost_the_operators_word_makes_a_place_new() {
        let mut t = recording();
        t.command(ms(2000), &Step::NextField(R4));
        readable(&mut t, 2100, None);
        readable(&mut t, 2200, Some([0.0, 0.0]));
        assert_eq!(t.place_of(R4, 2), 2);
    }

    #[test]
    fn positions_do_not_carry_from_one_finger_to_another() {
        let mut t = recording();
        t.command(ms(2000), &Step::BeginFinger(L2));
        assert_eq!(readable(&mut t, 2500, Some([0.0, 0.0])), field(L2, 1, FieldBegan::Finger));
        t.command(ms(3000), &Step::BeginFinger(R4));
        readable(&mut t, 3500, Some([0.0, 0.0]));
        assert_eq!((t.place_of(L2, 1), t.place_of(R4, 2)), (1, 2));
    }

    #[test]
    fn a_second_press_or_one_while_settling_makes_no_empty_field() {
        let mut t = timeline();
        t.command(ms(1000), &Step::BeginFinger(R4));
        t.command(ms(1200), &Step::NextField(R4));
        assert_eq!(readable(&mut t, 1500, None), field(R4, 1, FieldBegan::Finger));
        t.command(ms(1600), &Step::NextField(R4));
        t.command(ms(1700), &Step::NextField(R4));
        assert_eq!(readable(&mut t, 1800, None), field(R4, 2, FieldBegan::Operator));
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        assert_eq!(Settings::default().check(), Ok(()));
        assert!(Settings { settle_ms: 10_001 }.check().unwrap_err().starts_with("settle_ms"));
    }
}
