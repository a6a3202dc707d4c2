//! One viewer: frames as fast as it draws them, lines as they come, and commands if it may give them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::archive::Asked;
use super::floor::{Held, Holder, name};
use super::message::{Said, Say, understand};
use super::{House, archive};
use crate::emit::bounded::Peer;
use crate::emit::control::Who;
use crate::emit::live::Watch;
use crate::emit::protocol::{Code, Id, Refusal, Reply};
use crate::emit::token::Right;
use crate::emit::{Given, Reader};

/// Frames on their way to a viewer that it has not drawn yet: one is being drawn, one is on the wire.
const AHEAD: u32 = 2;
/// Commands of one viewer that wait for their answers.
const WAITING: usize = 4;
/// How long a viewer may take to say who it is.
const GREETING: Duration = Duration::from_secs(5);
/// A wrong token is answered after this long, so that guessing is slow.
const WRONG: Duration = Duration::from_secs(1);
/// Messages a second: at 60 frames/s a page says about 70 things.
const MESSAGES_PER_S: f64 = 200.0;
/// Commands a second, and at once: a key held down is not so many intentions.
const COMMANDS_PER_S: f64 = 5.0;
const COMMANDS_AT_ONCE: f64 = 20.0;

/// So often may something be done.
struct Allowance {
    per_s: f64,
    most: f64,
    left: f64,
    since: Instant,
}

impl Allowance {
    fn new(per_s: f64, most: f64) -> Self {
        Self { per_s, most, left: most, since: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        self.left = (self.left + self.per_s * now.duration_since(self.since).as_secs_f64()).min(self.most);
        self.since = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

/// Why a session ends.
enum Over {
    /// The viewer is gone, or takes nothing more.
    Gone,
    /// It did what it may not: the code and the reason it is told.
    Shut(u16, &'static str),
}

struct Session {
    socket: WebSocket,
    house: Arc<House>,
    peer: Peer,
    number: u64,
    right: Right,
    in_flight: u32,
    messages: Allowance,
    commands: Allowance,
    replies: JoinSet<Reply>,
}

pub(super) async fn attend(socket: WebSocket, peer: Peer, house: Arc<House>) {
    let number = house.next_session();
    let _inside = house.enter();
    let mut session = Session {
        socket,
        house: house.clone(),
        peer,
        number,
        right: Right::Nothing,
        in_flight: 0,
        messages: Allowance::new(MESSAGES_PER_S, MESSAGES_PER_S),
        commands: Allowance::new(COMMANDS_PER_S, COMMANDS_AT_ONCE),
        replies: JoinSet::new(),
    };
    let over = session.run().await;
    house.floor.leave(number);
    if let Err(Over::Shut(code, reason)) = over {
        let close = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }));
        // It may be gone already; then nobody is left to be told.
        let _unheard = timeout(house.stalled, session.socket.send(close)).await;
    }
}

impl Session {
    async fn run(&mut self) -> Result<(), Over> {
        let house = self.house.clone();
        self.right = self.greeted().await?;
        let Ok(_place) = house.places.clone().try_acquire_owned() else {
            let busy =
                Refusal::new(Code::Busy, "all places for viewers are taken: close another page, or raise page.viewers");
            self.say(&Say::Refused { refusal: &busy }).await?;
            return Err(Over::Shut(close_code::AGAIN, "full"));
        };
        self.peer.lift();
        let mut floor = house.floor.watch();
        // Who is welcomed misses nothing from there on.
        let mut lines = house.bus.reader(house.state_every);
        let mut frames = house.wires.live.watch();
        self.welcome(&mut floor).await?;
        let mut stop = house.stop.clone();
        loop {
            tokio::select! {
                said = self.socket.recv() => self.heard(said).await?,
                given = lines.next() => self.line(given).await?,
                frame = next_frame(&mut frames, self.in_flight) => {
                    let Some(frame) = frame else { return Err(Over::Gone) };
                    self.in_flight += 1;
                    self.send(Message::Binary(frame)).await?;
                }
                Ok(()) = floor.changed() => {
                    let holder = floor.borrow_and_update().clone();
                    self.say(&Say::Control { holder }).await?;
                }
                Some(Ok(reply)) = self.replies.join_next() => self.say(&Say::Reply { reply: &reply }).await?,
                () = stop.asked() => return self.last_words(&mut lines).await,
            }
        }
    }

