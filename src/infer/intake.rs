//! What a picture becomes for a model: its pixels, resampled and normalised, or features of them.

use super::features::Describer;
use crate::bundle::{Bundle, Group};
use crate::frame::Size;
use crate::preprocess::{PrepareError, Preparer, Tensor};
use crate::quality::Accepted;
use crate::scale::Scale;

/// Makes the input of one model; keeps its buffers.
pub enum Intake {
    Pixels(Box<Preparer>),
    Features(Features),
}

/// Makes the row of a model that reads features: those of the picture, then those of its loops.
pub struct Features {
    describer: Box<Describer>,
    /// There once it is given, where the model reads the group `shape`.
    loops: Option<Box<dyn LoopFigures>>,
    reads_loops: bool,
}

/// Measures the loops of a picture for a model that reads figures of them. Who measures stands behind this module, so
/// it is handed in.
pub trait LoopFigures: Send {
    /// The columns of the group `shape`.
    fn figures(&mut self, size: Size, rgb: &[u8], scale: Option<&Scale>) -> Result<[f32; 5], PrepareError>;
}

impl Intake {
    /// Of a model that reads loops only once it was given who measures them.
    pub fn new(bundle: &Bundle) -> Self {
        let input = &bundle.input;
        match &bundle.features {
            None => Self::Pixels(Box::new(Preparer::new(input))),
            Some(features) => {
                let size = Size::new(input.width, input.height);
                Self::Features(Features {
                    describer: Box::new(Describer::new(&features.groups, size, input.filter)),
                    loops: None,
                    reads_loops: features.groups.contains(&Group::Shape),
                })
            }
        }
    }

    /// The same with who measures the loops; a model that reads none does not ask.
    pub fn with_loops(mut self, measures: Box<dyn LoopFigures>) -> Self {
        if let Self::Features(features) = &mut self {
            features.loops = Some(measures);
        }
        self
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
            Self::Features(features) => features.prepare(size, rgb, scale, out),
        }
    }
}

impl Features {
    fn prepare(&mut self, size: Size, rgb: &[u8], scale: Option<&Scale>, out: &mut Tensor) -> Result<(), PrepareError> {
        self.describer.describe(size, rgb, out)?;
        if self.reads_loops {
            let loops = self.loops.as_mut().ok_or_else(|| PrepareError::Measuring("nothing measures them".into()))?;
            out.data.extend(loops.figures(size, rgb, scale)?);
            out.width = out.data.len();
        }
        Ok(())
    }
}

impl From<Preparer> for Intake {
    fn from(preparer: Preparer) -> Self {
        Self::Pixels(Box::new(preparer))
    }
}
