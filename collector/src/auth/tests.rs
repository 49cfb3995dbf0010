//! Every route asked by every kind of caller, against the routers as they are served.

mod callers;
mod enrolment;
mod pages;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, Response};
use sonde_runtime::{Clock, ManualClock};
use tower::ServiceExt;

use super::routes::Surface;
use super::*;
use crate::api;
use crate::config::Config;
use crate::notify::Notifier;
use crate::server::Server;
use crate::state::{self, Location};

/// A collector without ports and stores: what is let through is told that the store is being opened, or finds nothing.
struct Fixture {
    server: Arc<Server>,
    clock: ManualClock,
    main: Router,
    otlp_http: Router,
    grpc: Router,
}

impl Fixture {
    fn new(config: &str, flags: Flags) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (clock, hand) = Clock::manual(1_000_000);
        let config = Config::parse(config, "test.yml").expect("a configuration");
        let notifier = Notifier::new(clock.clone()).expect("a client");
        let auth = Auth::new(&flags, clock.now_ms()).expect("random numbers");
        let server = Arc::new(Server::new(config, flags, clock, notifier, auth));
        let limits = crate::settings::otlp_limits(&server.config.load());
        Fixture {
            main: api::main_router(&server, &limits),
            otlp_http: api::otlp_http_router(&server, &limits),
            grpc: api::otlp_grpc_router(&server, &limits),
            server,
            clock: hand,
        }
    }

    /// One that knows its tokens: none.
    fn open(config: &str, flags: Flags) -> Self {
        let fixture = Self::new(config, flags);
        let (state, memory) = State::open(&Location::Memory, state::Options::default()).expect("a state");
        fixture.server.auth.open(state, memory.tokens);
        fixture
    }

    /// Makes a token.
    async fn token(&self, role: Role, life_ms: Option<i64>) -> (String, TokenId) {
        let new = NewToken { name: format!("a {role}"), role, life_ms, uses: None };
        let made = self.server.auth.create(new, &Principal::anyone(), self.server.clock.now_ms()).await;
        let (secret, record) = made.expect("a token");
        (secret.as_str().to_owned(), record.hash.id())
    }

    fn router(&self, surface: Surface) -> &Router {
        match surface {
            Surface::Main => &self.main,
            Surface::OtlpHttp => &self.otlp_http,
            Surface::Grpc => &self.grpc,
        }
    }

    async fn ask(&self, surface: Surface, method: &str, path: &str, headers: HeaderMap) -> Response<Body> {
        // Any name will do where the path has a place for one.
        let path: String =
            path.split('/').map(|part| if part.starts_with('{') { "0a" } else { part }).collect::<Vec<_>>().join("/");
        let method: Method = method.parse().expect("a method");
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        *request.headers_mut() = headers;
        if surface == Surface::Grpc {
            request.headers_mut().insert("content-type", "application/grpc".parse().expect("a value"));
        }
        self.router(surface).clone().oneshot(request).await.expect("the router answers")
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It reached its handler.
    Through,
    /// The gate turned it away, with the answer that belongs to the reason.
    Refused(Reason),
}

impl Fixture {
    /// Asks and reads what became of it: what the gate counted, and the exact answer.
    async fn outcome(&self, surface: Surface, method: &str, path: &str, headers: HeaderMap) -> Outcome {
        let before = Reason::ALL.map(|reason| self.server.auth.stats().refused(reason));
        let response = self.ask(surface, method, path, headers).await;
        let refused = Reason::ALL.into_iter().zip(before);
        let refused = refused.filter(|(reason, before)| self.server.auth.stats().refused(*reason) > *before);
        let reason = refused.map(|(reason, _)| reason).next();
        let (status, headers) = (response.status().as_u16(), response.headers());
        let has = |name: &str| headers.contains_key(name);
        let grpc_status = headers.get("grpc-status").map_or("", |code| code.to_str().expect("a code"));
        let (http, grpc) = match reason {
            None => {
                assert!(status != 401 && !has("www-authenticate"), "{path}: {response:?}");
                return Outcome::Through;
            }
            Some(Reason::Missing | Reason::Malformed | Reason::Unknown | Reason::Expired) => (401, "16"),
            Some(Reason::Role | Reason::Agent | Reason::Origin | Reason::NoRoute) => (403, "7"),
            Some(Reason::Starting) => (503, "14"),
        };
        if surface == Surface::Grpc {
            assert_eq!((status, grpc_status), (200, grpc), "{path}: {response:?}");
        } else {
            assert_eq!(status, http, "{path}: {response:?}");
            assert_eq!(headers.get_all("www-authenticate").iter().count(), if http == 401 { 2 } else { 0 }, "{path}");
            assert_eq!(has("retry-after"), http == 503, "{path}");
        }
        reason.map_or(Outcome::Through, Outcome::Refused)
    }
}

fn bearer(token: &str) -> HeaderMap {
    authorization(&format!("Bearer {token}"))
}

fn authorization(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value.parse().expect("a value"));
    headers
}

/// The paths that a router serves, from what it prints for debugging: it has no list to ask for.
fn paths(router: &Router) -> BTreeSet<String> {
    let printed = format!("{router:?}");
    // After its routes comes what axum keeps of fallbacks.
    let printed = printed.split(", fallback_router: ").next().unwrap_or_default();
    let mut paths = BTreeSet::new();
    for part in printed.split("RouteId(").skip(1) {
        let path = part.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("): \"");
        paths.extend(path.and_then(|rest| Some(rest.split_once('"')?.0.to_owned())));
    }
    paths
}
