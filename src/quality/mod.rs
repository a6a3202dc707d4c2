//! The gate: which pictures can be read, and what to do about the others. It measures a reduced picture, gives the
//! first reason that applies, in a fixed order, and is the only maker of [`Accepted`].
//!
//! The order of reasons, from what no adjustment cures to what the operator adjusts last: frozen, no scale,
//! magnification, underexposed, overexposed, glare, motion, defocus, no nailfold. A picture that is both dark and
//! blurred is dark first, because a dark picture cannot be focused.

mod exposure;
mod glare;
mod motion;
mod nailfold;
mod reduce;
mod settings;
mod sharpness;
#[cfg(test)]
mod tests;

pub use settings::Settings;

use crate::frame::{FrameId, Image};
use crate::outcome::{Quality, RejectReason, View};
use crate::scale::Scale;
use crate::time::Stamp;

/// What the model asks of every picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demands {
    /// The coarsest scale that the model was made for.
    pub max_um_per_px: Option<f64>,
    /// The model cannot do without a scale.
    pub needs_scale: bool,
}

/// A picture that can be read. Having one proves that the gate let it through.
#[derive(Debug)]
pub struct Accepted {
    image: Image,
    quality: Quality,
    view: View,
}

impl Accepted {
    pub fn image(&self) -> &Image {
        &self.image
    }

    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    pub fn view(&self) -> View {
        self.view
    }

    /// Gives the picture back, to decode the next frame into its memory.
    pub fn into_image(self) -> Image {
        self.image
    }
}

/// A picture that cannot be read, with the first reason and all figures.
#[derive(Debug)]
pub struct Reject {
    pub reason: RejectReason,
    pub figures: Quality,
    pub view: View,
    pub image: Image,
}

/// The gate's verdict.
#[derive(Debug)]
pub enum Judged {
    Accepted(Accepted),
    Rejected(Reject),
}

/// Judges the pictures of one source in their order, reusing its memory.
#[derive(Debug)]
pub struct Gate {
    settings: Settings,
    demands: Demands,
    reduced: reduce::Reduced,
    glare: [Vec<bool>; 2],
    sharpness: sharpness::Sharpness,
    nailfold: nailfold::Nailfold,
    tracker: motion::Tracker,
    last: Option<(FrameId, Stamp)>,
}

impl Gate {
    pub fn new(settings: Settings, demands: Demands) -> Self {
        Self {
            settings,
            demands,
            reduced: reduce::Reduced::default(),
            glare: [Vec::new(), Vec::new()],
            sharpness: sharpness::Sharpness::default(),
            nailfold: nailfold::Nailfold::default(),
            tracker: motion::Tracker::default(),
            last: None,
        }
    }

    /// Other thresholds from the next picture on; what was followed so far is followed on.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Another model asks for other scales from the next picture on.
    pub fn demand(&mut self, demands: Demands) {
        self.demands = demands;
    }

    pub fn judge(&mut self, image: Image, scale: Option<&Scale>) -> Judged {
        let frozen = self.is_frozen(&image);
        let measured = self.measure(&image);
        let reason = if frozen {
            Some(RejectReason::Frozen)
        } else {
            self.unfit_scale(scale).or_else(|| self.settings.refuses(&measured))
        };
        let (quality, view) = (measured.quality, measured.view);
        match reason {
            None => Judged::Accepted(Accepted { image, quality, view }),
            Some(reason) => Judged::Rejected(Reject { reason, figures: quality, view, image }),
        }
    }

    /// A camera that delivers the same frame for ever still delivers frames: only the driver's number and stamp
    /// tell. Both must advance within one opening of the source.
    fn is_frozen(&mut self, image: &Image) -> bool {
        let (id, at) = (image.id(), image.at());
        match self.last.replace((id, at)) {
            Some((before, before_at)) if before.run == id.run => id.seq <= before.seq || at <= before_at,
            Some(_) => {
                self.tracker.restart();
                false
            }
            None => false,
        }
    }

    fn unfit_scale(&self, scale: Option<&Scale>) -> Option<RejectReason> {
        match (scale, self.demands.max_um_per_px) {
            (None, _) if self.demands.needs_scale => Some(RejectReason::NoScale),
            (Some(scale), Some(coarsest)) if scale.um_per_px > coarsest => Some(RejectReason::Magnification),
            _ => None,
        }
    }

    fn measure(&mut self, image: &Image) -> Measured {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor was just asked whether it has AVX2.
            return unsafe { self.measure_avx2(image) };
        }
        self.measure_anywhere(image)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn measure_avx2(&mut self, image: &Image) -> Measured {
        self.measure_anywhere(image)
    }

    /// The same figures to the last bit on every processor: wider registers only do more at once.
    #[inline(always)]
    fn measure_anywhere(&mut self, image: &Image) -> Measured {
        self.reduced.fill(image.rgb(), image.size());
        let exposure = exposure::measure(&self.reduced.luma);
        self.sharpness.split(&self.reduced.green);
        let [across, mask] = &mut self.glare;
        let glare = glare::measure(&self.reduced, self.sharpness.shading(), across, mask);
        let luma_beside_glare = exposure::luma_beside(&self.reduced.luma, mask);
        if glare > 0.0 {
            glare::fill(&mut self.reduced.red, mask);
            glare::fill(&mut self.reduced.green, mask);
            self.sharpness.split(&self.reduced.green);
        }
        let sharpness = self.sharpness.measure(&self.reduced.green, mask);
        let skin = self.nailfold.measure(&self.reduced, mask, self.sharpness.noise());
        let motion = self.tracker.follow(self.sharpness.smooth(), self.sharpness.shading(), image.at());
        let mut quality = Quality {
            luma: exposure.luma,
            dark: exposure.dark,
            bright: exposure.bright,
            glare,
            sharpness,
            motion: motion.shift,
            nailfold: skin.blood,
            weight: 0.0,
        };
        quality.weight = self.settings.weight(&quality);
        Measured { quality, luma_beside_glare, speed: motion.speed, redness: skin.redness, view: motion.view }
    }
}

/// All that the gate measures on one picture.
#[derive(Clone, Copy, Debug)]
struct Measured {
    quality: Quality,
    luma_beside_glare: f32,
    speed: Option<f32>,
    redness: f32,
    view: View,
}
