//! Addresses: which may be listened on, and what to do where one is taken.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::config::{ClientAuth, Config, ConfigError, Required};
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
        "{flag} {address}: other machines can reach this address, and auth.required is `never`: nobody would be asked \
         who they are; listen on 127.0.0.1, take auth.required away, or say --insecure"
    )]
    NotLoopback {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: SocketAddr,
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
    /// No tokens can be made.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
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

/// Refuses addresses that other machines can reach where nobody would be asked who they are, unless it was said out loud that
/// this is meant. Warns of tokens that could be read on their way.
pub(super) fn check_addresses(flags: &Flags, config: &Config) -> Result<(), StartError> {
    let exposed = flags.addresses().into_iter().find(|(_, address)| !address.ip().is_loopback());
    let Some((flag, address)) = exposed.filter(|_| !flags.insecure) else { return Ok(()) };
    if config.auth.required == Required::Never && config.tls.client_auth != ClientAuth::Required {
        return Err(StartError::NotLoopback { flag, address });
    }
    if !config.tls.is_on() {
        tracing::warn!(
            "{flag} {address}: nothing is encrypted, tokens can be read on their way; tls.cert_file turns TLS on"
        );
    }
    Ok(())
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
        let config = |text: &str| Config::parse(text, "test").expect("valid");
        let (asked, open) = (Config::default(), config("auth: {required: never}"));
        let tls = "tls: {cert_file: c, key_file: k, client_ca_file: a, client_auth: ";
        let may_show = config(&format!("auth: {{required: never}}\n{tls}optional}}"));
        let must_show = config(&format!("auth: {{required: never}}\n{tls}required}}"));
        for (flags, config, is_fine) in [
            (&near, &open, true),
            (&loud, &open, true),
            (&far, &asked, true),
            (&far, &open, false),
            (&far, &may_show, false),
            (&far, &must_show, true),
        ] {
            let told = check_addresses(flags, config).err().map(|e| e.to_string());
            assert_eq!(told.is_none(), is_fine, "{told:?}");
            assert!(told.is_none_or(|told| told.contains("--insecure")));
        }
    }
}
