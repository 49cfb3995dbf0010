//! Bodies that are made while they are sent: the work that makes them runs on a query's thread and holds a few pieces at most.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use tokio::sync::mpsc;

use crate::query::Expired;

/// Pieces that wait for the client.
const PIECES: usize = 2;
/// How often work that waits for its client asks whether it should go on.
const ASK: Duration = Duration::from_millis(100);

/// Where work puts the pieces of a body, and where they come out.
pub(super) fn pieces<E>() -> (PieceSender<E>, PieceReceiver<E>) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (PieceSender { sender, runtime: tokio::runtime::Handle::current() }, receiver)
}

/// Takes the pieces of a body. Used outside of the threads of the runtime.
#[derive(Debug)]
pub(super) struct PieceSender<E> {
    sender: mpsc::Sender<Result<Bytes, E>>,
    runtime: tokio::runtime::Handle,
}

/// Gives the pieces of a body, or why there are no more.
pub(super) type PieceReceiver<E> = mpsc::Receiver<Result<Bytes, E>>;

/// Nobody waits for the rest of the body, or its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abandoned;

impl<E> PieceSender<E> {
    /// Waits until there is room, and hands a piece over.
    pub(super) fn send(&self, piece: Result<Bytes, E>, expired: Expired<'_>) -> Result<(), Abandoned> {
        loop {
            let room = async { tokio::time::timeout(ASK, self.sender.reserve()).await };
            match self.runtime.block_on(room) {
                Ok(Ok(room)) => {
                    room.send(piece);
                    return Ok(());
                }
                Ok(Err(_)) => return Err(Abandoned),
                Err(_) if expired().is_some() => return Err(Abandoned),
                Err(_) => {}
            }
        }
    }
}

/// A body of pieces. The work is dropped with it, and so knows that nobody waits; where it fails, the body ends in an error.
pub(super) struct Streamed<E, W> {
    first: Option<Bytes>,
    pieces: PieceReceiver<E>,
    work: Option<Pin<Box<W>>>,
}

impl<E, W> Streamed<E, W>
where
    E: std::error::Error + Send + Sync + 'static,
    W: Future<Output = Result<(), E>> + Send + 'static,
{
    /// A body that begins with a piece that has come.
    pub(super) fn body(first: Bytes, pieces: PieceReceiver<E>, work: Option<Pin<Box<W>>>) -> Body {
        Body::new(Streamed { first: Some(first), pieces, work })
    }
}

impl<E, W: Future<Output = Result<(), E>>> HttpBody for Streamed<E, W> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let this = self.get_mut();
        if let Some(work) = &mut this.work
            && let Poll::Ready(ended) = work.as_mut().poll(context)
        {
            this.work = None;
            if let Err(error) = ended {
                return Poll::Ready(Some(Err(error)));
            }
        }
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match this.pieces.poll_recv(context) {
            // Whether it has failed is known once it has ended.
            Poll::Ready(None) if this.work.is_some() => Poll::Pending,
            polled => polled.map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }
}
