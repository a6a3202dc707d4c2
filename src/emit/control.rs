//! The control socket: one request line in, exactly one answer line out, whatever the line was.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::Bus;
use super::door::{Porter, Stop};
use super::metrics::Outputs;
use super::protocol::{Ask, Code, LINE_MOST, Refusal, Reply, What, understand};
use crate::command::Command;

/// A command on its way to the exam thread, which must answer it, having made the state after it present on
/// the bus: the answer that goes out bears the state found there.
#[derive(Debug)]
pub struct Request {
    pub command: Command,
    pub who: Who,
    pub reply: oneshot::Sender<Answer>,
}

impl Request {
    pub fn new(command: Command, who: Who) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        (Self { command, who, reply }, answer)
    }

    /// Nobody waits for the answer any more. A command that was not begun by then should not be begun.
    pub fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// Who gave a command. Its words stand on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A process of this machine, as the kernel knows it.
    Process {
        uid: u32,
        /// Absent where the kernel does not tell.
        pid: Option<i32>,
    },
    /// The microscope's button, a pedal or a bound key.
    Trigger,
    /// Somebody at the page, by the name given there.
    Operator { name: String, from: IpAddr },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { uid, pid: Some(pid) } => write!(f, "user {uid}, process {pid}"),
            Self::Process { uid, pid: None } => write!(f, "user {uid}"),
            Self::Trigger => f.write_str("the trigger"),
            Self::Operator { name, from } => write!(f, "{name}, at the page from {from}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Why, and in which state the command was met.
    Refused(String),
}

/// Longest that a client may take to accept an answer.
const WRITE: Duration = Duration::from_secs(10);

/// What each conversation needs.
#[derive(Debug)]
pub(super) struct Desk {
    pub bus: Bus,
    pub queue: Sender<Request>,
    pub outputs: Arc<Outputs>,
    pub idle: Duration,
    pub stalled: Duration,
    pub answer: Duration,
    pub stop: Stop,
}

pub(super) async fn serve(door: UnixListener, porter: Porter, desk: Arc<Desk>) {
    let crowded = Refusal::new(Code::Busy, format!("{} control connections are open already", porter.most));
    let refusal = Reply::new(None, Err(crowded)).line();
    porter.run(door, &refusal, |conn| converse(conn, desk.clone())).await;
}

async fn converse(mut conn: UnixStream, desk: Arc<Desk>) {
    let Ok(peer) = conn.peer_cred() else { return };
    let who = Who::Process { uid: peer.uid(), pid: peer.pid() };
    let (from, mut to) = conn.split();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let mut stop = desk.stop.clone();
    loop {
        line.clear();
        let heard = tokio::select! {
            heard = tokio::time::timeout(desk.idle, hear(&mut from, &mut line)) => heard.unwrap_or(Heard::Nothing),
            () = stop.asked() => Heard::Nothing,
        };
        let reply = match heard {
            Heard::Line => desk.attend(&line, who.clone()).await,
            Heard::TooLong => desk.refuse(Code::TooLong, format!("a line has {LINE_MOST} bytes at most")),
            Heard::Unfinished => desk.refuse(Code::BadJson, "a request ends with a newline".into()),
            Heard::Nothing => return,
        };
        let written = tokio::time::timeout(WRITE.min(desk.stalled), to.write_all(reply.line().as_bytes())).await;
        if !matches!((heard, written), (Heard::Line, Ok(Ok(())))) {
            return;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Line,
    TooLong,
    /// The client ended in the middle of a line.
    Unfinished,
    /// The client ended, failed or was silent.
    Nothing,
}

/// Reads one line without its newline, and never more than `LINE_MOST` and one buffer.
async fn hear<R: AsyncBufReadExt + Unpin>(from: &mut R, line: &mut Vec<u8>) -> Heard {
    loop {
        let chunk = match from.fill_buf().await {
            Ok([]) if line.is_empty() => return Heard::Nothing,
            Ok([]) => return Heard::Unfinished,
            Ok(chunk) => chunk,
            Err(_) => return Heard::Nothing,
        };
        let end = chunk.iter().position(|&b| b == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if line.len() + part.len() > LINE_MOST {
            return Heard::TooLong;
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        from.consume(used);
        if end.is_some() {
            return Heard::Line;
        }
    }
}

impl Desk {
    pub(super) async fn attend(&self, line: &[u8], who: Who) -> Reply {
        let (id, result) = match understand(line) {
            Err((id, refusal)) => (id, Err(refusal)),
            Ok(Ask { id, what: What::Status }) => (id, Ok(())),
            Ok(Ask { id, what: What::Do(command) }) => (id, self.pass_on(command, who).await),
        };
        self.outputs.count_command(result.as_ref().err().map(|refusal| refusal.code));
        let present = self.bus.latest();
        let state = Some(present.snapshot.as_ref().clone());
        Reply { exam: present.exam, state, ..Reply::new(id, result) }
    }

    fn refuse(&self, code: Code, message: String) -> Reply {
        self.outputs.count_command(Some(code));
        Reply::new(None, Err(Refusal::new(code, message)))
    }

    async fn pass_on(&self, command: Command, who: Who) -> Result<(), Refusal> {
        let (request, answer) = Request::new(command, who);
        self.queue.try_send(request).map_err(|e| match e {
            TrySendError::Full(_) => Refusal::new(Code::Busy, "too many commands are waiting: try again"),
            TrySendError::Disconnected(_) => Refusal::new(Code::Stopping, "the service is stopping"),
        })?;
        match tokio::time::timeout(self.answer, answer).await {
            Ok(Ok(Answer::Done)) => Ok(()),
            Ok(Ok(Answer::Refused(message))) => Err(Refusal::new(Code::Refused, message)),
            Ok(Err(_)) => Err(Refusal::new(Code::Stopping, "the service stopped before it had answered")),
            Err(_) => {
                let seconds = self.answer.as_secs();
                let message =
                    format!("no answer within {seconds} s; the command may be carried out or not: ask status");
                Err(Refusal::new(Code::Unanswered, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(mut bytes: &[u8]) -> Vec<(Heard, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            let mut line = Vec::new();
            let heard = hear(&mut bytes, &mut line).await;
            if heard == Heard::Nothing {
                return all;
            }
            all.push((heard, line));
            if heard != Heard::Line {
                return all;
            }
        }
    }

    #[tokio::test]
    async fn lines_are_cut_at_newlines() {
        assert_eq!(heard(b"").await, []);
        assert_eq!(heard(b"a\n\nb\n").await, [b"a".as_slice(), b"", b"b"].map(|l| (Heard::Line, l.to_vec())));
        assert_eq!(heard(b"a").await, [(Heard::Unfinished, b"a".to_vec())]);
    }

    #[tokio::test]
    async fn the_longest_line_passes_and_one_byte_more_does_not() {
        let mut bytes = vec![b'a'; LINE_MOST];
        bytes.push(b'\n');
        assert_eq!(heard(&bytes).await[0].0, Heard::Line);
        bytes.insert(0, b'a');
        let (verdict, kept) = heard(&bytes).await.remove(0);
        assert_eq!(verdict, Heard::TooLong);
        assert!(kept.len() <= LINE_MOST);
    }
}
