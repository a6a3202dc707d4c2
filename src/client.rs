//! The other end of the sockets: what `hairpin exam` and `hairpin watch` use to reach a running service.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::Command;
use crate::emit::protocol::Reply;
use crate::report::{Line, SCHEMA};

/// Where the packaged service has its sockets, below `/run` or a user's own `XDG_RUNTIME_DIR`.
pub const CONTROL: &str = "hairpin/control.sock";
pub const STREAM: &str = "hairpin/stream.sock";

/// Longest line that is taken for one of Hairpin's: the state of a whole exam is far smaller.
const LINE_MOST: u64 = 16 * 1024 * 1024;

/// Why the service could not be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Start it.
    #[error("no Hairpin listens on {}: start one with 'hairpin run', or the service with 'systemctl start hairpin'", .0.display())]
    NoService(PathBuf),
    /// Ask for permission.
    #[error("you may not open {}: {hint}", path.display())]
    Denied { path: PathBuf, hint: String },
    /// Look at what it is doing.
    #[error("the service on {} did not answer within {waited:?}: look at its log", path.display())]
    Silent { path: PathBuf, waited: Duration },
    /// Look at who answers there.
    #[error("what answers on {} does not speak Hairpin's protocol of schema {SCHEMA}: {what}", path.display())]
    Foreign { path: PathBuf, what: String },
    #[error("the connection to {} broke: {source}", path.display())]
    Broken { path: PathBuf, source: io::Error },
}

impl ClientError {
    /// 69 where there is nobody to speak with, 77 without permission, 74 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoService(_) | Self::Silent { .. } => 69,
            Self::Denied { .. } => 77,
            Self::Foreign { .. } | Self::Broken { .. } => 74,
        }
    }
}

/// The socket named by the user, or else the first that is there: the user's own, then the system's.
pub fn find(named: Option<&Path>, usual: &str) -> PathBuf {
    if let Some(path) = named {
        return path.to_owned();
    }
    let system = Path::new("/run").join(usual);
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join(usual));
    own.filter(|path| path.exists()).unwrap_or(system)
}

/// What can be asked on the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Status,
    Do(Command),
}

/// A connection to the control socket.
#[derive(Debug)]
pub struct Control(Connection);

impl Control {
    /// `patience` is for each step: connecting is immediate, an answer may wait for one sync to disk.
    pub fn connect(path: &Path, patience: Duration) -> Result<Self, ClientError> {
        Connection::open(path, Some(patience)).map(Self)
    }

    pub fn ask(&mut self, ask: &Ask) -> Result<Reply, ClientError> {
        let request = match ask {
            Ask::Status => json!({"command": "status"}),
            Ask::Do(command) => serde_json::to_value(command).unwrap_or(Value::Null),
        };
        let sent = self.0.stream.get_mut().write_all(format!("{request}\n").as_bytes());
        // A service that refuses the connection answers before it hangs up: its words are worth more than
        // the broken pipe.
        let answer = self.0.line();
        match (sent, answer) {
            (_, Ok(Some(line))) => self.0.read_as(&line),
            (Err(source), _) => Err(self.0.failed(source)),
            (Ok(()), Ok(None)) => Err(self.0.failed(io::ErrorKind::UnexpectedEof.into())),
            (Ok(()), Err(e)) => Err(e),
        }
    }
}

/// A connection to the stream.
#[derive(Debug)]
pub struct Stream(Connection);

impl Stream {
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        Connection::open(path, None).map(Self)
    }

    /// Waits for the next line, as text and as read; `None` when the service has ended.
    pub fn next_line(&mut self) -> Result<Option<(String, Line)>, ClientError> {
        let Some(text) = self.0.line()? else { return Ok(None) };
        let line = self.0.read_as(&text)?;
        Ok(Some((text, line)))
    }
}

#[derive(Debug)]
struct Connection {
    path: PathBuf,
    patience: Option<Duration>,
    stream: BufReader<UnixStream>,
}

