//! The flags of the collector: what needs a restart. What may change while it runs is in the configuration file.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where the web page and all HTTP APIs are served by default: Prometheus's port, so that every tool's default works.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9090";
/// Where OTLP over gRPC is taken by default.
pub const DEFAULT_OTLP_GRPC_LISTEN: &str = "127.0.0.1:4317";
/// Where OTLP over HTTP is taken by default.
pub const DEFAULT_OTLP_HTTP_LISTEN: &str = "127.0.0.1:4318";
/// Where the data lies by default.
pub const DEFAULT_DATA_DIR: &str = "./sonde-data";

/// The flags of `sonde collector` and `sonde-collector`.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// Directory of all data: metrics lie in DIR/tsdb. One process at a time.
    #[arg(long, value_name = "DIR", env = "SONDE_DATA_DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,

    /// Where the web page, the HTTP APIs and remote write are served. Port 0 picks a free one.
    #[arg(long, value_name = "ADDR", env = "SONDE_LISTEN", default_value = DEFAULT_LISTEN)]
    pub listen: SocketAddr,

    /// Where OTLP over gRPC is taken, or `off`.
    #[arg(long, value_name = "ADDR|off", env = "SONDE_OTLP_GRPC_LISTEN", default_value = DEFAULT_OTLP_GRPC_LISTEN)]
    pub otlp_grpc_listen: Listen,

    /// Where OTLP over HTTP is taken, or `off`. The port of --listen takes it, too.
    #[arg(long, value_name = "ADDR|off", env = "SONDE_OTLP_HTTP_LISTEN", default_value = DEFAULT_OTLP_HTTP_LISTEN)]
    pub otlp_http_listen: Listen,

    /// Serve the calls that change the store: POST /api/v1/admin/tsdb/flush, .../compact,
    /// .../delete_series, .../clean_tombstones and .../snapshot.
    #[arg(long)]
    pub enable_admin_api: bool,

    /// Configuration file (YAML). Without it every key has its default. Read again on SIGHUP and POST /-/reload.
    #[arg(long, value_name = "FILE", env = "SONDE_CONFIG")]
    pub config: Option<PathBuf>,

    /// Ask nobody who they are until there is a token, also at addresses that other machines can reach.
    #[arg(long)]
    pub insecure: bool,
}

/// An address to listen on, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Do not listen.
    Off,
    /// Listen there.
    On(SocketAddr),
}

impl Listen {
    /// The address, unless it is off.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::On(address) => Some(address),
        }
    }
}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        if text == "off" {
            return Ok(Listen::Off);
        }
        text.parse().map(Listen::On).map_err(|_| InvalidListen)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("off"),
            Listen::On(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// A text is neither an address with a port nor `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address with a port, like 127.0.0.1:4317, or `off`")]
pub struct InvalidListen;

impl Default for Flags {
    /// The flags of a command line that gives none.
    fn default() -> Self {
        let parse = |text: &str| text.parse().expect("BUG: the default addresses are valid");
        Flags {
            data_dir: DEFAULT_DATA_DIR.into(),
            listen: parse(DEFAULT_LISTEN),
            otlp_grpc_listen: Listen::On(parse(DEFAULT_OTLP_GRPC_LISTEN)),
            otlp_http_listen: Listen::On(parse(DEFAULT_OTLP_HTTP_LISTEN)),
            enable_admin_api: false,
            config: None,
            insecure: false,
        }
    }
}

impl Flags {
    /// The flags as name and value, as `/api/v1/status/flags` shows them.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("config", self.config.as_ref().map(|p| p.display().to_string()).unwrap_or_default()),
            ("data-dir", self.data_dir.display().to_string()),
            ("enable-admin-api", self.enable_admin_api.to_string()),
            ("insecure", self.insecure.to_string()),
            ("listen", self.listen.to_string()),
            ("otlp-grpc-listen", self.otlp_grpc_listen.to_string()),
            ("otlp-http-listen", self.otlp_http_listen.to_string()),
        ]
    }

    /// The addresses to listen on, with the flag that sets each.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let mut addresses = vec![("--listen", self.listen)];
        addresses.extend(self.otlp_grpc_listen.address().map(|a| ("--otlp-grpc-listen", a)));
        addresses.extend(self.otlp_http_listen.address().map(|a| ("--otlp-http-listen", a)));
        addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn the_defaults_are_those_of_the_command_line() {
        let parsed = <Command as clap::Parser>::parse_from(["x"]).flags;
        assert_eq!(parsed.pairs(), Flags::default().pairs());
    }

    #[test]
    fn listeners_can_be_off() {
        let parse = |args: &[&str]| <Command as clap::Parser>::try_parse_from([&["x"], args].concat()).map(|c| c.flags);
        let flags = parse(&["--otlp-grpc-listen", "off", "--otlp-http-listen", "[::1]:0"]).expect("valid");
        assert_eq!(flags.otlp_grpc_listen, Listen::Off);
        assert_eq!(flags.addresses().len(), 2);
        assert!(parse(&["--otlp-grpc-listen", "no"]).is_err());
        assert!(parse(&["--listen", "off"]).is_err(), "the main port cannot be off");
    }
}
