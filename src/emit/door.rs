//! Lets clients in at an open socket, so that no crowd takes more than its share, and reports a door that
//! does not open any more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::report::{Fault, FaultKind};

/// Where connections come from.
pub(super) trait Door: Send {
    type Conn: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    fn open(&self) -> impl Future<Output = io::Result<Self::Conn>> + Send;
}

impl Door for UnixListener {
    type Conn = UnixStream;
    async fn open(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

impl Door for TcpListener {
    type Conn = TcpStream;
    async fn open(&self) -> io::Result<TcpStream> {
        let (conn, _) = self.accept().await?;
        conn.set_nodelay(true)?;
        Ok(conn)
    }
}

/// The end of the service, as each task sees it.
#[derive(Clone, Debug)]
pub(super) struct Stop(pub watch::Receiver<bool>);

impl Stop {
    pub(super) async fn asked(&mut self) {
        // The sender's end also means stop.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// How many are in, and how many were turned away.
#[derive(Debug, Default)]
pub(super) struct Attendance {
    pub inside: AtomicU64,
    pub refused: AtomicU64,
}

/// Lets clients in, up to a number, and reports a door that does not open any more.
#[derive(Debug)]
pub(super) struct Porter {
    /// The output in words, for faults: "the stream on /run/hairpin/stream.sock".
    pub name: String,
    pub most: usize,
    pub attendance: Arc<Attendance>,
    pub faults: Sender<Fault>,
    pub stop: Stop,
    pub shut: bool,
}

/// After an accept that failed: long enough for a descriptor to come free, short enough to go unnoticed.
const BREATH: Duration = Duration::from_millis(200);
/// A new connection's buffer is empty, so the refusal fits unless the client is already gone.
const REFUSAL: Duration = Duration::from_millis(100);

impl Porter {
    /// Waits for the next connection, through any trouble.
    pub async fn next<D: Door>(&mut self, door: &D) -> D::Conn {
        loop {
            match door.open().await {
                Ok(conn) => {
                    if std::mem::take(&mut self.shut) {
                        self.tell("works again", true);
                    }
                    return conn;
                }
                // The client was gone before we came to it; or its socket options could not be set.
                Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::InvalidInput) => {}
                Err(e) => {
                    if !std::mem::replace(&mut self.shut, true) {
                        self.tell(&format!("cannot let a client in: {e}"), false);
                    }
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    /// Serves each client in a task of its own until the stop, then waits for those inside to finish.
    pub async fn run<D, S, F>(mut self, door: D, refusal: &str, serve: S)
    where
        D: Door,
        S: Fn(D::Conn) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut clients = JoinSet::new();
        let mut stop = self.stop.clone();
        loop {
            self.attendance.inside.store(clients.len() as u64, Ordering::Relaxed);
            tokio::select! {
                mut conn = self.next(&door) => if clients.len() < self.most {
                    clients.spawn(serve(conn));
                } else {
                    self.attendance.refused.fetch_add(1, Ordering::Relaxed);
                    let _ = tokio::time::timeout(REFUSAL, conn.write_all(refusal.as_bytes())).await;
                },
                Some(_) = clients.join_next() => {}
                () = stop.asked() => break,
            }
        }
        drop(door);
        while clients.join_next().await.is_some() {}
        self.attendance.inside.store(0, Ordering::Relaxed);
    }

    fn tell(&self, what: &str, cleared: bool) {
        let fault = Fault {
            kind: FaultKind::Output,
            message: format!("{} {what}", self.name),
            action: "close programs that hold many connections, or raise LimitNOFILE of the service".into(),
            cleared,
        };
        // When the queue is full, the exam thread has faults enough to show.
        let _ = self.faults.try_send(fault);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;

    /// Fails as often as told, then gives its connections, then none for ever.
    struct Rusty(Mutex<(u32, Vec<DuplexStream>)>);

    impl Door for Rusty {
        type Conn = DuplexStream;
        async fn open(&self) -> io::Result<DuplexStream> {
            let conn = {
                let mut left = self.0.lock().unwrap();
                if left.0 > 0 {
                    left.0 -= 1;
                    return Err(io::Error::other("too many open files"));
                }
                left.1.pop()
            };
            match conn {
                Some(conn) => Ok(conn),
                None => std::future::pending().await,
            }
        }
    }

    fn porter(most: usize) -> (Porter, crossbeam_channel::Receiver<Fault>, watch::Sender<bool>) {
        let (faults, told) = crossbeam_channel::unbounded();
        let (stop, asked) = watch::channel(false);
        let (name, attendance) = ("the stream".to_owned(), Arc::default());
        (Porter { name, most, attendance, faults, stop: Stop(asked), shut: false }, told, stop)
    }

    #[tokio::test]
    async fn a_door_that_fails_is_one_fault_and_is_cleared_when_it_opens() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let (mut porter, told, _stop) = porter(1);
        porter.next(&Rusty(Mutex::new((3, vec![ours])))).await;
        let faults: Vec<_> = told.try_iter().map(|f| (f.kind, f.cleared)).collect();
        assert_eq!(faults, [(FaultKind::Output, false), (FaultKind::Output, true)]);
    }

    #[tokio::test]
    async fn above_the_limit_a_client_hears_why() {
        let (first, _held) = tokio::io::duplex(64);
        let (second, mut refused) = tokio::io::duplex(64);
        let (porter, _told, stop) = porter(1);
        let attendance = porter.attendance.clone();
        let door = Rusty(Mutex::new((0, vec![second, first])));
        let forever = |_| std::future::pending();
        let heard = async {
            let mut words = String::new();
            refused.read_to_string(&mut words).await.unwrap();
            stop.send_replace(true);
            words
        };
        tokio::select! {
            () = porter.run(door, "full\n", forever) => panic!("the first client is still inside"),
            words = heard => assert_eq!(words, "full\n"),
        }
        assert_eq!(attendance.refused.load(Ordering::Relaxed), 1);
    }
}
