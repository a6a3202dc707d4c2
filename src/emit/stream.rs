//! The read-only stream of lines, on a unix socket and on loopback TCP: nothing a reader does or fails to do
//! is felt by anyone else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::door::{Door, Porter, Stop};
use super::metrics::Outputs;
use super::{Bus, own_line, serialise};
use crate::report::{Event, Fault, FaultKind};

/// What a reader may send before it is taken for one that mistook the socket for another. A stray newline
/// or a greeting passes.
const CHATTER_MOST: usize = 4096;

/// What each reader's task needs.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub bus: Bus,
    pub state_every: Duration,
    pub stalled: Duration,
    pub outputs: Arc<Outputs>,
    pub stop: Stop,
}

pub(super) async fn serve<D: Door>(door: D, porter: Porter, reading: Reading) {
    let fault = Fault {
        kind: FaultKind::Output,
        message: format!("{} has {} readers already: this one is not served", porter.name, porter.most),
        action: "close another reader, or raise emit.readers".into(),
        cleared: false,
    };
    let refusal = serialise(&own_line(0, &reading.bus.latest(), Event::Fault(fault)));
    porter.run(door, &refusal, |conn| read_out(conn, reading.clone())).await;
}

async fn read_out<C: AsyncRead + AsyncWrite + Send + Unpin + 'static>(conn: C, reading: Reading) {
    let (from, to) = tokio::io::split(conn);
    tokio::select! {
        () = send(to, reading) => {}
        () = hear(from) => {}
    }
}

/// Ends when the client takes nothing more, or at the stop, when all that is owed has been sent.
async fn send<W: AsyncWrite + Unpin>(mut to: W, mut reading: Reading) {
    let mut reader = reading.bus.reader(reading.state_every);
    // The stop is looked at between lines only, so that no line is cut in half.
    loop {
        let given = tokio::select! {
            given = reader.next() => given,
            () = reading.stop.asked() => reader.try_next(),
        };
        let Some(given) = given else { break };
        reading.outputs.missed.fetch_add(given.missed, Ordering::Relaxed);
        match tokio::time::timeout(reading.stalled, to.write_all(given.text.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
}

/// Ends when the client is gone, or talks where there is nothing to be said.
async fn hear<R: AsyncRead + Unpin>(mut from: R) {
    let mut scrap = [0; 512];
    let mut heard = 0;
    while heard <= CHATTER_MOST {
        match from.read(&mut scrap).await {
            Ok(0) | Err(_) => return,
            Ok(n) => heard += n,
        }
    }
}
