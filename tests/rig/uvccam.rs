//! uvccam - a USB video-class camera in user space, for tests.
//!
//! It plugs itself into the kernel's virtual USB host controller (module
//! vhci-hcd, the receiving half of USB/IP) through a local socket pair: no
//! network, no usbip tools. The kernel then sees an ordinary high-speed USB
//! webcam, binds its own `uvcvideo` driver and makes /dev/videoN. Frames are
//! JPEG files from a folder, delivered byte for byte (plus, on request, a
//! synthetic YUYV format).
//!
//! Build (std only, static so that it runs in any guest):
//!   rustc -O -C target-feature=+crt-static uvccam.rs
//!
//! Use (as root, in a kernel with vhci-hcd and uvcvideo):
//!   uvccam serve --frames DIR &        plug in a camera playing DIR/*.jpg
//!   uvccam node 10                     print its /dev/videoN, waiting up to 10 s
//!   uvccam ctl unplug                  see `uvccam help` for all of them

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{exit, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

const HELP: &str = "\
uvccam serve [options]          plug in a camera and serve it until `ctl quit`
  --frames DIR                  JPEG files, played in name order, in a loop; every
                                picture size found becomes one MJPEG frame size
  --yuyv WxH                    also offer synthetic YUYV at this size (repeatable)
  --fps LIST                    frame rates on offer, first is default [30,15,5]
  --transfer bulk|iso           video endpoint type [iso]
  --iso-interval N              isochronous bInterval 1..4: 2^(N-1) microframes [1]
  --max-payload N               bulk payload size in bytes, 512..16384 [16384]
  --id VID:PID                  USB ids, hexadecimal [1d6b:0104]
  --product S  --serial S       USB strings [Test Capillaroscope] [RIG0001]
  --vhci DIR  --port N          host controller in sysfs, its root-hub port [0]
  --control PATH                control socket [/run/uvccam.sock]
  --unplugged                   start without plugging in
  --log FILE                    write for each frame its count and when its last byte was
                                handed over, in nanoseconds of CLOCK_MONOTONIC
  --trace                       log every control request to stderr
uvccam node [--serial S] [SECONDS]
                                print the camera's /dev/videoN, waiting for it
uvccam ctl [--control PATH] COMMAND
  plug | unplug                 attach to / pull from the USB port
  freeze | resume               stop / go on sending frames; device stays enumerated
  stall | unstall               fail every video transfer with EPIPE / stop that
  mute | unmute                 leave control requests unanswered / answer again
  refuse | accept               stall SET_CUR PROBE/COMMIT (camera is 'busy') / stop
  fps N | fps off               true delivery rate, whatever was negotiated
  corrupt MODE [COUNT]          spoil the next COUNT frames (0 or none: all), MODE:
     bits      flip random bytes in the entropy-coded part
     truncate  send only the first half
     garbage   random bytes instead of a JPEG
     pad       append 512 zero bytes after the end-of-image marker
     nodht     leave out the Huffman tables, as many webcams do
     err       set the ERR bit in the payload headers
     noeof     leave out the end-of-frame bit (frame ends by toggled FID)
     merge     glue the frame to the next (no EOF, FID not toggled)
     drop      skip the frame
  corrupt off                   intact frames again
  button                        press and release the snapshot button
  status                        one line of key=value
  quit                          unplug and end
";

type Res<T> = Result<T, String>;

// ---------------------------------------------------------------- settings

#[derive(Clone)]
struct Settings {
    frames: Option<String>,
    yuyv: Vec<(u16, u16)>,
    fps: Vec<u32>,
    bulk: bool,
    iso_interval: u8,
    max_payload: u32,
    vid: u16,
    pid: u16,
    product: String,
    serial: String,
    vhci: String,
    port: u32,
    control: String,
    unplugged: bool,
    log: Option<String>,
    trace: bool,
}

const CONTROL: &str = "/run/uvccam.sock";
const SERIAL: &str = "RIG0001";
const ISO_PACKET: usize = 3 * 1024; // high speed, three transactions a microframe

impl Settings {
    fn parse(args: &[String]) -> Res<Settings> {
        let mut s = Settings {
            frames: None,
            yuyv: vec![],
            fps: vec![30, 15, 5],
            bulk: false,
            iso_interval: 1,
            max_payload: 16384,
            vid: 0x1d6b,
            pid: 0x0104,
            product: "Test Capillaroscope".into(),
            serial: SERIAL.into(),
            vhci: "/sys/devices/platform/vhci_hcd.0".into(),
            port: 0,
            control: CONTROL.into(),
            unplugged: false,
            log: None,
            trace: false,
        };
        let mut it = args.iter();
        while let Some(a) = it.next() {
            match a.as_str() {
                "--unplugged" => s.unplugged = true,
                "--trace" => s.trace = true,
                _ => {
                    let v = it.next().ok_or(format!("{a}: needs a value"))?;
                    let bad = |_| format!("{a} {v}: not understood");
                    match a.as_str() {
                        "--frames" => s.frames = Some(v.clone()),
                        "--yuyv" => {
                            let (w, h) = v.split_once('x').ok_or(format!("{a}: WxH"))?;
                            s.yuyv.push((w.parse().map_err(bad)?, h.parse().map_err(bad)?));
                        }
                        "--fps" => {
                            s.fps = v
                                .split(',')
                                .map(|x| x.parse().map_err(bad))
                                .collect::<Res<_>>()?;
                        }
                        "--transfer" => match v.as_str() {
                            "bulk" => s.bulk = true,
                            "iso" => s.bulk = false,
                            _ => return Err(format!("{a}: bulk or iso")),
                        },
                        "--iso-interval" => {
                            s.iso_interval = v.parse::<u8>().map_err(bad)?.clamp(1, 4)
                        }
                        "--max-payload" => {
                            s.max_payload = v.parse::<u32>().map_err(bad)?.clamp(512, 16384)
                        }
                        "--id" => {
                            let (a1, b) = v.split_once(':').ok_or("--id: VID:PID")?;
                            s.vid = u16::from_str_radix(a1, 16).map_err(bad)?;
                            s.pid = u16::from_str_radix(b, 16).map_err(bad)?;
                        }
                        "--product" => s.product = v.clone(),
                        "--serial" => s.serial = v.clone(),
                        "--vhci" => s.vhci = v.clone(),
                        "--port" => s.port = v.parse().map_err(bad)?,
                        "--control" => s.control = v.clone(),
                        "--log" => s.log = Some(v.clone()),
                        _ => return Err(format!("{a}: no such option")),
                    }
                }
            }
        }
        if s.fps.is_empty() || s.fps.contains(&0) {
            return Err("--fps: rates above 0".into());
        }
        Ok(s)
    }
}

// ------------------------------------------------------------------ frames

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Mjpeg,
    Yuyv,
}

