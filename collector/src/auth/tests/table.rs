//! The table against the routers.

use super::*;
use crate::auth::routes::{Access, TABLE};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];
/// What takes the place of the admin calls where they are off.
const ADMIN_OFF: &str = "/api/v1/admin/{*call}";

fn table(surface: Surface) -> BTreeSet<String> {
    TABLE.iter().filter(|row| row.surface == surface).map(|row| row.path.to_owned()).collect()
}

#[test]
fn the_table_has_what_the_routers_have() {
    let flags = |enable_admin_api| Flags { enable_admin_api, ..Flags::default() };
    let (off, on) = (Fixture::open("", flags(false)), Fixture::open("", flags(true)));
    let is_admin = |path: &String| path.starts_with("/api/v1/admin/");
    let (calls_off, calls_on): (BTreeSet<String>, BTreeSet<String>) =
        table(Surface::Main).into_iter().partition(|path| !is_admin(path) || path == ADMIN_OFF);
    assert_eq!(paths(&off.main), calls_off);
    let always = calls_off.into_iter().filter(|path| path != ADMIN_OFF);
    assert_eq!(paths(&on.main), always.chain(calls_on).collect());
    assert_eq!(paths(&on.otlp_http), table(Surface::OtlpHttp));
    assert_eq!(paths(&on.grpc), table(Surface::Grpc));
}

#[tokio::test]
async fn paths_have_the_methods_of_the_table() {
    for enable_admin_api in [false, true] {
        let fixture = Fixture::open("", Flags { enable_admin_api, ..Flags::default() });
        let (admin, _) = fixture.token(Role::Admin, None).await;
        let (read, _) = fixture.token(Role::Read, None).await;
        for surface in [Surface::Main, Surface::OtlpHttp, Surface::Grpc] {
            for path in paths(fixture.router(surface)) {
                let rows = TABLE.iter().filter(|row| row.surface == surface && row.path == path);
                let listed: Vec<&str> = rows.flat_map(|row| row.methods).copied().collect();
                for method in METHODS {
                    let outcome = fixture.outcome(surface, method, &path, bearer(&admin)).await;
                    assert_eq!(outcome, Outcome::Through, "{method} {path}");
                    let status = fixture.ask(surface, method, &path, bearer(&admin)).await.status();
                    assert_eq!(status == 405, !listed.contains(&method), "{method} {path}: {status}");
                    if !listed.contains(&method) {
                        let outcome = fixture.outcome(surface, method, &path, bearer(&read)).await;
                        assert_eq!(outcome, Outcome::Refused(Reason::Role), "{method} {path}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_route_that_is_not_in_the_table_is_refused() {
    let fixture = Fixture::open("", Flags::default());
    let forgotten = Router::new().route("/forgotten", axum::routing::get(|| async { "secret" }));
    let router = Gate::guard(&fixture.server, Surface::Main, forgotten);
    let request = Request::get("/forgotten").body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), 403);
}

/// All rows with one method each.
pub(super) fn rows() -> impl Iterator<Item = (Surface, &'static str, &'static str, Access)> {
    TABLE.iter().flat_map(|row| row.methods.iter().map(|method| (row.surface, *method, row.path, row.access)))
}

/// The table that people read says the same.
#[test]
fn the_reference_has_every_route() {
    let row = |row: &crate::auth::routes::Route| {
        let port = match row.surface {
            Surface::Main => "main",
            Surface::OtlpHttp => "otlp-http",
            Surface::Grpc => "grpc",
        };
        let role = match row.access {
            Access::Open => "-".to_owned(),
            Access::Needs(role) => role.to_string(),
            Access::Proven(role) => format!("{role}, always"),
        };
        format!("| {port} | {} | `{}` | {role} |", row.methods.join(" "), row.path)
    };
    let reference = include_str!("../../../../docs/auth.md").split("\n## Routes\n").nth(1).expect("a section");
    let listed: BTreeSet<&str> =
        reference.lines().filter(|line| line.contains('`') && line.starts_with("| ")).collect();
    let table: Vec<String> = TABLE.iter().map(row).collect();
    assert_eq!(listed, table.iter().map(String::as_str).collect());
}
