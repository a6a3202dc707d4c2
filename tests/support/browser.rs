//! A real browser, driven as the WebDriver standard says: JSON over HTTP to Debian's chromedriver. Written here because the
//! crates that do it bring licences or TLS stacks that this project does not take.

#![allow(dead_code, reason = "each test target uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, outside test functions")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

/// A guard against hanging, not a measure.
const PATIENCE: Duration = Duration::from_secs(120);
/// The standard's names of keys that are no letters.
pub const ENTER: char = '\u{e007}';
pub const TAB: char = '\u{e004}';
pub const ESCAPE: char = '\u{e00c}';

pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

/// The browser and its driver, or why they are not used.
pub fn missing() -> Option<String> {
    let there = |name: &str| {
        let run = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let absent: Vec<&str> = ["chromium", "chromedriver"].into_iter().filter(|name| !there(name)).collect();
    (!absent.is_empty())
        .then(|| format!("skipped: {} not installed (Debian: chromium, chromium-driver)", absent.join(" and ")))
}

impl Browser {
    pub fn start(width: u32, height: u32) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "chromedriver ended without a port");
            let number = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
            if let Some(port) = line.split("successfully on port ").nth(1).and_then(number) {
                break port;
            }
        };
        // What it says later is read by nobody, and must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let mut browser = Self { driver, port, session: String::new() };
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--force-color-profile=srgb",
        ];
        let args: Vec<String> =
            args.into_iter().map(str::to_owned).chain([format!("--window-size={width},{height}")]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": args},
        }}});
        let made = browser.call("POST", "/session", Some(&wanted));
        made["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.post("/timeouts", &json!({"script": PATIENCE.as_millis() as u64}));
        browser
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.answer(method, path, body).unwrap_or_else(|refused| panic!("{method} {path}: {refused}"))
    }

    /// What the driver answers, or its error.
    fn answer(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let mut conn = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        conn.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.port,
            body.len()
        );
        conn.write_all(head.as_bytes()).unwrap();
        conn.write_all(body.as_bytes()).unwrap();
        let mut answer = BufReader::new(conn);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).unwrap();
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut bytes = vec![0; length];
        answer.read_exact(&mut bytes).unwrap();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let value = answer["value"].clone();
        if value["error"].is_null() { Ok(value) } else { Err(value) }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}{path}", self.session), Some(body))
    }

    /// Runs a script in each page from now on, before any of its own.
    pub fn before_each_page(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": script}));
    }

    /// What the page holds after its garbage was collected: bytes of script, and nodes.
    pub fn held(&self) -> (f64, f64) {
        self.devtools("HeapProfiler.collectGarbage", &json!({}));
        let heap = self.devtools("Runtime.getHeapUsage", &json!({}));
        let counters = self.devtools("Memory.getDOMCounters", &json!({}));
        (heap["usedSize"].as_f64().unwrap(), counters["nodes"].as_f64().unwrap())
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    /// The page as it is printed, as PDF.
    pub fn print(&self) -> Vec<u8> {
        let printed = self.post("/print", &json!({"background": true, "page": {"width": 21.0, "height": 29.7}}));
        base64::engine::general_purpose::STANDARD.decode(printed.as_str().unwrap()).unwrap()
    }

    pub fn go(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Runs a script; `arguments` are its arguments.
    pub fn script(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// Runs a script that calls its last argument with its answer.
    pub fn script_async(&self, script: &str) -> Value {
        self.post("/execute/async", &json!({"script": script, "args": []}))
    }

    /// Waits until the expression is true.
    #[track_caller]
    pub fn until(&self, expression: &str) {
        let began = Instant::now();
        while self.script(&format!("return Boolean({expression})"), &[]) != json!(true) {
            if began.elapsed() > PATIENCE {
                let seen = self.script("return document.body.innerText", &[]);
                panic!("{expression} did not come true; the page says: {}", seen.as_str().unwrap_or_default());
            }
        }
    }

    /// Presses keys as a person does, one after the other.
    pub fn keys(&self, keys: &str) {
        let presses: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|what| json!({"type": what, "value": key.to_string()})))
            .collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]}));
    }

    /// Clicks where the element of this selector is. One that is drawn anew between looking and clicking is looked for again.
    pub fn click(&self, selector: &str) {
        loop {
            let found = self.post("/element", &json!({"using": "css selector", "value": selector}));
            let element = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
            let path = format!("/session/{}/element/{element}/click", self.session);
            match self.answer("POST", &path, Some(&json!({}))) {
                Ok(_) => return,
                Err(refused) if refused["error"] == "stale element reference" => {}
                Err(refused) => panic!("click on {selector}: {refused}"),
            }
        }
    }

    /// Lays a finger on the middle of the element of this selector, wherever that is when the finger comes down. It must be large enough
    /// for one: 24 pixels a side (WCAG 2.2, 2.5.8).
    pub fn tap(&self, selector: &str) {
        loop {
            let found = self.script(
                "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'nearest' }); \
                 const r = e.getBoundingClientRect(); return [e, r.width, r.height];",
                &[selector.into()],
            );
            let [width, height] = [1, 2].map(|i| found[i].as_f64().unwrap());
            assert!(width >= 24.0 && height >= 24.0, "{selector} is {width} by {height} pixels");
            match self.press("touch", &found[0], 0, 0) {
                Ok(_) => return,
                Err(refused) if refused["error"] == "stale element reference" => {}
                Err(refused) => panic!("tap on {selector}: {refused}"),
            }
        }
    }

    /// Presses and lets go at a place of the window, as a "mouse" or a finger ("touch").
    pub fn point(&self, kind: &str, x: i64, y: i64) {
        self.press(kind, &"viewport".into(), x, y).unwrap_or_else(|refused| panic!("{kind} at {x}, {y}: {refused}"));
    }

    /// `x` and `y` are from the middle of the element `from`, or from the corner of the "viewport".
    fn press(&self, kind: &str, from: &Value, x: i64, y: i64) -> Result<Value, Value> {
        let actions = json!([
            {"type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": from},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]);
        let source = json!({"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": actions});
        self.answer("POST", &format!("/session/{}/actions", self.session), Some(&json!({"actions": [source]})))
    }

    /// What the console said, as text; empty when nothing went wrong.
    pub fn console(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "browser"}));
        log.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Every address that the browser asked for since the last look.
    pub fn asked(&self) -> Vec<String> {
        let log = self.post("/se/log", &json!({"type": "performance"}));
        let entries = log.as_array().unwrap().iter();
        entries
            .filter_map(|entry| {
                let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let message = &event["message"];
                match message["method"].as_str()? {
                    "Network.requestWillBeSent" => message["params"]["request"]["url"].as_str().map(str::to_owned),
                    "Network.webSocketCreated" => message["params"]["url"].as_str().map(str::to_owned),
                    _ => None,
                }
            })
            .collect()
    }

    pub fn screenshot(&self, path: &std::path::Path) {
        let shot = self.call("GET", &format!("/session/{}/screenshot", self.session), None);
        let bytes = base64::engine::general_purpose::STANDARD.decode(shot.as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser with it; the driver alone would leave it behind.
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), None);
        } else if !self.session.is_empty() {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.call("DELETE", &format!("/session/{}", self.session), None)
            }));
            drop(ended);
        }
        let _ended = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}
