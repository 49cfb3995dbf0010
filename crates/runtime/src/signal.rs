//! Signals of the operating system: Ctrl-C and SIGTERM ask for an orderly stop, SIGHUP for a reload.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Asks for reloads and hears of them. Clones share the same channel; a request that nobody has taken yet is not lost.
#[derive(Clone, Debug)]
pub struct Reload {
    requests: Arc<watch::Sender<u64>>,
}

/// One listener to reload requests.
#[derive(Debug)]
pub struct ReloadRequests(watch::Receiver<u64>);

impl Default for Reload {
    fn default() -> Self {
        Reload { requests: Arc::new(watch::Sender::new(0)) }
    }
}

impl Reload {
    /// A channel without requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a reload.
    pub fn request(&self) {
        self.requests.send_modify(|count| *count += 1);
    }

    /// Listens to the requests from now on.
    pub fn subscribe(&self) -> ReloadRequests {
        ReloadRequests(self.requests.subscribe())
    }
}

impl ReloadRequests {
    /// Waits for the next request; several that came meanwhile count as one. `false` if there can be no more.
    pub async fn next(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

/// Installs the handlers of the process, within a tokio runtime, for as long as it lives. The first Ctrl-C or SIGTERM
/// cancels `shutdown`; a second one ends the process at once, for the case that the orderly stop hangs.
///
/// Only a binary calls this, once.
#[expect(clippy::disallowed_methods, reason = "signals are heard until the process ends, beyond every stage")]
pub fn install(shutdown: CancellationToken, reload: Reload) -> std::io::Result<()> {
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        loop {
            match signals.next().await {
                Heard::Reload => {
                    tracing::info!("SIGHUP received: reloading");
                    reload.request();
                }
                Heard::Stop(name) if shutdown.is_cancelled() => {
                    tracing::warn!("{name} received again: ending at once");
                    std::process::exit(130);
                }
                Heard::Stop(name) => {
                    tracing::info!("{name} received: stopping in order; once more ends at once");
                    shutdown.cancel();
                }
            }
        }
    });
    Ok(())
}

enum Heard {
    Stop(&'static str),
    Reload,
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => Heard::Stop("Ctrl-C"),
            _ = self.terminate.recv() => Heard::Stop("SIGTERM"),
            _ = self.hangup.recv() => Heard::Reload,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Heard {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Heard::Stop("Ctrl-C"),
            // Without a console there is nothing to hear.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_are_heard_once() {
        let reload = Reload::new();
        let mut requests = reload.subscribe();
        reload.request();
        reload.request();
        assert!(requests.next().await);
        drop(reload);
        assert!(!requests.next().await);
    }

    #[tokio::test]
    async fn sighup_reloads_and_sigterm_stops() {
        let (shutdown, reload) = (CancellationToken::new(), Reload::new());
        let mut requests = reload.subscribe();
        install(shutdown.clone(), reload).unwrap();
        let send = |signal: &str| {
            let pid = std::process::id().to_string();
            assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        };
        send("-HUP");
        assert!(requests.next().await);
        assert!(!shutdown.is_cancelled());
        send("-TERM");
        shutdown.cancelled().await;
    }
}
