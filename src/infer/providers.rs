//! Execution providers: their names, what has to be installed for each, and the settings that choose among them.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// What may run the model, fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    TensorRt,
    Cuda,
    OpenVino,
    MiGraphX,
    DirectMl,
    CoreMl,
    Cpu,
}

impl Provider {
    pub const ALL: [Self; 7] =
        [Self::TensorRt, Self::Cuda, Self::OpenVino, Self::MiGraphX, Self::DirectMl, Self::CoreMl, Self::Cpu];

    /// As written in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
            Self::MiGraphX => "migraphx",
            Self::DirectMl => "directml",
            Self::CoreMl => "coreml",
            Self::Cpu => "cpu",
        }
    }

    /// As ONNX Runtime calls it.
    pub const fn ort_name(self) -> &'static str {
        match self {
            Self::TensorRt => "TensorrtExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
            Self::OpenVino => "OpenVINOExecutionProvider",
            Self::MiGraphX => "MIGraphXExecutionProvider",
            Self::DirectMl => "DmlExecutionProvider",
            Self::CoreMl => "CoreMLExecutionProvider",
            Self::Cpu => "CPUExecutionProvider",
        }
    }

    /// Whether it builds something for this machine that can be kept.
    pub(super) const fn builds_engines(self) -> bool {
        matches!(self, Self::TensorRt | Self::OpenVino)
    }

    /// What to install to have it. Versions are those that the builds of ONNX Runtime 1.31 and 1.32 ask for.
    pub const fn install(self) -> &'static str {
        match self {
            Self::TensorRt => "the GPU build (onnxruntime-gpu) with CUDA 13, cuDNN 9 and TensorRT 10",
            Self::Cuda => "the GPU build (onnxruntime-gpu) with CUDA 13 and cuDNN 9",
            Self::OpenVino => "the OpenVINO build (onnxruntime-openvino)",
            Self::MiGraphX => "the MIGraphX build (onnxruntime-migraphx) with ROCm",
            Self::DirectMl => "the DirectML build (onnxruntime-directml) on Windows",
            Self::CoreMl => "a macOS build of ONNX Runtime",
            Self::Cpu => "any build of ONNX Runtime",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to do when a provider that was asked for cannot run the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// Fail to start.
    Refuse,
    /// Try the next of the list, and say so.
    Next,
}

/// What to do when a provider that runs the model leaves some of its nodes to the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CpuNodes {
    /// The provider cannot run the model.
    Refuse,
    /// It runs what it takes; how many nodes that is stands in every exam's provenance.
    Allow,
}

/// Of the arithmetic on a GPU. The golden pair says whether the model bears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, no TF32.
    Single,
    /// 16 bits where the provider finds them faster: TensorRT and OpenVINO. Others stay at 32.
    Half,
}

impl Precision {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Half => "half",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Settings {
    /// The ONNX Runtime library, 1.24 or newer. One process loads one.
    pub library: PathBuf,
    /// Tried in this order, one at a time.
    pub providers: Vec<Provider>,
    pub on_missing: OnMissing,
    pub cpu_nodes: CpuNodes,
    /// Which of several GPUs, as its driver counts them: CUDA, TensorRT, MIGraphX, DirectML.
    pub device: u32,
    pub precision: Precision,
    /// Folder for engines that were built for this machine (TensorRT, OpenVINO), so that the next start is quick. Each
    /// model, library, driver and option has a folder of its own in it. The golden pair is run after a cached engine
    /// is loaded as after any.
    pub engine_cache: Option<PathBuf>,
    /// Threads that infer, all together. More than there are free cores is slower: on two shared cores DenseNet-121
    /// took 62 ms with two spinning threads and 32 ms with one.
    pub threads: u32,
    /// Frames read at the same time, each by its share of the threads. Without it the CPU reads as many as there are
    /// threads: threads that share a frame wait for each other some hundred times in it. One gives each frame
    /// all threads: it is there sooner, and fewer are read.
    pub frames_at_once: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Where `make setup` puts the pinned library.
            library: PathBuf::from("lib/libonnxruntime.so.1.32.0"),
            providers: vec![Provider::Cpu],
            on_missing: OnMissing::Refuse,
            cpu_nodes: CpuNodes::Refuse,
            device: 0,
            precision: Precision::Single,
            engine_cache: None,
            threads: 1,
            frames_at_once: None,
        }
    }
}

