//! Commands at the desk: they wait for the frames captured before them, and then are carried out step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::run::ExamRun;
use super::{Desk, Fixed, Pending, QUIET};
use crate::command::Command;
use crate::emit::control::{Answer, Request};
use crate::emit::metrics::SourceState;
use crate::exam::timeline::Timeline;
use crate::exam::{AtHand, Exam, Step};
use crate::finger::Finger;
use crate::reader::{CommandEvent, OwnCallEvent, PreparationEvent};
use crate::record::{ExamId, Reopened, Writer};
use crate::report::{Ending, Event, ExamEvent, Fault, FaultKind, SourceChange};
use crate::time::Stamp;

/// Who commands when a recording brings its own script.
const SCRIPT: &str = "the script of the source";

impl Desk {
    /// Takes a command; it is carried out once the frames captured before it have come through.
    pub(super) fn queue(&mut self, request: Request) {
        let at = self.now();
        self.pending.push_back(Pending { at, since: Instant::now(), request });
    }

    /// Carries out what frames have passed, or what has waited long enough while none came.
    pub(super) fn pending_commands(&mut self) {
        while self.pending.front().is_some_and(|p| p.at <= self.watermark || p.since.elapsed() >= QUIET) {
            self.next_pending();
        }
    }

    pub(super) fn commands_until(&mut self, at: Stamp) {
        while self.pending.front().is_some_and(|pending| pending.at <= at) {
            self.next_pending();
        }
    }

    fn next_pending(&mut self) {
        let Some(pending) = self.pending.pop_front() else { return };
        if pending.request.abandoned() {
            return;
        }
        let Request { command, who, .. } = &pending.request;
        let by = who.to_string();
        tracing::info!(command = command.name(), by, "command");
        if matches!(command, Command::Model { .. }) {
            self.commanded(pending.at, command, &by, None);
            return self.ask_for_model(pending.request);
        }
        // A close ends the record, and an opening begins it: each is told on the side where there is one.
        let closes = matches!(command, Command::Close) && self.run.is_some();
        if closes {
            self.commanded(pending.at, command, &by, None);
        }
        let done = self.carry_out(pending.at, command, &by);
        if !closes {
            self.commanded(pending.at, command, &by, done.as_ref().err().cloned());
        }
        let answer = match done {
            Ok(()) => Answer::Done,
            Err(why) => Answer::Refused(why),
        };
        self.show_now();
        // Nobody waits for it any more: the command stands all the same, and the state shows it.
        let _unheard = pending.request.reply.send(answer);
    }

    fn commanded(&mut self, at: Stamp, command: &Command, by: &str, refused: Option<String>) {
        let (command, finger, by) = (command.name().to_owned(), command.finger(), by.to_owned());
        self.publish(at, Event::Command(CommandEvent { command, finger, by, refused }));
    }

    /// Carries out the script up to `at`.
    pub(super) fn cues_until(&mut self, at: Stamp) {
        while let Some(cue) = self.script.pop_front_if(|cue| cue.at <= at) {
            if let Err(message) = self.carry_out(cue.at, &cue.command, SCRIPT) {
                let action = "correct the script of the recording".to_owned();
                self.fault(Fault { kind: FaultKind::Source, message, action, cleared: false });
            }
        }
    }

    /// After the last frame: the rest of the script, unless the recording was stopped in its middle, then the end of
    /// an exam that nobody closed.
    pub(super) fn end(&mut self) {
        let last = self.script.back().map_or(self.watermark, |cue| self.watermark.max(cue.at));
        if self.finished && self.publisher.clock().now().is_none() {
            self.cues_until(last);
            self.watermark = last;
        }
        while !self.pending.is_empty() {
            self.next_pending();
        }
        if self.run.is_some() {
            let at = self.now();
            if let Some(finger) = self.state.finger() {
                self.end_finger(at, finger);
            }
            self.close(at, Ending::Interrupted);
        }
        if let Some(words) = self.source.clone() {
            self.source_state = SourceState::Ended;
            self.source_changed(SourceChange::Ended, words);
        }
    }

    fn carry_out(&mut self, at: Stamp, command: &Command, by: &str) -> Result<(), String> {
        let id = self.new_id(at, command);
        let at_hand = AtHand { id: &id, interrupted: &self.interrupted };
        let (state, steps) = self.state.apply(command, at_hand).map_err(|refused| refused.to_string())?;
        // Opening is the only step that can fail, and always stands alone: the state changes only after it.
        for step in &steps {
            self.step(at, step, by)?;
            self.timeline.command(at, step);
        }
        self.state = state;
        Ok(())
    }

    /// `20261123T103000Z-P017` where the date is known, `replay-P017` where it is not.
    fn new_id(&self, at: Stamp, command: &Command) -> String {
        let Command::Open { subject } = command else { return String::new() };
        match self.publisher.clock().date(at) {
            Some(date) => format!("{}-{subject}", date.strftime("%Y%m%dT%H%M%SZ")),
            None => format!("replay-{subject}"),
        }
    }

