//! For editors and prompts: all that is wrong with a text, what was probably meant, and what may stand at the cursor.
//!
//! Nothing here is needed to evaluate a query, and nothing here reads series: where a store has to be asked for names, an
//! answer says for which ([`Ask`]).

mod candidates;
mod complete;
mod context;
mod diagnose;
mod suggest;
#[cfg(test)]
mod tests;

pub use candidates::{Candidate, CandidateKind};
pub use complete::{Completion, complete, rank};
pub use context::Ask;
pub use diagnose::{Diagnosis, diagnose};
pub use suggest::{closest, suggestion};
