//! What the locating network answers: planes over a coarse grid of the picture.

/// The planes of a locating network, in the order in which they lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Logit: a tip of the distal row.
    Apex,
    /// Logit: a tip of another row.
    Proximal,
    /// Logit: a vessel of a distal loop.
    Vessel,
    /// Logit: the nail's side of the distal row.
    Nail,
    /// Logit: a haemorrhage.
    Haemorrhage,
    /// Logit, where a tip is: its loop has an abnormal shape.
    Abnormal,
    /// Natural logarithm of the apical width in um, where a tip is.
    LogWidth,
    /// Towards the tip from the limbs, where a tip is; x right, y down.
    TowardX,
    TowardY,
}

impl Plane {
    pub const ALL: [Self; 9] = [
        Self::Apex,
        Self::Proximal,
        Self::Vessel,
        Self::Nail,
        Self::Haemorrhage,
        Self::Abnormal,
        Self::LogWidth,
        Self::TowardX,
        Self::TowardY,
    ];

    /// Whether a probability is meant, as its logit.
    pub const fn is_logit(self) -> bool {
        !matches!(self, Self::LogWidth | Self::TowardX | Self::TowardY)
    }

    /// As it stands in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apex => "apex",
            Self::Proximal => "proximal",
            Self::Vessel => "vessel",
            Self::Nail => "nail",
            Self::Haemorrhage => "haemorrhage",
            Self::Abnormal => "abnormal",
            Self::LogWidth => "log_width",
            Self::TowardX => "toward_x",
            Self::TowardY => "toward_y",
        }
    }
}

/// One answer. Cells that only cover padding are already cut off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Maps {
    /// In cells.
    pub width: usize,
    pub height: usize,
    /// Side of a cell.
    pub um_per_cell: f64,
    /// The picture's pixels a cell, along x and along y.
    pub px_per_cell: [f64; 2],
    /// `Plane::ALL` planes of `width` times `height`.
    pub data: Vec<f32>,
}

impl Maps {
    pub fn plane(&self, plane: Plane) -> &[f32] {
        let cells = self.width * self.height;
        &self.data[plane as usize * cells..(plane as usize + 1) * cells]
    }

    /// A place given in cells (the middle of the first cell is 0.5) in pixels of the picture.
    pub fn to_picture(&self, x: f32, y: f32) -> [f32; 2] {
        [x * self.px_per_cell[0] as f32, y * self.px_per_cell[1] as f32]
    }
}

/// From a logit to a probability.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