impl Connection {
    fn open(path: &Path, patience: Option<Duration>) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|e| refused(path, e))?;
        let limited = stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(patience));
        limited.map_err(|source| ClientError::Broken { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), patience, stream: BufReader::new(stream) })
    }

    fn line(&mut self) -> Result<Option<String>, ClientError> {
        let mut text = String::new();
        match (&mut self.stream).take(LINE_MOST).read_line(&mut text) {
            Ok(0) => Ok(None),
            Ok(_) if text.ends_with('\n') => {
                text.pop();
                Ok(Some(text))
            }
            Ok(_) => Err(self.failed(io::ErrorKind::UnexpectedEof.into())),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn read_as<T: serde::de::DeserializeOwned>(&self, line: &str) -> Result<T, ClientError> {
        let foreign = |what: String| ClientError::Foreign { path: self.path.clone(), what };
        let value: Value = serde_json::from_str(line).map_err(|e| foreign(format!("not JSON: {e}")))?;
        match value.get("schema").and_then(Value::as_u64) {
            Some(schema) if schema == u64::from(SCHEMA) => {}
            Some(other) => return Err(foreign(format!("it speaks schema {other}; use the hairpin of its version"))),
            None => return Err(foreign("its lines bear no schema".into())),
        }
        serde_json::from_value(value).map_err(|e| foreign(e.to_string()))
    }

    fn failed(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        match (source.kind(), self.patience) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some(waited)) => ClientError::Silent { path, waited },
            (io::ErrorKind::InvalidData, _) => ClientError::Foreign { path, what: "a line is not UTF-8".into() },
            _ => ClientError::Broken { path, source },
        }
    }
}

fn refused(path: &Path, source: io::Error) -> ClientError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoService(path),
        io::ErrorKind::PermissionDenied => ClientError::Denied { hint: who_may(&path), path },
        _ => ClientError::Broken { path, source },
    }
}

/// Who may open the socket, so far as can be seen from outside.
fn who_may(path: &Path) -> String {
    let Ok(found) = std::fs::metadata(path) else {
        return "its folder is closed to you; use the account of the service, or sudo".into();
    };
    if found.mode() & 0o060 != 0o060 {
        return format!("only its owner, user {}, may; use that account, or sudo", found.uid());
    }
    let table = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = table.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(found.gid())).then_some(name)
    });
    match name {
        Some(group) => format!("join its group with 'sudo usermod -aG {group} $USER', then log in again"),
        None => format!("it belongs to group {}, of which you are no member", found.gid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn answered(answer: &'static str) -> ClientError {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut conn, _) = listener.accept().unwrap();
            BufReader::new(conn.try_clone().unwrap()).read_line(&mut String::new()).unwrap();
            conn.write_all(answer.as_bytes()).unwrap();
        });
        let error = Control::connect(&path, Duration::from_secs(10)).unwrap().ask(&Ask::Status).unwrap_err();
        server.join().unwrap();
        error
    }

    #[test]
    fn nobody_there_says_what_to_start() {
        let dir = tempfile::tempdir().unwrap();
        let absent = Control::connect(&dir.path().join("none.sock"), Duration::from_secs(1)).unwrap_err();
        let stale = dir.path().join("stale.sock");
        drop(UnixListener::bind(&stale).unwrap());
        for error in [absent, Control::connect(&stale, Duration::from_secs(1)).unwrap_err()] {
            assert!(error.to_string().contains("hairpin run"), "{error}");
            assert_eq!(error.exit_code(), 69);
        }
    }

    #[test]
    fn foreign_answers_are_named() {
        for (answer, says) in [
            ("HTTP/1.1 400 Bad Request\r\n", "not JSON"),
            ("{\"ok\":true}\n", "no schema"),
            ("{\"schema\":2,\"ok\":true}\n", "schema 2"),
            ("{\"schema\":1}\n", "missing field"),
        ] {
            let error = answered(answer);
            assert!(error.to_string().contains(says), "{answer:?} gave: {error}");
        }
        assert!(matches!(answered(""), ClientError::Broken { .. }));
        assert!(matches!(answered("{\"schema\":1,"), ClientError::Broken { .. }));
    }
}
