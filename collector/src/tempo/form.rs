//! The parameters of a request, with Tempo's errors.

use axum::extract::{FromRequest, Request};

use super::answer::TempoError;
use crate::api::form::Form;

/// The parameters of a request; what cannot be read is told as Tempo tells it, in plain text.
#[derive(Debug)]
pub(super) struct TempoForm(pub(super) Form);

impl<S: Send + Sync> FromRequest<S> for TempoForm {
    type Rejection = TempoError;

    async fn from_request(request: Request, state: &S) -> Result<Self, TempoError> {
        Form::from_request(request, state).await.map(TempoForm).map_err(|error| TempoError::bad(error.message))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error_of_tempo() {
        let request = Request::builder().uri("/api/search?q=%zz").body(Body::empty()).expect("a request");
        let error = TempoForm::from_request(request, &()).await.map(drop);
        assert_eq!(error, Err(TempoError::bad("invalid URL escape in the parameters")));
    }
}
