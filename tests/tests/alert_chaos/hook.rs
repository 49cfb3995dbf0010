//! A webhook with moods: it takes, refuses, hangs, cuts connections, or is not there. It writes down what it took, and when.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{Stopwatch, free_port, now_ms};

/// How it treats who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers 200.
    Takes,
    /// Answers 500.
    Refuses,
    /// Reads and says nothing, until its mood is another.
    Hangs,
    /// Reads and cuts the connection.
    Cuts,
    /// Nobody listens.
    Away,
}

/// Moods in which nothing is taken.
pub(crate) const BAD: [Mood; 4] = [Mood::Refuses, Mood::Hangs, Mood::Cuts, Mood::Away];

/// A notification that was taken: the answer was written, and nobody had hung up by then.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) at: i64,
    pub(crate) payload: Value,
}

#[derive(Debug)]
pub(crate) struct Hook {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<Taken>>,
    turned_away: Mutex<usize>,
}

impl Shared {
    fn mood(&self) -> Mood {
        *self.mood.lock().expect("no panic under the lock")
    }
}

impl Hook {
    pub(crate) fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let taken = Mutex::default();
        let shared = Arc::new(Shared { mood: Mutex::new(Mood::Takes), taken, turned_away: Mutex::default() });
        let (server, bound) = (Arc::clone(&shared), address.clone());
        std::thread::spawn(move || listen(&bound, &server));
        Hook { address, shared }
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.shared.mood.lock().expect("no panic under the lock") = mood;
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().expect("no panic under the lock").clone()
    }

    /// Requests that were read and not answered with 200.
    pub(crate) fn turned_away(&self) -> usize {
        *self.shared.turned_away.lock().expect("no panic under the lock")
    }
}

fn moment() {
    std::thread::sleep(Duration::from_millis(5));
}

fn listen(address: &str, shared: &Arc<Shared>) {
    loop {
        while shared.mood() == Mood::Away {
            moment();
        }
        // The port may still be held by the connections of before.
        let Ok(listener) = TcpListener::bind(address) else {
            moment();
            continue;
        };
        listener.set_nonblocking(true).expect("a listener that can be asked");
        while shared.mood() != Mood::Away {
            match listener.accept() {
                Ok((stream, _)) => {
                    let shared = Arc::clone(shared);
                    std::thread::spawn(move || drop(serve(stream, &shared)));
                }
                Err(_) => moment(),
            }
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            // Who came has gone, or was killed, before it said what it wanted.
            return Ok(());
        }
        if line == "\r\n" {
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
    let mood = shared.mood();
    if mood == Mood::Takes {
        let payload = serde_json::from_slice(&body).expect("a payload is JSON");
        let mut taken = shared.taken.lock().expect("no panic under the lock");
        // Under the lock, so that what is in the list is what was answered.
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
        taken.push(Taken { at: now_ms(), payload });
        return Ok(());
    }
    *shared.turned_away.lock().expect("no panic under the lock") += 1;
    match mood {
        Mood::Refuses => write!(stream, "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        Mood::Hangs => {
            let patience = Stopwatch::start();
            while shared.mood() == Mood::Hangs && patience.elapsed() < Duration::from_secs(60) {
                moment();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
