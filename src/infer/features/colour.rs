//! Mean, spread and skewness of each channel of RGB and of OpenCV's HSV.

/// Fixed point of OpenCV's tables (modules/imgproc/src/color_hsv.simd.hpp, `hsv_shift`).
const SHIFT: u32 = 12;
/// Of a hue that takes all eight bits.
const HUES: i32 = 256;

/// Mean, population standard deviation and skewness of R, G, B, H, S and V, in this order.
pub(super) fn colour(rgb: &[u8]) -> [f64; 18] {
    let (saturations, hues) = (table(255.0), table(f64::from(HUES) / 6.0));
    let mut counts = [[0u32; 256]; 6];
    for pixel in rgb.as_chunks::<3>().0 {
        let values = [*pixel, hsv(*pixel, &saturations, &hues)];
        for (counts, value) in counts.iter_mut().zip(values.as_flattened()) {
            counts[usize::from(*value)] += 1;
        }
    }
    let mut all = [0.0; 18];
    for (out, counts) in all.chunks_exact_mut(3).zip(&counts) {
        out.copy_from_slice(&figures(counts));
    }
    all
}

/// `scale / i` in fixed point.
fn table(scale: f64) -> [i32; 256] {
    let mut table = [0; 256];
    for (i, entry) in table.iter_mut().enumerate().skip(1) {
        *entry = (scale * f64::from(1 << SHIFT) / i as f64).round_ties_even() as i32;
    }
    table
}

/// `cvtColor(RGB2HSV_FULL)` of one pixel.
fn hsv([r, g, b]: [u8; 3], saturations: &[i32; 256], hues: &[i32; 256]) -> [u8; 3] {
    let value = r.max(g).max(b);
    let span = value - r.min(g).min(b);
    let half = 1 << (SHIFT - 1);
    let saturation = (i32::from(span) * saturations[usize::from(value)] + half) >> SHIFT;
    let ([r, g, b], wide) = ([r, g, b].map(i32::from), i32::from(span));
    let sector = if i32::from(value) == r {
        g - b
    } else if i32::from(value) == g {
        b - r + 2 * wide
    } else {
        r - g + 4 * wide
    };
    let hue = (sector * hues[usize::from(span)] + half) >> SHIFT;
    let hue = if hue < 0 { hue + HUES } else { hue };
    [hue.clamp(0, 255) as u8, saturation as u8, value]
}

fn figures(counts: &[u32; 256]) -> [f64; 3] {
    let all: u64 = counts.iter().map(|n| u64::from(*n)).sum();
    let sum: u64 = counts.iter().zip(0u64..).map(|(n, value)| u64::from(*n) * value).sum();
    let mean = sum as f64 / all as f64;
    let moment = |power: i32| -> f64 {
        let about = |(n, value): (&u32, u32)| f64::from(*n) * (f64::from(value) - mean).powi(power);
        counts.iter().zip(0u32..).map(about).sum::<f64>() / all as f64
    };
    let variance = moment(2);
    let skewness = if variance == 0.0 { 0.0 } else { moment(3) / variance.powf(1.5) };
    [mean, variance.sqrt(), skewness]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_colours_have_their_hues() {
        let (saturations, hues) = (table(255.0), table(f64::from(HUES) / 6.0));
        let seen = |pixel| hsv(pixel, &saturations, &hues);
        assert_eq!(seen([255, 0, 0]), [0, 255, 255]);
        assert_eq!(seen([0, 255, 0]), [85, 255, 255]);
        assert_eq!(seen([0, 0, 255]), [171, 255, 255]);
        assert_eq!(seen([200, 0, 10]), [254, 255, 200], "just below a full turn");
        assert_eq!(seen([77, 77, 77]), [0, 0, 77]);
    }

    #[test]
    fn figures_are_those_of_the_definition() {
        // Three of 10 and one of 30: mean 15, variance 75.
        let rgb = [[10; 3], [10; 3], [30; 3], [10; 3]];
        let all = colour(rgb.as_flattened());
        let skewness = (3.0 * (-5.0f64).powi(3) + 15.0f64.powi(3)) / 4.0 / 75.0f64.powf(1.5);
        for (found, expected) in all[..3].iter().zip([15.0, 75.0f64.sqrt(), skewness]) {
            assert!((found - expected).abs() < 1e-12, "{all:?}");
        }
        assert_eq!(all[9..15], [0.0; 6], "grey has neither hue nor saturation: {all:?}");
    }
}
