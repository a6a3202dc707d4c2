//! The spacing of parallel lines in a picture, at any angle: of a stage micrometer or of a ruler.
//!
//! 1. The direction across the lines, from the picture's gradients and then where the profile is sharpest.
//! 2. The profile: mean brightness along that direction, without its slow part.
//! 3. A first period from the profile's likeness to itself.
//! 4. The lines themselves, each to a fraction of a pixel, and a straight line through number and position: its slope
//!    is the spacing, and what is left over tells whether these were evenly spaced lines at all.

use crate::frame::{Image, Size};

/// Fewer lines make no scale: two may be anything.
const LINES_LEAST: usize = 6;
/// Closer lines run into each other on the sensor.
const PERIOD_LEAST: usize = 4;
/// A profile that is less like itself one period on has no lines.
const LIKENESS_LEAST: f64 = 0.25;
/// Lines that lie further from where they belong, in parts of a spacing, are not evenly spaced.
const SCATTER_MOST: f64 = 0.06;

/// Evenly spaced lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Spacing {
    pub period_px: f64,
    /// Of the period.
    pub standard_error_px: f64,
    /// Direction across the lines.
    pub across: [f64; 2],
    /// Where each line crosses that direction, counted from the picture's first pixel.
    pub lines: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoSpacing {
    #[error("no evenly spaced lines in the picture: focus on the scale, and let its lines fill the view")]
    NoLines,
    #[error("only {0} lines in the picture, {LINES_LEAST} are needed: use a finer scale or a lower magnification")]
    TooFew(usize),
    #[error(
        "the lines lie up to {0:.0} % of a spacing from where they belong: is the scale flat, and in focus from edge to edge?"
    )]
    Uneven(f64),
}

/// Finds the lines.
pub fn find(image: &Image) -> Result<Spacing, NoSpacing> {
    let luma = Luma::of(image);
    let angle = luma.sharpest(luma.gradient_angle().ok_or(NoSpacing::NoLines)?);
    let profile = luma.profile(angle, 1);
    let first = first_period(&profile.values).ok_or(NoSpacing::NoLines)?;
    let lines = centres(&profile.values, first);
    let (period_px, standard_error_px, lines) = fit(&lines, first)?;
    let lines = lines.into_iter().map(|at| at + profile.starts).collect();
    Ok(Spacing { period_px, standard_error_px, across: [angle.cos(), angle.sin()], lines })
}

struct Luma {
    size: Size,
    values: Vec<f32>,
}

/// Values at whole pixels from `starts` on.
struct Profile {
    starts: f64,
    values: Vec<f64>,
}

impl Luma {
    fn of(image: &Image) -> Self {
        let weigh = |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
        Self { size: image.size(), values: image.rgb().chunks_exact(3).map(weigh).collect() }
    }

    fn at(&self, x: usize, y: usize) -> f64 {
        self.values[y * self.size.width as usize + x].into()
    }

    /// The direction in which the picture changes most: gradients of both signs count alike when their angles are
    /// doubled. `None` for a picture without any.
    fn gradient_angle(&self) -> Option<f64> {
        let (mut cos, mut sin, mut all) = (0.0, 0.0, 0.0);
        for y in 1..self.size.height as usize - 1 {
            for x in 1..self.size.width as usize - 1 {
                let dx = self.at(x + 1, y) - self.at(x - 1, y);
                let dy = self.at(x, y + 1) - self.at(x, y - 1);
                cos += dx * dx - dy * dy;
                sin += 2.0 * dx * dy;
                all += dx * dx + dy * dy;
            }
        }
        (all > 0.0).then(|| sin.atan2(cos) / 2.0)
    }

    /// The angle near `about` at which the profile has most contrast.
    fn sharpest(&self, about: f64) -> f64 {
        let contrast = |angle: f64, stride| self.profile(angle, stride).values.iter().map(|v| v * v).sum::<f64>();
        let best = |centre: f64, step: f64, steps: i32, stride| {
            let angles = (-steps..=steps).map(|i| centre + f64::from(i) * step);
            angles.max_by(|a, b| contrast(*a, stride).total_cmp(&contrast(*b, stride))).unwrap_or(centre)
        };
        let degree = std::f64::consts::PI / 180.0;
        let coarse = best(about, 0.2 * degree, 15, 3);
        let fine = best(coarse, 0.05 * degree, 5, 2);
        best(fine, 0.01 * degree, 5, 1)
    }