struct Size {
    w: u16,
    h: u16,
    pictures: Vec<Arc<Vec<u8>>>, // JPEG files, or one YUYV ramp
    largest: u32,
}

struct Format {
    kind: Kind,
    sizes: Vec<Size>,
}

/// (marker, start of the marker, end of the segment) for each segment up to and
/// including start-of-scan.
fn jpeg_segments(d: &[u8]) -> Vec<(u8, usize, usize)> {
    let mut out = vec![];
    let mut i = 2;
    while i + 4 <= d.len() && d[i] == 0xff {
        let end = i + 2 + u16::from_be_bytes([d[i + 2], d[i + 3]]) as usize;
        if end > d.len() {
            break;
        }
        out.push((d[i + 1], i, end));
        if d[i + 1] == 0xda {
            break;
        }
        i = end;
    }
    out
}

fn jpeg_size(d: &[u8]) -> Option<(u16, u16)> {
    if !d.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let sof = |m: u8| (0xc0..=0xcf).contains(&m) && ![0xc4, 0xc8, 0xcc].contains(&m);
    let (_, at, _) = jpeg_segments(d).into_iter().find(|s| sof(s.0))?;
    let be = |i: usize| Some(u16::from_be_bytes([*d.get(i)?, *d.get(i + 1)?]));
    Some((be(at + 7)?, be(at + 5)?))
}

fn load_formats(s: &Settings) -> Res<Vec<Format>> {
    let mut formats = vec![];
    if let Some(dir) = &s.frames {
        let mut names: Vec<_> = fs::read_dir(dir)
            .map_err(|e| format!("{dir}: {e}"))?
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|x| x == "jpg" || x == "jpeg"))
            .collect();
        names.sort();
        let mut sizes: Vec<Size> = vec![];
        for p in names {
            let data = fs::read(&p).map_err(|e| format!("{}: {e}", p.display()))?;
            let (w, h) = jpeg_size(&data).ok_or(format!("{}: not a JPEG", p.display()))?;
            let n = data.len() as u32;
            let i = sizes.iter().position(|z| (z.w, z.h) == (w, h)).unwrap_or_else(|| {
                sizes.push(Size { w, h, pictures: vec![], largest: 0 });
                sizes.len() - 1
            });
            sizes[i].largest = sizes[i].largest.max(n);
            sizes[i].pictures.push(Arc::new(data));
        }
        if sizes.is_empty() {
            return Err(format!("{dir}: no .jpg files"));
        }
        formats.push(Format { kind: Kind::Mjpeg, sizes });
    }
    if !s.yuyv.is_empty() {
        let sizes = s
            .yuyv
            .iter()
            .map(|&(w, h)| {
                // a grey ramp, one picture for each of 16 shifts
                let pictures = (0..16u32)
                    .map(|k| {
                        let mut d = Vec::with_capacity(w as usize * h as usize * 2);
                        for _ in 0..h {
                            for x in 0..w as u32 {
                                d.push(((x + k * 16) & 0xff) as u8);
                                d.push(128);
                            }
                        }
                        Arc::new(d)
                    })
                    .collect();
                Size { w, h, pictures, largest: w as u32 * h as u32 * 2 }
            })
            .collect();
        formats.push(Format { kind: Kind::Yuyv, sizes });
    }
    if formats.is_empty() {
        return Err("give --frames DIR or --yuyv WxH".into());
    }
    Ok(formats)
}

// ------------------------------------------------------------- descriptors

const VC: u8 = 0; // video control interface
const VS: u8 = 1; // video streaming interface
const EP_VIDEO: u8 = 1;
const EP_STATUS: u8 = 2;
const CAMERA: u8 = 1; // entity ids
const PROCESSING: u8 = 2;
const OUTPUT: u8 = 3;
const CLOCK: u32 = 48_000_000;

fn le16(v: u16) -> [u8; 2] {
    v.to_le_bytes()
}
fn le32(v: u32) -> [u8; 4] {
    v.to_le_bytes()
}

/// One descriptor: the length byte is put in front.
fn desc(parts: &[&[u8]]) -> Vec<u8> {
    let body: Vec<u8> = parts.concat();
    let mut d = vec![body.len() as u8 + 1];
    d.extend(body);
    d
}

fn device_descriptor(s: &Settings) -> Vec<u8> {
    // miscellaneous class with interface association, as composite cameras are
    desc(&[
        &[1, 0x00, 0x02, 0xef, 2, 1, 64],
        &le16(s.vid),
        &le16(s.pid),
        &[0x00, 0x01, 1, 2, 3, 1],
    ])
}

fn intervals(s: &Settings) -> Vec<u32> {
    s.fps.iter().map(|f| 10_000_000 / f).collect()
}