    fn step(&mut self, at: Stamp, step: &Step, by: &str) -> Result<(), String> {
        match step {
            Step::OpenExam { id, subject } => self.open(at, id, subject.as_str())?,
            Step::ResumeExam { id } => self.resume(at, id)?,
            Step::BeginFinger(finger) => {
                if let Some(run) = &mut self.run {
                    run.skipped.remove(finger);
                }
                self.publish(at, Event::Exam(ExamEvent::FingerBegan { finger: *finger }));
            }
            Step::NextField(_) => self.end_field(at),
            Step::EndFinger(finger) => self.end_finger(at, *finger),
            Step::Skip { finger, reason } => {
                if let Some(run) = &mut self.run {
                    run.skipped.insert(*finger, reason.clone());
                }
                self.publish(at, Event::Exam(ExamEvent::Skipped { finger: *finger, reason: reason.clone() }));
            }
            Step::CloseExam { .. } => self.close(at, Ending::Closed),
            Step::OwnCall { finger, call, comment, blinded } => {
                let comment = comment.clone();
                let by = by.to_owned();
                self.own_call(at, OwnCallEvent { finger: *finger, call: *call, comment, blinded: *blinded, by });
            }
            Step::Prepare(preparation) => {
                let told = PreparationEvent { preparation: preparation.clone(), by: by.to_owned() };
                if let Some(run) = &mut self.run {
                    run.preparation = Some(told.clone());
                }
                self.publish(at, Event::Preparation(told));
            }
        }
        Ok(())
    }

    fn own_call(&mut self, at: Stamp, call: OwnCallEvent) {
        if let Some(run) = &mut self.run {
            run.own_calls.insert(call.finger, call.clone());
        }
        self.publish(at, Event::OwnCall(call));
    }

    fn open(&mut self, at: Stamp, id: &str, subject: &str) -> Result<(), String> {
        let provenance = Box::new(self.settings.provenance.clone());
        let event = Event::Exam(ExamEvent::Opened { subject: subject.to_owned(), provenance });
        let line = self.publisher.line(at, Some(id.to_owned()), event);
        let record = match &self.settings.records {
            Some(records) => Some(records.create(&exam_id(id)?, &line).map_err(|error| error.told())?),
            None => None,
        };
        self.publisher.begin_exam(id.to_owned(), record);
        self.publisher.send(line);
        self.timeline = Timeline::new(&self.settings.timeline, BTreeMap::new());
        let opened = self.publisher.clock().date(at);
        self.run = Some(ExamRun::new(id.to_owned(), subject.to_owned(), at, opened));
        Ok(())
    }

    fn resume(&mut self, at: Stamp, id: &str) -> Result<(), String> {
        let Some(records) = &self.settings.records else { return Ok(()) };
        let (writer, recovered): (Box<Writer>, _) =
            match records.reopen(&exam_id(id)?, self.publisher.clock().date(at)).map_err(|error| error.told())? {
                Reopened::Interrupted { writer, recovered } => (writer, recovered),
                Reopened::Completed { .. } => {
                    return Err(format!("exam {id} is closed: only its report was missing, and is written now"));
                }
            };
        // Verdicts of two models must not be pooled into one finger. What was read before the exam's last change of model
        // is set apart.
        let model = &self.settings.provenance.model;
        if let Some(other) = recovered.provenances.last().map(|p| &p.model).filter(|m| m.sha256 != model.sha256) {
            return Err(format!(
                "exam {id} was read by {} {}, and {} {} runs now: start Hairpin with the model of the exam, or open a new one",
                other.name, other.version, model.name, model.version
            ));
        }
        let numbers = self.interrupted.iter().find(|exam| exam.id == id).map(|exam: &Exam| exam.fields.clone());
        self.timeline = Timeline::new(&self.settings.timeline, numbers.unwrap_or_default());
        self.publisher.begin_exam(id.to_owned(), Some(*writer));
        let undecided: BTreeSet<Finger> = recovered.undecided.iter().map(|field| field.finger).collect();
        self.run = Some(ExamRun::recovered(*recovered));
        self.interrupted.retain(|exam| exam.id != id);
        let provenance = Box::new(self.settings.provenance.clone());
        self.publish(at, Event::Exam(ExamEvent::Resumed { provenance }));
        // Their fields are on record; only the fingers' results were lost in the crash.
        undecided.into_iter().for_each(|finger| self.end_finger(at, finger));
        Ok(())
    }

    /// A finger of which no field began was not examined, and gets no result.
    fn end_finger(&mut self, at: Stamp, finger: Finger) {
        self.end_field(at);
        let Some(run) = self.run.as_mut().filter(|run| run.own_fields().any(|f| f.finger == finger)) else { return };
        let Fixed { rules, terms, seconds, .. } = &self.settings;
        let result = run.decide(finger, rules, terms, seconds);
        let disagreement = self.disagreement(&result);
        self.publish(at, Event::Finger(result));
        if let Some(disagreement) = disagreement {
            self.publish(at, Event::Disagreement(disagreement));
        }
    }

    fn close(&mut self, at: Stamp, ending: Ending) {
        let Some(run) = &self.run else { return };
        if !run.frames.adds_up() {
            let message = format!("of {} frames {} are accounted for", run.frames.produced, run.frames.ended());
            let action = "report this as a defect of Hairpin, with the record".to_owned();
            self.fault(Fault { kind: FaultKind::Internal, message, action, cleared: false });
        }
        let Some(run) = self.run.take() else { return };
        let date = self.publisher.clock().date(at);
        let report = run.report(at, date, ending, &self.settings.terms, self.settings.provenance.clone());
        let report = Box::new(report);
        self.closed = Some(report.clone());
        self.publish(at, Event::Exam(ExamEvent::Closed { report }));
        self.publisher.end_exam();
    }
}

fn exam_id(id: &str) -> Result<ExamId, String> {
    id.parse::<ExamId>().map_err(|error| error.to_string())
}
