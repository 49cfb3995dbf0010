//! Who is asked who they are.

use serde::{Deserialize, Serialize};

/// Who is asked who they are. Tokens and roles: `docs/auth.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether callers must show a token or a certificate.
    pub required: Required,
}

/// Whether callers must show who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Required {
    /// Where other machines can reach a listener, and everywhere once there is a token.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere. Beyond loopback this needs `--insecure`.
    Never,
}
