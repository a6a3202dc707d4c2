//! The only home of `ort`: loads the ONNX Runtime library, makes sessions, runs them on memory of our own.
//!
//! Nothing of `ort` may be touched before [`Runtime::load`]: making even an `ort::Error` without a library panics.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{LoadCanceler, SessionBuilder};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};
use ort::{AsPointer, ErrorCode};

use super::elf::check_whole;
use super::{CpuNodes, InferError, Precision, Provider, Settings};
use crate::digest::{sha256, sha256_of_file};

/// The ONNX Runtime library of this process. Cloning shares it.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    pub path: PathBuf,
    /// Major and minor number, and the commit that the library was built from.
    pub version: String,
    pub sha256: String,
}

/// One process holds one library: `ort` keeps the first for good.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the library at `path`; again, when it is loaded already, costs nothing.
    pub fn load(path: &Path) -> Result<Self, InferError> {
        let wrong = |message: String| InferError::Library { path: path.to_owned(), message };
        let real = path.canonicalize().map_err(|e| wrong(e.to_string()))?;
        if !real.is_file() {
            return Err(wrong("expected a file".to_owned()));
        }
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*loaded {
            Some(runtime) if runtime.path == real => return Ok(runtime.clone()),
            Some(runtime) => {
                return Err(wrong(format!("this process has already loaded {}", runtime.path.display())));
            }
            None => {}
        }
        check_whole(&real).map_err(wrong)?;
        let sha256 = sha256_of_file(&real).map_err(|e| wrong(e.to_string()))?;
        let builder = ort::init_from(&real).map_err(|e| wrong(e.to_string()))?;
        // Nothing leaves the machine, least of all by a library's telemetry.
        let environment =
            builder.with_name("hairpin").with_telemetry(false).build().map_err(|e| wrong(e.message().to_owned()))?;
        // `ort` asks for verbose messages, which the library would format for every node of every run.
        environment.set_log_level(LogLevel::Warning);
        let runtime = Self { environment, version: version(&real), path: real, sha256 };
        Ok(loaded.insert(runtime).clone())
    }

    /// Whether the library was built with this provider; that it runs is another matter.
    pub fn has(&self, provider: Provider) -> bool {
        let available = match provider {
            Provider::TensorRt => ep::TensorRT::is_available(),
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::OpenVino => ep::OpenVINO::is_available(),
            Provider::MiGraphX => ep::MIGraphX::is_available(),
            Provider::DirectMl => ep::DirectML::is_available(),
            Provider::CoreMl => ep::CoreML::is_available(),
            Provider::Cpu => ep::CPU::is_available(),
        };
        available.unwrap_or(false)
    }
}

/// "1.32, commit fab30a4": the library tells its patch level only to those that link it.
fn version(path: &Path) -> String {
    let minor = ort::util::probe(path).map_or_else(|| "1.?".to_owned(), |minor| format!("1.{minor}"));
    match ort::info().split("git-commit-id=").nth(1).and_then(|rest| rest.split([',', ' ']).next()) {
        Some(commit) => format!("{minor}, commit {commit}"),
        None => minor,
    }
}

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub name: String,
    /// `None` unless it is a tensor of 32-bit floats; -1 stands for a dimension that is set at run time.
    pub shape: Option<Vec<i64>>,
    /// What it is, for messages.
    pub words: String,
}

impl From<&Outlet> for Port {
    fn from(outlet: &Outlet) -> Self {
        let shape = match outlet.dtype() {
            ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => Some(shape.to_vec()),
            _ => None,
        };
        Self { name: outlet.name().to_owned(), shape, words: outlet.dtype().to_string() }
    }
}

/// A session on one provider, and the memory that its runs read and write.
pub(super) struct Model {
    session: Session,
    /// How many nodes each provider runs, by ONNX Runtime's name for it.
    pub nodes: BTreeMap<String, usize>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

/// What a session may be made with.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    pub provider: Provider,
    /// Its providers are not looked at.
    pub settings: &'a Settings,
    /// Called with the means to break off, before the model is loaded: building an engine can take minutes.
    pub cancel: Option<&'a dyn Fn(Canceler)>,
}

/// Breaks off the making of a session.
pub(super) struct Canceler(LoadCanceler);

impl Canceler {
    pub(super) fn cancel(&self) {
        // Fails only when the session is made already.
        let _ = self.0.cancel();
    }
}

/// Why no session could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No provider could run it: it is no model.
    Model(String),
    /// Another provider may.
    Provider(String),
}

impl From<ort::Error> for Refusal {
    fn from(error: ort::Error) -> Self {
        match error.code() {
            ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph | ErrorCode::NoModel => {
                Self::Model(first_line(error.message()))
            }
            _ => Self::Provider(first_line(error.message())),
        }
    }
}

