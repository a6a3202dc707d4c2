//! What a device offers, and which of it is taken. Enumeration asks the device; the choice is a function of values.
//!
//! The rules, in their order:
//! 1. Only formats that can be decoded, and only the one that the configuration names, if it names one.
//! 2. The wanted size; else the smallest that holds it; else the largest there is.
//! 3. What the bus cannot carry is never taken while something else is there: an uncompressed stream beyond the bus's
//!    payload is refused by the driver, or starves the camera beside it.
//! 4. The wanted rate; else the fastest below it; else the slowest above it.
//! 5. Of what is still equal an uncompressed picture before MJPEG, and colour before grey.

use rustix::io::Errno;

use super::abi::{self, Fraction, fourcc};
use super::node::Node;
use crate::frame::{Format, Size};

/// No device has more; a driver that never says "no more" ends here.
const FORMATS_MOST: u32 = 64;
const SIZES_MOST: u32 = 256;
const RATES_MOST: u32 = 128;

/// Shortest and longest side that is asked for: the bounds of what is decoded.
const SIDES: std::ops::RangeInclusive<u32> = 64..=8192;

/// The formats we read, by the driver's name for them, best first where all else is equal.
const READ: [(Format, [u8; 4]); 8] = [
    (Format::Yuyv, *b"YUYV"),
    (Format::Uyvy, *b"UYVY"),
    (Format::Nv12, *b"NV12"),
    (Format::Rgb24, *b"RGB3"),
    (Format::Bgr24, *b"BGR3"),
    (Format::Mjpeg, *b"MJPG"),
    (Format::Mjpeg, *b"JPEG"),
    (Format::Grey, *b"GREY"),
];

#[derive(Clone, Debug, PartialEq)]
pub(in crate::capture) struct Offer {
    /// As the driver names it.
    pub(in crate::capture) code: u32,
    pub(in crate::capture) description: String,
    /// `None` when we cannot decode it.
    pub(in crate::capture) format: Option<Format>,
    pub(in crate::capture) sizes: Vec<SizeOffer>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::capture) struct SizeOffer {
    pub(in crate::capture) sizes: Sizes,
    /// Fastest first; empty where the driver does not tell.
    pub(in crate::capture) intervals: Vec<Fraction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Sizes {
    One(Size),
    /// Smallest, largest and step.
    Range(Size, Size, Size),
}

impl Sizes {
    /// The offered size nearest to what is wanted, by rule 2 within the range.
    fn nearest(self, wanted: Size) -> Size {
        let along = |low: u32, high: u32, step: u32, wanted: u32| {
            let above = wanted.clamp(low, high).saturating_sub(low).next_multiple_of(step.max(1)) + low;
            if above <= high { above } else { high }
        };
        match self {
            Self::One(size) => size,
            Self::Range(low, high, step) => Size::new(
                along(low.width, high.width, step.width, wanted.width),
                along(low.height, high.height, step.height, wanted.height),
            ),
        }
    }
}

/// Every format, size and rate of the device.
pub(in crate::capture) fn enumerate(node: &dyn Node) -> Result<Vec<Offer>, Errno> {
    let mut offers = Vec::new();
    for index in 0..FORMATS_MOST {
        let told = match node.format_at(index) {
            Ok(told) => told,
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        };
        let format = READ.iter().find(|(_, code)| fourcc(*code) == told.pixel_format).map(|(format, _)| *format);
        let sizes = sizes(node, told.pixel_format)?;
        offers.push(Offer { code: told.pixel_format, description: abi::text(&told.description), format, sizes });
    }
    Ok(offers)
}

fn sizes(node: &dyn Node, code: u32) -> Result<Vec<SizeOffer>, Errno> {
    let mut sizes = Vec::new();
    for index in 0..SIZES_MOST {
        let told = match node.size_at(code, index) {
            Ok(told) => told,
            Err(Errno::INVAL | Errno::NOTTY) => break,
            Err(errno) => return Err(errno),
        };
        let [a, b, c, d, e, f] = told.numbers;
        if told.kind == abi::DISCRETE {
            let intervals = intervals(node, code, (a, b))?;
            sizes.push(SizeOffer { sizes: Sizes::One(Size::new(a, b)), intervals });
        } else {
            let range = Sizes::Range(Size::new(a, d), Size::new(b, e), Size::new(c, f));
            sizes.push(SizeOffer { sizes: range, intervals: intervals(node, code, (b, e))? });
            break;
        }
    }
    Ok(sizes)
}

fn intervals(node: &dyn Node, code: u32, size: (u32, u32)) -> Result<Vec<Fraction>, Errno> {
    let mut intervals = Vec::new();
    for index in 0..RATES_MOST {
        let told = match node.interval_at(code, size, index) {
            Ok(told) => told,
            Err(Errno::INVAL | Errno::NOTTY) => break,
            Err(errno) => return Err(errno),
        };
        let sound = |fraction: &Fraction| fraction.per_s().is_some();
        if told.kind == abi::DISCRETE {
            intervals.extend(Some(told.fractions[0]).filter(sound));
        } else {
            // Of a range its ends; the driver takes what lies between when it is asked for.
            intervals.extend(told.fractions[..2].iter().copied().filter(sound));
            break;
        }
    }
    intervals.sort_by(|a, b| rate(*b).total_cmp(&rate(*a)));
    intervals.dedup();
    Ok(intervals)
}

fn rate(interval: Fraction) -> f64 {
    interval.per_s().unwrap_or_default()
}

/// What is wanted of a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) size: Size,
    pub(super) frames_per_s: f64,
    /// Only this one.
    pub(super) format: Option<Format>,
    /// What the bus carries, in bytes a second; `None` where there is no such limit.
    pub(super) bus: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) format: Format,
    pub(super) code: u32,
    pub(super) size: Size,
    /// `None` where the driver tells no rates.
    pub(super) interval: Option<Fraction>,
}