fn config_descriptor(s: &Settings, formats: &[Format]) -> Vec<u8> {
    // video control: header, camera terminal -> processing unit -> output terminal
    let units = [
        // camera terminal; controls: auto exposure mode, exposure time, focus
        desc(&[&[0x24, 2, CAMERA], &le16(0x0201), &[0, 0], &[0; 6], &[3, 0x2a, 0, 0]]),
        // processing unit; controls: brightness, contrast, saturation, gain
        desc(&[&[0x24, 5, PROCESSING, CAMERA], &[0, 0], &[2, 0x0b, 0x02], &[0]]),
        desc(&[&[0x24, 3, OUTPUT], &le16(0x0101), &[0, PROCESSING, 0]]),
    ]
    .concat();
    let vc_total = (13 + units.len()) as u16;
    let vc_header =
        desc(&[&[0x24, 1, 0x00, 0x01], &le16(vc_total), &le32(CLOCK), &[1, VS]]);

    // video streaming: formats and sizes
    let iv = intervals(s);
    let mut fmts = vec![];
    for (i, f) in formats.iter().enumerate() {
        let index = i as u8 + 1;
        let count = f.sizes.len() as u8;
        let frame_type = match f.kind {
            Kind::Mjpeg => {
                fmts.extend(desc(&[&[0x24, 6, index, count, 0, 1, 0, 0, 0, 0]]));
                7
            }
            Kind::Yuyv => {
                let guid = b"YUY2\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";
                fmts.extend(desc(&[&[0x24, 4, index, count], guid, &[16, 1, 0, 0, 0, 0]]));
                5
            }
        };
        for (j, z) in f.sizes.iter().enumerate() {
            let bits = z.largest.saturating_mul(8);
            let list: Vec<u8> = iv.iter().flat_map(|v| le32(*v)).collect();
            fmts.extend(desc(&[
                &[0x24, frame_type, j as u8 + 1, 0],
                &le16(z.w),
                &le16(z.h),
                &le32(bits.saturating_mul(*s.fps.iter().min().unwrap())),
                &le32(bits.saturating_mul(*s.fps.iter().max().unwrap())),
                &le32(max_frame(z)),
                &le32(iv[0]),
                &[iv.len() as u8],
                &list,
            ]));
        }
        fmts.extend(desc(&[&[0x24, 0x0d, 1, 1, 4]])); // BT.709, BT.709, SMPTE 170M
    }
    let n = formats.len() as u8;
    let vs_total = (13 + n as usize + fmts.len()) as u16;
    let vs_header = desc(&[
        &[0x24, 1, n],
        &le16(vs_total),
        &[0x80 | EP_VIDEO, 0, OUTPUT, 1, 1, 0, 1],
        &vec![0; n as usize],
    ]);

    let mut c = vec![];
    c.extend(desc(&[&[0x0b, VC, 2, 0x0e, 3, 0, 0]]));
    c.extend(desc(&[&[4, VC, 0, 1, 0x0e, 1, 0, 0]]));
    c.extend(vc_header);
    c.extend(units);
    c.extend(desc(&[&[5, 0x80 | EP_STATUS, 3], &le16(16), &[8]]));
    c.extend(desc(&[&[0x25, 3], &le16(16)]));
    let vs = |alt: u8, endpoints: u8| desc(&[&[4, VS, alt, endpoints, 0x0e, 2, 0, 0]]);
    c.extend(vs(0, s.bulk as u8));
    c.extend(vs_header);
    c.extend(fmts);
    if s.bulk {
        c.extend(desc(&[&[5, 0x80 | EP_VIDEO, 2], &le16(512), &[0]]));
    } else {
        c.extend(vs(1, 1));
        c.extend(desc(&[&[5, 0x80 | EP_VIDEO, 5], &le16(1024 | 2 << 11), &[s.iso_interval]]));
    }
    let total = (9 + c.len()) as u16;
    let mut d = desc(&[&[2], &le16(total), &[2, 1, 0, 0x80, 250]]);
    d.extend(c);
    d
}

fn string_descriptor(s: &Settings, index: u8) -> Option<Vec<u8>> {
    let text = match index {
        0 => return Some(vec![4, 3, 0x09, 0x04]),
        1 => "Rig",
        2 => &s.product,
        3 => &s.serial,
        _ => return None,
    };
    let utf16: Vec<u8> = text.encode_utf16().take(126).flat_map(le16).collect();
    Some(desc(&[&[3], &utf16]))
}

fn max_frame(z: &Size) -> u32 {
    // room for every fault mode too (pad, merge)
    (z.w as u32 * z.h as u32 * 2).max(z.largest + 1024)
}

// ------------------------------------------------------------------- state

/// One host request on the video or status endpoint that waits for data.
struct Urb {
    seq: u32,
    len: usize,
    packets: Vec<(u32, u32)>, // isochronous: offset and length of each
}

struct Setting {
    entity: u8,
    selector: u8,
    len: usize,
    min: i32,
    max: i32,
    res: i32,
    def: i32,
    cur: i32,
}

#[derive(Clone, Copy)]
struct Negotiated {
    format: u8,
    size: u8,
    interval: u32,
}

#[derive(Default)]
struct Faults {
    frozen: bool,
    stalled: bool,
    muted: bool,
    refuse: bool,
    fps: Option<f64>,
    corrupt: Option<(String, u64)>, // mode, frames left (0: no end)
}

struct State {
    link: Option<UnixStream>,
    link_id: u64,
    video: VecDeque<Urb>,
    status: VecDeque<Urb>,
    last_submit: u32,
    early_unlinks: Vec<(u32, u32)>, // request not yet seen, number of the unlink
    alt: u8,
    epoch: u64, // changes whenever the stream starts afresh
    probe: Negotiated,
    commit: Option<Negotiated>,
    settings: Vec<Setting>,
    faults: Faults,
    frames: u64,
    spoiled: u64,
    quit: bool,
}

struct Camera {
    set: Settings,
    formats: Vec<Format>,
    device: Vec<u8>,
    config: Vec<u8>,
    state: Mutex<State>,
    wake: Condvar,
    start: Instant,
}

const EPIPE: i32 = -32;
const ECONNRESET: i32 = -104;

