//! What a picture becomes for a model: its pixels, resampled and normalised, or features of them.

use super::features::Describer;
use crate::bundle::Bundle;
use crate::frame::Size;
use crate::preprocess::{PrepareError, Preparer, Tensor};
use crate::quality::Accepted;
use crate::scale::Scale;

/// Makes the input of one model; keeps its buffers.
pub enum Intake {
    Pixels(Box<Preparer>),
    Features(Box<Describer>),
}

impl Intake {
    pub fn new(bundle: &Bundle) -> Self {
        let input = &bundle.input;
        match &bundle.features {
            None => Self::Pixels(Box::new(Preparer::new(input))),
            Some(features) => {
                let size = Size::new(input.width, input.height);
                Self::Features(Box::new(Describer::new(&features.groups, size, input.filter)))
            }
        }
    }

    /// Fills `out` from a picture that the gate accepted. Allocates only when picture or scale change.
    pub fn prepare(
        &mut self,
        accepted: &Accepted,
        scale: Option<&Scale>,
        out: &mut Tensor,
    ) -> Result<(), PrepareError> {
        let image = accepted.image();
        self.prepare_pixels(image.size(), image.rgb(), scale, out)
    }

    /// Fills `out` from RGB pixels that no gate has seen. Allocates only when picture or scale change.
    pub fn prepare_pixels(
        &mut self,
        size: Size,
        rgb: &[u8],
        scale: Option<&Scale>,
        out: &mut Tensor,
    ) -> Result<(), PrepareError> {
        match self {
            Self::Pixels(preparer) => preparer.prepare_pixels(size, rgb, scale, out),
            Self::Features(describer) => describer.describe(size, rgb, out),
        }
    }
}

impl From<Preparer> for Intake {
    fn from(preparer: Preparer) -> Self {
        Self::Pixels(Box::new(preparer))
    }
}