impl Choice {
    pub(super) fn frames_per_s(&self) -> Option<f64> {
        self.interval.and_then(Fraction::per_s)
    }

    /// Beyond what the bus carries; what MJPEG takes nobody knows before.
    fn too_much(&self, wanted: &Wanted) -> bool {
        let Some((bus, bytes)) = wanted.bus.zip(bytes_of(self.format, self.size)) else { return false };
        bytes * self.frames_per_s().unwrap_or(wanted.frames_per_s) > bus
    }
}

/// Bytes of an uncompressed picture.
fn bytes_of(format: Format, size: Size) -> Option<f64> {
    let per_pixel = match format {
        Format::Yuyv | Format::Uyvy => 2.0,
        Format::Nv12 => 1.5,
        Format::Rgb24 | Format::Bgr24 => 3.0,
        Format::Grey => 1.0,
        Format::Mjpeg | Format::Png | Format::Tiff | Format::Bmp => return None,
    };
    Some(per_pixel * size.pixels() as f64)
}

/// Takes the best offer, by the rules above. `None` when none can be used.
pub(super) fn choose(offers: &[Offer], wanted: &Wanted) -> Option<Choice> {
    let mut choices = Vec::new();
    for offer in offers {
        let Some(format) = offer.format.filter(|format| wanted.format.is_none_or(|only| only == *format)) else {
            continue;
        };
        for size_offer in &offer.sizes {
            let size = size_offer.sizes.nearest(wanted.size);
            if !(SIDES.contains(&size.width) && SIDES.contains(&size.height)) {
                continue;
            }
            let choice = |interval| Choice { format, code: offer.code, size, interval };
            choices.extend(size_offer.intervals.iter().map(|interval| choice(Some(*interval))));
            if size_offer.intervals.is_empty() {
                choices.push(choice(None));
            }
        }
    }
    choices.into_iter().min_by(|a, b| rank(a, wanted).total_cmp(&rank(b, wanted)))
}

/// Smaller is better, the first difference decides.
fn rank(choice: &Choice, wanted: &Wanted) -> Rank {
    let (size, want) = (choice.size, wanted.size);
    let holds = size.width >= want.width && size.height >= want.height;
    let area = size.pixels() as f64;
    let size_rank = if size == want {
        (0.0, 0.0)
    } else if holds {
        (1.0, area)
    } else {
        (2.0, -area)
    };
    let rate_rank = match choice.frames_per_s() {
        // Written as 333333/10000000, thirty a second is a little more: half a percent is no other rate.
        Some(rate) if (rate / wanted.frames_per_s - 1.0).abs() < 0.005 => (0.0, 0.0),
        Some(rate) if rate < wanted.frames_per_s => (1.0, -rate),
        Some(rate) => (2.0, rate),
        None => (3.0, 0.0),
    };
    let order = READ.iter().position(|(_, code)| fourcc(*code) == choice.code).unwrap_or(READ.len());
    let too_much = f64::from(u8::from(choice.too_much(wanted)));
    Rank([size_rank.0, size_rank.1, too_much, rate_rank.0, rate_rank.1, order as f64])
}

struct Rank([f64; 6]);

