//! Files as people leave them: what is said about each, and what stays in force.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::*;

/// 2026-01-01, in seconds since the epoch.
const NOW: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

/// A folder with the files of a server: `cert`, `key`, `ca`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.path(name), mode).expect("permissions");
    }

    fn write_pair(&self, pair: &PemPair) {
        self.write("cert", &pair.certificate);
        self.write("key", &pair.key);
    }

    fn server(&self) -> ServerOptions {
        ServerOptions {
            certificate: PemFile::new("tls.cert_file", self.path("cert")),
            key: PemFile::new("tls.key_file", self.path("key")),
            clients: Some((PemFile::new("tls.client_ca_file", self.path("ca")), ClientAuth::Required)),
            min_version: MinVersion::Tls12,
        }
    }
}

fn authority() -> Authority {
    Authority::create("test authority", 100, NOW).expect("an authority")
}

fn server_pair(authority: &Authority, days: u32, now: i64) -> PemPair {
    let hosts = vec!["collector.example.org".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    authority.issue(&Purpose::Server { hosts }, days, now).expect("a pair")
}

fn folder() -> (Folder, Authority) {
    let (folder, authority) = (Folder::new(), authority());
    folder.write_pair(&server_pair(&authority, 30, NOW));
    folder.write("ca", &authority.pair().certificate);
    (folder, authority)
}

#[test]
fn what_is_wrong_is_said_with_the_key_and_the_file() {
    let check = |break_it: fn(&Folder, &Authority), expected: &str| {
        let (folder, authority) = folder();
        break_it(&folder, &authority);
        let error = ServerTls::load(folder.server(), NOW).map(drop).expect_err(expected);
        let told = error.to_string().replace(&format!("{}/", folder.0.path().display()), "");
        assert!(told.starts_with(expected), "{told}");
    };
    check(|f, _| std::fs::remove_file(f.path("key")).expect("removed"), "tls.key_file key: cannot be read");
    check(|f, _| f.write("key", ""), "tls.key_file key: there is no private key in it; a line -----BEGIN PRIVATE KEY");
    check(|f, _| f.write("cert", "x"), "tls.cert_file cert: there is no certificate in it");
    check(|f, _| f.write("ca", "x"), "tls.client_ca_file ca: there is no certificate in it");
    check(
        |f, a| f.write("key", &server_pair(a, 30, NOW).key),
        "tls.key_file key: the private key does not belong to the certificate of tls.cert_file cert",
    );
    check(
        |f, _| f.write("key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        "tls.key_file key: the private key is encrypted with a passphrase",
    );
    check(
        |f, _| f.write("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        "tls.key_file key: the private key cannot be used",
    );
    check(
        |f, _| f.write("cert", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        "tls.cert_file cert: the certificate cannot be used",
    );
    check(|f, _| f.write("cert", "-----BEGIN CERTIFICATE-----\nAAAA\n"), "tls.cert_file cert: is not in PEM form");
    check(|f, _| f.write("cert", &"x".repeat(5 << 20)), "tls.cert_file cert: is larger than 4194304 bytes");
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let (folder, _authority) = folder();
    let warnings = |now| ServerTls::load(folder.server(), now).expect("loads").1;
    assert_eq!(warnings(NOW), Vec::<String>::new());
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path("key"), mode).expect("permissions");
    assert!(warnings(NOW)[0].ends_with("may use this private key (mode 644); chmod 600"), "{:?}", warnings(NOW));
    assert!(
        warnings(NOW + 31 * DAY)
            .last()
            .expect("one")
            .ends_with("expired at 2026-01-31T00:00:00Z; nobody will accept it")
    );
}

#[test]
fn changed_files_are_taken_and_broken_ones_leave_the_old_in_force() {
    let (folder, authority) = folder();
    let (tls, _) = ServerTls::load(folder.server(), NOW).expect("loads");
    let counts = || (tls.stats().reloads.load(Relaxed), tls.stats().reload_failures.load(Relaxed));
    let first = tls.config();
    assert_eq!(tls.refresh(NOW).expect("the same"), Refreshed::Unchanged);
    assert_eq!(tls.stats().certificate_end(), Some(NOW + 30 * DAY));
    assert_eq!(tls.stats().authorities_end(), Some(NOW + 100 * DAY));

    // The certificate is there before its key: the old pair holds, and it is told once.
    let second = server_pair(&authority, 60, NOW);
    folder.write("cert", &second.certificate);
    assert!(matches!(tls.refresh(NOW), Err(TlsError::KeyMismatch { .. })));
    assert_eq!(tls.refresh(NOW).expect("told once"), Refreshed::Unchanged);
    assert!(Arc::ptr_eq(&first, &tls.config()));
    folder.write("key", &second.key);
    assert_eq!(tls.refresh(NOW).expect("taken"), Refreshed::Replaced { warnings: Vec::new() });
    assert!(!Arc::ptr_eq(&first, &tls.config()));
    assert_eq!((counts(), tls.stats().certificate_end()), ((1, 1), Some(NOW + 60 * DAY)));

    // A file that is away is told once, and again when it goes away again.
    for failures in [2, 3] {
        std::fs::remove_file(folder.path("ca")).expect("removed");
        assert!(matches!(tls.refresh(NOW), Err(TlsError::Unreadable { .. })));
        assert_eq!(tls.refresh(NOW).expect("told once"), Refreshed::Unchanged);
        assert_eq!(counts().1, failures);
        folder.write("ca", &self::authority().pair().certificate);
        assert!(matches!(tls.refresh(NOW), Ok(Refreshed::Replaced { .. })));
    }
    // Who asks for a reload is told each time.
    folder.write("key", "x");
    assert!((0..2).all(|_| matches!(tls.replace(folder.server(), NOW), Err(TlsError::NoKey { .. }))));
    folder.write("key", &second.key);
    assert!(matches!(tls.replace(folder.server(), NOW), Ok(Refreshed::Unchanged)));

    // A certificate that is over does not replace one that holds; where both are over it does.
    folder.write_pair(&server_pair(&authority, 1, NOW - 10 * DAY));
    assert!(matches!(tls.refresh(NOW), Err(TlsError::Expired { .. })));
    folder.write_pair(&server_pair(&authority, 2, NOW - 10 * DAY));
    assert!(matches!(tls.refresh(NOW + 90 * DAY), Ok(Refreshed::Replaced { .. })));
}

#[test]
fn other_files_are_taken_whole_or_not_at_all() {
    let (folder, _authority) = folder();
    let (tls, _) = ServerTls::load(folder.server(), NOW).expect("loads");
    let elsewhere = self::folder().0;
    assert!(matches!(tls.replace(elsewhere.server(), NOW), Ok(Refreshed::Replaced { .. })));
    assert_eq!(tls.source(), elsewhere.server());
    let mut broken = folder.server();
    broken.certificate = PemFile::new("tls.cert_file", folder.path("nothing"));
    for _ in 0..2 {
        // Whoever asks is answered each time.
        assert!(tls.replace(broken.clone(), NOW).is_err());
        assert_eq!(tls.refresh(NOW).expect("the old"), Refreshed::Unchanged);
    }
    assert_eq!(tls.source(), elsewhere.server());
}

#[test]
fn clients_show_a_pair_and_trust_a_file() {
    let (folder, authority) = folder();
    let pair = authority.issue(&Purpose::Client { name: "web-1".into() }, 10, NOW).expect("a pair");
    folder.write_pair(&pair);
    let file = |key, name| PemFile::new(key, folder.path(name));
    let options = ClientOptions {
        authorities: Some(file("ca_file", "ca")),
        pair: Some((file("cert_file", "cert"), file("key_file", "key"))),
    };
    let (tls, warnings) = ClientTls::load(options, NOW).expect("loads");
    assert_eq!((warnings, tls.stats().certificate_end()), (Vec::new(), Some(NOW + 10 * DAY)));
    assert!(tls.config().client_auth_cert_resolver.has_certs());
    assert_eq!(tls.stats().authorities_end(), Some(NOW + 100 * DAY));
    assert!(server_name("[::1]").is_ok() && server_name("a.example").is_ok() && server_name("a b").is_err());
}

#[test]
fn an_authority_is_read_again_and_names_whom_it_signs() {
    let first = authority();
    let again = Authority::read(first.pair().clone()).expect("read");
    let pair = server_pair(&again, 30, NOW);
    let read = |pair: &PemPair| {
        let file = PemFile::new("x", "x");
        let der = file.certificates(pair.certificate.as_bytes()).expect("PEM").remove(0);
        Certificate::read(&der).expect("a certificate")
    };
    let expected = Certificate {
        subject: "CN=collector.example.org".into(),
        common_name: "collector.example.org".into(),
        sans: vec!["collector.example.org".into(), "127.0.0.1".into(), "::1".into()],
        not_before: NOW - 3_600,
        not_after: NOW + 30 * DAY,
    };
    assert_eq!(read(&pair), expected);
    assert!(matches!(Authority::read(pair.clone()), Err(IssueError::NotAnAuthority)));
    let mixed = PemPair { key: pair.key, ..first.pair().clone() };
    assert!(matches!(Authority::read(mixed), Err(IssueError::KeyMismatch)));
    let issue = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        first.issue(&Purpose::Server { hosts }, 1, NOW).map(drop)
    };
    assert!(issue(&["*.example.org"]).is_ok());
    assert!(matches!(issue(&["a b"]), Err(IssueError::BadName { .. })));
    assert!(matches!(issue(&[]), Err(IssueError::NoHost)));
    assert!(!format!("{:?}", first).contains("PRIVATE"), "no key is printed");
}