    /// Mean brightness along the direction, without what changes slowly. Each pixel counts in the two places that it
    /// lies between; every `stride`th of each axis is taken.
    fn profile(&self, angle: f64, stride: usize) -> Profile {
        let (cos, sin) = (angle.cos(), angle.sin());
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)];
        let places = corners.map(|(x, y)| x as f64 * cos + y as f64 * sin);
        let starts = places.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let length = places.iter().copied().fold(f64::NEG_INFINITY, f64::max) - starts;
        let mut sums = vec![(0.0, 0.0); length as usize + 3];
        for y in (0..height).step_by(stride) {
            for x in (0..width).step_by(stride) {
                let place = x as f64 * cos + y as f64 * sin - starts;
                let (index, part) = (place as usize, place.fract());
                let value = self.at(x, y);
                for (sum, weight) in sums[index..index + 2].iter_mut().zip([1.0 - part, part]) {
                    sum.0 += weight * value;
                    sum.1 += weight;
                }
            }
        }
        // In the corners of a tilted picture few pixels stand behind a value.
        let least = sums.iter().map(|s| s.1).fold(0.0, f64::max) * 0.25;
        let from = sums.iter().position(|s| s.1 >= least).unwrap_or(0);
        let to = sums.iter().rposition(|s| s.1 >= least).map_or(0, |last| last + 1);
        let mut last = 0.0;
        let values: Vec<f64> = sums[from..to]
            .iter()
            .map(|(sum, weight)| {
                if *weight > 0.0 {
                    last = sum / weight;
                }
                last
            })
            .collect();
        Profile { starts: starts + from as f64, values: upright(&without_slow(&values)) }
    }
}

/// Less the mean over an eighth of the profile.
fn without_slow(values: &[f64]) -> Vec<f64> {
    let half = (values.len() / 16).max(1);
    let mut sums = vec![0.0];
    values.iter().for_each(|value| sums.push(sums[sums.len() - 1] + value));
    let mean = |from: usize, to: usize| (sums[to] - sums[from]) / (to - from) as f64;
    let around = |i: usize| mean(i.saturating_sub(half), (i + half + 1).min(values.len()));
    values.iter().enumerate().map(|(i, value)| value - around(i)).collect()
}

/// Lines are narrower than what lies between them: turned so that they stand up, dark or bright.
fn upright(values: &[f64]) -> Vec<f64> {
    let skew: f64 = values.iter().map(|v| v * v * v).sum();
    if skew < 0.0 { values.iter().map(|v| -v).collect() } else { values.to_vec() }
}

/// The first distance at which the profile is like itself again. A scale with longer lines at every tenth is even more
/// like itself ten lines on, so the first good likeness counts and not the best.
fn first_period(values: &[f64]) -> Option<f64> {
    let energy: f64 = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
    let likeness: Vec<f64> = (0..values.len() / 3)
        .map(|lag| {
            let pairs = values.iter().zip(&values[lag..]);
            pairs.map(|(a, b)| a * b).sum::<f64>() / (values.len() - lag) as f64 / energy
        })
        .collect();
    let falls = likeness.iter().position(|r| *r < 0.0)?;
    let peaks = (falls.max(PERIOD_LEAST)..likeness.len().saturating_sub(1))
        .filter(|&i| likeness[i] >= likeness[i - 1] && likeness[i] > likeness[i + 1]);
    let best = peaks.clone().map(|i| likeness[i]).fold(0.0, f64::max);
    let mut good = peaks.filter(|&i| likeness[i] >= LIKENESS_LEAST.max(0.5 * best));
    let peak = good.next()?;
    let (before, at, after) = (likeness[peak - 1], likeness[peak], likeness[peak + 1]);
    let bend = before - 2.0 * at + after;
    Some(peak as f64 + if bend < 0.0 { 0.5 * (before - after) / bend } else { 0.0 })
}

/// The middle of each line.
fn centres(values: &[f64], period: f64) -> Vec<f64> {
    let reach = (period / 3.0).floor().max(1.0) as usize;
    let is_top = |i: usize| {
        let around = &values[i.saturating_sub(reach)..(i + reach + 1).min(values.len())];
        values[i] > 0.0 && around.iter().all(|v| *v <= values[i])
    };
    let tops: Vec<usize> = (reach..values.len().saturating_sub(reach)).filter(|&i| is_top(i)).collect();
    let mut heights: Vec<f64> = tops.iter().map(|&i| values[i]).collect();
    heights.sort_by(f64::total_cmp);
    let typical = heights.get(heights.len() / 2).copied().unwrap_or_default();
    let centre = |&top: &usize| {
        let around = top - reach..=top + reach;
        let floor = around.clone().map(|i| values[i]).fold(f64::INFINITY, f64::min);
        let (sum, weight) = around.fold((0.0, 0.0), |(sum, weight), i| {
            let height = values[i] - floor;
            (sum + height * i as f64, weight + height)
        });
        sum / weight.max(f64::MIN_POSITIVE)
    };
    tops.iter().filter(|&&i| values[i] > 0.4 * typical).map(centre).collect()
}

