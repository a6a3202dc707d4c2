//! How a command fails: an error, whole with its causes, and the exit status that scripts and systemd see.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// The statuses of sysexits(3) that Hairpin uses; documented in README.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 65: what was read is damaged or is not what it says it is.
    Data = 65,
    /// 69: a device, service or library that is needed is not there.
    Unavailable = 69,
    /// 70: Hairpin broke one of its own promises.
    Internal = 70,
    /// 74: reading or writing failed.
    Io = 74,
    /// 77: what is needed is there, but this user may not use it.
    Denied = 77,
    /// 78: the configuration, a bundle or an argument is wrong.
    Config = 78,
}

impl Status {
    /// The status of this number; what is none of ours is internal.
    pub const fn of(code: u8) -> Self {
        match code {
            65 => Self::Data,
            69 => Self::Unavailable,
            74 => Self::Io,
            77 => Self::Denied,
            78 => Self::Config,
            _ => Self::Internal,
        }
    }
}

#[derive(Debug)]
pub struct Failure {
    status: Status,
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub fn new(status: Status, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { status, error: error.into() }
    }

    pub fn status(&self) -> Status {
        self.status
    }

    /// Says on standard error what went wrong; the last words of a failing command.
    pub fn tell(&self) {
        // When even standard error is gone there is nobody left to tell.
        let _unheard = writeln!(std::io::stderr().lock(), "hairpin: {self}");
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

impl fmt::Display for Failure {
    /// The error and each of its causes, said once each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.error.to_string();
        f.write_str(&said)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let words = error.to_string();
            if !said.contains(&words) {
                write!(f, ": {words}")?;
            }
            said = words;
            cause = error.source();
        }
        Ok(())
    }
}

/// Lets `?` give any error a status.
pub trait OrFail<T> {
    fn or_fail(self, status: Status) -> Result<T, Failure>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> OrFail<T> for Result<T, E> {
    fn or_fail(self, status: Status) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(status, error))
    }
}