impl Model {
    pub(super) fn open(runtime: &Runtime, bytes: &[u8], making: Making<'_>) -> Result<Self, Refusal> {
        let cache = engine_folder(runtime, bytes, making).map_err(Refusal::Provider)?;
        let mut builder = options(runtime, making, cache.as_deref())?;
        if let Some(tell) = making.cancel {
            tell(Canceler(builder.canceler()));
        }
        let session = builder.commit_from_memory(bytes)?;
        let nodes = assigned_nodes(&session)?;
        // The library gives every node that a provider leaves to the CPU; a provider that took none is not running.
        if !nodes.contains_key(making.provider.ort_name()) {
            let message = format!("it took none of the model's nodes, which would run on {nodes:?}");
            return Err(Refusal::Provider(message));
        }
        if nodes.len() > 1 && making.settings.cpu_nodes == CpuNodes::Refuse {
            let message =
                format!("it left some of the model's nodes to others: {nodes:?}; cpu_nodes = \"allow\" accepts that");
            return Err(Refusal::Provider(message));
        }
        let inputs = session.inputs().iter().map(Port::from).collect();
        let outputs = session.outputs().iter().map(Port::from).collect();
        Ok(Self { session, nodes, inputs, outputs })
    }
}

/// Where the engines of this model lie: what made them, and what they were made for, is in the folder's name.
fn engine_folder(runtime: &Runtime, bytes: &[u8], making: Making<'_>) -> Result<Option<PathBuf>, String> {
    let Making { provider, settings, .. } = making;
    let Some(root) = settings.engine_cache.as_ref().filter(|_| provider.builds_engines()) else { return Ok(None) };
    // Absent where there is no NVIDIA driver.
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let key = format!(
        "{} {} {provider} {} {} {driver}",
        sha256(bytes),
        runtime.sha256,
        settings.device,
        settings.precision.as_str()
    );
    let folder = root.join(&sha256(key.as_bytes())[..16]);
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make the engine cache {}: {e}", folder.display()))?;
    Ok(Some(folder))
}

fn options(runtime: &Runtime, making: Making<'_>, cache: Option<&Path>) -> Result<SessionBuilder, ort::Error> {
    let threads = (making.settings.threads / making.settings.frames_at_once(making.provider)) as usize;
    let builder = Session::builder(&runtime.environment)?
        .with_no_environment_execution_providers()?
        .with_log_level(LogLevel::Warning)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // Spinning threads took 79 % of a core at 10 frames a second, waiting ones 36 %, with no worse latency.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_config_entry("session.record_ep_graph_assignment_info", "1")?
        // DirectML runs only without memory patterns. The CPU needs 12 MB less without (DenseNet-121), and is as fast.
        .with_memory_pattern(!matches!(making.provider, Provider::DirectMl | Provider::Cpu))?;
    Ok(builder.with_execution_providers([dispatch(making, threads, cache).error_on_failure()])?)
}

/// Providers as a medical reader wants them: full single precision, and no search that makes the first frames slow.
fn dispatch(making: Making<'_>, threads: usize, cache: Option<&Path>) -> ExecutionProviderDispatch {
    let Settings { device, precision, .. } = *making.settings;
    let gpu = device.cast_signed();
    let half = precision == Precision::Half;
    match making.provider {
        Provider::TensorRt => {
            let provider = ep::TensorRT::default().with_device_id(gpu).with_fp16(half);
            match cache {
                Some(folder) => {
                    let path = folder.display();
                    provider
                        .with_engine_cache(true)
                        .with_engine_cache_path(&path)
                        .with_timing_cache(true)
                        .with_timing_cache_path(&path)
                        .build()
                }
                None => provider.build(),
            }
        }
        Provider::Cuda => ep::CUDA::default()
            .with_device_id(gpu)
            .with_tf32(false)
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .build(),
        Provider::OpenVino => {
            let provider =
                ep::OpenVINO::default().with_num_threads(threads).with_precision(if half { "FP16" } else { "FP32" });
            match cache {
                Some(folder) => provider.with_cache_dir(folder.display()).build(),
                None => provider.build(),
            }
        }
        Provider::MiGraphX => ep::MIGraphX::default().with_device_id(gpu).build(),
        Provider::DirectMl => ep::DirectML::default().with_device_id(gpu).build(),
        Provider::CoreMl => ep::CoreML::default().build(),
        // Without the arena the runtime takes 10 MB anew for each frame: 2500 page faults, or memory that glibc keeps.
        Provider::Cpu => ep::CPU::default().with_arena_allocator(true).build(),
    }
}

/// ONNX Runtime puts the place in its sources and a code before the reason, and adds further lines after it.
fn first_line(message: &str) -> String {
    let line = message.lines().find(|l| !l.trim().is_empty()).unwrap_or("no reason given");
    let reason = line.rsplit_once(" : FAIL : ").map_or(line, |(_, reason)| reason);
    reason.trim().trim_end_matches('.').to_owned()
}

