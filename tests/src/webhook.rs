//! A webhook receiver that keeps what it gets, and fails when it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// A server of one path on a free port; it ends with the test's process.
#[derive(Debug)]
pub struct Webhook {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    payloads: Mutex<Vec<Value>>,
    failures_left: AtomicU32,
    failed: AtomicU32,
}

impl Webhook {
    /// Starts it; the first `failures` requests are answered with 503.
    pub fn start(failures: u32) -> Self {
        Self::listen_on("127.0.0.1:0", failures)
    }

    /// The same on an address that was chosen before.
    pub fn listen_on(address: &str, failures: u32) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let shared = Arc::new(Shared { failures_left: AtomicU32::new(failures), ..Shared::default() });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that breaks off is its own affair: the next one is served all the same.
                let _ = serve(stream, &server);
            }
        });
        Webhook { address, shared }
    }

    /// Where to send to.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All payloads taken so far.
    pub fn payloads(&self) -> Vec<Value> {
        self.shared.payloads.lock().expect("no panic under the lock").clone()
    }

    /// How many requests were turned away.
    pub fn failed(&self) -> u32 {
        self.shared.failed.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let fail = shared.failures_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
    let status = if fail {
        shared.failed.fetch_add(1, Ordering::SeqCst);
        "503 Service Unavailable"
    } else {
        let payload = serde_json::from_slice(&body).unwrap_or(Value::Null);
        shared.payloads.lock().expect("no panic under the lock").push(payload);
        "200 OK"
    };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}
