//! OTLP from local applications: what comes in goes to the queue of its signal, and is acknowledged when it is on disk.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use sonde_model::Signal;
use sonde_otlp::{Accepted, Consumer, Export, Refused};
use sonde_proto::otlp::common::KeyValue;
use sonde_proto::otlp::resource::Resource;
use sonde_proto::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest, Message};
use sonde_runtime::Clock;
use tokio::sync::oneshot;

use crate::origin::Origin;
use crate::payload::{Encoded, attribute};
use crate::queue::{AppendError, Queue, Queues, Source};

/// When a client that was pushed back because the queue is full may come again: an outage is not over in a moment.
const RETRY_WHEN_FULL: Duration = Duration::from_secs(10);
/// When a client may come again because the disk was busy.
const RETRY_WHEN_BUSY: Duration = Duration::from_secs(1);

/// Puts what local applications send into the queue of its signal.
#[derive(Debug)]
pub struct LocalOtlp {
    queues: Queues,
    clock: Clock,
    /// Attributes that are added to resources that do not have them.
    added: Vec<KeyValue>,
}

impl LocalOtlp {
    /// A consumer that fills `queues`; with `add_host`, resources learn on which host they are.
    pub fn new(queues: Queues, clock: Clock, origin: &Origin, add_host: bool) -> Self {
        let keys: &[&str] = if add_host { &["host.name", "host.id"] } else { &[] };
        let added = keys.iter().filter_map(|key| Some(attribute(key, origin.attribute(key)?))).collect();
        LocalOtlp { queues, clock, added }
    }

    fn enrich(&self, signal: Signal, body: &Bytes) -> Result<Vec<u8>, Refused> {
        if self.added.is_empty() {
            return Ok(body.to_vec());
        }
        match signal {
            Signal::Metrics => {
                let mut request: ExportMetricsServiceRequest = decode(body)?;
                request.resource_metrics.iter_mut().for_each(|metrics| self.add(&mut metrics.resource));
                Ok(request.encode_to_vec())
            }
            Signal::Traces => {
                let mut request: ExportTraceServiceRequest = decode(body)?;
                request.resource_spans.iter_mut().for_each(|spans| self.add(&mut spans.resource));
                Ok(request.encode_to_vec())
            }
        }
    }

    fn add(&self, resource: &mut Option<Resource>) {
        let resource = resource.get_or_insert_with(Resource::default);
        for added in &self.added {
            if !resource.attributes.iter().any(|known| known.key == added.key) {
                resource.attributes.push(added.clone());
            }
        }
    }
}

impl Consumer for LocalOtlp {
    async fn consume(&self, export: Export) -> Result<Accepted, Refused> {
        let queue = self.queues.of(export.signal);
        let batch = Encoded { body: self.enrich(export.signal, &export.body)?, items: export.items };
        let (sender, durable) = oneshot::channel();
        let on_durable = move |result| {
            // A client that went away does not wait any more; its batch stays.
            let _ = sender.send(result);
        };
        let appended = queue.append(Source::Otlp, &batch, self.clock.now_ms(), on_durable);
        appended.map_err(|error| refuse(queue, &error))?;
        match durable.await {
            Ok(Ok(())) => Ok(Accepted::default()),
            Ok(Err(error)) => Err(refuse(queue, &error)),
            Err(_closed) => Err(Refused::Unavailable("the agent is stopping".to_owned())),
        }
    }
}

fn decode<M: Message + Default>(body: &Bytes) -> Result<M, Refused> {
    M::decode(body.clone()).map_err(|error| Refused::Invalid(format!("the request cannot be decoded: {error}")))
}

fn refuse(queue: &Queue, error: &AppendError) -> Refused {
    queue.stats().pushed_back.fetch_add(1, Relaxed);
    let reason = sonde_runtime::stage::with_causes(error);
    match error {
        AppendError::Full { .. } | AppendError::DiskSpace { .. } => {
            Refused::Busy { retry_after: RETRY_WHEN_FULL, reason }
        }
        AppendError::Busy => Refused::Busy { retry_after: RETRY_WHEN_BUSY, reason },
        AppendError::TooLarge { limit, .. } => {
            Refused::TooLarge(format!("the request has more than {limit} bytes: send smaller requests"))
        }
        AppendError::Disk(_) => Refused::Unavailable(reason),
    }
}
