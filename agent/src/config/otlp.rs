//! Where local applications may send OTLP.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sonde_runtime::config::ByteSize;

use super::{InvalidConfig, ListenTlsConfig, in_range, invalid};

/// What local applications may send.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where OTLP/gRPC is taken.
    pub grpc_listen: Listen,
    /// Where OTLP/HTTP is taken.
    pub http_listen: Listen,
    /// TLS on both.
    pub tls: ListenTlsConfig,
    /// The largest request, compressed or not.
    pub max_body: ByteSize,
    /// Whether `host.name` and `host.id` are added to resources that do not say them.
    pub add_host_attributes: bool,
    /// Whether addresses beyond loopback may be listened on though nobody must show a certificate.
    pub insecure: bool,
}

/// An address to listen on, or `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listen {
    /// Nothing is bound.
    #[default]
    Off,
    /// This address is bound; port 0 is any free one.
    At(SocketAddr),
}

impl Listen {
    /// The address, unless it is off.
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::At(address) => Some(address),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Listen::Off);
        }
        let wrong = |_| serde::de::Error::custom(format!("`{text}` is no address; write off or as in 127.0.0.1:4317"));
        text.parse().map(Listen::At).map_err(wrong)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Listen::Off => serializer.serialize_str("off"),
            Listen::At(address) => serializer.collect_str(address),
        }
    }
}

impl OtlpConfig {
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        self.tls.check()?;
        in_range("otlp.max_body (in bytes)", self.max_body.0, 1 << 10, 64 << 20)?;
        for (key, listen) in [("otlp.grpc_listen", self.grpc_listen), ("otlp.http_listen", self.http_listen)] {
            let Some(address) = listen.address() else { continue };
            let is_protected = self.tls.is_on() && self.tls.asks();
            if !(address.ip().is_loopback() || is_protected || self.insecure) {
                let message = format!(
                    "{address} can be reached from other machines: set otlp.tls.cert_file, key_file and client_ca_file, \
                     listen on 127.0.0.1, or say `insecure: true`"
                );
                return Err(invalid(key, message));
            }
        }
        Ok(())
    }
}

impl Default for OtlpConfig {
    fn default() -> Self {
        OtlpConfig {
            grpc_listen: Listen::Off,
            http_listen: Listen::Off,
            tls: ListenTlsConfig::default(),
            max_body: ByteSize::mib(16),
            add_host_attributes: true,
            insecure: false,
        }
    }
}
