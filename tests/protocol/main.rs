//! The stream, the control socket and the HTTP pages over real sockets, with clients that misbehave.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use hairpin::client::{self, Ask, Control};
use hairpin::command::Command;
use hairpin::emit::control::{Answer, Who};
use hairpin::emit::protocol::{Code, Id, Reply};
use hairpin::emit::{Bus, EmitError, Net, Present, Settings};
use hairpin::reader::{OwnCall, Preparation};
use hairpin::report::{Event, Line, NOTICE};

use crate::service::{
    PATIENCE, Service, allow_many_files, answer, ask, ended, event, line, next, present, settings, wires,
};

mod fuzz;
mod http;
mod page;
mod service;

#[test]
fn a_late_joiner_gets_the_state_first_on_both_streams() {
    let service = Service::start(|_| {});
    service.bus.publish(line(1));
    service.bus.present(Present { at_ms: 7, exam: Some("e-1".into()), ..present() });
    let tcp = TcpStream::connect(service.net.as_ref().unwrap().addresses().tcp.unwrap()).unwrap();
    let (mut unix, mut tcp) = (service.stream(), BufReader::new(tcp));
    for first in [next(&mut unix).unwrap(), next(&mut tcp).unwrap()] {
        assert!(matches!(first.event, Event::State(_)), "{first:?}");
        assert_eq!((first.n, first.at_ms, first.exam.as_deref()), (1, 7, Some("e-1")));
    }
    service.bus.publish(line(2));
    assert_eq!((event(&mut unix).unwrap().n, event(&mut tcp).unwrap().n), (2, 2));
    service.stop();
    assert_eq!((event(&mut unix), event(&mut tcp)), (None, None));
}

#[test]
fn what_goes_out_fits_the_schema() {
    let service = Service::start(|_| {});
    let _exam = service.answering(Answer::Done);
    let schema = |of: schemars::Schema| jsonschema::validator_for(of.as_value()).unwrap();
    let (lines, replies) = (schema(schemars::schema_for!(Line)), schema(schemars::schema_for!(Reply)));
    let mut stream = service.stream();
    let mut state = String::new();
    stream.read_line(&mut state).unwrap();
    assert!(lines.is_valid(&serde_json::from_str(&state).unwrap()), "{state}");
    for n in 1..=3 {
        service.bus.publish(line(n));
    }
    let mut control = service.control();
    control.get_mut().write_all(b"{\"command\":\"field\",\"id\":\"x\"}\n{\"command\":\"reboot\"}\n").unwrap();
    for (from, validator, count) in [(&mut stream, &lines, 3), (&mut control, &replies, 2)] {
        for _ in 0..count {
            let mut text = String::new();
            from.read_line(&mut text).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(validator.is_valid(&value), "{text}: {:?}", validator.validate(&value));
            assert_eq!(value["notice"], NOTICE);
        }
    }
}

#[test]
fn a_reader_that_does_not_read_loses_lines_and_nobody_waits() {
    const LINES: u64 = 100_000;
    let service = Service::start(|_| {});
    let mut slow = service.stream();
    next(&mut slow).unwrap();
    for n in 1..=LINES {
        service.bus.publish(line(n));
    }
    let (mut read, mut missed) = (0, 0);
    loop {
        let line = event(&mut slow).unwrap();
        match line.event {
            Event::Missed { lines } => missed += lines,
            _ => read += 1,
        }
        if line.n == LINES {
            break;
        }
    }
    assert!(missed > 0, "the ring holds {LINES} lines: the test is no test");
    assert_eq!(read + missed, LINES, "each line is either read or told as missed");
}

#[test]
fn readers_that_vanish_leave_their_places_to_others() {
    let service = Service::start(|s| s.readers = 4);
    for round in 0..20 {
        let mut readers: Vec<_> = std::iter::repeat_with(|| service.stream()).take(4).collect();
        next(&mut readers[0]);
        service.bus.publish(line(round));
    }
    // The server learns of the last four by and by.
    let mut reader = service.stream();
    while !matches!(next(&mut reader).unwrap().event, Event::State(_)) {
        reader = service.stream();
    }
}

