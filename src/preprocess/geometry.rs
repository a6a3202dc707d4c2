//! Where the model's tiles lie on the resampled picture. docs/bundles.md, "How `scale` cuts".

use crate::bundle::{Fit, InputSpec};
use crate::frame::Size;

/// A nailfold field of one millimetre is one to nine tiles; a panorama of a whole finger may have a few dozen.
/// More would hold one frame's reading up for seconds.
pub const MAX_TILES: u64 = 64;
/// 64 MiB of tensor.
pub const MAX_SAMPLES: u64 = 16 << 20;

/// How a picture of one size and scale becomes tiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Of the picture after resampling.
    pub resampled: Size,
    pub across: Cuts,
    pub down: Cuts,
}

/// Tiles along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts {
    pub count: u32,
    /// What the tiles have to cover.
    length: u32,
    tile: u32,
}

/// One tile along one axis: `length` samples from `start` of the picture stand at `offset` in the tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub start: usize,
    pub offset: usize,
    pub length: usize,
}

/// Why no plan can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplannable {
    NoScale,
    TooManyTiles { tiles: u64, most: u64 },
}

impl Plan {
    pub fn new(spec: &InputSpec, picture: Size, um_per_px: Option<f64>) -> Result<Self, Unplannable> {
        let tile = Size::new(spec.width, spec.height);
        let Fit::Scale { um_per_px: wanted, overlap } = spec.fit else {
            return Ok(Self { resampled: tile, across: Cuts::one(tile.width), down: Cuts::one(tile.height) });
        };
        let factor = um_per_px.ok_or(Unplannable::NoScale)? / wanted;
        // Scales lie within 0.1 and 20, sides within 32 bits: the products fit, and are rounded half away from zero.
        let scaled = |side: u32| (f64::from(side) * factor).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let resampled = Size::new(scaled(picture.width), scaled(picture.height));
        let across = Cuts::new(resampled.width, tile.width, overlap);
        let down = Cuts::new(resampled.height, tile.height, overlap);
        let tiles = u64::from(across.count) * u64::from(down.count);
        let most = MAX_TILES.min(MAX_SAMPLES / (tile.pixels() as u64 * 3)).max(1);
        if tiles > most {
            return Err(Unplannable::TooManyTiles { tiles, most });
        }
        Ok(Self { resampled, across, down })
    }

    pub fn tiles(&self) -> usize {
        self.across.count as usize * self.down.count as usize
    }
}

impl Cuts {
    fn one(length: u32) -> Self {
        Self { count: 1, length, tile: length }
    }

    fn new(length: u32, tile: u32, overlap: f64) -> Self {
        let count = if length <= tile {
            1
        } else {
            (f64::from(length - tile) / (f64::from(tile) * (1.0 - overlap))).ceil() as u32 + 1
        };
        Self { count, length, tile }
    }

    pub fn iter(self) -> impl Iterator<Item = Cut> {
        (0..self.count).map(move |i| match self.length.checked_sub(self.tile) {
            Some(spare) if self.count > 1 => {
                let start = u64::from(i) * u64::from(spare) / u64::from(self.count - 1);
                Cut { start: start as usize, offset: 0, length: self.tile as usize }
            }
            _ => Cut { start: 0, offset: ((self.tile - self.length) / 2) as usize, length: self.length as usize },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Channels, Filter};

    fn spec(fit: Fit, width: u32, height: u32) -> InputSpec {
        InputSpec {
            name: "input".to_owned(),
            width,
            height,
            fit,
            filter: Filter::Bilinear,
            mean: [0.5; 3],
            std: [0.5; 3],
            channels: Channels::Rgb,
            max_um_per_px: None,
            seen: None,
        }
    }

    #[test]
    fn tiles_lie_as_the_table_says() {
        // length, tile, overlap, starts, offset of the first
        let table: &[(u32, u32, f64, &[usize], usize)] = &[
            (224, 224, 0.25, &[0], 0),
            (225, 224, 0.25, &[0, 1], 0),
            (392, 224, 0.25, &[0, 168], 0),
            (393, 224, 0.25, &[0, 84, 169], 0),
            (448, 224, 0.0, &[0, 224], 0),
            (449, 224, 0.0, &[0, 112, 225], 0),
            (448, 224, 0.5, &[0, 112, 224], 0),
            (896, 224, 0.75, &[0, 56, 112, 168, 224, 280, 336, 392, 448, 504, 560, 616, 672], 0),
            (100, 224, 0.25, &[0], 62),
            (101, 224, 0.25, &[0], 61),
            (1, 224, 0.25, &[0], 111),
        ];
        for (length, tile, overlap, starts, offset) in table {
            let cuts: Vec<Cut> = Cuts::new(*length, *tile, *overlap).iter().collect();
            assert_eq!(cuts.iter().map(|c| c.start).collect::<Vec<_>>(), *starts, "{length} by {tile}, {overlap}");
            assert_eq!(cuts[0].offset, *offset);
            assert!(cuts.iter().all(|c| c.start + c.length <= *length as usize));
            assert!(cuts.iter().all(|c| c.offset + c.length <= *tile as usize));
            assert_eq!(cuts[cuts.len() - 1].start + cuts[0].length, *length as usize, "the end is covered");
            for pair in cuts.windows(2) {
                let shared = pair[0].start + pair[0].length - pair[1].start;
                assert!(shared as f64 >= f64::from(*tile) * overlap - 1.0, "{length} by {tile}: {shared} shared");
            }
        }
    }

    #[test]
    fn the_frame_scale_sets_the_size() {
        let spec = spec(Fit::Scale { um_per_px: 2.0, overlap: 0.25 }, 224, 224);
        let plan = Plan::new(&spec, Size::new(1280, 1024), Some(0.78125)).unwrap();
        assert_eq!((plan.resampled, plan.across.count, plan.down.count, plan.tiles()), (Size::new(500, 400), 3, 3, 9));
        let plan = Plan::new(&spec, Size::new(3, 1), Some(0.1)).unwrap();
        assert_eq!((plan.resampled, plan.tiles()), (Size::new(1, 1), 1));
        assert_eq!(Plan::new(&spec, Size::new(1280, 1024), None), Err(Unplannable::NoScale));
    }

    #[test]
    fn resize_needs_no_scale() {
        let plan = Plan::new(&spec(Fit::Resize, 224, 160), Size::new(20000, 20000), None).unwrap();
        assert_eq!((plan.resampled, plan.tiles()), (Size::new(224, 160), 1));
    }

    #[test]
    fn a_panorama_of_twenty_millimetres_is_refused() {
        let spec = spec(Fit::Scale { um_per_px: 1.0, overlap: 0.25 }, 224, 224);
        let refused = Plan::new(&spec, Size::new(20000, 1000), Some(1.0));
        assert_eq!(refused, Err(Unplannable::TooManyTiles { tiles: 119 * 6, most: 64 }));
        let spec = self::spec(Fit::Scale { um_per_px: 0.1, overlap: 0.75 }, 16, 16);
        assert!(Plan::new(&spec, Size::new(u32::MAX, u32::MAX), Some(20.0)).is_err());
        let large = self::spec(Fit::Scale { um_per_px: 1.0, overlap: 0.0 }, 2048, 2048);
        let refused = Plan::new(&large, Size::new(4096, 2048), Some(1.0));
        assert_eq!(refused, Err(Unplannable::TooManyTiles { tiles: 2, most: 1 }));
    }
}