/// Spacing, its standard error, and the lines that belong to it.
fn fit(centres: &[f64], first: f64) -> Result<(f64, f64, Vec<f64>), NoSpacing> {
    let mut numbered: Vec<(f64, f64)> = Vec::new();
    for &at in centres {
        match numbered.last() {
            None => numbered.push((0.0, at)),
            Some(&(number, before)) => {
                let gap = (at - before) / first;
                // Between two lines stands dirt, or a figure.
                if gap.round() >= 1.0 && (gap - gap.round()).abs() < 0.3 {
                    numbered.push((number + gap.round(), at));
                }
            }
        }
    }
    let n = numbered.len() as f64;
    if numbered.len() < LINES_LEAST {
        return Err(NoSpacing::TooFew(numbered.len()));
    }
    let mean = |of: fn(&(f64, f64)) -> f64| numbered.iter().map(of).sum::<f64>() / n;
    let (number, place) = (mean(|l| l.0), mean(|l| l.1));
    let spread: f64 = numbered.iter().map(|l| (l.0 - number).powi(2)).sum();
    let slope = numbered.iter().map(|l| (l.0 - number) * (l.1 - place)).sum::<f64>() / spread;
    let off = |l: &(f64, f64)| l.1 - place - slope * (l.0 - number);
    let scatter = (numbered.iter().map(|l| off(l).powi(2)).sum::<f64>() / (n - 2.0)).sqrt();
    if scatter > SCATTER_MOST * slope {
        let worst = numbered.iter().map(|l| off(l).abs()).fold(0.0, f64::max);
        return Err(NoSpacing::Uneven(100.0 * worst / slope));
    }
    Ok((slope, scatter / spread.sqrt(), numbered.into_iter().map(|l| l.1).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameId;
    use crate::time::Stamp;

    const SIZE: Size = Size::new(640, 512);

    /// A picture whose brightness is a function of the place across the lines and along them.
    fn drawn(degrees: f64, bright: impl Fn(f64, f64) -> f64) -> Image {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let mut noise = 1_u32;
        let mut rgb = Vec::new();
        for y in 0..SIZE.height {
            for x in 0..SIZE.width {
                let (x, y) = (f64::from(x), f64::from(y));
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let grain = f64::from(noise >> 24) / 255.0 * 16.0 - 8.0;
                let value = bright(x * cos + y * sin, y * cos - x * sin) + 0.03 * x + grain;
                rgb.extend([value.clamp(0.0, 255.0) as u8; 3]);
            }
        }
        Image::new(FrameId::default(), Stamp::default(), SIZE, rgb).unwrap()
    }

    /// Soft lines, an eighth of the spacing wide, every tenth longer than the others.
    fn micrometer(period: f64, line: f64, ground: f64) -> impl Fn(f64, f64) -> f64 {
        move |across, along| {
            let number = (across / period).round();
            let long = (number as i64).rem_euclid(10) == 0;
            let there = long || (along.rem_euclid(400.0)) < 330.0;
            let off = (across - number * period) / (period / 8.0);
            ground + if there { (line - ground) * (-off * off).exp() } else { 0.0 }
        }
    }

    #[test]
    fn the_spacing_is_found_to_a_thousandth_at_any_angle_dark_or_bright() {
        for (period, degrees, line, ground) in
            [(12.0, 0.0, 40.0, 190.0), (7.83, 12.3, 40.0, 180.0), (31.7, 88.0, 60.0, 180.0), (9.6, -47.0, 210.0, 60.0)]
        {
            let found = find(&drawn(degrees, micrometer(period, line, ground))).unwrap();
            let error = (found.period_px / period - 1.0).abs();
            assert!(error < 1e-3, "{period} at {degrees}: {found:?}");
            assert!(found.standard_error_px / period < 2e-3, "{found:?}");
            assert!(found.lines.len() >= 14, "{} lines", found.lines.len());
        }
    }

    #[test]
    fn where_there_is_no_scale_none_is_found() {
        assert!(find(&drawn(0.0, |_, _| 128.0)).is_err());
        let blank = vec![90; SIZE.pixels() * 3];
        let blank = Image::new(FrameId::default(), Stamp::default(), SIZE, blank).unwrap();
        assert_eq!(find(&blank), Err(NoSpacing::NoLines));
        let lone_edge = |across: f64, _| if across < 300.0 { 60.0 } else { 180.0 };
        assert!(find(&drawn(5.0, lone_edge)).is_err());
    }

    #[test]
    fn few_lines_and_uneven_ones_are_refused() {
        let wide = find(&drawn(3.0, micrometer(150.0, 40.0, 180.0)));
        assert!(matches!(wide, Err(NoSpacing::TooFew(_) | NoSpacing::NoLines)), "{wide:?}");
        let stretched =
            |across: f64, along: f64| micrometer(14.0, 40.0, 180.0)(across * (1.0 + across / 1500.0), along);
        let uneven = find(&drawn(0.0, stretched));
        assert!(uneven.is_err(), "{uneven:?}");
    }
}
