//! Every route, asked by everyone.

use http::HeaderValue;
use sonde_otlp::{Peer, PeerCertificate};

use super::table::rows;
use super::*;
use crate::auth::routes::Access;
use crate::flags::Listen;

/// What a caller with `has` gets from a route.
fn expected(access: Access, has: Role) -> Outcome {
    match access {
        Access::Needs(role) | Access::Proven(role) if !has.allows(role) => Outcome::Refused(Reason::Role),
        _ => Outcome::Through,
    }
}

/// What a caller gets that cannot say who it is.
fn turned_away(access: Access, reason: Reason) -> Outcome {
    if access == Access::Open { Outcome::Through } else { Outcome::Refused(reason) }
}

fn admin_api() -> Flags {
    Flags { enable_admin_api: true, ..Flags::default() }
}

/// Both forms of the same token.
fn forms(token: &str) -> [HeaderMap; 2] {
    [bearer(token), authorization(&format!("Basic {}", base64(&format!("grafana:{token}"))))]
}

pub(super) fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    out + &"=".repeat((3 - text.len() % 3) % 3)
}

#[tokio::test]
async fn each_role_gets_what_the_table_says() {
    for flags in [Flags::default(), admin_api()] {
        let fixture = Fixture::open("auth: {required: always}", flags);
        for role in Role::ALL {
            let (token, _) = fixture.token(role, None).await;
            for (surface, method, path, access) in rows() {
                for headers in forms(&token) {
                    let served = paths(fixture.router(surface)).contains(path);
                    let outcome = fixture.outcome(surface, method, path, headers).await;
                    // The other half of the admin calls is served by other flags.
                    assert!(!served || outcome == expected(access, role), "{role}: {method} {path}: {outcome:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn who_cannot_say_who_it_is_gets_nothing() {
    let fixture = Fixture::open("auth: {required: always}", admin_api());
    let (expired, _) = fixture.token(Role::Admin, Some(1_000)).await;
    let (revoked, id) = fixture.token(Role::Admin, None).await;
    let (good, _) = fixture.token(Role::Admin, None).await;
    fixture.server.auth.revoke(id, &Principal::anyone(), 0).await.expect("there is one");
    fixture.clock.advance(std::time::Duration::from_secs(1));
    let mut almost = good.clone().into_bytes();
    if let Some(last) = almost.last_mut() {
        *last = if *last == b'0' { b'1' } else { b'0' };
    }
    let almost = String::from_utf8(almost).expect("ASCII");
    let mut two = bearer(&good);
    two.append("authorization", HeaderValue::from_str(&format!("Bearer {good}")).expect("a value"));
    let cases = [
        (HeaderMap::new(), Reason::Missing),
        (bearer("sonde_admin_garbage"), Reason::Unknown),
        (bearer("garbage"), Reason::Unknown),
        (bearer(&"x".repeat(900)), Reason::Unknown),
        (bearer(&almost), Reason::Unknown),
        (bearer(&expired), Reason::Expired),
        (bearer(&revoked), Reason::Unknown),
        (authorization("Bearer"), Reason::Malformed),
        (authorization(&good), Reason::Malformed),
        (authorization(&format!("Token {good}")), Reason::Malformed),
        (authorization("Basic !!!"), Reason::Malformed),
        (bearer(&"x".repeat(5_000)), Reason::Malformed),
        (two, Reason::Malformed),
    ];
    for (headers, reason) in cases {
        for (surface, method, path, access) in rows().filter(|(.., path, _)| !path.contains("{*")) {
            let outcome = fixture.outcome(surface, method, path, headers.clone()).await;
            assert_eq!(outcome, turned_away(access, reason), "{method} {path} with {headers:?}");
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_on_loopback_until_there_is_a_token() {
    let fixture = Fixture::open("", Flags::default());
    let nobody = async |surface, method, path| fixture.outcome(surface, method, path, HeaderMap::new()).await;
    for (surface, method, path, access) in rows().filter(|(.., path, _)| !path.contains("/admin/")) {
        let rights = matches!(access, Access::Proven(_));
        let expected = if rights { Outcome::Refused(Reason::Missing) } else { Outcome::Through };
        assert_eq!(nobody(surface, method, path).await, expected, "{method} {path}");
    }
    let garbage = fixture.outcome(Surface::Main, "GET", "/metrics", bearer("of a proxy")).await;
    assert_eq!(garbage, Outcome::Through, "a proxy in front may have its own use of the header");

    let (_, id) = fixture.token(Role::Read, None).await;
    assert_eq!(nobody(Surface::Main, "GET", "/metrics").await, Outcome::Refused(Reason::Missing));
    fixture.server.auth.revoke(id, &Principal::anyone(), 0).await.expect("there is one");
    assert_eq!(nobody(Surface::Main, "GET", "/metrics").await, Outcome::Through);
}

#[tokio::test]
async fn beyond_loopback_everybody_is_asked() {
    let here = |address: &str| address.parse().expect("an address");
    let exposed = Flags { otlp_grpc_listen: Listen::On(here("0.0.0.0:4317")), ..Flags::default() };
    let insecure = Flags { insecure: true, ..exposed.clone() };
    let cases = [
        ("", Flags::default(), false),
        ("auth: {required: always}", Flags::default(), true),
        ("", exposed.clone(), true),
        // It could not be started like this, but reloaded.
        ("auth: {required: never}", exposed.clone(), true),
        ("", insecure.clone(), false),
        ("auth: {required: always}", insecure, true),
    ];
    for (config, flags, asked) in cases {
        let fixture = Fixture::open(config, flags);
        let outcome = fixture.outcome(Surface::Main, "GET", "/metrics", HeaderMap::new()).await;
        assert_eq!(outcome != Outcome::Through, asked, "{config}");
    }
}

#[tokio::test]
async fn before_the_tokens_are_known_nobody_is_let_in() {
    let fixture = Fixture::new("", Flags::default());
    for (surface, method, path, access) in rows().filter(|(.., path, _)| !path.contains("{*")) {
        if paths(fixture.router(surface)).contains(path) {
            for headers in [HeaderMap::new(), bearer("sonde_read_1")] {
                let outcome = fixture.outcome(surface, method, path, headers).await;
                assert_eq!(outcome, turned_away(access, Reason::Starting), "{method} {path}");
            }
        }
    }
    let own = bearer(fixture.server.auth.admin_secret().as_str());
    assert_eq!(fixture.outcome(Surface::Main, "GET", "/metrics", own).await, Outcome::Through);
}

#[tokio::test]
async fn a_certificate_is_as_good_as_a_token_for_ingest() {
    let fixture = Fixture::open("auth: {required: always}", admin_api());
    let peer = Peer {
        certificate: Some(Arc::new(PeerCertificate { common_name: "web-1".into(), ..PeerCertificate::default() })),
        ..Peer::plain("10.0.0.1:5000".parse().expect("an address"))
    };
    let own = Peer { is_own_process: true, certificate: None, ..peer.clone() };
    let plain = Peer::plain(peer.address);
    for (peer, has) in [(peer, Some(Role::Ingest)), (own, Some(Role::Ingest)), (plain, None)] {
        for (path, access) in [("/v1/metrics", Access::Needs(Role::Ingest)), ("/-/reload", Access::Needs(Role::Admin))]
        {
            let mut request = Request::post(path).body(Body::empty()).expect("a request");
            request.extensions_mut().insert(peer.clone());
            let status = fixture.main.clone().oneshot(request).await.expect("an answer").status().as_u16();
            match has.map(|has| expected(access, has)) {
                None => assert_eq!(status, 401, "{path}"),
                Some(Outcome::Refused(_)) => assert_eq!(status, 403, "{path}"),
                Some(Outcome::Through) => assert!(![401, 403].contains(&status), "{path}: {status}"),
            }
        }
    }
}

#[tokio::test]
async fn tokens_outlive_a_restart_and_revoked_ones_do_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let location = Location::File(dir.path().join("state.sqlite"));
    let first = Fixture::new("", Flags::default());
    let (state, memory) = State::open(&location, state::Options::default()).expect("a state");
    first.server.auth.open(state.clone(), memory.tokens);
    let (kept, _) = first.token(Role::Read, None).await;
    let (_, gone) = first.token(Role::Admin, None).await;
    first.server.auth.revoke(gone, &Principal::anyone(), 0).await.expect("there is one");
    assert_eq!(first.outcome(Surface::Main, "GET", "/metrics", bearer(&kept)).await, Outcome::Through);
    first.server.auth.store_last_uses();
    state.close();
    for file in std::fs::read_dir(dir.path()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("bytes");
        assert!(!bytes.windows(kept.len()).any(|window| window == kept.as_bytes()), "the token itself is kept");
    }

    let second = Fixture::new("", Flags::default());
    let (state, memory) = State::open(&location, state::Options::default()).expect("a state");
    assert_eq!(memory.tokens, first.server.auth.list());
    assert!(memory.tokens[0].last_used_at.is_some());
    second.server.auth.open(state, memory.tokens);
    assert_eq!(second.outcome(Surface::Main, "GET", "/metrics", bearer(&kept)).await, Outcome::Through);
    let own = bearer(first.server.auth.admin_secret().as_str());
    let outcome = second.outcome(Surface::Main, "GET", "/metrics", own).await;
    assert_eq!(outcome, Outcome::Refused(Reason::Unknown), "the file of an earlier process opens nothing");
}
