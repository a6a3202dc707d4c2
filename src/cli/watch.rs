//! `hairpin watch`: what a running service does, live in the terminal, or a line an event where there is none.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::client::{self, ClientError, Stream};
use crate::report::{Event, Line, Snapshot};
use crate::view::screen::{Asked, Screen};
use crate::view::{Link, Scene, words};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stream socket of the service
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print each line of the stream as it comes
    #[arg(long)]
    json: bool,
    /// Print a line of text an event, also on a terminal
    #[arg(long, conflicts_with = "json")]
    plain: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot use the terminal: {0}: use --plain")]
    Terminal(#[source] io::Error),
    #[error("cannot write: {0}")]
    Write(#[source] io::Error),
}

impl WatchError {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Client(e) => e.exit_code(),
            Self::Terminal(_) | Self::Write(_) => 74,
        }
    }
}

pub fn run(args: &Args) -> Result<ExitCode, WatchError> {
    let path = client::find(args.socket.as_deref(), client::STREAM);
    let stream = Stream::connect(&path)?;
    if args.json || args.plain || !io::stdout().is_terminal() {
        print(stream, args.json, &mut io::stdout().lock())?;
    } else {
        show(stream, &path)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Until the service ends, or whoever reads us has read enough.
fn print(mut stream: Stream, json: bool, out: &mut impl Write) -> Result<(), WatchError> {
    let mut greeted = false;
    while let Some((text, line)) = stream.next_line()? {
        let state = matches!(line.event, Event::State(_));
        let written = match (json, state && greeted) {
            (true, _) => writeln!(out, "{text}"),
            // As text, later states would say again what the events have said.
            (false, true) => Ok(()),
            (false, false) => writeln!(out, "{}", words::line(&line)),
        };
        greeted |= state;
        match written.and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.map_err(WatchError::Write)?,
        }
    }
    Ok(())
}

/// What the reading thread tells the drawing one.
#[derive(Debug)]
enum Update {
    Line(Box<Line>),
    Lost,
}

/// Between two tries to reach the service again.
const RETRY: Duration = Duration::from_secs(1);
/// Between two looks at keys and updates: quick for a hand, idle for a processor.
const TICK: Duration = Duration::from_millis(100);

fn show(stream: Stream, path: &Path) -> Result<(), WatchError> {
    let (send, updates) = crossbeam_channel::bounded(256);
    let path = path.to_owned();
    // Not joined: it ends with the process, or at its next line after the receiver is gone.
    std::thread::Builder::new()
        .name("watch".into())
        .spawn(move || follow(stream, &path, &send))
        .map_err(WatchError::Terminal)?;
    let mut screen = Screen::open().map_err(WatchError::Terminal)?;
    let mut shown = Shown::default();
    let mut asked = Asked::Nothing;
    while asked != Asked::Quit {
        if shown.take(&updates) || asked == Asked::Redraw {
            shown.draw(&mut screen).map_err(WatchError::Terminal)?;
        }
        asked = screen.asked(TICK).map_err(WatchError::Terminal)?;
    }
    Ok(())
}

/// Reads the stream, and reaches for the service again whenever it is gone, until nobody listens.
fn follow(mut stream: Stream, path: &Path, send: &Sender<Update>) {
    loop {
        while let Ok(Some((_, line))) = stream.next_line() {
            if send.send(Update::Line(Box::new(line))).is_err() {
                return;
            }
        }
        if send.send(Update::Lost).is_err() {
            return;
        }
        stream = loop {
            std::thread::sleep(RETRY);
            if let Ok(stream) = Stream::connect(path) {
                break stream;
            }
        };
    }
}

/// What is on the screen.
#[derive(Debug, Default)]
struct Shown {
    state: Option<Box<Snapshot>>,
    exam: Option<String>,
    notice: String,
    lost: bool,
}

impl Shown {
    /// Whether there is something new to draw.
    fn take(&mut self, updates: &Receiver<Update>) -> bool {
        let mut fresh = false;
        for update in updates.try_iter() {
            fresh = true;
            match update {
                Update::Lost => self.lost = true,
                Update::Line(line) => self.apply(*line),
            }
        }
        fresh
    }

    /// The states that the service sends are the truth; between them only the advice is kept current.
    fn apply(&mut self, line: Line) {
        self.lost = false;
        self.notice = line.notice;
        match (line.event, &mut self.state) {
            (Event::State(state), shown) => {
                *shown = Some(state);
                self.exam = line.exam;
            }
            (Event::Quality(quality), Some(state)) => state.quality = Some(quality),
            _ => {}
        }
    }

    fn draw(&self, screen: &mut Screen) -> io::Result<()> {
        let Some(snapshot) = &self.state else { return Ok(()) };
        let link = if self.lost { Link::Lost } else { Link::Live };
        screen.draw(&Scene { snapshot, exam: self.exam.as_deref(), notice: &self.notice, link, hint: "q quits" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::{Bus, listen, net};
    use std::time::Duration;

    fn served(dir: &Path) -> (Bus, net::Net, PathBuf) {
        let path = dir.join("stream.sock");
        let stream = Some(listen::UnixSocket { path: path.clone(), mode: None, group: None });
        let settings = net::Settings { stream, ..net::Settings::default() };
        let bus = Bus::new(64, crate::emit::tests::present());
        let wires = net::Wires {
            control: crossbeam_channel::bounded(1).0,
            faults: crossbeam_channel::bounded(1).0,
            gauges: std::sync::Arc::new(Default::default),
            page: Default::default(),
        };
        let net = net::Net::start(&settings, &bus, wires).unwrap();
        (bus, net, path)
    }

    /// Reads one state and two lines, then the service ends.
    fn printed(json: bool) -> String {
        let dir = tempfile::tempdir().unwrap();
        let (bus, net, path) = served(dir.path());
        let mut stream = Stream::connect(&path).unwrap();
        let (text, first) = stream.next_line().unwrap().unwrap();
        assert!(matches!(first.event, Event::State(_)), "{text}");
        bus.publish(crate::emit::tests::line(1));
        bus.publish(crate::emit::tests::line(2));
        net.stop(Duration::from_secs(30)).unwrap();
        let mut out = Vec::new();
        print(stream, json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn without_a_terminal_each_event_is_a_line_of_text() {
        let text = printed(false);
        assert_eq!(text, "0.000 s  FAULT: message 1: look\n0.000 s  FAULT: message 2: look\n");
    }

    #[test]
    fn as_json_the_lines_are_passed_on_as_they_came() {
        let text = printed(true);
        let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.iter().map(|line| line.n).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn the_advice_is_current_and_a_lost_service_shows() {
        let (send, updates) = crossbeam_channel::bounded(8);
        let mut shown = Shown::default();
        assert!(!shown.take(&updates));
        let line = |event| Update::Line(Box::new(Line { event, ..(*crate::emit::tests::line(1)).clone() }));
        let snapshot = Snapshot::clone(&crate::emit::tests::present().snapshot);
        send.send(line(Event::State(Box::new(snapshot)))).unwrap();
        let quality = crate::report::QualityEvent {
            frame: Default::default(),
            rejected: Some(crate::outcome::RejectReason::Motion),
            advice: Some("hold still".into()),
            figures: Default::default(),
        };
        send.send(line(Event::Quality(quality.clone()))).unwrap();
        send.send(Update::Lost).unwrap();
        assert!(shown.take(&updates));
        assert_eq!(shown.state.as_ref().unwrap().quality, Some(quality));
        assert!(shown.lost);
    }
}
