//! The queue of an agent.

use std::path::Path;
use std::sync::Arc;

use sonde_agent::payload::Encoded;
use sonde_agent::queue::{Queues, Source};
use sonde_disk::MemFs;
use sonde_fuzz::{DIR, QUEUE_OPTIONS};

use crate::{Corpus, records};

/// The records of a few batches, small ones as they are and larger ones compressed.
pub(crate) fn write(corpus: &Corpus) {
    let fs = MemFs::new();
    let (queues, _) = Queues::open(Arc::new(fs.clone()), Path::new(DIR), &QUEUE_OPTIONS).expect("it is new");
    for (i, source) in Source::ALL.into_iter().enumerate() {
        let batch = Encoded { body: vec![0x0a; 10 + i * 300], items: i as u64 };
        queues.metrics.append(source, &batch, i as i64, |_| {}).expect("there is room");
    }
    queues.close();
    corpus.put("agent_queue", &records(&fs, &Path::new(DIR).join("queue")));
}
