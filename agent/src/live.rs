//! The part of the configuration that may change while the agent runs: what is measured and what is scraped.

use std::path::PathBuf;

use sonde_runtime::signal::ReloadRequests;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, HostConfig, ScrapeConfig};

/// Hands changes of the configuration to the tasks that follow them.
#[derive(Debug)]
pub struct Live {
    /// What the file said last; flags may have overruled it.
    file: Config,
    host: watch::Sender<HostConfig>,
    scrape: watch::Sender<Vec<ScrapeConfig>>,
}

impl Live {
    /// Begins with `config`.
    pub fn new(config: Config) -> Self {
        let host = watch::Sender::new(config.host.clone());
        let scrape = watch::Sender::new(config.scrape.clone());
        Live { file: config, host, scrape }
    }

    /// What is measured of the host.
    pub fn host(&self) -> watch::Receiver<HostConfig> {
        self.host.subscribe()
    }

    /// What is scraped.
    pub fn scrape(&self) -> watch::Receiver<Vec<ScrapeConfig>> {
        self.scrape.subscribe()
    }

    /// Reads the file at each request and hands on what changed. A file that is no good changes nothing.
    pub async fn follow(mut self, reload: Option<(PathBuf, ReloadRequests)>, stop: CancellationToken) {
        let Some((path, mut requests)) = reload else {
            // The senders must live as long as the tasks that listen.
            return stop.cancelled().await;
        };
        // Flags may have overruled the file: what counts is how the file differs from itself.
        if let Ok(file) = Config::load(&path) {
            self.file = Config { host: self.file.host, scrape: self.file.scrape, ..file };
        }
        loop {
            tokio::select! {
                requested = requests.next() => if !requested { return stop.cancelled().await },
                () = stop.cancelled() => return,
            }
            match Config::load(&path) {
                Ok(config) => self.change(config),
                Err(error) => {
                    let error = sonde_runtime::stage::with_causes(&error);
                    tracing::error!("the configuration stays as it is: {error}");
                }
            }
        }
    }

    /// Hands on what differs from what is in force.
    pub fn change(&mut self, config: Config) {
        if config.host != self.file.host {
            self.host.send_replace(config.host.clone());
        }
        if config.scrape != self.file.scrape {
            self.scrape.send_replace(config.scrape.clone());
        }
        let Config { host, scrape, .. } = config.clone();
        let needs_restart = Config { host, scrape, ..self.file.clone() } != config;
        if needs_restart {
            tracing::warn!("configuration reloaded; only changes of `host` and `scrape` take effect without a restart");
        } else {
            tracing::info!("configuration reloaded");
        }
        self.file = config;
    }
}

#[cfg(test)]
mod tests {
    use sonde_runtime::config::Duration;

    use super::*;

    #[test]
    fn only_what_changed_is_handed_on() {
        let mut live = Live::new(Config::default());
        let (mut host, mut scrape) = (live.host(), live.scrape());
        let mut config = Config::default();
        config.host.interval = Duration::from_secs(1);
        config.collector.endpoint = "http://elsewhere:4317".to_owned();
        live.change(config);
        assert!(host.has_changed().unwrap() && !scrape.has_changed().unwrap());
        assert_eq!(host.borrow_and_update().interval, Duration::from_secs(1));
        scrape.mark_unchanged();
        live.change(Config::default());
        assert!(host.has_changed().unwrap());
    }
}
