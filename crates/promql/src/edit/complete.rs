//! Completion: what may stand at the cursor.

use super::candidates::{self, Candidate, CandidateKind};
use super::context::{Ask, Context, context, word_before};
use crate::ast::Span;
use crate::parse::MAX_QUERY_BYTES;

/// What may stand at a place of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The part of the text that a candidate takes the place of: it ends at the cursor.
    pub replace: Span,
    /// What the language offers; those that begin with what is written already come first.
    pub candidates: Vec<Candidate>,
    /// What a store has to be asked for.
    pub ask: Option<Ask>,
    /// What stands around a name that is asked for: quotes that are not there yet.
    pub quote: bool,
}

/// What may stand at the cursor, a byte of the text. One inside of a character counts as before it.
pub fn complete(text: &str, cursor: usize) -> Completion {
    if text.len() > MAX_QUERY_BYTES {
        return Completion::default();
    }
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let word = word_before(text, cursor);
    let (mut found, string) = context(&text[..word.start as usize], &text[cursor..]);
    let mut replace = word;
    if let Some(start) = string {
        // The whole string up to the cursor, without its quote.
        replace.start = start as u32 + 1;
    }
    let prefix = &text[replace.start as usize..cursor];
    if prefix.starts_with(|c: char| c.is_ascii_digit()) && matches!(found, Context::Operand(_)) {
        // A number is not completed.
        found = Context::Nothing;
    }
    let mut completion = Completion { replace, ..Completion::default() };
    completion.candidates = match found {
        Context::Operand(words) => {
            completion.ask = Some(Ask::Metrics);
            let mut offered = candidates::keywords(&words);
            offered.extend(candidates::operands());
            offered
        }
        Context::BehindOperand(is_aggregation) => candidates::behind_operand(is_aggregation),
        Context::BehindAggregation => candidates::keywords(&["by (", "without (", "("]),
        Context::LabelName(ask) => {
            completion.ask = Some(ask);
            Vec::new()
        }
        Context::MatchOperator => candidates::operators(&["=", "!=", "=~", "!~"]),
        Context::LabelValue(ask, is_quoted) => {
            completion.ask = Some(ask);
            completion.quote = !is_quoted;
            Vec::new()
        }
        Context::BehindElement(symbols) => candidates::operators(symbols),
        Context::Duration(in_brackets) => candidates::durations(prefix, in_brackets),
        Context::At => candidates::keywords(&["start()", "end()"]),
        Context::Nothing => Vec::new(),
    };
    let prefix = prefix.to_owned();
    rank(&prefix, &mut completion.candidates);
    completion
}

/// Keeps the candidates that have what is written already in them, those that begin with it first.
pub fn rank(written: &str, candidates: &mut Vec<Candidate>) {
    let written = written.to_ascii_lowercase();
    let place = |candidate: &Candidate| {
        let text = candidate.text.to_ascii_lowercase();
        text.find(&written).map(|at| at.min(1))
    };
    candidates.retain(|candidate| place(candidate).is_some());
    let is_word = |kind: CandidateKind| kind != CandidateKind::Keyword;
    candidates.sort_by_key(|candidate| (place(candidate), is_word(candidate.kind)));
}
