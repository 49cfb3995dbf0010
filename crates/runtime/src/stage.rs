//! Staged start and shutdown: named stages of named tasks, stopped one after the other in data order.
//!
//! Each stage is a set of tasks, a cancellation token and a deadline. A task that fails or panics is reported and stops
//! the whole program in order; a task that ends well just ends. There is no other way to spawn a task.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The error of a task, as its stage reports it.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// All stages of a program, in the order in which they stop.
#[derive(Debug, Default)]
pub struct Stages {
    stages: Vec<Stage>,
    spawned: Arc<Notify>,
}

/// A set of tasks that stop together. Clones share the set.
#[derive(Clone)]
pub struct Stage {
    name: &'static str,
    deadline: Duration,
    token: CancellationToken,
    tasks: Arc<Mutex<Tasks>>,
    spawned: Arc<Notify>,
}

#[derive(Default)]
struct Tasks {
    set: JoinSet<Result<(), TaskError>>,
    names: BTreeMap<Id, String>,
}

/// What a task may return: nothing, or a result whose error stops the program.
pub trait TaskOutput {
    /// The output as a result.
    fn into_result(self) -> Result<(), TaskError>;
}

/// Why a program stopped, or how it did not stop as it should.
#[derive(Debug, Error)]
pub enum StagesError {
    /// A task returned an error.
    #[error("{stage}: task `{task}` failed: {message}")]
    Failed {
        /// The stage of the task.
        stage: &'static str,
        /// The task.
        task: String,
        /// The error and its causes.
        message: String,
    },
    /// A task panicked.
    #[error("{stage}: task `{task}` panicked: {message}")]
    Panicked {
        /// The stage of the task.
        stage: &'static str,
        /// The task.
        task: String,
        /// The message of the panic.
        message: String,
    },
    /// Tasks had not ended by the deadline of their stage and were aborted.
    #[error("{stage}: not stopped after {deadline:?}: {}", tasks.join(", "))]
    Overdue {
        /// The stage.
        stage: &'static str,
        /// Its deadline.
        deadline: Duration,
        /// The tasks that were aborted.
        tasks: Vec<String>,
    },
}

impl Stages {
    /// A program without stages.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage that stops after those added before it. Once asked to stop, its tasks have until `deadline`.
    pub fn add(&mut self, name: &'static str, deadline: Duration) -> Stage {
        let stage = Stage {
            name,
            deadline,
            token: CancellationToken::new(),
            tasks: Arc::default(),
            spawned: Arc::clone(&self.spawned),
        };
        self.stages.push(stage.clone());
        stage
    }

