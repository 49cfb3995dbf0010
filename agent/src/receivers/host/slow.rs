//! What may take long to read: filesystems that may hang, one file for each process, long lists of connections.
//!
//! It is read on a thread of the blocking pool. A filesystem that does not answer keeps its thread and is left out until
//! it does, so that neither the host's other metrics nor the other filesystems wait for it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::filesystem::{Mount, Space, parse_mountinfo};
use super::network::{TcpStates, parse_tcp};
use super::processes::ProcessStates;
use super::source::{ReadError, Source};
use crate::config::{HostConfig, HostReceiver};

/// How many filesystems may hang at once before filesystems are no longer read: each keeps a thread.
const MAX_STUCK: usize = 8;

/// What one pass gave.
#[derive(Clone, Debug, Default)]
pub struct SlowReading {
    /// The filesystems that answered.
    pub filesystems: Vec<(Mount, Space)>,
    /// Why filesystems are missing.
    pub filesystem_error: Option<ReadError>,
    /// Processes by state.
    pub processes: Option<ProcessStates>,
    /// TCP connections by state.
    pub connections: Option<TcpStates>,
}

/// Reads what is slow.
#[derive(Debug)]
pub struct Slow {
    config: HostConfig,
    /// Passes that have not come back, with the mount point that each is waiting for.
    stuck: Vec<Pass>,
}

#[derive(Debug)]
struct Pass {
    handle: JoinHandle<SlowReading>,
    /// The mount point that the pass is asking now.
    at: Arc<Mutex<Option<String>>>,
}

impl Slow {
    /// Prepares reading.
    pub fn new(config: HostConfig) -> Self {
        Slow { config, stuck: Vec::new() }
    }

    /// Reads, for at most `patience`. `None` if nothing came back in time.
    pub async fn read(&mut self, patience: Duration) -> Option<SlowReading> {
        self.stuck.retain(|pass| !pass.handle.is_finished());
        let hanging: Vec<String> = self.stuck.iter().filter_map(|pass| pass.at.lock().clone()).collect();
        if self.stuck.len() >= MAX_STUCK {
            return Some(SlowReading { filesystem_error: stuck(&hanging), ..SlowReading::default() });
        }
        let (config, at) = (self.config.clone(), Arc::new(Mutex::new(None)));
        let (skip, here) = (hanging.clone(), Arc::clone(&at));
        let mut handle = tokio::task::spawn_blocking(move || read_all(&config, &skip, &here));
        match tokio::time::timeout(patience, &mut handle).await {
            Ok(Ok(mut reading)) => {
                reading.filesystem_error = reading.filesystem_error.or_else(|| stuck(&hanging));
                Some(reading)
            }
            Ok(Err(_panicked)) => None,
            Err(_elapsed) => {
                self.stuck.push(Pass { handle, at });
                None
            }
        }
    }
}

fn stuck(mountpoints: &[String]) -> Option<ReadError> {
    (!mountpoints.is_empty()).then(|| ReadError::Stuck { path: mountpoints.join(", ") })
}

fn read_all(config: &HostConfig, skip: &[String], at: &Mutex<Option<String>>) -> SlowReading {
    let mut reading = SlowReading::default();
    let mut source = Source::new();
    for receiver in &config.receivers {
        match receiver {
            HostReceiver::Processes => reading.processes = process_states(),
            HostReceiver::Connections => {
                let mut states = TcpStates::default();
                for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
                    if let Ok(text) = source.read(path) {
                        parse_tcp(text, &mut states);
                    }
                }
                reading.connections = Some(states);
            }
            _ => {}
        }
    }
    // Last, because it may hang.
    if config.receivers.contains(&HostReceiver::Filesystem) {
        match source.read("/proc/self/mountinfo") {
            Ok(text) => {
                let (kinds, mounts) = (&config.filesystem_exclude_types, &config.filesystem_exclude_mounts);
                let mounts = parse_mountinfo(text, &config.root, kinds, mounts);
                for mount in mounts.into_iter().filter(|mount| !skip.contains(&mount.mountpoint)) {
                    *at.lock() = Some(mount.mountpoint.clone());
                    match space(&mount.path) {
                        Ok(space) if space.total > 0 => reading.filesystems.push((mount, space)),
                        // Pseudo filesystems that the configuration does not name.
                        Ok(_) => {}
                        Err(error) => reading.filesystem_error = Some(error),
                    }
                }
                *at.lock() = None;
            }
            Err(error) => reading.filesystem_error = Some(error),
        }
    }
    reading
}

#[cfg(unix)]
fn space(mountpoint: &str) -> Result<Space, ReadError> {
    let stat = rustix::fs::statvfs(mountpoint)
        .map_err(|error| ReadError::Unreadable { path: mountpoint.to_owned(), message: error.to_string() })?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Space {
        total: bytes(stat.f_blocks),
        free: bytes(stat.f_bfree),
        available: bytes(stat.f_bavail),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    })
}

#[cfg(not(unix))]
fn space(mountpoint: &str) -> Result<Space, ReadError> {
    Err(ReadError::Malformed { path: mountpoint.to_owned() })
}

/// The state of every process; one that ends meanwhile is left out.
fn process_states() -> Option<ProcessStates> {
    use std::io::Read;

    let mut states = ProcessStates::default();
    let mut path = String::new();
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) else { continue };
        path.clear();
        path.extend(["/proc/", pid, "/stat"]);
        // The state stands in the first 64 bytes: the name has 16 at most.
        let mut start = [0; 128];
        let Ok(read) = std::fs::File::open(&path).and_then(|mut file| file.read(&mut start)) else { continue };
        states.count(&String::from_utf8_lossy(&start[..read]));
    }
    Some(states)
}