/// Which provider runs how many nodes, as the session itself recorded it.
fn assigned_nodes(session: &Session) -> Result<BTreeMap<String, usize>, ort::Error> {
    let api = ort::api();
    let (mut parts, mut count) = (ptr::null(), 0);
    // SAFETY: the session is alive, and both places may be written; the array belongs to the session.
    let status = unsafe { (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &raw mut parts, &raw mut count) };
    // SAFETY: the status was just returned by the library and is given up here.
    unsafe { ort::Error::result_from_status(status) }?;
    let mut nodes = BTreeMap::new();
    for i in 0..count {
        // SAFETY: `parts` holds `count` pointers to parts, which live as long as the session.
        let part = unsafe { *parts.add(i) };
        let mut name: *const c_char = ptr::null();
        // SAFETY: `part` is alive, and `name` may be written.
        let status = unsafe { (api.EpAssignedSubgraph_GetEpName)(part, &raw mut name) };
        // SAFETY: as above.
        unsafe { ort::Error::result_from_status(status) }?;
        let (mut list, mut number) = (ptr::null(), 0);
        // SAFETY: `part` is alive, and both places may be written; the array belongs to the part.
        let status = unsafe { (api.EpAssignedSubgraph_GetNodes)(part, &raw mut list, &raw mut number) };
        // SAFETY: as above.
        unsafe { ort::Error::result_from_status(status) }?;
        // SAFETY: a successful call gives a string that ends with zero and lives as long as the session.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
        *nodes.entry(name).or_insert(0) += number;
    }
    Ok(nodes)
}

/// A model bound to memory of fixed shape: each run reads `input`, writes `output`, and allocates nothing of ours.
pub(super) struct Bound {
    model: Arc<Model>,
    input: Tensor<f32>,
    output: Tensor<f32>,
    input_name: CString,
    output_name: CString,
}

impl Bound {
    pub(super) fn new(
        model: Model,
        (input, input_shape): (&str, &[usize]),
        (output, output_shape): (&str, &[usize]),
    ) -> Result<Self, String> {
        let name = |name: &str| CString::new(name).map_err(|e| e.to_string());
        Ok(Self {
            model: Arc::new(model),
            input: zeros(input_shape)?,
            output: zeros(output_shape)?,
            input_name: name(input)?,
            output_name: name(output)?,
        })
    }

    /// Memory for other shapes, where the model leaves them open.
    pub(super) fn rebind(&mut self, input_shape: &[usize], output_shape: &[usize]) -> Result<(), String> {
        (self.input, self.output) = (zeros(input_shape)?, zeros(output_shape)?);
        Ok(())
    }

    /// The same model bound to other memory, to run beside this one: no weights are loaded again.
    pub(super) fn another(&self) -> Result<Self, String> {
        let like = |tensor: &Tensor<f32>| zeros(&tensor.shape().iter().map(|side| *side as usize).collect::<Vec<_>>());
        Ok(Self {
            model: Arc::clone(&self.model),
            input: like(&self.input)?,
            output: like(&self.output)?,
            input_name: self.input_name.clone(),
            output_name: self.output_name.clone(),
        })
    }

    /// `input` is as long as the shape given at binding; the result as long as that of the output.
    pub(super) fn run(&mut self, input: &[f32]) -> Result<&[f32], String> {
        let (_, memory) = self.input.extract_tensor_mut();
        if memory.len() != input.len() {
            return Err(format!("expected an input of {} samples, found {}", memory.len(), input.len()));
        }
        memory.copy_from_slice(input);
        let inputs = [self.input.ptr()];
        let mut outputs = [self.output.ptr_mut()];
        // `ort`'s own `run` allocates names and values anew each time.
        // SAFETY: session, names and values live in `self` and outlast the call; each array has one entry, as told;
        // the exclusive borrow keeps other threads out of these values. A session's runs may overlap (only
        // `Bound`s on the CPU share one, see `Settings::frames_at_once`). The output is a tensor of our own memory, which the
        // library fills when given one and refuses when its shape does not fit.
        let status = unsafe {
            (ort::api().Run)(
                self.model.session.ptr().cast_mut(),
                ptr::null(),
                [self.input_name.as_ptr()].as_ptr(),
                inputs.as_ptr(),
                1,
                [self.output_name.as_ptr()].as_ptr(),
                1,
                outputs.as_mut_ptr(),
            )
        };
        // SAFETY: the status was just returned by the library and is given up here.
        unsafe { ort::Error::result_from_status(status) }.map_err(|e| first_line(e.message()))?;
        Ok(self.output.extract_tensor().1)
    }
}

fn zeros(shape: &[usize]) -> Result<Tensor<f32>, String> {
    let samples = vec![0f32; shape.iter().product()];
    Tensor::from_array((shape.to_vec(), samples)).map_err(|e| first_line(e.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_cut_out_of_the_librarys_messages() {
        let cases = [
            (
                "CUDA execution provider is not enabled in this build. ",
                "CUDA execution provider is not enabled in this build",
            ),
            (
                "/src/provider_bridge_ort.cc:2059 Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library\n\nmore",
                "Failed to load library",
            ),
            ("", "no reason given"),
        ];
        for (message, reason) in cases {
            assert_eq!(first_line(message), reason);
        }
    }
}