    async fn greeted(&mut self) -> Result<Right, Over> {
        let said = timeout(GREETING, self.socket.recv()).await;
        let token = match said {
            Ok(Some(Ok(Message::Text(text)))) => match understand(&text) {
                Ok(Said::Hello { token }) => token,
                _ => return Err(Over::Shut(close_code::POLICY, "say hello first")),
            },
            Ok(Some(Ok(_))) | Err(_) => return Err(Over::Shut(close_code::POLICY, "say hello first")),
            Ok(None | Some(Err(_))) => return Err(Over::Gone),
        };
        let right = self.house.right(token.as_deref());
        let known = |token: &str| self.house.keys.as_ref().is_none_or(|keys| keys.right(token) > Right::Nothing);
        let wrong = token.as_deref().is_some_and(|token| !known(token));
        if right == Right::Nothing || wrong {
            tokio::time::sleep(WRONG).await;
            let words = if token.is_some() { "the token is not the right one" } else { "a token is needed" };
            let message = format!("{words}: `hairpin token` shows it on the machine that runs Hairpin");
            self.say(&Say::Refused { refusal: &Refusal::new(Code::NotAllowed, message) }).await?;
            return Err(Over::Shut(close_code::POLICY, "token"));
        }
        Ok(right)
    }

    async fn welcome(&mut self, floor: &mut watch::Receiver<Option<Holder>>) -> Result<(), Over> {
        let house = self.house.clone();
        let asked = (house.gauges)().runtime.map(|runtime| runtime.providers_asked).unwrap_or_default();
        let holder = floor.borrow_and_update().clone();
        self.say(&Say::Welcome {
            version: env!("CARGO_PKG_VERSION"),
            session: self.number,
            may_command: self.right == Right::Command,
            live: house.wires.clock.now().is_some(),
            exams: house.wires.archive.is_some(),
            providers_asked: &asked,
            holder,
        })
        .await
    }

    async fn heard(&mut self, said: Option<Result<Message, axum::Error>>) -> Result<(), Over> {
        let Some(Ok(message)) = said else { return Err(Over::Gone) };
        if !self.messages.take() {
            return Err(Over::Shut(close_code::POLICY, "too many messages"));
        }
        match message {
            Message::Text(text) => match understand(&text) {
                Ok(said) => self.answer(said).await,
                Err(why) => self.refuse(Code::BadRequest, why).await,
            },
            Message::Binary(_) => Err(Over::Shut(close_code::UNSUPPORTED, "the page speaks in text")),
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => Err(Over::Gone),
        }
    }

    async fn answer(&mut self, said: Said) -> Result<(), Over> {
        match said {
            Said::Hello { .. } => self.refuse(Code::BadRequest, "hello was said already".into()).await,
            Said::Seen { frames } => {
                self.in_flight = self.in_flight.saturating_sub(frames);
                Ok(())
            }
            Said::Clock { at } => {
                let now_us = self.house.wires.clock.now().map(|now| now.ns() / 1000);
                self.say(&Say::Clock { at, now_us }).await
            }
            Said::Take { name, over } => self.take_control(&name, over).await,
            Said::Leave {} => {
                self.house.floor.leave(self.number);
                Ok(())
            }
            Said::Ask { request } => self.ask(request).await,
            Said::Correct { id, exam, finger, field, frame, correction } => {
                self.correct(id.map(Id::Number), Asked { exam, finger, field, frame, correction }).await
            }
        }
    }

    async fn take_control(&mut self, told: &str, over: bool) -> Result<(), Over> {
        if self.right != Right::Command {
            return self.refuse(Code::NotAllowed, VIEW_ONLY.into()).await;
        }
        let Some(name) = name(told) else {
            return self
                .refuse(Code::BadRequest, "an operator's name has 1 to 40 characters, in one line".into())
                .await;
        };
        let holder = Holder { session: self.number, name, from: self.peer.from };
        tracing::info!(operator = holder.name, from = %holder.from, over, "control at the page");
        match self.house.floor.take(holder, over) {
            Ok(()) => Ok(()),
            Err(Held(other)) => self.refuse(Code::NotInControl, held_by(&other)).await,
        }
    }

