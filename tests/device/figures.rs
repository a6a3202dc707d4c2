//! What the camera costs: the time from the last byte on the bus to the frame in our hands, the processor time of the
//! capture thread, and frames lost beside `v4l2-ctl` and `ustreamer` on the same device.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::frames::FULL;
use crate::rig::{ID, Rig, frame, open, settings, until};

/// Of each measurement, and how often it is made.
const SECONDS: u64 = 20;
const ROUNDS: usize = 3;

pub fn measure(rig: &Rig) {
    println!("{FULL} MJPEG at 30 frames/s, {SECONDS} s each, {ROUNDS} rounds");
    for _ in 0..ROUNDS {
        ours(rig);
        v4l2_ctl(rig);
        ustreamer(rig);
    }
}

/// Moment on CLOCK_MONOTONIC.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

fn thread_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
}

/// When the camera had handed over the last byte of each frame, by its count.
fn sent() -> BTreeMap<u64, Duration> {
    let log = std::fs::read_to_string("/tmp/sent").unwrap();
    let lines = log.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(n, ns)| Some((n.parse().ok()?, Duration::from_nanos(ns.parse().ok()?)))).collect()
}

fn ours(rig: &Rig) {
    let mut source = open(ID, settings(FULL));
    frame(&mut source, Duration::from_secs(5)).unwrap();
    let (began, used) = (Instant::now(), thread_time());
    let first = rig.status("frames").parse::<u64>().unwrap();
    let mut arrivals = Vec::new();
    let mut numbers = Vec::new();
    while began.elapsed() < Duration::from_secs(SECONDS) {
        let taken = frame(&mut source, Duration::from_secs(5)).unwrap();
        arrivals.push(now());
        numbers.push(taken.id.seq);
    }
    let (elapsed, used) = (began.elapsed(), thread_time() - used);
    let last = rig.status("frames").parse::<u64>().unwrap();
    drop(source);
    let span = numbers.last().unwrap() - numbers.first().unwrap() + 1;
    let sent: Vec<Duration> = sent().into_values().collect();
    // A frame arrives after it was sent: each arrival belongs to the newest frame that was sent before it.
    let mut late: Vec<f64> = arrivals
        .iter()
        .filter_map(|at| {
            let before = sent.partition_point(|sent| sent <= at);
            Some((*at - *sent.get(before.checked_sub(1)?)?).as_secs_f64() * 1e3)
        })
        .collect();
    late.sort_by(f64::total_cmp);
    let quantile = |q: f64| late[((late.len() - 1) as f64 * q) as usize];
    println!(
        "hairpin    taken {} of {} sent, {} numbers missing; after the last byte p50 {:.2} ms, p99 {:.2} ms; {:.2} % of a core",
        numbers.len(),
        last - first,
        span - numbers.len() as u64,
        quantile(0.5),
        quantile(0.99),
        100.0 * used.as_secs_f64() / elapsed.as_secs_f64()
    );
}

/// Frames that the camera sent while a program ran, and what it says it took.
fn v4l2_ctl(rig: &Rig) {
    let count = SECONDS * 30;
    let size = format!("width={},height={},pixelformat=MJPG", FULL.width, FULL.height);
    let first = rig.status("frames").parse::<u64>().unwrap();
    let node = rig.node();
    let output = Command::new("v4l2-ctl")
        .args(["-d", node.to_str().unwrap(), "--set-fmt-video", &size, "--stream-mmap", "--stream-poll", "--verbose"])
        .args([format!("--stream-count={count}"), "--stream-to=/dev/null".to_owned()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = told
        .lines()
        .filter_map(|line| line.split_once("seq:").or_else(|| line.split_once("seq: ")))
        .filter_map(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        .collect();
    let last = rig.status("frames").parse::<u64>().unwrap();
    let missing = match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) => (last - first + 1).saturating_sub(numbers.len() as u64),
        _ => 0,
    };
    println!("v4l2-ctl   taken {} of {} sent, {missing} numbers missing", numbers.len(), last - first);
}

/// ustreamer says each second how many frames it took.
fn ustreamer(rig: &Rig) {
    let node = rig.node();
    let mut child = Command::new("ustreamer")
        .args(["-d", node.to_str().unwrap(), "-r", &FULL.to_string(), "-f", "30", "-m", "MJPEG", "--log-level=3"])
        .args(["--unix", "/tmp/ustreamer.sock", "--unix-rm"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create("/tmp/ustreamer.log").unwrap())
        .spawn()
        .unwrap();
    until("ustreamer streams", Duration::from_secs(10), || rig.status("streaming") == "true");
    let first = rig.status("frames").parse::<u64>().unwrap();
    std::thread::sleep(Duration::from_secs(SECONDS));
    let sent = rig.status("frames").parse::<u64>().unwrap() - first;
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::read_to_string("/tmp/ustreamer.log").unwrap();
    let grabbed = log.lines().filter(|line| line.contains("Grabbed a new frame") || line.contains("Grabbed new frame"));
    println!("ustreamer  taken {} of {sent} sent, by its own log", grabbed.count());
}
