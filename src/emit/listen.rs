//! Opens the sockets: unix ones with their mode and group and without a stale file in the way, and TCP ones. Where
//! the latter may be is decided by the settings.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Deserialize;

use super::net::EmitError;

/// A unix socket as configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct UnixSocket {
    pub path: PathBuf,
    /// Who may connect; absent means the default of this socket.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// A name in /etc/group, or a number; absent means the group of the service.
    #[serde(default)]
    pub group: Option<String>,
}

/// Permission bits, written as an octal number in quotes: as a bare number, 660 would be read as decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mode(pub u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match u32::from_str_radix(&text, 8) {
            Ok(bits) if bits <= 0o777 => Ok(Self(bits)),
            _ => Err(format!("{text:?} is no mode: write octal digits from \"0600\" to \"0777\"")),
        }
    }
}

/// A socket file that is ours; removed when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device_inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device_inode: (found.dev(), found.ino()) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == self.device_inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds, restricts and only then listens: no client can come in under the permissions of the umask.
pub fn unix(
    socket: &UnixSocket,
    default_mode: Mode,
) -> Result<(std::os::unix::net::UnixListener, SocketFile), EmitError> {
    let path = socket.path.as_path();
    let failed = |source: io::Error| EmitError::socket(path, source);
    let address = SocketAddrUnix::new(path).map_err(|_| {
        EmitError::Settings(format!("the path {} is too long for a socket: 107 bytes at most", path.display()))
    })?;
    let group = socket.group.as_deref().map(group_id).transpose()?;
    let turn = take_turn(path).map_err(failed)?;
    clear_stale(path, &address)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let opened =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(|e| failed(e.into()))?;
    rustix::net::bind(&opened, &address).map_err(|e| failed(e.into()))?;
    let file = SocketFile::of(path).map_err(failed)?;
    if let Some(gid) = group {
        std::os::unix::fs::chown(path, None, Some(gid)).map_err(|source| EmitError::Open {
            what: format!("cannot give the socket {} to the group {gid}", path.display()),
            action: "make the service's user a member of that group".into(),
            source,
        })?;
    }
    let mode = socket.mode.unwrap_or(default_mode).0;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    rustix::net::listen(&opened, 128).map_err(|e| failed(e.into()))?;
    drop(turn);
    Ok((opened.into(), file))
}

/// A lock on the folder while we look and bind, so that of two services that start together one sees the other.
fn take_turn(path: &Path) -> io::Result<File> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = File::open(folder)?;
    for _ in 0..40 {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(50)),
            other => return other.map(|()| folder).map_err(Into::into),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process holds a lock on the socket's folder"))
}

/// Removes a socket file on which nobody listens, and nothing else.
fn clear_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), EmitError> {
    let failed = |source: io::Error| EmitError::socket(path, source);
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
        Ok(found) if !found.file_type().is_socket() => return Err(foreign(path)),
        Ok(_) => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(|e| failed(e.into()))?;
    match rustix::net::connect(&probe, address) {
        // A full backlog also answers, with "try again": somebody listens.
        Ok(()) | Err(Errno::AGAIN) => Err(EmitError::Taken(path.to_owned())),
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(failed),
        Err(Errno::PROTOTYPE) => Err(foreign(path)),
        Err(e) => Err(failed(e.into())),
    }
}

fn foreign(path: &Path) -> EmitError {
    let path = path.display();
    EmitError::Settings(format!("{path} exists and is no socket of Hairpin's: remove it or name another path"))
}

/// Looks in /etc/group only: groups from a directory service are given by number.
pub fn group_id(group: &str) -> Result<u32, EmitError> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let table = fs::read_to_string("/etc/group").unwrap_or_default();
    let found = table.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next() == Some(group)).then(|| parts.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| {
        EmitError::Settings(format!(
            "there is no group {group:?} in /etc/group: create it with 'groupadd --system {group}', or give its number"
        ))
    })
}

pub fn tcp(key: &str, address: SocketAddr) -> Result<std::net::TcpListener, EmitError> {
    let open = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    open().map_err(|source: io::Error| EmitError::Open {
        what: format!("cannot listen on {key} = \"{address}\""),
        action: match source.kind() {
            io::ErrorKind::AddrInUse => "end the program that listens there, or choose another port".into(),
            io::ErrorKind::PermissionDenied => "choose a port from 1024 up".into(),
            _ => "choose another address".into(),
        },
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(path: &Path) -> UnixSocket {
        UnixSocket { path: path.to_owned(), mode: None, group: None }
    }

    #[test]
    fn a_mode_is_octal_digits_in_quotes() {
        for (text, mode) in [("0660", Some(0o660)), ("600", Some(0o600)), ("1777", None), ("0888", None), ("", None)] {
            assert_eq!(Mode::try_from(text.to_owned()).ok(), mode.map(Mode), "{text:?}");
        }
        let bare: Result<UnixSocket, _> = toml::from_str("path = \"/x\"\nmode = 660");
        assert!(bare.is_err(), "a decimal mode was taken");
    }

    #[test]
    fn a_socket_is_opened_with_its_mode_and_removed_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let (listener, file) = unix(&socket(&path), Mode(0o640)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        drop((listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_cleared_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the test needs a stale file");
        let (_listener, first) = unix(&socket(&path), Mode(0o600)).unwrap();
        let second = unix(&socket(&path), Mode(0o600)).unwrap_err();
        assert!(second.to_string().contains("another Hairpin listens on"), "{second}");
        assert!(path.exists());
        drop(first);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("letter.txt");
        fs::write(&path, "dear").unwrap();
        let refused = unix(&socket(&path), Mode(0o600)).unwrap_err();
        assert!(matches!(refused, EmitError::Settings(_)), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear");
    }

    #[test]
    fn another_services_socket_is_not_removed_at_our_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let (_listener, ours) = unix(&socket(&path), Mode(0o600)).unwrap();
        fs::remove_file(&path).unwrap();
        let _theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(ours);
        assert!(path.exists());
    }

    #[test]
    fn what_cannot_open_says_what_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = unix(&socket(&dir.path().join("no/such/folder.sock")), Mode(0o600)).unwrap_err();
        let long = unix(&socket(&dir.path().join("x".repeat(120))), Mode(0o600)).unwrap_err();
        let group = UnixSocket { group: Some("no-such-group".into()), ..socket(&dir.path().join("g.sock")) };
        let group = unix(&group, Mode(0o600)).unwrap_err();
        let open = tcp("emit.tcp", "192.0.2.1:7411".parse().unwrap()).unwrap_err();
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let busy = tcp("emit.tcp", held.local_addr().unwrap()).unwrap_err();
        for (error, says) in [
            (nowhere, "folder"),
            (long, "107"),
            (group, "groupadd"),
            (open, "choose another address"),
            (busy, "choose another port"),
        ] {
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
