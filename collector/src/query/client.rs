//! Who asks a query, as far as fairness needs to know.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use sonde_otlp::Peer;

use crate::auth::{Principal, Who};

/// Who asks: whom a token or a certificate proves, else an address. Clients without either are one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Client(pub(crate) Arc<str>);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let proven = parts.extensions.get::<Principal>().filter(|principal| !matches!(principal.who, Who::Anyone));
        let address = || parts.extensions.get::<Peer>().map(|peer| peer.address.ip().to_string());
        Ok(Client(proven.map(ToString::to_string).or_else(address).unwrap_or_default().into()))
    }
}
