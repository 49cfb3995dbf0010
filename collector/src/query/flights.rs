//! Questions that are being answered: who asks the same meanwhile waits for that answer.
//!
//! Nobody is given an answer that was begun before something changed that it would have seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use sonde_tsdb::Mark;
use tokio::sync::watch;

/// The questions that are being answered.
#[derive(Debug)]
pub(crate) struct Flights<A> {
    running: Arc<Mutex<Running<A>>>,
    joined: AtomicU64,
}

type Running<A> = HashMap<String, Flight<A>, foldhash::fast::RandomState>;

#[derive(Debug)]
struct Flight<A> {
    /// How far the store had changed when the answer was begun.
    mark: Mark,
    answer: watch::Receiver<Option<A>>,
}

/// What to do with a question.
pub(crate) enum Role<A> {
    /// Nobody answers it yet: the caller does, and says so.
    Lead(Lead<A>),
    /// Somebody does: the caller waits.
    Follow(Follow<A>),
}

/// The duty to answer. Without an answer, the followers are on their own again.
pub(crate) struct Lead<A> {
    question: String,
    running: Arc<Mutex<Running<A>>>,
    sender: watch::Sender<Option<A>>,
}

/// The hope for an answer.
pub(crate) struct Follow<A>(watch::Receiver<Option<A>>);

impl<A: Clone> Flights<A> {
    /// No questions yet.
    pub(crate) fn new() -> Self {
        Flights { running: Arc::default(), joined: AtomicU64::new(0) }
    }

    /// Takes part in the answer to `question`, if one is under way for which `still_holds` says yes.
    pub(crate) fn join(&self, question: &str, mark: Mark, still_holds: impl FnOnce(Mark) -> bool) -> Role<A> {
        let mut running = self.running.lock();
        if let Some(flight) = running.get(question)
            && flight.answer.has_changed().is_ok()
            && still_holds(flight.mark)
        {
            self.joined.fetch_add(1, Relaxed);
            return Role::Follow(Follow(flight.answer.clone()));
        }
        let (sender, answer) = watch::channel(None);
        running.insert(question.to_owned(), Flight { mark, answer });
        Role::Lead(Lead { question: question.to_owned(), running: Arc::clone(&self.running), sender })
    }

    /// How many took part in an answer that somebody else had asked for.
    pub(crate) fn joined(&self) -> u64 {
        self.joined.load(Relaxed)
    }
}

impl<A> Lead<A> {
    /// Gives the answer to all who wait for it.
    pub(crate) fn answer(self, answer: A) {
        self.sender.send_replace(Some(answer));
    }
}

impl<A> Drop for Lead<A> {
    fn drop(&mut self) {
        let mut running = self.running.lock();
        // Somebody else may have begun anew after a change.
        if running.get(&self.question).is_some_and(|flight| flight.answer.same_channel(&self.sender.subscribe())) {
            running.remove(&self.question);
        }
    }
}

impl<A: Clone> Follow<A> {
    /// The answer; `None` where whoever worked on it has given up.
    pub(crate) async fn wait(mut self) -> Option<A> {
        match self.0.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone(),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use sonde_disk::MemFs;
    use sonde_tsdb::{Db, Options};

    use super::*;

    fn mark() -> Mark {
        let fs = Arc::new(MemFs::default());
        let (db, _) = Db::open(fs, std::path::Path::new("/data"), Options::default(), 0).expect("an empty store");
        db.mark()
    }

    #[tokio::test]
    async fn who_asks_the_same_waits_for_the_answer() {
        let (flights, mark) = (Flights::new(), mark());
        let Role::Lead(lead) = flights.join("a", mark, |_| true) else { panic!("nobody else asks") };
        let Role::Follow(follow) = flights.join("a", mark, |_| true) else { panic!("it is asked already") };
        assert!(matches!(flights.join("b", mark, |_| true), Role::Lead(_)));
        lead.answer(7);
        assert_eq!((follow.wait().await, flights.joined()), (Some(7), 1));
        assert!(matches!(flights.join("a", mark, |_| true), Role::Lead(_)), "what is answered is asked anew");
        assert!(flights.running.lock().is_empty());
    }

    #[tokio::test]
    async fn a_leader_that_leaves_or_is_outdated_is_followed_by_another() {
        let (flights, mark) = (Flights::<u8>::new(), mark());
        let Role::Lead(lead) = flights.join("a", mark, |_| true) else { panic!("nobody else asks") };
        let Role::Follow(follow) = flights.join("a", mark, |_| true) else { panic!("it is asked already") };
        let Role::Lead(newer) = flights.join("a", mark, |_| false) else { panic!("what was begun is outdated") };
        drop(lead);
        assert_eq!(follow.wait().await, None);
        let Role::Follow(follow) = flights.join("a", mark, |_| true) else { panic!("the newer one is under way") };
        newer.answer(3);
        assert_eq!(follow.wait().await, Some(3));
        assert!(flights.running.lock().is_empty());
    }
}
