//! The seven moments of Hu (IRE Trans. Inf. Theory 1962) as OpenCV computes them, on a logarithmic scale.

/// Sums of grey times `x^p y^q`, named by p and q. Whole numbers: a picture of 2048 by 2048 pixels fits.
#[derive(Default)]
struct Raw {
    m00: u64,
    m10: u64,
    m01: u64,
    m20: u64,
    m11: u64,
    m02: u64,
    m30: u64,
    m21: u64,
    m12: u64,
    m03: u64,
}

/// Normalised central moments.
struct Central {
    nu20: f64,
    nu11: f64,
    nu02: f64,
    nu30: f64,
    nu21: f64,
    nu12: f64,
    nu03: f64,
}

/// Of each moment `h`, `-sign(h) log10 |h|`; 0 where it is 0.
pub(super) fn hu(grey: &[u8], width: usize) -> [f64; 7] {
    invariants(&central(&raw(grey, width))).map(|h| if h == 0.0 { 0.0 } else { -h.signum() * h.abs().log10() })
}

fn raw(grey: &[u8], width: usize) -> Raw {
    let mut raw = Raw::default();
    for (y, row) in grey.chunks_exact(width).enumerate() {
        let [mut s0, mut s1, mut s2, mut s3] = [0u64; 4];
        for (x, value) in row.iter().enumerate() {
            let (x, value) = (x as u64, u64::from(*value));
            let (first, second) = (x * value, x * x * value);
            s0 += value;
            s1 += first;
            s2 += second;
            s3 += x * second;
        }
        let y = y as u64;
        raw.m00 += s0;
        raw.m10 += s1;
        raw.m01 += y * s0;
        raw.m20 += s2;
        raw.m11 += y * s1;
        raw.m02 += y * y * s0;
        raw.m30 += s3;
        raw.m21 += y * s2;
        raw.m12 += y * y * s1;
        raw.m03 += y * y * y * s0;
    }
    raw
}

/// In OpenCV's order of operations (modules/imgproc/src/moments.cpp), so that what cancels out cancels out alike.
fn central(raw: &Raw) -> Central {
    let [m00, m10, m01, m20, m11] = [raw.m00, raw.m10, raw.m01, raw.m20, raw.m11].map(|m| m as f64);
    let [m02, m30, m21, m12, m03] = [raw.m02, raw.m30, raw.m21, raw.m12, raw.m03].map(|m| m as f64);
    let inverse = if m00 > f64::EPSILON { 1.0 / m00 } else { 0.0 };
    let (cx, cy) = (m10 * inverse, m01 * inverse);
    let (mu20, mu11, mu02) = (m20 - m10 * cx, m11 - m10 * cy, m02 - m01 * cy);
    let mu30 = m30 - cx * (3.0 * mu20 + cx * m10);
    let twice = mu11 + mu11;
    let mu21 = m21 - cx * (twice + cx * m01) - cy * mu20;
    let mu12 = m12 - cy * (twice + cy * m10) - cx * mu02;
    let mu03 = m03 - cy * (3.0 * mu02 + cy * m01);
    let second = inverse * inverse;
    let third = second * inverse.sqrt();
    Central {
        nu20: mu20 * second,
        nu11: mu11 * second,
        nu02: mu02 * second,
        nu30: mu30 * third,
        nu21: mu21 * third,
        nu12: mu12 * third,
        nu03: mu03 * third,
    }
}

fn invariants(m: &Central) -> [f64; 7] {
    let (sum, difference, skewed) = (m.nu20 + m.nu02, m.nu20 - m.nu02, 4.0 * m.nu11);
    let (t0, t1) = (m.nu30 + m.nu12, m.nu21 + m.nu03);
    let (t00, t11) = (t0 * t0, t1 * t1);
    let (u0, u1) = (t0 * (t00 - 3.0 * t11), t1 * (3.0 * t00 - t11));
    let (q0, q1) = (m.nu30 - 3.0 * m.nu12, 3.0 * m.nu21 - m.nu03);
    [
        sum,
        difference * difference + skewed * m.nu11,
        q0 * q0 + q1 * q1,
        t00 + t11,
        q0 * u0 + q1 * u1,
        difference * (t00 - t11) + skewed * t0 * t1,
        q1 * u0 - q0 * u1,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bright L on a dark ground, moved by whole pixels.
    fn picture(dx: usize, dy: usize) -> Vec<u8> {
        let mut grey = vec![0; 64 * 64];
        for y in 0..64usize {
            for x in 0..64usize {
                let (u, v) = (x.wrapping_sub(dx), y.wrapping_sub(dy));
                if u < 6 && v < 20 || u < 14 && (14..20).contains(&v) {
                    grey[y * 64 + x] = 200;
                }
            }
        }
        grey
    }

    #[test]
    fn moments_do_not_depend_on_where_the_shape_stands() {
        let (here, there) = (hu(&picture(3, 5), 64), hu(&picture(40, 31), 64));
        for (a, b) in here.iter().zip(there) {
            assert!((a - b).abs() < 1e-6 * a.abs().max(1.0), "{here:?} {there:?}");
        }
    }

    #[test]
    fn a_black_picture_has_moments_of_zero() {
        assert!(hu(&[0; 256], 16).iter().all(|h| *h == 0.0));
    }
}