impl State {
    fn streaming(&self, bulk: bool) -> bool {
        self.link.is_some() && self.commit.is_some() && (bulk || self.alt == 1)
    }

    /// Answers one request. A failed write means that the host has gone; the
    /// reader thread finds out and cleans up.
    fn reply(&mut self, seq: u32, status: i32, data: &[u8], iso: &[[u32; 4]]) {
        let actual = data.len() as u32;
        self.send(seq, status, actual, data, iso)
    }

    fn send(&mut self, seq: u32, status: i32, actual: u32, data: &[u8], iso: &[[u32; 4]]) {
        let Some(link) = &mut self.link else { return };
        let head =
            [3, seq, 0, 0, 0, status as u32, actual, 0, iso.len() as u32, 0, 0, 0];
        let mut m: Vec<u8> = head.iter().flat_map(|v| v.to_be_bytes()).collect();
        m.extend_from_slice(data);
        m.extend(iso.iter().flatten().flat_map(|v| v.to_be_bytes()));
        let _ = link.write_all(&m);
    }

    fn reply_unlink(&mut self, seq: u32, status: i32) {
        let Some(link) = &mut self.link else { return };
        let head = [4, seq, 0, 0, 0, status as u32, 0, 0, 0, 0, 0, 0];
        let m: Vec<u8> = head.iter().flat_map(|v: &u32| v.to_be_bytes()).collect();
        let _ = link.write_all(&m);
    }

    fn reset_stream(&mut self) {
        self.epoch += 1;
    }
}

impl Camera {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    // -------------------------------------------------- plugging in and out

    fn port_in_use(&self) -> Res<bool> {
        let path = format!("{}/status", self.set.vhci);
        let text = fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        for line in text.lines() {
            let f: Vec<&str> = line.split_whitespace().collect();
            if f.len() > 2 && f[0] == "hs" && f[1].parse() == Ok(self.set.port) {
                return Ok(f[2] != "004"); // 004: nothing attached
            }
        }
        Err(format!("{path}: no high-speed port {}", self.set.port))
    }

