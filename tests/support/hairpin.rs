//! The real binary in a folder of its own: with a configuration on the simulated microscope and a tiny model, run to
//! its end or as a service whose readiness is awaited as systemd would.

#![allow(dead_code, reason = "each test target uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const TIMEOUT: Duration = Duration::from_secs(60);
/// For a line among others, where an emulated machine reads a frame a second.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn library() -> PathBuf {
    std::env::var_os("HAIRPIN_ORT").map_or_else(|| root().join("lib/libonnxruntime.so.1.32.0"), PathBuf::from)
}

pub fn tiny() -> PathBuf {
    root().join("tests/data/bundles/tiny-resize-0.1.0")
}

/// A folder with a configuration; removed at the end.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A configuration that works: `source` is the text of its `[source.simulated]`, `more` is put behind the rest.
    pub fn config(&self, source: &str, more: &str) -> PathBuf {
        let source =
            format!("kind = \"simulated\"\n[source.simulated]\nsize = {{ width = 640, height = 512 }}\n{source}");
        self.config_of(&source, more)
    }

    /// The same with all of its `[source]`.
    pub fn config_of(&self, source: &str, more: &str) -> PathBuf {
        let text = format!(
            "[source]\n{source}\n\
             [model]\nbundle = {:?}\n[runtime]\nlibrary = {:?}\n\
             [record]\nfolder = \"exams\"\n\
             [emit]\nstream = {{ path = \"stream.sock\" }}\ncontrol = {{ path = \"control.sock\" }}\nhttp = \"127.0.0.1:0\"\n\
             [log]\nlevel = \"info\"\n{more}\n",
            tiny(),
            library(),
        );
        self.write("hairpin.toml", &text)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).stdin(Stdio::null()).output().unwrap();
        Ran::new(args, &output)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hairpin"));
        command.args(args).current_dir(self.dir.path()).env_remove("HAIRPIN_CONFIG").env_remove("NOTIFY_SOCKET");
        command
    }

    /// The only exam's folder.
    pub fn exam(&self) -> PathBuf {
        let mut exams: Vec<PathBuf> =
            std::fs::read_dir(self.path("exams")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(exams.len(), 1, "{exams:?}");
        exams.remove(0)
    }

    /// Starts the service and waits until it says that it is ready.
    pub fn serve(&self, config: &Path) -> Service {
        let socket = self.path("notify.sock");
        let _ = std::fs::remove_file(&socket);
        let notified = UnixDatagram::bind(&socket).unwrap();
        notified.set_read_timeout(Some(TIMEOUT)).unwrap();
        let log = std::fs::File::create(self.path("log")).unwrap();
        let child = self
            .command(&["run", "--config", config.to_str().unwrap()])
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut service = Service { child, notified, log: self.path("log") };
        service.await_notice("READY=1");
        service
    }

    /// A reader of the stream socket.
    pub fn reader(&self) -> Reader {
        let stream = UnixStream::connect(self.path("stream.sock")).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Reader(BufReader::new(stream))
    }

    /// `hairpin exam ...` against the running service.
    pub fn exam_command(&self, words: &[&str]) -> Ran {
        let socket = self.path("control.sock");
        let mut args = vec!["exam", "--socket", socket.to_str().unwrap()];
        args.extend(words);
        self.run(&args)
    }
}

/// What a finished command said.
pub struct Ran {
    what: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn new(args: &[&str], output: &Output) -> Self {
        Self {
            what: args.join(" "),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.ends(0, &[])
    }

    /// The exit status, and words that standard error must hold.
    #[track_caller]
    pub fn ends(self, code: i32, words: &[&str]) -> Self {
        let told = format!("hairpin {}\nstdout: {}\nstderr: {}", self.what, self.out, self.err);
        assert_eq!(self.code, Some(code), "{told}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} was not said\n{told}");
        }
        assert!(!self.err.contains("panicked"), "{told}");
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// A running service; killed if the test forgets it.
pub struct Service {
    child: Child,
    notified: UnixDatagram,
    log: PathBuf,
}

impl Service {
    /// Waits until systemd would have been told this.
    #[track_caller]
    pub fn await_notice(&mut self, wanted: &str) {
        let mut buffer = [0; 4096];
        loop {
            match self.notified.recv(&mut buffer) {
                Ok(length) if String::from_utf8_lossy(&buffer[..length]).contains(wanted) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no {wanted}: {error}; log: {}", self.log()),
            }
        }
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The exit status of a service that was asked to end.
    pub fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Lines of the stream, as JSON.
pub struct Reader(BufReader<UnixStream>);

impl Reader {
    pub fn line(&mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line).unwrap();
        (length > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")))
    }

    /// Reads on until a line that `wanted` accepts. Lines that nobody waits for do not keep it waiting for ever.
    #[track_caller]
    pub fn until(&mut self, mut wanted: impl FnMut(&serde_json::Value) -> bool) -> serde_json::Value {
        let began = Instant::now();
        let mut passed: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let line = self.line().expect("the stream ended before the awaited line");
            if wanted(&line) {
                return line;
            }
            *passed.entry(line["event"].to_string()).or_default() += 1;
            assert!(began.elapsed() < PATIENCE, "the awaited line did not come; passed {passed:?}; last {line}");
        }
    }
}
