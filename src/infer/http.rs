//! As much of HTTP/1.1 as asking a model server takes: one connection, kept; requests with a length; answers with a length or
//! in chunks; a moment until which all of it must have happened.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Longest answer that is read, and longest line of its head: far above any model's, far below what would hurt.
const BODY_MOST: u64 = 1 << 20;
const LINE_MOST: u64 = 16 << 10;
const HEADERS_MOST: usize = 100;

/// `http://HOST:PORT/PATH`; no other scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    host: String,
    path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("http://").ok_or("expected http://HOST:PORT/v2/models/NAME")?;
        let (host, path) = rest.split_once('/').ok_or("expected a path behind the host: /v2/models/NAME")?;
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if host.is_empty() || host.starts_with(':') || !plain(rest) || path.is_empty() {
            return Err("expected http://HOST:PORT/v2/models/NAME, without spaces".to_owned());
        }
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        Ok(Self { host, path: format!("/{}", path.trim_end_matches('/')) })
    }
}

/// Why there is no answer.
pub(super) struct Failed {
    pub message: String,
    /// The connection broke before an answer came: another may do.
    pub broken: bool,
}

pub(super) struct Server {
    url: Url,
    connection: Option<BufReader<TcpStream>>,
}

impl Server {
    pub(super) fn new(url: Url) -> Self {
        Self { url, connection: None }
    }

    pub(super) fn another(&self) -> Self {
        Self::new(self.url.clone())
    }

    pub(super) fn get(&mut self, path: &str, until: Instant) -> Result<Vec<u8>, String> {
        self.ask("GET", path, &[], until).map_err(|failed| failed.message)
    }

    pub(super) fn post(&mut self, path: &str, body: &[u8], until: Instant) -> Result<Vec<u8>, Failed> {
        self.ask("POST", path, body, until)
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8], until: Instant) -> Result<Vec<u8>, Failed> {
        let broken = |error: io::Error| Failed { message: told(&error), broken: true };
        // A connection on which something went wrong is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(&self.url.host, until).map_err(broken)?),
        };
        let head = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.url.path,
            self.url.host,
            body.len()
        );
        let sent = left(until).and_then(|left| {
            let stream = connection.get_mut();
            stream.set_write_timeout(Some(left))?;
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)
        });
        sent.map_err(broken)?;
        let answer = read(&mut connection, until).map_err(broken)?;
        if answer.keep {
            self.connection = Some(connection);
        }
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let words = String::from_utf8_lossy(&answer.body);
        let words: String = words.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Err(Failed { message: format!("it answered {}: {words}", answer.status), broken: false })
    }
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer within the deadline".to_owned(),
        io::ErrorKind::UnexpectedEof => "the connection was closed in the middle of an answer".to_owned(),
        _ => error.to_string(),
    }
}

/// The time until then; a timeout of zero would wait for ever.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn connect(host: &str, until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

struct Answered {
    status: u16,
    body: Vec<u8>,
    keep: bool,
}

fn read(from: &mut BufReader<TcpStream>, until: Instant) -> io::Result<Answered> {
    let bad = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message.to_owned());
    let first = line(from, until)?;
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| bad("it does not speak HTTP/1.1"))?;
    let (mut length, mut chunked, mut keep) = (None, false, true);
    for count in 0.. {
        let header = line(from, until)?;
        if header.is_empty() {
            break;
        }
        if count == HEADERS_MOST {
            return Err(bad("its answer has too many headers"));
        }
        let Some((name, value)) = header.split_once(':') else {
            return Err(bad("a header of its answer has no colon"));
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse::<u64>().map_err(|_| bad("its answer has no sound length"))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => keep = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    match (chunked, length) {
        (true, _) => loop {
            let size = line(from, until)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| bad("a chunk of its answer has no length"))?;
            take(from, size, until, &mut body)?;
            // The end of a chunk, or of the headers behind the last; such headers are not read.
            if !line(from, until)?.is_empty() {
                return Err(bad("its answer has a chunk without an end"));
            }
            if size == 0 {
                break;
            }
        },
        (false, Some(length)) => take(from, length, until, &mut body)?,
        (false, None) => return Err(bad("its answer tells no length")),
    }
    Ok(Answered { status, body, keep })
}

/// One line of the head, without its end.
fn line(from: &mut BufReader<TcpStream>, until: Instant) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        from.get_ref().set_read_timeout(Some(left(until)?))?;
        let room = LINE_MOST - bytes.len() as u64;
        let read = from.by_ref().take(room).read_until(b'\n', &mut bytes)?;
        if bytes.ends_with(b"\n") {
            bytes.pop();
            bytes.pop_if(|last| *last == b'\r');
            return String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e));
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn take(from: &mut BufReader<TcpStream>, length: u64, until: Instant, body: &mut Vec<u8>) -> io::Result<()> {
    if body.len() as u64 + length > BODY_MOST {
        let message = format!("its answer has more than {BODY_MOST} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut missing = length;
    while missing > 0 {
        from.get_ref().set_read_timeout(Some(left(until)?))?;
        let mut part = [0; 4096];
        let most = part.len().min(missing as usize);
        match from.read(&mut part[..most])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                body.extend_from_slice(&part[..read]);
                missing -= read as u64;
            }
        }
    }
    Ok(())
}