    fn wait_port_free(&self) -> Res<()> {
        let until = Instant::now() + Duration::from_secs(20);
        while self.port_in_use()? {
            if Instant::now() > until {
                return Err(format!("port {} stays in use", self.set.port));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn plug(self: &Arc<Self>) -> Res<()> {
        if self.lock().link.is_some() {
            return Ok(());
        }
        self.wait_port_free()?;
        let (ours, kernels) = UnixStream::pair().map_err(|e| e.to_string())?;
        let reader = ours.try_clone().map_err(|e| e.to_string())?;
        let id = {
            let mut st = self.lock();
            st.link = Some(ours);
            st.link_id += 1;
            st.video.clear();
            st.status.clear();
            st.last_submit = 0;
            st.early_unlinks.clear();
            st.alt = 0;
            st.commit = None;
            st.reset_stream();
            st.link_id
        };
        let me = self.clone();
        thread::spawn(move || me.serve_link(reader, id));
        // port, socket, any device id but 0, speed 3 (high)
        let line = format!("{} {} {} 3", self.set.port, kernels.as_raw_fd(), 0x10002);
        let path = format!("{}/attach", self.set.vhci);
        fs::write(&path, line).map_err(|e| {
            self.lock().link = None;
            format!("{path}: {e}")
        })
    }

    fn unplug(&self) -> Res<()> {
        {
            let mut st = self.lock();
            match st.link.take() {
                // the kernel takes the closed socket for a pulled device
                Some(l) => drop(l.shutdown(std::net::Shutdown::Both)),
                None => return Ok(()),
            }
            st.commit = None;
            st.reset_stream();
            self.wake.notify_all();
        }
        // the hub notices a little later than the port
        let until = Instant::now() + Duration::from_secs(20);
        while present(&self.set.serial) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        self.wait_port_free()
    }

    // ---------------------------------------------------- requests of the host

    fn serve_link(&self, mut r: UnixStream, id: u64) {
        let e = loop {
            if let Err(e) = self.serve_one(&mut r, id) {
                break e;
            }
        };
        let mut st = self.lock();
        if st.link_id == id && st.link.take().is_some() {
            eprintln!("uvccam: host closed the link ({e})");
            st.commit = None;
            st.reset_stream();
            self.wake.notify_all();
        }
    }

    fn serve_one(&self, r: &mut UnixStream, id: u64) -> io::Result<()> {
        let mut h = [0u8; 48];
        r.read_exact(&mut h)?;
        let w = |i: usize| u32::from_be_bytes(h[i * 4..i * 4 + 4].try_into().unwrap());
        let (command, seq, input, ep) = (w(0), w(1), w(3) == 1, w(4) as u8);
        if command == 2 {
            // unlink: take the request back if it still waits
            let victim = w(5);
            let mut st = self.lock();
            if st.last_submit == 0 || (victim.wrapping_sub(st.last_submit) as i32) > 0 {
                // vhci-hcd sends unlinks and requests from two queues, so an unlink
                // can overtake its request. Were it answered now, the request would
                // have to be answered or not, depending on where the kernel's
                // bookkeeping stands; a wrong guess makes it drop the device. With
                // the request's arrival that is settled.
                st.early_unlinks.push((victim, seq));
                return Ok(());
            }
            let before = st.video.len() + st.status.len();
            st.video.retain(|u| u.seq != victim);
            st.status.retain(|u| u.seq != victim);
            let found = st.video.len() + st.status.len() != before;
            let status = if found || st.faults.muted { ECONNRESET } else { 0 };
            st.reply_unlink(seq, status);
            return Ok(());
        }
        if command != 1 {
            return Err(io::Error::other(format!("command {command}")));
        }
        let len = w(6) as usize;
        let mut out = vec![];
        if !input && len > 0 {
            out = vec![0; len];
            r.read_exact(&mut out)?;
        }
        let count = w(8) as i32;
        let mut packets = vec![];
        if ep == EP_VIDEO && !self.set.bulk && count > 0 {
            let mut d = vec![0u8; count as usize * 16];
            r.read_exact(&mut d)?;
            for p in d.chunks(16) {
                let v = |i: usize| u32::from_be_bytes(p[i..i + 4].try_into().unwrap());
                packets.push((v(0), v(4)));
            }
        }
        let mut st = self.lock();
        if st.link_id != id {
            return Err(io::Error::other("unplugged"));
        }
        st.last_submit = seq;
        if let Some(i) = st.early_unlinks.iter().position(|u| u.0 == seq) {
            let (_, unlink) = st.early_unlinks.swap_remove(i);
            st.reply_unlink(unlink, ECONNRESET);
            return Ok(());
        }
        match ep {
            0 => {
                let setup: [u8; 8] = h[40..48].try_into().unwrap();
                if st.faults.muted {
                    return Ok(());
                }
                let answer = self.control(&mut st, &setup, &out);
                if self.set.trace {
                    eprintln!("uvccam: {setup:02x?} {out:02x?} -> {answer:02x?}");
                }
                match answer {
                    Some(mut data) if input => {
                        data.truncate(len);
                        st.reply(seq, 0, &data, &[]);
                    }
                    Some(_) => st.send(seq, 0, len as u32, &[], &[]),
                    None => st.reply(seq, EPIPE, &[], &[]),
                }
                self.wake.notify_all();
            }
            EP_VIDEO if input => {
                st.video.push_back(Urb { seq, len, packets });
                self.wake.notify_all();
            }
            EP_STATUS if input => st.status.push_back(Urb { seq, len, packets }),
            _ => st.reply(seq, EPIPE, &[], &[]),
        }
        Ok(())
    }

    /// Data for the host (empty for an accepted write), or None to stall.
    fn control(&self, st: &mut State, s: &[u8; 8], out: &[u8]) -> Option<Vec<u8>> {
        let value = u16::from_le_bytes([s[2], s[3]]);
        let index = u16::from_le_bytes([s[4], s[5]]);
        let [lo, hi] = value.to_le_bytes();
        match (s[0], s[1]) {
            (0x80, 6) => match hi {
                1 => Some(self.device.clone()),
                2 => Some(self.config.clone()),
                3 => string_descriptor(&self.set, lo),
                6 => Some(vec![10, 6, 0x00, 0x02, 0xef, 2, 1, 64, 1, 0]),
                _ => None,
            },
            (0x80, 8) => Some(vec![1]),
            (0x80..=0x82, 0) => Some(vec![0, 0]),
            (0x81, 10) => Some(vec![if index as u8 == VS { st.alt } else { 0 }]),
            (0x00, 9) => {
                st.alt = 0;
                st.commit = None;
                st.reset_stream();
                Some(vec![])
            }
            (0x01, 11) => {
                if index as u8 == VS {
                    if lo > !self.set.bulk as u8 {
                        return None;
                    }
                    st.alt = lo;
                    if lo == 0 && !self.set.bulk {
                        st.commit = None;
                    }
                    st.reset_stream();
                }
                Some(vec![])
            }
            (0x02, 1) => {
                // CLEAR_FEATURE(ENDPOINT_HALT): how the host ends a bulk stream
                if index as u8 == 0x80 | EP_VIDEO && self.set.bulk {
                    st.commit = None;
                    st.reset_stream();
                }
                Some(vec![])
            }
            (0x00..=0x02, 1 | 3) => Some(vec![]),
            (0x21, 1) | (0xa1, 0x81..=0x87) => {
                let [interface, entity] = index.to_le_bytes();
                match (interface, entity) {
                    (VS, _) => self.negotiate(st, hi, s[1], out),
                    (VC, 0) if hi == 2 && s[1] == 0x81 => Some(vec![6]), // invalid control
                    (VC, e) => setting(st, e, hi, s[1], out),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Probe (selector 1) and commit (2) of the video streaming interface.
    fn negotiate(&self, st: &mut State, sel: u8, req: u8, out: &[u8]) -> Option<Vec<u8>> {
        if sel != 1 && sel != 2 {
            return None;
        }
        let first = Negotiated { format: 1, size: 1, interval: intervals(&self.set)[0] };
        match req {
            1 => {
                if out.len() < 8 || st.faults.refuse {
                    return None;
                }
                let n = self.fit(Negotiated {
                    format: out[2],
                    size: out[3],
                    interval: u32::from_le_bytes(out[4..8].try_into().unwrap()),
                });
                st.probe = n;
                if sel == 2 {
                    st.commit = Some(n);
                    st.reset_stream();
                }
                Some(vec![])
            }
            0x81 => Some(self.pack(if sel == 2 { st.commit.unwrap_or(st.probe) } else { st.probe })),
            0x82 | 0x83 | 0x87 => Some(self.pack(self.fit(Negotiated {
                interval: {
                    let iv = intervals(&self.set);
                    match req {
                        0x82 => *iv.iter().min().unwrap(),
                        0x83 => *iv.iter().max().unwrap(),
                        _ => first.interval,
                    }
                },
                ..st.probe
            }))),
            0x85 => Some(vec![26, 0]),
            0x86 => Some(vec![3]),
            _ => None,
        }
    }

    /// The nearest thing on offer.
    fn fit(&self, n: Negotiated) -> Negotiated {
        let format = n.format.clamp(1, self.formats.len() as u8);
        let sizes = self.formats[format as usize - 1].sizes.len() as u8;
        Negotiated {
            format,
            size: n.size.clamp(1, sizes),
            interval: intervals(&self.set)
                .into_iter()
                .min_by_key(|v| v.abs_diff(n.interval))
                .unwrap(),
        }
    }

    fn size(&self, n: Negotiated) -> (Kind, &Size) {
        let f = &self.formats[n.format as usize - 1];
        (f.kind, &f.sizes[n.size as usize - 1])
    }

    fn pack(&self, n: Negotiated) -> Vec<u8> {
        let payload = if self.set.bulk { self.set.max_payload } else { ISO_PACKET as u32 };
        let mut d = vec![1, 0, n.format, n.size];
        d.extend(le32(n.interval));
        d.extend([0; 10]);
        d.extend(le32(max_frame(self.size(n).1)));
        d.extend(le32(payload));
        d
    }

    // --------------------------------------------------------------- streaming

    /// Runs for ever: cuts frames into payloads and answers video requests.
    fn stream(&self) {
        let mut rng = Rng(0x2545_f491_4f6c_dd1d);
        let mut log = self.set.log.as_ref().and_then(|path| fs::File::create(path).ok());
        let mut epoch = 0;
        let mut fid = 0u8;
        let mut keep_fid = false; // the last frame is to merge with the next
        let mut next = 0usize; // picture to play
        let mut frame: Option<Frame> = None;
        let mut frame_due = Instant::now();
        let mut bus_due = Instant::now();
        let mut st = self.lock();
        loop {
            if st.quit {
                return;
            }
            if !st.streaming(self.set.bulk) {
                st = self.wake.wait(st).unwrap();
                continue;
            }
            let now = Instant::now();
            if st.epoch != epoch {
                epoch = st.epoch;
                frame = None;
                frame_due = now;
                bus_due = now;
                next = 0;
            }
            if st.faults.stalled {
                while let Some(u) = st.video.pop_front() {
                    st.reply(u.seq, EPIPE, &[], &[]);
                }
                st = self.wake.wait(st).unwrap();
                continue;
            }
            // the next frame, if it is time for it
            let n = st.commit.unwrap();
            if frame.is_none() && !st.faults.frozen && now >= frame_due {
                let (kind, size) = self.size(n);
                let data = size.pictures[next % size.pictures.len()].clone();
                next += 1;
                frame = self.spoil(&mut st, kind, data, &mut rng);
                let step = match st.faults.fps {
                    Some(f) => Duration::from_secs_f64(1.0 / f),
                    None => Duration::from_nanos(n.interval as u64 * 100),
                };
                frame_due += step;
                if frame_due + 2 * step < now {
                    frame_due = now + step; // the host is too slow: do not pile up
                }
                if frame.is_some() {
                    fid ^= !keep_fid as u8;
                    keep_fid = false;
                }
                continue;
            }
            // the time of the next event: frame due (bulk), bus time (isochronous)
            let wait_until = if self.set.bulk {
                match (&frame, st.video.is_empty(), st.faults.frozen) {
                    (Some(_), false, false) => None,
                    (Some(_), _, _) | (None, _, true) => Some(now + Duration::from_secs(3600)),
                    (None, _, false) => Some(frame_due),
                }
            } else if st.video.is_empty() {
                Some(now + Duration::from_secs(3600))
            } else if now < bus_due {
                Some(bus_due)
            } else {
                None
            };
            if let Some(t) = wait_until {
                st = self.wake.wait_timeout(st, t.saturating_duration_since(now)).unwrap().0;
                continue;
            }
            let urb = st.video.pop_front().unwrap();
            let clock = self.start.elapsed();
            if self.set.bulk {
                let f = frame.as_mut().unwrap();
                // one payload per request of at least max_payload, else several
                let room = urb.len.min(self.set.max_payload as usize);
                let (data, done) = f.payload(room, fid, clock);
                st.reply(urb.seq, 0, &data, &[]);
                if done {
                    st.frames += 1;
                    note(&mut log, st.frames);
                    keep_fid = f.merge;
                    frame = None;
                }
                continue;
            }
            let before = st.frames;
            let mut data = Vec::with_capacity(urb.len);
            let mut iso = vec![];
            for &(offset, len) in &urb.packets {
                let room = (len as usize).min(ISO_PACKET);
                let packet = match &mut frame {
                    Some(f) if !st.faults.frozen => {
                        let (p, done) = f.payload(room, fid, clock);
                        if done {
                            st.frames += 1;
                            keep_fid = f.merge;
                            frame = None;
                        }
                        p
                    }
                    _ => header(fid, 0, clock), // nothing to send: a bare header
                };
                iso.push([offset, len, packet.len() as u32, 0]);
                data.extend(packet);
            }
            st.reply(urb.seq, 0, &data, &iso);
            if st.frames > before {
                note(&mut log, st.frames);
            }
            let micro = 125u64 << (self.set.iso_interval - 1);
            bus_due += Duration::from_micros(micro * urb.packets.len() as u64);
            if bus_due + Duration::from_millis(50) < now {
                bus_due = now;
            }
        }
    }

    fn spoil(&self, st: &mut State, kind: Kind, data: Arc<Vec<u8>>, rng: &mut Rng) -> Option<Frame> {
        let mut f = Frame { data, at: 0, err: false, noeof: false, merge: false };
        let Some((mode, left)) = &mut st.faults.corrupt else { return Some(f) };
        let mode = mode.clone();
        if *left == 1 {
            st.faults.corrupt = None;
        } else if *left > 1 {
            *left -= 1;
        }
        st.spoiled += 1;
        let mut d = f.data.to_vec();
        let segments = if kind == Kind::Mjpeg { jpeg_segments(&d) } else { vec![] };
        match mode.as_str() {
            "bits" => {
                let from = segments.last().map_or(0, |s| s.2);
                let span = d.len().saturating_sub(from + 2).max(1);
                for _ in 0..16 {
                    let i = from + rng.below(span);
                    d[i] ^= 1 << rng.below(8);
                }
            }
            "truncate" => d.truncate(d.len() / 2),
            "garbage" => d.iter_mut().for_each(|b| *b = rng.below(256) as u8),
            "pad" => d.resize(d.len() + 512, 0),
            "nodht" => {
                for (_, from, to) in segments.into_iter().rev().filter(|s| s.0 == 0xc4) {
                    d.drain(from..to);
                }
            }
            "err" => f.err = true,
            "noeof" => f.noeof = true,
            "merge" => f.merge = true,
            _ => return None, // drop
        }
        f.data = Arc::new(d);
        Some(f)
    }

    // ---------------------------------------------------------------- commands

    fn command(self: &Arc<Self>, line: &str) -> Res<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let arg = |i: usize| words.get(i).copied().unwrap_or("");
        match arg(0) {
            "plug" => self.plug()?,
            "unplug" => self.unplug()?,
            "freeze" => self.lock().faults.frozen = true,
            "resume" => self.lock().faults.frozen = false,
            "stall" => self.lock().faults.stalled = true,
            "unstall" => self.lock().faults.stalled = false,
            "mute" => self.lock().faults.muted = true,
            "unmute" => self.lock().faults.muted = false,
            "refuse" => self.lock().faults.refuse = true,
            "accept" => self.lock().faults.refuse = false,
            "fps" => {
                let f = match arg(1) {
                    "off" => None,
                    v => Some(v.parse().ok().filter(|f| *f > 0.0).ok_or("fps N | fps off")?),
                };
                self.lock().faults.fps = f;
            }
            "corrupt" => {
                let known = ["bits", "truncate", "garbage", "pad", "nodht", "err", "noeof", "merge", "drop"];
                let mode = match arg(1) {
                    "off" => None,
                    m if known.contains(&m) => Some((m.to_string(), arg(2).parse().unwrap_or(0))),
                    m => return Err(format!("corrupt {m}: no such mode")),
                };
                self.lock().faults.corrupt = mode;
            }
            "button" => {
                for pressed in [1u8, 0] {
                    let mut st = self.lock();
                    let urb = st.status.pop_front().ok_or("the host does not listen for the button")?;
                    let mut d = vec![2, VS, 0, pressed]; // video streaming, button event
                    d.truncate(urb.len);
                    st.reply(urb.seq, 0, &d, &[]);
                    drop(st);
                    thread::sleep(Duration::from_millis(150));
                }
            }
            "quit" => {
                self.unplug()?;
                self.lock().quit = true;
            }
            "status" => {}
            w => return Err(format!("{w}: no such command")),
        }
        self.wake.notify_all();
        let st = self.lock();
        let (kind, size, fps) = match st.commit {
            Some(n) => {
                let (k, z) = self.size(n);
                let k = if k == Kind::Mjpeg { "MJPG" } else { "YUYV" };
                (k, format!("{}x{}", z.w, z.h), 1e7 / n.interval as f64)
            }
            None => ("-", "-".into(), 0.0),
        };
        Ok(format!(
            "plugged={} streaming={} format={kind} size={size} fps={fps:.2} frames={} spoiled={} \
             frozen={} stalled={} muted={} refuse={} corrupt={}",
            st.link.is_some(),
            st.streaming(self.set.bulk),
            st.frames,
            st.spoiled,
            st.faults.frozen,
            st.faults.stalled,
            st.faults.muted,
            st.faults.refuse,
            st.faults.corrupt.as_ref().map_or("-", |c| c.0.as_str()),
        ))
    }
}

/// The current picture on its way to the host.
struct Frame {
    data: Arc<Vec<u8>>,
    at: usize,
    err: bool,
    noeof: bool,
    merge: bool,
}

impl Frame {
    /// One payload (header and data) of at most `room` bytes; true with the last.
    fn payload(&mut self, room: usize, fid: u8, clock: Duration) -> (Vec<u8>, bool) {
        let n = (room - 12).min(self.data.len() - self.at);
        let done = self.at + n == self.data.len();
        let mut bits = 0;
        if done && !self.noeof && !self.merge {
            bits |= 0x02;
        }
        if self.err {
            bits |= 0x40;
        }
        let mut p = header(fid, bits, clock);
        p.extend_from_slice(&self.data[self.at..self.at + n]);
        self.at += n;
        (p, done)
    }
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
}

/// One line in the log: the frame's count and now.
fn note(log: &mut Option<fs::File>, frame: u64) {
    let Some(log) = log else { return };
    let mut now = [0; 2];
    // SAFETY: `struct timespec` is two 64-bit numbers here; 1 is CLOCK_MONOTONIC.
    unsafe { clock_gettime(1, &mut now) };
    let _ = writeln!(log, "{frame} {}", now[0] * 1_000_000_000 + now[1]);
}

/// Payload header with presentation time and source clock.
fn header(fid: u8, bits: u8, clock: Duration) -> Vec<u8> {
    let ticks = (clock.as_nanos() * CLOCK as u128 / 1_000_000_000) as u32;
    let frame_number = (clock.as_millis() & 0x7ff) as u16;
    let mut h = vec![12, 0x80 | 0x0c | bits | fid];
    h.extend(le32(ticks));
    h.extend(le32(ticks));
    h.extend(le16(frame_number));
    h
}

fn settings() -> Vec<Setting> {
    let s = |entity, selector, len, min, max, res, def| Setting {
        entity, selector, len, min, max, res, def, cur: def,
    };
    vec![
        s(CAMERA, 0x02, 1, 1, 2, 3, 2),           // auto exposure mode: bitmap of modes in res
        s(CAMERA, 0x04, 4, 1, 5000, 1, 156),      // exposure time, 100 us
        s(CAMERA, 0x06, 2, 0, 1023, 1, 512),      // focus
        s(PROCESSING, 0x02, 2, -64, 64, 1, 0),    // brightness
        s(PROCESSING, 0x03, 2, 0, 95, 1, 32),     // contrast
        s(PROCESSING, 0x04, 2, 0, 100, 1, 50),    // gain
        s(PROCESSING, 0x07, 2, 0, 128, 1, 64),    // saturation
    ]
}

fn setting(st: &mut State, entity: u8, selector: u8, req: u8, out: &[u8]) -> Option<Vec<u8>> {
    let s = st.settings.iter_mut().find(|s| (s.entity, s.selector) == (entity, selector))?;
    let v = match req {
        1 => {
            let mut b = [0u8; 4];
            b[..s.len].copy_from_slice(out.get(..s.len)?);
            let v = match s.len {
                1 => b[0] as i32,
                2 => i16::from_le_bytes([b[0], b[1]]) as i32,
                _ => i32::from_le_bytes(b),
            };
            if v < s.min || v > s.max {
                return None;
            }
            s.cur = v;
            return Some(vec![]);
        }
        0x81 => s.cur,
        0x82 => s.min,
        0x83 => s.max,
        0x84 => s.res,
        0x87 => s.def,
        0x85 => return Some(vec![s.len as u8, 0]),
        0x86 => return Some(vec![3]),
        _ => return None,
    };
    Some(v.to_le_bytes()[..s.len].to_vec())
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

// ---------------------------------------------------------------- entry points

fn serve(args: &[String]) -> Res<()> {
    let set = Settings::parse(args)?;
    let formats = load_formats(&set)?;
    for module in ["vhci-hcd", "uvcvideo"] {
        let done = Command::new("modprobe").arg(module).status();
        if !done.as_ref().is_ok_and(|s| s.success()) {
            eprintln!("uvccam: modprobe {module}: {done:?}");
        }
    }
    let _ = fs::remove_file(&set.control);
    let listener = UnixListener::bind(&set.control).map_err(|e| format!("{}: {e}", set.control))?;
    let first = Negotiated { format: 1, size: 1, interval: intervals(&set)[0] };
    let cam = Arc::new(Camera {
        device: device_descriptor(&set),
        config: config_descriptor(&set, &formats),
        state: Mutex::new(State {
            link: None,
            link_id: 0,
            video: VecDeque::new(),
            status: VecDeque::new(),
            last_submit: 0,
            early_unlinks: vec![],
            alt: 0,
            epoch: 0,
            probe: first,
            commit: None,
            settings: settings(),
            faults: Faults::default(),
            frames: 0,
            spoiled: 0,
            quit: false,
        }),
        wake: Condvar::new(),
        start: Instant::now(),
        set,
        formats,
    });
    let streamer = cam.clone();
    thread::spawn(move || streamer.stream());
    if !cam.set.unplugged {
        cam.plug()?;
    }
    println!("uvccam: ready");
    for conn in listener.incoming() {
        let Ok(mut conn) = conn else { continue };
        let mut line = String::new();
        if BufReader::new(&conn).read_line(&mut line).is_err() {
            continue;
        }
        let answer = match cam.command(line.trim()) {
            Ok(s) => format!("ok {s}\n"),
            Err(e) => format!("error {e}\n"),
        };
        let _ = conn.write_all(answer.as_bytes());
        if cam.lock().quit {
            break;
        }
    }
    let _ = fs::remove_file(&cam.set.control);
    Ok(())
}

fn ctl(args: &[String]) -> Res<()> {
    let (path, words) = match args {
        [o, p, rest @ ..] if o == "--control" => (p.as_str(), rest),
        _ => (CONTROL, args),
    };
    // the server may still be starting
    let until = Instant::now() + Duration::from_secs(10);
    let mut s = loop {
        match UnixStream::connect(path) {
            Ok(s) => break s,
            Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(20)),
            Err(e) => return Err(format!("{path}: {e}")),
        }
    };
    s.write_all((words.join(" ") + "\n").as_bytes()).map_err(|e| e.to_string())?;
    let mut answer = String::new();
    s.read_to_string(&mut answer).map_err(|e| e.to_string())?;
    match answer.trim().split_once(' ') {
        Some(("ok", rest)) => {
            println!("{rest}");
            Ok(())
        }
        _ => Err(answer.trim().to_string()),
    }
}

/// Whether a USB device with this serial number is enumerated.
fn present(serial: &str) -> bool {
    let Ok(devices) = fs::read_dir("/sys/bus/usb/devices") else { return false };
    devices.flatten().any(|e| {
        fs::read_to_string(e.path().join("serial")).is_ok_and(|s| s.trim() == serial)
    })
}

/// The capture node (index 0; further ones carry metadata) of our camera.
fn find_node(serial: &str) -> Option<String> {
    let nodes = fs::read_dir("/sys/class/video4linux").ok()?;
    let ours = |p: &std::path::Path| -> Option<bool> {
        let index = fs::read_to_string(p.join("index")).ok()?;
        let usb = fs::canonicalize(p.join("device")).ok()?; // the interface
        let s = fs::read_to_string(usb.parent()?.join("serial")).ok()?;
        Some(index.trim() == "0" && s.trim() == serial)
    };
    nodes
        .flatten()
        .filter(|e| ours(&e.path()) == Some(true))
        .map(|e| format!("/dev/{}", e.file_name().to_string_lossy()))
        .find(|n| fs::metadata(n).is_ok())
}

fn node(args: &[String]) -> Res<()> {
    let (serial, rest) = match args {
        [o, s, rest @ ..] if o == "--serial" => (s.as_str(), rest),
        _ => (SERIAL, args),
    };
    let secs: f64 = rest.first().map_or(Ok(0.0), |s| s.parse()).map_err(|_| "node [SECONDS]")?;
    let until = Instant::now() + Duration::from_secs_f64(secs);
    loop {
        if let Some(n) = find_node(serial) {
            println!("{n}");
            return Ok(());
        }
        if Instant::now() >= until {
            return Err("no camera node".into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or(&[]);
    let done = match args.first().map(String::as_str) {
        Some("serve") => serve(rest),
        Some("ctl") => ctl(rest),
        Some("node") => node(rest),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            eprint!("{HELP}");
            exit(2)
        }
    };
    if let Err(e) = done {
        eprintln!("uvccam: {e}");
        exit(1);
    }
}