impl Settings {
    /// Frames that `provider` reads at the same time. Others than the CPU spread a frame over the whole device, and not
    /// all of them take two at once.
    pub(super) fn frames_at_once(&self, provider: Provider) -> u32 {
        match provider {
            Provider::Cpu => self.frames_at_once.unwrap_or(self.threads),
            _ => 1,
        }
    }

    /// Message names the key and the allowed range.
    pub fn check(&self) -> Result<(), String> {
        if self.library.as_os_str().is_empty() {
            return Err("library: expected the path of the ONNX Runtime library, found nothing".to_owned());
        }
        if self.providers.is_empty() {
            return Err("providers: expected at least one, such as [\"cpu\"]".to_owned());
        }
        for (i, provider) in self.providers.iter().enumerate() {
            if self.providers[..i].contains(provider) {
                return Err(format!("providers: expected each once, found \"{provider}\" twice"));
            }
        }
        // Beyond 64 threads one frame of 224x224 pixels has nothing left to share out.
        if !(1..=64).contains(&self.threads) {
            return Err(format!("threads: expected 1 to 64, found {}", self.threads));
        }
        // More GPUs than a workstation has slots; a larger number is a slip.
        if self.device > 15 {
            return Err(format!("device: expected 0 to 15, found {}", self.device));
        }
        self.check_frames_at_once()
    }

    fn check_frames_at_once(&self) -> Result<(), String> {
        let Some(frames) = self.frames_at_once else { return Ok(()) };
        if frames == 0 || !self.threads.is_multiple_of(frames) {
            let threads = self.threads;
            return Err(format!(
                "frames_at_once: expected a number that divides the {threads} threads, found {frames}"
            ));
        }
        if frames > 1 && self.providers.iter().any(|provider| *provider != Provider::Cpu) {
            return Err(format!("frames_at_once: expected 1 where not only the CPU may read, found {frames}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        assert_eq!(Settings::default().check(), Ok(()));
        let wrong = |text: &str| toml::from_str::<Settings>(text).unwrap().check().unwrap_err();
        assert!(wrong("threads = 0").contains("threads: expected 1 to 64, found 0"));
        assert!(wrong("threads = 65").contains("found 65"));
        assert!(wrong("providers = []").contains("at least one"));
        assert!(wrong("providers = [\"cuda\", \"cpu\", \"cuda\"]").contains("\"cuda\" twice"));
        assert!(wrong("threads = 4\nframes_at_once = 3").contains("divides the 4 threads, found 3"));
        assert!(wrong("frames_at_once = 0").contains("found 0"));
        assert!(wrong("threads = 2\nframes_at_once = 2\nproviders = [\"cuda\", \"cpu\"]").contains("expected 1"));
        assert!(wrong("library = \"\"").contains("library: expected"));
        assert!(wrong("device = 16").contains("device: expected 0 to 15, found 16"));
        assert!(toml::from_str::<Settings>("precision = \"quarter\"").is_err());
        assert!(toml::from_str::<Settings>("cpu_nodes = \"some\"").is_err());
        assert!(toml::from_str::<Settings>("providers = [\"gpu\"]").is_err());
        assert!(toml::from_str::<Settings>("provider = [\"cpu\"]").is_err());
    }

    #[test]
    fn only_the_cpu_reads_several_frames_at_once() {
        let settings = Settings { threads: 4, ..Settings::default() };
        assert_eq!((settings.frames_at_once(Provider::Cpu), settings.frames_at_once(Provider::Cuda)), (4, 1));
        let shared = Settings { frames_at_once: Some(2), ..settings };
        assert_eq!((shared.check(), shared.frames_at_once(Provider::Cpu)), (Ok(()), 2));
    }

    #[test]
    fn names_are_those_of_the_configuration() {
        for provider in Provider::ALL {
            let written = format!("providers = [\"{provider}\"]");
            assert_eq!(toml::from_str::<Settings>(&written).unwrap().providers, [provider]);
        }
    }
}