impl Rank {
    fn total_cmp(&self, other: &Self) -> std::cmp::Ordering {
        let orders = self.0.iter().zip(&other.0).map(|(a, b)| a.total_cmp(b));
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USB2: Option<f64> = Some(24_576_000.0);

    fn offer(code: [u8; 4], sizes: &[(u32, u32, &[u32])]) -> Offer {
        let format = READ.iter().find(|(_, c)| *c == code).map(|(format, _)| *format);
        let sizes = sizes
            .iter()
            .map(|(width, height, rates)| SizeOffer {
                sizes: Sizes::One(Size::new(*width, *height)),
                intervals: rates.iter().map(|r| Fraction { numerator: 1, denominator: *r }).collect(),
            })
            .collect();
        Offer { code: fourcc(code), description: String::new(), format, sizes }
    }

    fn wanted(width: u32, height: u32, frames_per_s: f64) -> Wanted {
        Wanted { size: Size::new(width, height), frames_per_s, format: None, bus: USB2 }
    }

    fn chosen(offers: &[Offer], wanted: &Wanted) -> (Format, u32, u32) {
        let choice = choose(offers, wanted).unwrap();
        (choice.format, choice.size.width, choice.frames_per_s().unwrap().round() as u32)
    }

    /// What a USB 2 microscope of 1.3 megapixels commonly offers.
    fn microscope() -> Vec<Offer> {
        vec![
            offer(*b"YUYV", &[(640, 480, &[30, 15]), (1280, 1024, &[9, 5])]),
            offer(*b"MJPG", &[(640, 480, &[30, 15]), (1280, 1024, &[30, 15]), (2592, 1944, &[15])]),
        ]
    }

    #[test]
    fn mjpeg_is_taken_above_what_the_bus_carries_raw_and_raw_below_it() {
        assert_eq!(chosen(&microscope(), &wanted(1280, 1024, 30.0)), (Format::Mjpeg, 1280, 30));
        assert_eq!(chosen(&microscope(), &wanted(640, 480, 30.0)), (Format::Yuyv, 640, 30));
        let fast = Wanted { bus: None, ..wanted(1280, 1024, 9.0) };
        assert_eq!(chosen(&microscope(), &fast), (Format::Yuyv, 1280, 9));
        let two_at_once = [offer(*b"YUYV", &[(1280, 1024, &[30])]), offer(*b"MJPG", &[(1280, 1024, &[15])])];
        assert_eq!(chosen(&two_at_once, &wanted(1280, 1024, 30.0)), (Format::Mjpeg, 1280, 15));
    }

    #[test]
    fn a_size_that_is_not_offered_gives_the_next_larger_and_then_the_largest() {
        assert_eq!(chosen(&microscope(), &wanted(1600, 1200, 15.0)), (Format::Mjpeg, 2592, 15));
        assert_eq!(chosen(&microscope(), &wanted(800, 600, 30.0)), (Format::Mjpeg, 1280, 30));
        assert_eq!(chosen(&microscope(), &wanted(4000, 3000, 30.0)), (Format::Mjpeg, 2592, 15));
    }

    #[test]
    fn a_rate_that_is_not_offered_gives_the_fastest_below_and_then_the_slowest_above() {
        assert_eq!(chosen(&microscope(), &wanted(1280, 1024, 25.0)).2, 15);
        assert_eq!(chosen(&microscope(), &wanted(640, 480, 5.0)).2, 15);
    }

    #[test]
    fn only_what_is_named_and_can_be_decoded_is_taken() {
        let only = Wanted { format: Some(Format::Yuyv), ..wanted(1280, 1024, 30.0) };
        assert_eq!(chosen(&microscope(), &only), (Format::Yuyv, 1280, 9));
        let h264 = [offer(*b"H264", &[(1280, 1024, &[30])])];
        assert_eq!(choose(&h264, &wanted(1280, 1024, 30.0)), None);
        let huge = [offer(*b"MJPG", &[(60_000, 60_000, &[30])]), offer(*b"GREY", &[(0, 0, &[30])])];
        assert_eq!(choose(&huge, &wanted(1280, 1024, 30.0)), None);
    }

    #[test]
    fn a_range_of_sizes_is_asked_for_what_is_wanted() {
        let range = Sizes::Range(Size::new(16, 16), Size::new(2048, 1536), Size::new(8, 2));
        assert_eq!(range.nearest(Size::new(1280, 1024)), Size::new(1280, 1024));
        assert_eq!(range.nearest(Size::new(1283, 1023)), Size::new(1288, 1024));
        assert_eq!(range.nearest(Size::new(9000, 4)), Size::new(2048, 16));
        let zero_step = Sizes::Range(Size::new(16, 16), Size::new(64, 64), Size::new(0, 0));
        assert_eq!(zero_step.nearest(Size::new(33, 17)), Size::new(33, 17));
    }
}
