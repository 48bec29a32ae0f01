//! A headless Chromium, driven over WebDriver: real clicks, wheels and keys.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing that a page does takes longer, even on a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a headless Chromium needs to run as root, without a network or a screen.
const SWITCHES: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1500,900",
];

/// A browser with one window; it goes with its value.
pub(crate) struct Browser {
    driver: Child,
    /// Kept open, for the driver writes to it.
    _says: BufReader<ChildStdout>,
    port: u16,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts one, with a profile of its own.
    pub(crate) fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver can be started");
        let mut says = BufReader::new(driver.stdout.take().expect("its stdout is a pipe"));
        let port = port(&mut says);
        let mut browser = Browser {
            driver,
            _says: says,
            port,
            session: String::new(),
            _profile: profile,
        };
        let mut switches: Vec<String> = SWITCHES.map(str::to_owned).to_vec();
        let folder = browser._profile.path().display();
        switches.push(format!("--user-data-dir={folder}"));
        let options = json!({ "goog:chromeOptions": { "args": switches } });
        let capabilities = json!({ "capabilities": { "alwaysMatch": options } });
        let session = browser.call("POST", "", &capabilities);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    /// One command of WebDriver; its path is that below the session's.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let session = match self.session.as_str() {
            "" => String::new(),
            session => format!("/{session}"),
        };
        let request = format!(
            "{method} /session{session}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        stream
            .write_all(request.as_bytes())
            .expect("the driver reads");
        let answer = answer(&mut BufReader::new(stream));
        let value = answer["value"].clone();
        assert!(
            value.get("error").is_none() || value["error"].is_null(),
            "{method} {path}: {value}"
        );
        value
    }

    /// Opens a page and waits until it is there.
    pub(crate) fn open(&self, page: &Path) {
        let page = page.canonicalize().expect("the page exists");
        let url = format!("file://{}", page.display());
        self.call("POST", "/url", &json!({ "url": url }));
        self.wait("typeof window.coe === 'object' && coe.stats.draws > 0");
    }

    /// What JavaScript says; `script` is an expression.
    pub(crate) fn ask(&self, script: &str) -> Value {
        let body = json!({ "script": format!("return ({script});"), "args": [] });
        self.call("POST", "/execute/sync", &body)
    }

    /// A number from JavaScript.
    pub(crate) fn number(&self, script: &str) -> f64 {
        let value = self.ask(script);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{script}: {value} is no number"))
    }

    /// A text from JavaScript.
    pub(crate) fn text(&self, script: &str) -> String {
        let value = self.ask(script);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{script}: {value} is no text"))
            .to_owned()
    }

    /// Waits until an expression holds.
    pub(crate) fn wait(&self, script: &str) {
        let begin = Instant::now();
        while self.ask(script) != json!(true) {
            assert!(begin.elapsed() < PATIENCE, "never: {script}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn act(&self, kind: &str, actions: &Value) {
        let mut source = json!({ "type": kind, "id": kind, "actions": actions });
        if kind == "pointer" {
            source["parameters"] = json!({ "pointerType": "mouse" });
        }
        self.call("POST", "/actions", &json!({ "actions": [source] }));
        // What was done is drawn with the next frame.
        self.call(
            "POST",
            "/execute/async",
            &json!({ "script": "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done(1)));", "args": [] }),
        );
    }

    /// Moves the mouse to a point of the window.
    pub(crate) fn hover(&self, at: (f64, f64)) {
        self.act("pointer", &json!([moved(at)]));
    }

    /// Clicks at a point of the window.
    pub(crate) fn click(&self, at: (f64, f64)) {
        self.act("pointer", &json!([moved(at), down(), up()]));
    }

    /// Clicks on the element that a selector finds first.
    pub(crate) fn click_on(&self, selector: &str) {
        let rect = self.ask(&format!(
            "(({{x, y, width, height}}) => [x + width / 2, y + height / 2])(document.querySelector({selector:?}).getBoundingClientRect())"
        ));
        let at = |n: usize| rect[n].as_f64().expect("a place");
        self.click((at(0), at(1)));
    }

    /// Presses at one point, moves to another, and releases there.
    pub(crate) fn drag(&self, from: (f64, f64), to: (f64, f64)) {
        let middle = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
        self.act(
            "pointer",
            &json!([moved(from), down(), moved(middle), moved(to), up()]),
        );
    }

    /// Turns the wheel at a point; towards the user is positive.
    pub(crate) fn wheel(&self, at: (f64, f64), by: i32) {
        let turn = json!([{ "type": "scroll", "x": at.0 as i64, "y": at.1 as i64, "deltaX": 0, "deltaY": by }]);
        self.act("wheel", &turn);
    }

    /// Types these characters, one after the other.
    pub(crate) fn keys(&self, text: &str) {
        let press = |key: char| {
            [
                json!({ "type": "keyDown", "value": key }),
                json!({ "type": "keyUp", "value": key }),
            ]
        };
        let actions: Vec<Value> = text.chars().flat_map(press).collect();
        self.act("key", &json!(actions));
    }

    /// Writes what the window shows into a PNG file.
    pub(crate) fn screenshot(&self, file: &Path) {
        let png = self.call("GET", "/screenshot", &Value::Null);
        let bytes = STANDARD.decode(png.as_str().expect("base64"));
        std::fs::write(file, bytes.expect("base64")).expect("the screenshot can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session; the driver is ours to end. A test that
        // failed already is not to fail once more.
        let end = format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            self.session
        );
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.write_all(end.as_bytes());
            let _ = BufReader::new(stream).read_line(&mut String::new());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn moved(at: (f64, f64)) -> Value {
    json!({ "type": "pointerMove", "duration": 0, "x": at.0 as i64, "y": at.1 as i64 })
}

fn down() -> Value {
    json!({ "type": "pointerDown", "button": 0 })
}

fn up() -> Value {
    json!({ "type": "pointerUp", "button": 0 })
}

/// The port that the driver says it listens on.
fn port(says: &mut impl BufRead) -> u16 {
    let mut line = String::new();
    while says.read_line(&mut line).expect("the driver's output") > 0 {
        if let Some((_, rest)) = line.split_once("successfully on port ") {
            let digits = rest.trim().trim_end_matches('.');
            return digits.parse().expect("a port");
        }
        line.clear();
    }
    panic!("chromedriver ended before it listened");
}

/// The body of an answer, as JSON.
fn answer(stream: &mut impl BufRead) -> Value {
    let mut length = 0;
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).expect("the driver answers");
        if read == 0 || line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the whole answer");
    serde_json::from_slice(&body).expect("an answer is JSON")
}