#[test]
fn a_thousand_connections_are_told_that_the_place_is_taken() {
    allow_many_files();
    let service = Service::start(|_| {});
    let mut first = service.stream();
    next(&mut first).unwrap();
    let mut crowd: Vec<_> = std::iter::repeat_with(|| service.stream()).take(1000).collect();
    let refused = crowd.iter_mut().filter_map(next).filter(|line| matches!(line.event, Event::Fault(_))).count();
    assert_eq!(refused, 1000 - 31);
    service.bus.publish(line(5));
    assert_eq!(event(&mut first).unwrap().n, 5);

    let mut controllers: Vec<_> = std::iter::repeat_with(|| service.control()).take(1000).collect();
    let replies = controllers[8..].iter_mut().map(answer);
    assert!(replies.map(|r| r.error.unwrap()).all(|e| e.code == Code::Busy && e.retryable));
    assert!(ask(&mut controllers[0], r#"{"command":"status"}"#).ok);
    drop((crowd, controllers));
    service.stop();
}

#[test]
fn the_stream_is_read_only() {
    let service = Service::start(|_| {});
    let (mut quiet, mut loud) = (service.stream(), service.stream());
    quiet.get_mut().write_all(b"hello\n{\"command\":\"close\"}\n").unwrap();
    next(&mut loud).unwrap();
    // It may be cut off while it still speaks.
    let _ = loud.get_mut().write_all(&vec![0xff; 1 << 20]);
    assert!(ended(&mut loud), "who sends a megabyte to the stream is still served");
    service.bus.publish(line(9));
    assert_eq!(event(&mut quiet).unwrap().n, 9);
    assert!(service.commands.is_empty(), "a command came in through the stream");
}

#[test]
fn each_command_reaches_the_exam_and_its_answer_bears_the_state() {
    let service = Service::start(|_| {});
    let exam = service.answering(Answer::Done);
    let mut control = Control::connect(&service.path("control.sock"), PATIENCE).unwrap();
    service.bus.present(Present { exam: Some("e-1".into()), ..present() });
    let commands = [
        Command::Open { subject: "P017".parse().unwrap() },
        Command::Finger { finger: "R4".parse().unwrap() },
        Command::Field,
        Command::Skip { finger: "L2".parse().unwrap(), reason: "bandage".into() },
        Command::Close,
        Command::Resume { exam: "e-1".into() },
        Command::Call { finger: "R4".parse().unwrap(), call: OwnCall::Category2, comment: None, blinded: Some(true) },
        Command::Prepare { preparation: Preparation { acclimatised_min: Some(15), ..Preparation::default() } },
    ];
    for command in &commands {
        let reply = control.ask(&Ask::Do(command.clone())).unwrap();
        assert!(reply.ok && reply.error.is_none(), "{reply:?}");
        assert_eq!(reply.exam.as_deref(), Some("e-1"));
        assert_eq!(reply.state.unwrap().model.name, "arithmetic");
    }
    assert!(control.ask(&Ask::Status).unwrap().ok);
    service.stop();
    assert_eq!(exam.join().unwrap(), commands);
}

#[test]
fn the_uid_of_who_commands_is_known() {
    let service = Service::start(|_| {});
    let mut control = service.control();
    control.get_mut().write_all(b"{\"command\":\"field\"}\n").unwrap();
    let request = service.commands.recv_timeout(PATIENCE).unwrap();
    let (uid, pid) = (rustix::process::getuid().as_raw(), i32::try_from(std::process::id()).ok());
    assert_eq!(request.who, Who::Process { uid, pid });
    request.reply.send(Answer::Done).unwrap();
    assert!(answer(&mut control).ok);
}

#[test]
fn every_line_gets_exactly_one_answer_in_order() {
    let service = Service::start(|_| {});
    let _exam = service.answering(Answer::Refused("no exam is open".into()));
    let mut control = service.control();
    let many = b"{\"id\":1,\"command\":\"close\"}\n\xff\xfe\n{\"id\":2,\"command\":\"fly\"}\n\n{\"id\":3,\"command\":\"status\"}\n";
    // Byte by byte, as over a slow wire.
    for byte in many {
        control.get_mut().write_all(&[*byte]).unwrap();
    }
    let replies: Vec<_> = std::iter::repeat_with(|| answer(&mut control)).take(5).collect();
    let told: Vec<_> = replies.into_iter().map(|r| (r.id, r.ok, r.error.map(|e| e.code))).collect();
    let id = |n| Some(Id::Number(n));
    assert_eq!(
        told,
        [
            (id(1), false, Some(Code::Refused)),
            (None, false, Some(Code::BadJson)),
            (id(2), false, Some(Code::UnknownCommand)),
            (None, false, Some(Code::BadJson)),
            (id(3), true, None),
        ]
    );
}

#[test]
fn an_endless_line_is_cut_at_once() {
    const ENDLESS: usize = 100 << 20;
    let service = Service::start(|_| {});
    let mut control = service.control();
    let block = vec![b'a'; 1 << 16];
    let mut sent = 0;
    while sent < ENDLESS {
        match control.get_mut().write(&block) {
            Ok(n) => sent += n,
            Err(_) => break,
        }
    }
    // What the kernel buffers for a socket, and no more.
    assert!(sent < 4 << 20, "{sent} bytes of one line were taken");
    assert_eq!(answer(&mut control).error.unwrap().code, Code::TooLong);
    assert!(ended(&mut control));
}

#[test]
fn half_open_and_half_spoken_clients_are_closed() {
    let service = Service::start(|s| s.idle_s = 1);
    let (mut silent, mut unfinished) = (service.control(), service.control());
    let mut stopped = service.control();
    unfinished.get_mut().write_all(b"{\"command\":").unwrap();
    stopped.get_mut().write_all(b"{\"command\":\"status\"}").unwrap();
    stopped.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(answer(&mut stopped).error.unwrap().code, Code::BadJson);
    for conn in [&mut silent, &mut unfinished, &mut stopped] {
        assert!(ended(conn));
    }
}

#[test]
fn a_flood_of_commands_is_refused_as_busy() {
    let service = Service::start(|_| {});
    // Nobody takes commands: four fill the queue, and their clients wait.
    let mut waiting: Vec<_> = std::iter::repeat_with(|| service.control()).take(4).collect();
    for conn in &mut waiting {
        conn.get_mut().write_all(b"{\"command\":\"field\"}\n").unwrap();
    }
    let mut fifth = service.control();
    // The first answers may still find room; once the four have arrived, there is none.
    let refusal = std::iter::repeat_with(|| service.commands.len())
        .find(|&n| n == 4)
        .map(|_| ask(&mut fifth, r#"{"command":"close"}"#));
    let error = refusal.unwrap().error.unwrap();
    assert_eq!((error.code, error.retryable), (Code::Busy, true));
    assert!(ask(&mut fifth, r#"{"command":"status"}"#).ok, "status must work while the exam is busy");
}

#[test]
fn an_exam_thread_that_is_stuck_or_gone_is_told_from_each_other() {
    let mut service = Service::start(|s| s.answer_s = 1);
    let stuck = ask(&mut service.control(), r#"{"command":"field"}"#).error.unwrap();
    assert_eq!((stuck.code, stuck.retryable), (Code::Unanswered, false));
    let request = service.commands.recv_timeout(PATIENCE).unwrap();
    assert!(request.abandoned());
    service.commands = crossbeam_channel::never();
    drop(request);
    assert_eq!(ask(&mut service.control(), r#"{"command":"field"}"#).error.unwrap().code, Code::Stopping);
}

#[test]
fn a_reader_that_never_reads_does_not_hold_up_the_end() {
    let service = Service::start(|_| {});
    let _stuck = service.stream();
    for n in 1..=5000 {
        service.bus.publish(line(n));
    }
    let sockets = [service.path("stream.sock"), service.path("control.sock")];
    let dir = service.dir.path().to_owned();
    assert!(dir.exists());
    let Service { dir: _keep, bus: _bus, mut net, .. } = service;
    net.take().unwrap().stop(PATIENCE).unwrap();
    assert!(sockets.iter().all(|path| !path.exists()), "socket files are left behind");
}

#[test]
fn sockets_have_their_modes_and_a_second_service_is_refused() {
    let service = Service::start(|_| {});
    for (name, mode) in [("stream.sock", 0o660), ("control.sock", 0o600)] {
        let found = std::fs::metadata(service.path(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
    let (wires, _commands) = wires(&service.gauges);
    let second = Net::start(&settings(&service.dir), &service.bus, wires).unwrap_err();
    assert!(matches!(second, EmitError::Taken(_)), "{second}");
    assert!(client::Stream::connect(&service.path("stream.sock")).is_ok(), "the first was harmed");
}

#[test]
fn an_output_that_cannot_open_leaves_none_open() {
    let dir = tempfile::tempdir().unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings { http: Some(held.local_addr().unwrap()), ..settings(&dir) };
    let (wires, _commands) = wires(&Arc::default());
    let error = Net::start(&settings, &Bus::new(8, present()), wires).unwrap_err();
    assert!(error.to_string().contains("choose another port"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
