//! An exam that goes on while the cable is pulled once a minute: nothing may be lost, and nothing may grow.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::rig::Rig;
use crate::service::{calibrated, config, ended, is, step};
use crate::support::Service;

/// Growth from the third minute to the last: what allocators keep in reserve, and no leak of a buffer a minute.
const GROWTH_MOST_KIB: u64 = 4096;

pub fn run(rig: &Rig, minutes: u32) {
    let bench = calibrated();
    let service = bench.serve(&config(&bench));
    let mut reader = bench.reader();
    bench.exam_command(&["open", "SOAK-1"]).ok();
    bench.exam_command(&["finger", "R4"]).ok();
    reader.until(|line| is(line, "finding"));
    let mut early = None;
    let (mut worst_notice, mut worst_return) = (Duration::ZERO, Duration::ZERO);
    for minute in 1..=minutes {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(55) {
            reader.line().expect("the service goes on");
        }
        let pulled = Instant::now();
        rig.ctl("unplug");
        reader.until(|line| is(line, "fault") && line["cleared"] == false && line["kind"] == "source");
        worst_notice = worst_notice.max(pulled.elapsed());
        rig.ctl("plug");
        rig.node();
        let back = Instant::now();
        reader.until(|line| is(line, "finding") && line["frame"]["run"] == minute);
        worst_return = worst_return.max(back.elapsed());
        let (memory, files) = (service.resident_kib(), open_files(&service));
        println!(
            "minute {minute}: {memory} KiB, {files} open files, fault {worst_notice:.2?}, back {worst_return:.2?} at worst"
        );
        if minute == 3.min(minutes) {
            early = Some((memory, files));
        }
    }
    let (memory, files) = early.expect("at least a minute");
    let (memory_now, files_now) = (service.resident_kib(), open_files(&service));
    bench.exam_command(&["close"]).ok();
    let closed = reader.until(|line| step(line, "closed"));
    let tally = &closed["report"]["frames"];
    println!("{tally}");
    assert_eq!(tally["produced"], ended(tally), "the counts add up");
    assert_eq!(files_now, files, "open files");
    assert!(memory_now <= memory + GROWTH_MOST_KIB, "{memory} KiB became {memory_now} KiB");
    service.signal(Signal::TERM);
    assert_eq!(service.end(), Some(0));
    bench.run(&["verify", bench.exam().to_str().unwrap()]).ok();
    println!("soak: {minutes} minutes, {minutes} times unplugged, the exam is whole");
}

fn open_files(service: &Service) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", service.pid())).unwrap().count()
}
