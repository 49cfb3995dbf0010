//! Layers for those requests only that ask for what they do, by a header or with `OPTIONS`: the others are spared the way
//! through them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use http::{HeaderName, Method};
use tower::{Layer, Service};

/// A layer for the requests that have a header, and for those that ask what there is.
#[derive(Clone, Debug)]
pub(crate) struct WhereAsked<L> {
    header: HeaderName,
    layer: L,
}

impl<L> WhereAsked<L> {
    /// The requests that have `header`, and those of the method `OPTIONS`, go through `layer`.
    pub(crate) fn by(header: HeaderName, layer: L) -> Self {
        WhereAsked { header, layer }
    }
}

/// Both ways to what is served. Whoever routes requests clones the way of each: that is one pointer here.
#[derive(Debug)]
pub(crate) struct Ways<S>(Arc<(HeaderName, S, Route)>);

impl<S> Clone for Ways<S> {
    fn clone(&self) -> Self {
        Ways(Arc::clone(&self.0))
    }
}

impl<L: Layer<Route>> Layer<Route> for WhereAsked<L> {
    type Service = Ways<L::Service>;

    fn layer(&self, inner: Route) -> Self::Service {
        Ways(Arc::new((self.header.clone(), self.layer.layer(inner.clone()), inner)))
    }
}

impl<S> Service<Request> for Ways<S>
where
    S: Service<Request, Response: IntoResponse, Error = Infallible, Future: Send + 'static> + Clone,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready, and so are the layers that they can have.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (header, with, without) = &*self.0;
        if request.headers().contains_key(header) || request.method() == Method::OPTIONS {
            let answer = with.clone().call(request);
            Box::pin(async { answer.await.map(IntoResponse::into_response) })
        } else {
            Box::pin(without.clone().call(request))
        }
    }
}
