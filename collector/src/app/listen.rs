//! Addresses: which may be listened on, and what to do where one is taken.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::config::{ClientAuth, Config, ConfigError};
use crate::flags::Flags;
use crate::rules::RuleFilesError;

/// How many ports after one that is taken are tried, to suggest a free one.
const SUGGESTIONS: u16 = 100;

/// Why a collector cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Rule files are no good.
    #[error("{0}")]
    Rules(RuleFilesError),
    /// Other machines could reach the address, and nothing protects it.
    #[error(
        "{flag} {address}: other machines can reach this address, and {missing}; listen on 127.0.0.1, {remedy}, or say \
         --insecure"
    )]
    NotLoopback {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What protection is missing.
        missing: &'static str,
        /// What would protect it.
        remedy: &'static str,
    },
    /// A certificate or a key is no good.
    #[error("the certificates of the listeners")]
    Tls(#[source] sonde_tls::TlsError),
    /// Another program listens there.
    #[error("{flag} {address}: the port is in use by another program")]
    PortInUse {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: SocketAddr,
        /// An address nearby that is free.
        free: Option<SocketAddr>,
    },
    /// The address cannot be listened on.
    #[error("{flag} {address}: cannot listen there")]
    Bind {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The sender of notifications cannot be set up.
    #[error("cannot set up the sender of notifications: {0}")]
    Notifier(String),
}

impl StartError {
    /// The command that would start: `command` is the one that did not, program first.
    pub fn another_command(&self, command: &[String]) -> Option<String> {
        let StartError::PortInUse { flag, free: Some(free), .. } = self else { return None };
        let free = free.to_string();
        let mut words = Vec::new();
        let mut rest = command.iter();
        let mut replaced = false;
        while let Some(word) = rest.next() {
            if word == flag {
                rest.next();
                words.extend([word.clone(), free.clone()]);
                replaced = true;
            } else if word.strip_prefix(flag).is_some_and(|value| value.starts_with('=')) {
                words.push(format!("{flag}={free}"));
                replaced = true;
            } else {
                words.push(quoted(word));
            }
        }
        if !replaced {
            words.extend([(*flag).to_owned(), free]);
        }
        Some(words.join(" "))
    }
}

/// Refuses addresses that other machines can reach, unless what goes there is encrypted and who comes there is asked who they
/// are, or it was said out loud that it is meant.
pub(super) fn check_addresses(flags: &Flags, config: &Config) -> Result<(), StartError> {
    let is_encrypted = config.tls.is_on();
    let is_asked = config.tls.client_auth == ClientAuth::Required;
    let exposed = flags.addresses().into_iter().find(|(_, address)| !address.ip().is_loopback());
    let Some((flag, address)) = exposed.filter(|_| !flags.insecure) else { return Ok(()) };
    let (missing, remedy) = match (is_encrypted, is_asked) {
        (true, true) => return Ok(()),
        (true, false) => (
            "nobody is asked who they are",
            "set tls.client_ca_file and `tls.client_auth: required` in the configuration",
        ),
        (false, true) => ("nothing is encrypted", "set tls.cert_file and tls.key_file in the configuration"),
        (false, false) => (
            "nothing is encrypted and nobody is asked who they are",
            "set tls.cert_file, tls.key_file, tls.client_ca_file and `tls.client_auth: required` in the configuration",
        ),
    };
    Err(StartError::NotLoopback { flag, address, missing, remedy })
}

/// Binds an address.
pub(super) fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { flag, address, free: free_nearby(address) },
        _ => StartError::Bind { flag, address, source },
    })?;
    listener.set_nonblocking(true).map_err(|source| StartError::Bind { flag, address, source })?;
    Ok(listener)
}

fn free_nearby(address: SocketAddr) -> Option<SocketAddr> {
    let mut ports = (1..=SUGGESTIONS).filter_map(|n| address.port().checked_add(n));
    ports.find_map(|port| {
        let candidate = SocketAddr::new(address.ip(), port);
        TcpListener::bind(candidate).is_ok().then_some(candidate)
    })
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+[]".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_with_another_port_is_printed() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("bound");
        let error = bind("--listen", address).expect_err("it is taken");
        let StartError::PortInUse { free: Some(free), .. } = &error else { panic!("{error}") };
        let check = |command: &[&str], expected: String| {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(error.another_command(&command), Some(expected));
        };
        check(&["sonde", "up"], format!("sonde up --listen {free}"));
        check(&["sonde", "--listen", "127.0.0.1:1", "--x"], format!("sonde --listen {free} --x"));
        check(&["sonde", "--listen=127.0.0.1:1", "a b"], format!("sonde --listen={free} 'a b'"));
    }

    #[test]
    fn other_machines_are_kept_out_by_default() {
        let (near, far) =
            (Flags::default(), Flags { listen: "0.0.0.0:9090".parse().expect("valid"), ..Flags::default() });
        let loud = Flags { insecure: true, ..far.clone() };
        let tls = |text: &str| Config::parse(&format!("tls: {{{text}}}"), "test").expect("valid");
        let pair = "cert_file: c, key_file: k";
        let (plain, encrypted) = (Config::default(), tls(pair));
        let asked = tls(&format!("{pair}, client_ca_file: a, client_auth: required"));
        let may_show = tls(&format!("{pair}, client_ca_file: a, client_auth: optional"));
        for (flags, config, expected) in [
            (&near, &plain, ""),
            (&loud, &plain, ""),
            (&far, &plain, "nothing is encrypted and nobody is asked who they are"),
            (&far, &encrypted, "reach this address, and nobody is asked who they are"),
            (&far, &may_show, "reach this address, and nobody is asked who they are"),
            (&far, &asked, ""),
        ] {
            let told = check_addresses(flags, config).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{expected}: {told}");
            assert!(expected.is_empty() || told.contains("--insecure"), "{told}");
        }
    }
}
