//! What a caller may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The right that comes with a token or a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Send metrics and spans, and read nothing.
    Ingest,
    /// Ask, and change nothing.
    Read,
    /// Everything: ask, send, silence, reload, manage tokens.
    Admin,
    /// Exchange the token for the own token of one agent.
    Enrol,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Ingest, Role::Read, Role::Admin, Role::Enrol];

    /// Whether who has this role may do what asks for `needed`. Only `Admin` includes others.
    pub fn allows(self, needed: Role) -> bool {
        self == needed || self == Role::Admin
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Read => "read",
            Role::Admin => "admin",
            Role::Enrol => "enrol",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// A word names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ingest, read, admin or enrol")]
pub struct UnknownRole;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_admin_includes_others() {
        for has in Role::ALL {
            assert_eq!(has.as_str().parse(), Ok(has));
            for needed in Role::ALL {
                assert_eq!(has.allows(needed), has == needed || has == Role::Admin, "{has} for {needed}");
            }
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
    }
}
