//! The line in which queries wait for a place: client by client, so that one who asks much does not keep the others waiting.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::client::Client;

/// Places, and those who wait for one.
#[derive(Debug)]
pub(crate) struct Line {
    places: usize,
    /// How many may wait.
    length: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    /// The clients that wait: the first one is next.
    clients: VecDeque<Client>,
    by_client: HashMap<Client, VecDeque<oneshot::Sender<Place>>, foldhash::fast::RandomState>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    line: Option<Arc<Line>>,
}

/// What came of asking for a place.
#[derive(Debug)]
pub(crate) enum Standing {
    /// There was one.
    Place(Place),
    /// It will come; an error means that somebody who waits for less had to be let in instead.
    Waiting(oneshot::Receiver<Place>),
    /// Too many wait.
    Full,
}

impl Line {
    /// A line in front of so many places, in which so many may wait.
    pub(crate) fn new(places: usize, length: usize) -> Arc<Self> {
        let (clients, by_client) = (VecDeque::new(), HashMap::default());
        let state = Mutex::new(State { free: places, waiting: 0, clients, by_client });
        Arc::new(Line { places, length, state })
    }

    /// Asks for a place.
    pub(crate) fn enter(self: &Arc<Self>, client: &Client) -> Standing {
        let mut state = self.state.lock();
        if state.free > 0 {
            state.free -= 1;
            return Standing::Place(Place { line: Some(Arc::clone(self)) });
        }
        state.forget_gone(client);
        if state.waiting >= self.length {
            state.forget_all_gone();
            if state.waiting >= self.length && !state.make_room(client) {
                return Standing::Full;
            }
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting += 1;
        let queue = state.by_client.entry(client.clone()).or_default();
        queue.push_back(sender);
        if queue.len() == 1 {
            state.clients.push_back(client.clone());
        }
        Standing::Waiting(receiver)
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.places - self.state.lock().free
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.by_client.values().flatten().filter(|sender| !sender.is_closed()).count()
    }

    /// Gives a place that became free to who is next.
    fn pass_on(self: Arc<Self>) {
        loop {
            let next = {
                let mut state = self.state.lock();
                let next = state.next();
                state.free += usize::from(next.is_none());
                next
            };
            let Some(next) = next else { return };
            match next.send(Place { line: Some(Arc::clone(&self)) }) {
                Ok(()) => return,
                // Who waited has left; the place is still to be given away.
                Err(mut place) => place.line = None,
            }
        }
    }
}

impl State {
    /// The first of the client whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let client = self.clients.pop_front()?;
        let queue = self.by_client.get_mut(&client)?;
        let next = queue.pop_front();
        if queue.is_empty() {
            self.by_client.remove(&client);
        } else {
            self.clients.push_back(client);
        }
        self.waiting -= usize::from(next.is_some());
        next
    }

    /// Sends away the last of the client that has most waiting, if that is more than `client` would have.
    fn make_room(&mut self, client: &Client) -> bool {
        let own = self.by_client.get(client).map_or(0, VecDeque::len);
        let Some((largest, queue)) = self.by_client.iter_mut().max_by_key(|(_, queue)| queue.len()) else {
            return false;
        };
        if queue.len() <= own + 1 {
            return false;
        }
        queue.pop_back();
        self.waiting -= 1;
        debug_assert!(!queue.is_empty(), "BUG: {largest:?} had more than one");
        true
    }

    /// Takes all out of the line that have left.
    fn forget_all_gone(&mut self) {
        self.clients.clone().iter().for_each(|client| self.forget_gone(client));
    }

    /// Takes those of a client out of the line that have left.
    fn forget_gone(&mut self, client: &Client) {
        let Some(queue) = self.by_client.get_mut(client) else { return };
        let before = queue.len();
        queue.retain(|sender| !sender.is_closed());
        self.waiting -= before - queue.len();
        if queue.is_empty() {
            self.by_client.remove(client);
            self.clients.retain(|other| other != client);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            line.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> Client {
        Client(name.into())
    }

    fn wait(line: &Arc<Line>, name: &str) -> oneshot::Receiver<Place> {
        match line.enter(&client(name)) {
            Standing::Waiting(receiver) => receiver,
            other => panic!("{name} should wait: {other:?}"),
        }
    }

    #[test]
    fn clients_take_turns() {
        let line = Line::new(1, 10);
        let Standing::Place(place) = line.enter(&client("a")) else { panic!("it is free") };
        let mut waiting: Vec<(String, oneshot::Receiver<Place>)> =
            ["a1", "a2", "a3", "b1", "c1"].iter().map(|who| ((*who).to_owned(), wait(&line, &who[..1]))).collect();
        assert_eq!((line.taken(), line.waiting()), (1, 5));
        let mut order = Vec::new();
        let mut place = Some(place);
        while !waiting.is_empty() {
            drop(place.take());
            let next = waiting.iter_mut().position(|(_, receiver)| match receiver.try_recv() {
                Ok(given) => {
                    place = Some(given);
                    true
                }
                Err(_) => false,
            });
            order.push(waiting.remove(next.expect("somebody is next")).0);
        }
        assert_eq!(order, ["a1", "b1", "c1", "a2", "a3"]);
        drop(place);
        assert_eq!((line.taken(), line.waiting()), (0, 0));
    }

    #[test]
    fn who_leaves_is_passed_over() {
        let line = Line::new(1, 10);
        let Standing::Place(place) = line.enter(&client("a")) else { panic!("it is free") };
        drop(wait(&line, "a"));
        drop(wait(&line, "b"));
        let mut last = wait(&line, "b");
        assert_eq!(line.waiting(), 1);
        drop(place);
        drop(last.try_recv().expect("a place"));
        assert_eq!((line.taken(), line.waiting()), (0, 0));
        assert!(matches!(line.enter(&client("c")), Standing::Place(_)));
    }

    #[test]
    fn a_full_line_makes_room_for_who_waits_for_less() {
        let line = Line::new(1, 3);
        let Standing::Place(_place) = line.enter(&client("a")) else { panic!("it is free") };
        let mut of_a: Vec<_> = (0..3).map(|_| wait(&line, "a")).collect();
        assert!(matches!(line.enter(&client("a")), Standing::Full));
        let _of_b = wait(&line, "b");
        assert!(matches!(of_a[2].try_recv(), Err(oneshot::error::TryRecvError::Closed)), "the last one was sent away");
        assert!(matches!(of_a[1].try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        // Now a waits for two and b for one.
        assert!(matches!(line.enter(&client("b")), Standing::Full));
        drop(of_a.pop());
        drop(of_a.pop());
        assert!(matches!(line.enter(&client("a")), Standing::Waiting(_)), "those who left make room, too");
    }

    #[test]
    fn those_who_left_make_room_before_anybody_is_sent_away() {
        let line = Line::new(1, 3);
        let Standing::Place(_place) = line.enter(&client("a")) else { panic!("it is free") };
        drop((0..3).map(|_| wait(&line, "a")).collect::<Vec<_>>());
        let _of_c = wait(&line, "c");
        let mut of_b: Vec<_> = (0..2).map(|_| wait(&line, "b")).collect();
        let gone = of_b.remove(0);
        drop(gone);
        let _of_d = wait(&line, "d");
        assert!(matches!(of_b[0].try_recv(), Err(oneshot::error::TryRecvError::Empty)), "there was room without it");
    }
}
