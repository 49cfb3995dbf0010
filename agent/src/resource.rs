//! The resource of what this agent measures itself: the host and the agent.
//!
//! `service.name` and `service.instance.id` become the Prometheus labels `job` and `instance`: `sonde-agent` and the
//! host's name. The other attributes become labels of `target_info`.

use std::collections::BTreeMap;

use sonde_proto::otlp::common::{InstrumentationScope, KeyValue};
use sonde_proto::otlp::resource::Resource;

use crate::payload::attribute;

/// The release of the semantic conventions whose names the host receivers use.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// `service.name` of the agent, and so the `job` of what it measures.
pub const SERVICE_NAME: &str = "sonde-agent";

/// What is known of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostIdentity {
    /// The name of the host, as `uname -n` says.
    pub name: String,
    /// /etc/machine-id, where there is one.
    pub id: Option<String>,
    /// As `linux`.
    pub os_type: String,
    /// As `Debian GNU/Linux 12 (bookworm)`.
    pub os_description: Option<String>,
    /// The architecture, as `amd64`.
    pub arch: String,
}

/// The resource: what was detected, overruled and extended by what the configuration says.
pub fn resource(host: &HostIdentity, configured: &BTreeMap<String, String>) -> Resource {
    let mut attributes: BTreeMap<&str, &str> = BTreeMap::from([
        ("service.name", SERVICE_NAME),
        ("service.instance.id", host.name.as_str()),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("host.name", host.name.as_str()),
        ("host.arch", host.arch.as_str()),
        ("os.type", host.os_type.as_str()),
    ]);
    attributes.extend(host.id.as_deref().map(|id| ("host.id", id)));
    attributes.extend(host.os_description.as_deref().map(|text| ("os.description", text)));
    attributes.extend(configured.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    attributes.retain(|_, value| !value.is_empty());
    let attributes: Vec<KeyValue> = attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    Resource { attributes, ..Resource::default() }
}

/// The scope of what this agent measures itself.
pub fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: SERVICE_NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// The pretty name in the text of /etc/os-release.
pub fn parse_os_release(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// Detects the host that this process runs on.
pub fn detect() -> HostIdentity {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let os_description = read("/etc/os-release").and_then(|text| parse_os_release(&text));
    HostIdentity {
        name: host_name(),
        id: read("/etc/machine-id").map(|text| text.trim().to_owned()).filter(|id| !id.is_empty()),
        os_type: std::env::consts::OS.replace("macos", "darwin"),
        os_description: os_description.or_else(|| sysinfo::System::long_os_version().ok()),
        arch: match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
        .to_owned(),
    }
}

fn host_name() -> String {
    let name = sysinfo::System::host_name().ok().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(resource: &Resource) -> Vec<String> {
        resource.attributes.iter().map(|kv| format!("{}={:?}", kv.key, kv.value.as_ref().unwrap())).collect()
    }

    #[test]
    fn configuration_overrules_what_was_detected() {
        let host = HostIdentity { name: "web-1".into(), os_type: "linux".into(), ..HostIdentity::default() };
        let configured = BTreeMap::from([
            ("deployment.environment.name".to_owned(), "prod".to_owned()),
            ("service.instance.id".to_owned(), "web-1.example.org".to_owned()),
        ]);
        let resource = resource(&host, &configured);
        let keys: Vec<_> = resource.attributes.iter().map(|kv| kv.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "deployment.environment.name",
                "host.name",
                "os.type",
                "service.instance.id",
                "service.name",
                "service.version"
            ]
        );
        assert!(lines(&resource)[3].contains("web-1.example.org"));
    }

    #[test]
    fn the_pretty_name_is_unquoted() {
        let text = "NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";
        assert_eq!(parse_os_release(text).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(parse_os_release("ID=debian\n"), None);
    }

    #[test]
    fn this_host_has_a_name() {
        assert!(!detect().name.is_empty());
    }
}