    async fn ask(&mut self, request: Map<String, Value>) -> Result<(), Over> {
        let reading = request.get("command").and_then(Value::as_str) == Some("status");
        let id = serde_json::from_value(request.get("id").cloned().unwrap_or_default()).ok();
        match self.may_ask(reading) {
            Ok(who) => {
                let house = self.house.clone();
                self.replies.spawn(async move {
                    let line = Value::Object(request).to_string();
                    // The state comes in the lines.
                    Reply { state: None, ..house.desk.attend(line.as_bytes(), who).await }
                });
                Ok(())
            }
            Err(refusal) => {
                self.house.outputs.count_command(Some(refusal.code));
                self.say(&Say::Reply { reply: &Reply::new(id, Err(refusal)) }).await
            }
        }
    }

    /// What a correction does stands in the exam's amendments, with who asked for it and when.
    async fn correct(&mut self, id: Option<Id>, asked: Asked) -> Result<(), Over> {
        let by = match self.may_ask(false) {
            Ok(Who::Operator { name, from }) => {
                tracing::info!(operator = name, %from, exam = asked.exam, finger = %asked.finger, "correction at the page");
                name
            }
            Ok(other) => other.to_string(),
            Err(refusal) => return self.say(&Say::Reply { reply: &Reply::new(id, Err(refusal)) }).await,
        };
        let house = self.house.clone();
        self.replies.spawn(async move {
            let done = archive::read(&house, move |archive| archive.correct(&asked, &by)).await;
            Reply::new(id, done.map_err(|error| Refusal::new(Code::Refused, error.to_string())))
        });
        Ok(())
    }

    /// Whether a command may go on its way, and in whose name.
    fn may_ask(&mut self, reading: bool) -> Result<Who, Refusal> {
        if !self.commands.take() || self.replies.len() >= WAITING {
            return Err(Refusal::new(Code::Busy, "too many commands at once: try again in a moment"));
        }
        let from = self.peer.from;
        if reading {
            return Ok(Who::Operator { name: "a viewer".into(), from });
        }
        if self.right != Right::Command {
            return Err(Refusal::new(Code::NotAllowed, VIEW_ONLY));
        }
        match self.house.floor.holder() {
            Some(holder) if holder.session == self.number => Ok(Who::Operator { name: holder.name, from }),
            Some(other) => Err(Refusal::new(Code::NotInControl, held_by(&other))),
            None => Err(Refusal::new(Code::NotInControl, "take control first")),
        }
    }

    async fn line(&mut self, given: Option<Given>) -> Result<(), Over> {
        let Some(given) = given else { return Err(Over::Gone) };
        self.house.outputs.missed.fetch_add(given.missed, Ordering::Relaxed);
        self.send(Message::Text(given.text.trim_end().into())).await
    }

    /// What is owed, and then the end.
    async fn last_words(&mut self, lines: &mut Reader) -> Result<(), Over> {
        while let Some(given) = lines.try_next() {
            self.line(Some(given)).await?;
        }
        Err(Over::Shut(close_code::AWAY, "the service stopped"))
    }

    async fn refuse(&mut self, code: Code, why: String) -> Result<(), Over> {
        self.say(&Say::Refused { refusal: &Refusal::new(code, why) }).await
    }

    async fn say(&mut self, what: &Say<'_>) -> Result<(), Over> {
        self.send(Message::Text(what.text())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Over> {
        match timeout(self.house.stalled, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Over::Gone),
        }
    }
}

const VIEW_ONLY: &str = "this page may look on, not command: open it with the command token (`hairpin token`)";

fn held_by(other: &Holder) -> String {
    format!("{} holds control, from {}: take it over first", other.name, other.from)
}

/// Waits for ever while the viewer has enough to draw.
async fn next_frame(frames: &mut Watch, in_flight: u32) -> Option<axum::body::Bytes> {
    if in_flight >= AHEAD {
        return std::future::pending().await;
    }
    frames.next().await
}
