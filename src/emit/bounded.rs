//! The listener of the HTTP server: how many connections there may be, how long one may live and how much it may
//! send, until the page's socket lifts these limits for its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::door::{Attendance, Porter};
use super::tls::{Tls, Wire};

/// A request with its headers; browsers stay below this, and nobody sends us a body.
const REQUEST_MOST: usize = 16 * 1024;
/// From the first byte to the last. A scrape takes milliseconds; who drips bytes holds a place no longer than this.
const CONNECTION_MOST: Duration = Duration::from_secs(10);

/// The listener, with a limit on connections.
pub(super) struct Limited {
    pub permits: Arc<Semaphore>,
    pub door: TcpListener,
    pub porter: Porter,
    pub tls: Option<Tls>,
}

impl axum::serve::Listener for Limited {
    type Io = Bounded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Bounded, Self::Addr) {
        loop {
            let conn = self.porter.next(&self.door).await;
            // One that is already gone has no address, and is served to nobody.
            let address = conn.peer_addr().unwrap_or_else(|_| (Ipv4Addr::UNSPECIFIED, 0).into());
            match self.permits.clone().try_acquire_owned() {
                Ok(permit) => {
                    let wire = Wire::new(conn, self.tls.as_ref());
                    return (Bounded::new(wire, permit, self.porter.attendance.clone()), address);
                }
                Err(_) => {
                    self.porter.attendance.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.door.local_addr()
    }
}

/// What a handler knows of its connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub from: IpAddr,
    lifted: Arc<AtomicBool>,
}

impl Peer {
    /// From here on the connection may live and speak as long as its handler lets it, and holds no place among the
    /// short ones.
    pub fn lift(&self) {
        self.lifted.store(true, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Limited>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Limited>) -> Self {
        Self { from: stream.remote_addr().ip().to_canonical(), lifted: stream.io().lifted.clone() }
    }
}

/// A connection with a limit on its life and on what it may send.
pub(super) struct Bounded {
    wire: Wire,
    left: usize,
    end: Pin<Box<Sleep>>,
    attendance: Arc<Attendance>,
    permit: Option<OwnedSemaphorePermit>,
    lifted: Arc<AtomicBool>,
}

impl Bounded {
    fn new(wire: Wire, permit: OwnedSemaphorePermit, attendance: Arc<Attendance>) -> Self {
        attendance.inside.fetch_add(1, Ordering::Relaxed);
        let end = Box::pin(tokio::time::sleep(CONNECTION_MOST));
        Self { wire, left: REQUEST_MOST, end, attendance, permit: Some(permit), lifted: Arc::default() }
    }

    fn lifted(&mut self) -> bool {
        let lifted = self.lifted.load(Ordering::Relaxed);
        if lifted {
            self.permit = None;
        }
        lifted
    }

    fn out_of_time(&mut self, cx: &mut Context<'_>) -> bool {
        !self.lifted() && self.end.as_mut().poll(cx).is_ready()
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        self.attendance.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.out_of_time(cx) || (self.left == 0 && !self.lifted()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.wire).poll_read(cx, buf);
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.out_of_time(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
