//! Threads, mailboxes, counting: the only module that knows two neighbours. `start` takes finished parts, wires
//! them and hands back what is needed to watch and stop them.

pub mod capture;
pub mod counters;
pub mod desk;
pub mod ended;
pub mod gauges;
pub mod measure;
pub mod prepare;
mod queue;
pub mod read;
pub mod recover;
pub mod second;
pub mod stop;
pub mod swap;
mod turns;
pub mod wanted;

use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};

use self::capture::Capture;
use self::counters::Beats;
use self::desk::Desk;
use self::gauges::{Board, Depth};
use self::measure::{Chooser, Measure, Measurer};
use self::prepare::{Prepare, Step};
use self::queue::{Policy, mailbox};
use self::read::Read;
use self::recover::Reopen;
use self::second::SecondModel;
use self::stop::Stop;
use self::turns::Turns;
use self::wanted::Wanted;
use crate::capture::Source;
use crate::emit::control::Request;
use crate::emit::live::Live;
use crate::infer::{Classifier, InferError};
use crate::report::Fault;

/// Kept frames a field unless the configuration says otherwise: the best and the next best.
pub const KEYFRAMES_PER_FIELD: u32 = 2;

/// Frames of work that a mailbox holds while a live source drops the oldest: one, so that a slow model always reads
/// the newest frame and none waits longer than one inference.
const DEPTH_LIVE: usize = 1;
/// And while a replay waits: a second one evens out the paces of two threads.
const DEPTH_REPLAY: usize = 2;

/// Results on their way to the exam thread, which must not be far behind: its writes are what is on record.
const FINDINGS: usize = 16;

/// Operator commands that may wait; a full queue refuses the next one.
pub const COMMANDS: usize = 16;

pub struct Parts {
    pub source: Box<dyn Source>,
    /// `None` for a recording.
    pub reopen: Option<Box<dyn Reopen>>,
    pub step: Step,
    pub classifier: Classifier,
    /// Absent where no loops are measured.
    pub loops: Option<Loops>,
    /// Models that read along and do not decide.
    pub second: Vec<SecondModel>,
    pub desk: Desk,
    pub commands: Receiver<Request>,
    /// Of outputs that failed after they had opened.
    pub faults: Receiver<Fault>,
    /// The other end of `faults`, for the loss of a live source; `None` where everything is to come in its order.
    pub urgent: Option<Sender<Fault>>,
    pub board: Board,
    pub wanted: Wanted,
    /// Where each frame is shown as it comes; nobody looks on where it is `None`.
    pub live: Option<Live>,
}

/// What measures the loops of some of the frames.
pub struct Loops {
    pub chooser: Chooser,
    pub measurer: Measurer,
}

pub struct Running {
    pub stop: Stop,
    pub beats: Beats,
    pub depths: Vec<Depth>,
    /// In the order of the data, which is the order to join them in; the capture thread is the first.
    pub threads: Vec<(&'static str, JoinHandle<()>)>,
    /// Ends the frames for all threads behind the capture, when that one hangs in its device.
    pub cut_off: Box<dyn FnOnce() + Send>,
}

impl Running {
    /// The last thread has ended: everything is read and written.
    pub fn finished(&self) -> bool {
        self.threads.last().is_none_or(|(_, thread)| thread.is_finished())
    }
}

fn spawn(name: &'static str, work: impl FnOnce() + Send + 'static) -> io::Result<(&'static str, JoinHandle<()>)> {
    Ok((name, std::thread::Builder::new().name(name.to_owned()).spawn(work)?))
}

/// Starts the data threads: one each, and for reading one for each frame read at once.
pub fn start(parts: Parts) -> io::Result<Running> {
    let Parts {
        source,
        reopen,
        mut step,
        classifier,
        loops,
        second,
        desk,
        commands,
        faults,
        urgent,
        board,
        wanted,
        live: shown,
    } = parts;
    let (policy, depth) =
        if source.info().live { (Policy::DropOldest, DEPTH_LIVE) } else { (Policy::Block, DEPTH_REPLAY) };
    let (stop, beats) = (Stop::new(), Beats::default());
    let (raw_out, raw_in) = mailbox(depth, policy);
    let (ready_out, ready_in) = mailbox(depth, policy);
    let (findings_out, findings_in) = crossbeam_channel::bounded(FINDINGS);
    let classifiers = classifiers(classifier).map_err(io::Error::other)?;
    let (spares_out, spares_in) = crossbeam_channel::bounded(depth + 1 + classifiers.len());
    let depths = vec![
        Depth { name: "captured", capacity: depth, depth: Box::new(raw_out.depth()) },
        Depth { name: "prepared", capacity: depth, depth: Box::new(ready_out.depth()) },
        Depth { name: "findings", capacity: FINDINGS, depth: len_of(findings_in.clone()) },
        Depth { name: "commands", capacity: COMMANDS, depth: len_of(commands.clone()) },
    ];

    let cut_off = Box::new(raw_out.closer());
    let (live, swap) = (source.info().live, desk.swap());
    step.swap_by(swap.clone());
    let measure = loops.map(|Loops { mut chooser, measurer }| {
        let (input, spares) = chooser.connect(!live);
        step.measure_with(chooser);
        Measure { input, out: findings_out.clone(), spares, beat: beats.measure.clone(), measurer }
    });
    if measure.is_none() {
        beats.measure.rest();
    }
    let second = (!second.is_empty()).then(|| {
        let (chooser, second) = second::connect(second, findings_out.clone(), beats.second.clone(), !live);
        step.ask_also(chooser);
        second
    });
    if second.is_none() {
        beats.second.rest();
    }
    let capture = Capture {
        out: raw_out,
        stop: stop.clone(),
        beat: beats.capture.clone(),
        reopen,
        wanted: wanted.clone(),
        urgent,
        live: shown,
    };
    let prepare = Prepare { input: raw_in, out: ready_out, beat: beats.prepare.clone(), step, spares: spares_in };
    let input = Turns::new(ready_in, beats.read.clone());
    let exam_beat = beats.exam.clone();
    // From the end to the beginning: nobody sends before there is somebody to take it.
    let mut threads =
        vec![spawn("exam", move || desk.run(&findings_in, commands, faults, &exam_beat, &board, &wanted))?];
    if let Some(measure) = measure {
        threads.push(spawn("measure", move || measure.run())?);
    }
    if let Some(second) = second {
        threads.push(spawn("second", move || second.run())?);
    }
    for classifier in classifiers {
        let (input, out, spares) = (input.clone(), findings_out.clone(), spares_out.clone());
        let read = Read { input, out, spares, classifier, generation: 0, swap: swap.clone() };
        threads.push(spawn("read", move || read.run())?);
    }
    // Only the readers hold these now, so that the last of them closes what comes behind.
    drop((input, findings_out, spares_out));
    threads.push(spawn("prepare", move || prepare.run())?);
    threads.push(spawn("capture", move || capture.run(source))?);
    threads.reverse();
    Ok(Running { stop, beats, depths, threads, cut_off })
}

/// One for each frame that is read at the same time.
fn classifiers(first: Classifier) -> Result<Vec<Classifier>, InferError> {
    let more = (1..first.frames_at_once()).map(|_| first.another()).collect::<Result<Vec<_>, _>>()?;
    Ok([vec![first], more].into_iter().flatten().collect())
}

fn len_of<T: Send + 'static>(channel: Receiver<T>) -> Box<dyn Fn() -> usize + Send + Sync> {
    Box::new(move || channel.len())
}
