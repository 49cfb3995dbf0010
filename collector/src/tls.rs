//! The certificate of the collector's listeners, and what is counted of their handshakes.

use std::sync::Arc;

use sonde_otlp::ServeOptions;
use sonde_tls::{HandshakeStats, Refreshed, ServerTls, TlsError};

use crate::config::TlsConfig;

/// The names of the listeners, as metrics and logs call them.
pub(crate) const LISTENERS: [&str; 3] = ["http", "otlp-grpc", "otlp-http"];

/// TLS of all listeners.
#[derive(Debug)]
pub(crate) struct Tls {
    certificates: Arc<ServerTls>,
    handshakes: [Arc<HandshakeStats>; LISTENERS.len()],
}

impl Tls {
    /// Reads what the configuration names; nothing where TLS is off.
    pub(crate) fn load(config: &TlsConfig, now_ms: i64) -> Result<Option<Self>, TlsError> {
        let Some(options) = config.options() else { return Ok(None) };
        let (certificates, warnings) = ServerTls::load(options, now_ms.div_euclid(1_000))?;
        warn(&warnings);
        Ok(Some(Tls { certificates: Arc::new(certificates), handshakes: Default::default() }))
    }

    /// The configuration that is served.
    pub(crate) fn certificates(&self) -> &Arc<ServerTls> {
        &self.certificates
    }

    /// What is counted of each listener.
    pub(crate) fn handshakes(&self) -> impl Iterator<Item = (&'static str, &Arc<HandshakeStats>)> {
        LISTENERS.into_iter().zip(&self.handshakes)
    }

    /// How the listener of this name is served.
    pub(crate) fn serve_options(&self, listener: &str) -> ServeOptions {
        let handshakes = self.handshakes().find(|(name, _)| *name == listener).map(|(_, stats)| Arc::clone(stats));
        ServeOptions {
            tls: Some(Arc::clone(&self.certificates)),
            handshakes: handshakes.unwrap_or_default(),
            ..ServeOptions::default()
        }
    }

    /// Reads what the configuration names now. Where it is no good, the old stays in force.
    pub(crate) fn reload(&self, config: &TlsConfig, now_ms: i64) -> Result<(), TlsError> {
        let Some(options) = config.options() else { return Ok(()) };
        if let Refreshed::Replaced { warnings } = self.certificates.replace(options, now_ms.div_euclid(1_000))? {
            warn(&warnings);
            tracing::info!("the certificates changed: connections from now on use the new ones");
        }
        Ok(())
    }
}

fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
}