    /// Runs until `shutdown` is cancelled or a task fails, then stops stage after stage. Returns what went wrong first.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StagesError> {
        let mut first_error = None;
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            error = self.next_failure() => {
                tracing::error!("{error}; stopping in order");
                first_error = Some(error);
                // Other parts of the process that hold the token stop too.
                shutdown.cancel();
            }
        }
        for stage in &self.stages {
            for error in stage.stop().await {
                tracing::error!("{error}");
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Waits for a task of any stage to fail; tasks that end well are forgotten.
    async fn next_failure(&self) -> StagesError {
        loop {
            tokio::select! {
                failure = std::future::poll_fn(|context| {
                    for stage in &self.stages {
                        if let Poll::Ready(failure) = stage.poll_failure(context) {
                            return Poll::Ready(failure);
                        }
                    }
                    Poll::Pending
                }) => return failure,
                // An empty set does not wake its waiter when a task joins: look again.
                () = self.spawned.notified() => {}
            }
        }
    }
}

impl Stage {
    /// Spawns a task. It ends soon after [`Stage::token`] is cancelled.
    pub fn spawn<F>(&self, name: impl Into<String>, task: F)
    where
        F: Future + Send + 'static,
        F::Output: TaskOutput,
    {
        let mut tasks = self.tasks.lock();
        let handle = tasks.set.spawn(async move { task.await.into_result() });
        tasks.names.insert(handle.id(), name.into());
        drop(tasks);
        self.spawned.notify_one();
    }

    /// Spawns blocking work on a thread of its own pool. It must watch [`Stage::token`] itself: it cannot be aborted.
    pub fn spawn_blocking<F, T>(&self, name: impl Into<String>, task: F)
    where
        F: FnOnce() -> T + Send + 'static,
        T: TaskOutput,
    {
        let mut tasks = self.tasks.lock();
        let handle = tasks.set.spawn_blocking(move || task().into_result());
        tasks.names.insert(handle.id(), name.into());
        drop(tasks);
        self.spawned.notify_one();
    }

    /// Cancelled when the tasks of this stage are to end.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The names of the tasks that have not ended, sorted.
    pub fn pending(&self) -> Vec<String> {
        let mut names: Vec<String> = self.tasks.lock().names.values().cloned().collect();
        names.sort_unstable();
        names
    }

    fn poll_failure(&self, context: &mut std::task::Context<'_>) -> Poll<StagesError> {
        let mut tasks = self.tasks.lock();
        while let Poll::Ready(Some(ended)) = tasks.set.poll_join_next_with_id(context) {
            if let Err(error) = self.judge(&mut tasks.names, ended) {
                return Poll::Ready(error);
            }
        }
        Poll::Pending
    }

    /// Asks the tasks to end, waits for them and aborts what is left at the deadline.
    async fn stop(&self) -> Vec<StagesError> {
        tracing::debug!(stage = self.name, "stopping");
        self.token.cancel();
        let mut errors = Vec::new();
        if tokio::time::timeout(self.deadline, self.drain(&mut errors)).await.is_ok() {
            return errors;
        }
        errors.push(StagesError::Overdue { stage: self.name, deadline: self.deadline, tasks: self.pending() });
        self.tasks.lock().set.abort_all();
        errors
    }

    async fn drain(&self, errors: &mut Vec<StagesError>) {
        std::future::poll_fn(|context| {
            let mut tasks = self.tasks.lock();
            loop {
                match tasks.set.poll_join_next_with_id(context) {
                    Poll::Ready(Some(ended)) => errors.extend(self.judge(&mut tasks.names, ended).err()),
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }

    fn judge(
        &self,
        names: &mut BTreeMap<Id, String>,
        ended: Result<(Id, Result<(), TaskError>), JoinError>,
    ) -> Result<(), StagesError> {
        let stage = self.name;
        match ended {
            Ok((id, result)) => {
                let task = names.remove(&id).unwrap_or_default();
                result.map_err(|error| StagesError::Failed { stage, task, message: with_causes(error.as_ref()) })
            }
            Err(error) => {
                let task = names.remove(&error.id()).unwrap_or_default();
                match error.try_into_panic() {
                    Ok(panic) => Err(StagesError::Panicked { stage, task, message: panic_message(panic.as_ref()) }),
                    Err(_cancelled) => Ok(()),
                }
            }
        }
    }
}

/// An error and what caused it, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

impl TaskOutput for () {
    fn into_result(self) -> Result<(), TaskError> {
        Ok(())
    }
}

impl<E: Into<TaskError>> TaskOutput for Result<(), E> {
    fn into_result(self) -> Result<(), TaskError> {
        self.map_err(Into::into)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("name", &self.name).field("pending", &self.pending()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long enough that only a hang reaches it.
    const PATIENCE: Duration = Duration::from_secs(30);

    type Events = Arc<Mutex<Vec<&'static str>>>;

    fn note_at_stop(stage: &Stage, events: &Events, what: &'static str) {
        let (token, events) = (stage.token(), Arc::clone(events));
        stage.spawn(what, async move {
            token.cancelled().await;
            tokio::task::yield_now().await;
            events.lock().push(what);
        });
    }

    #[tokio::test]
    async fn stages_stop_in_order() {
        let (mut stages, events) = (Stages::new(), Events::default());
        let servers = stages.add("servers", PATIENCE);
        let storage = stages.add("storage", PATIENCE);
        note_at_stop(&storage, &events, "store");
        note_at_stop(&servers, &events, "grpc");
        note_at_stop(&servers, &events, "http");
        servers.spawn("start-up", async {});
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        stages.run(shutdown).await.unwrap();
        let events = events.lock();
        assert!(events.len() == 3 && events[2] == "store", "{events:?}");
    }

    #[tokio::test]
    async fn a_failing_task_stops_the_program_in_order() {
        for panics in [false, true] {
            let (mut stages, events) = (Stages::new(), Events::default());
            let servers = stages.add("servers", PATIENCE);
            let storage = stages.add("storage", PATIENCE);
            note_at_stop(&storage, &events, "store");
            note_at_stop(&servers, &events, "grpc");
            let shutdown = CancellationToken::new();
            let late = servers.clone();
            // Spawned while the program runs, to prove that late tasks are watched too.
            servers.spawn("parent", async move {
                late.spawn("broken", async move {
                    assert!(!panics, "at the {}", "seams");
                    Err::<(), _>(std::io::Error::other("no space"))
                });
            });
            let error = stages.run(shutdown.clone()).await.unwrap_err().to_string();
            let expected = if panics {
                "servers: task `broken` panicked: at the seams"
            } else {
                "servers: task `broken` failed: no space"
            };
            assert_eq!(error, expected);
            assert!(shutdown.is_cancelled());
            assert_eq!(*events.lock(), ["grpc", "store"]);
        }
    }

    #[tokio::test]
    async fn a_task_beyond_its_deadline_is_named_and_aborted() {
        let (mut stages, events) = (Stages::new(), Events::default());
        let servers = stages.add("servers", Duration::from_millis(10));
        let storage = stages.add("storage", PATIENCE);
        servers.spawn("stuck", std::future::pending::<()>());
        note_at_stop(&storage, &events, "store");
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let error = stages.run(shutdown).await.unwrap_err();
        assert!(matches!(&error, StagesError::Overdue { tasks, .. } if *tasks == ["stuck"]), "{error}");
        assert_eq!(*events.lock(), ["store"]);
    }

    #[tokio::test]
    async fn blocking_work_is_waited_for() {
        let mut stages = Stages::new();
        let storage = stages.add("storage", PATIENCE);
        let done = Arc::new(Mutex::new(false));
        let (flag, token) = (Arc::clone(&done), storage.token());
        storage.spawn_blocking("flush", move || {
            while !token.is_cancelled() {
                std::thread::yield_now();
            }
            *flag.lock() = true;
        });
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        stages.run(shutdown).await.unwrap();
        assert!(*done.lock());
    }
}
