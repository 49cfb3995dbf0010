//! The task that looks whether certificates changed.

use std::sync::Arc;
use std::time::Duration;

use sonde_runtime::{Clock, stage};
use sonde_tls::{Refreshed, Reloading, Source};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Looks at the files every few seconds until `stop` is cancelled, and tells the log what changed. `what` names the certificates.
pub async fn follow<S>(what: &'static str, certificates: Arc<Reloading<S>>, clock: Clock, stop: CancellationToken)
where
    S: Source + Send + Sync + 'static,
{
    loop {
        tokio::select! {
            () = clock.sleep(LOOK_INTERVAL) => {}
            () = stop.cancelled() => return,
        }
        let (certificates, now_s) = (Arc::clone(&certificates), clock.now_ms().div_euclid(1_000));
        let looked = tokio::task::spawn_blocking(move || certificates.refresh(now_s)).await;
        match looked {
            Ok(Ok(Refreshed::Unchanged)) | Err(_) => {}
            Ok(Ok(Refreshed::Replaced { warnings })) => {
                tracing::info!("{what}: changed; connections from now on use the new ones");
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            Ok(Err(error)) => tracing::error!("{what}: the old ones stay in force: {}", stage::with_causes(&error)),
        }
    }
}
