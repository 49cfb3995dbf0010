//! Real processes on free ports of the loopback interface, stopped when the test ends.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{get, target_profile_dir, wait_for};

/// The `sonde` binary that was built beside the tests.
pub fn sonde_binary() -> PathBuf {
    let path = target_profile_dir().join("sonde");
    assert!(
        path.is_file(),
        "{} is missing: `cargo build --bins` comes first (cargo xtask test does it)",
        path.display()
    );
    path
}

/// A port of 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// What to start.
#[derive(Debug)]
pub struct Spawn {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// A folder for its log, and where it runs.
    pub dir: PathBuf,
    /// The name of its log in that folder, without the ending.
    pub name: String,
}

impl Spawn {
    /// `sonde` with these arguments.
    pub fn sonde(dir: &Path, name: &str, args: &[&str]) -> Self {
        Self::program(sonde_binary(), dir, name, args)
    }

    /// Any program with these arguments.
    pub fn program(program: PathBuf, dir: &Path, name: &str, args: &[&str]) -> Self {
        let args = args.iter().map(|a| (*a).to_owned()).collect();
        Spawn { program, args, dir: dir.to_path_buf(), name: name.to_owned() }
    }

    /// Starts it; what it prints is appended to its log.
    pub fn start(&self) -> Server {
        let log = self.dir.join(format!("{}.log", self.name));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let child = Command::new(&self.program)
            .args(&self.args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", self.program.display()));
        Server { child, log }
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Waits until `url` answers 200.
    pub fn ready(&mut self, url: &str) {
        let log = self.log.clone();
        wait_for(url, Duration::from_secs(30), || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("it ended with {status}: {}", std::fs::read_to_string(&log).unwrap_or_default());
            }
            match get(url)?.status {
                200 => Ok(()),
                other => Err(format!("status {other}")),
            }
        });
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`: it gets no chance to do anything.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// SIGTERM, then waits for it to end in order; gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.wait(Duration::from_secs(30))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id() as i32).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("the signal is sent");
    }

    /// Waits until it ends by itself; gives its exit code.
    pub fn wait(&mut self, deadline: Duration) -> Option<i32> {
        let log = self.log.clone();
        wait_for("the end of the process", deadline, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status.code()),
            _ => Err(format!("still running: {}", std::fs::read_to_string(&log).unwrap_or_default())),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
