//! Where in a query a place is, by the tokens before it: nothing needs to be whole.

use crate::ast::{BinaryOp, Span};
use crate::lex::{Keyword, Lexer, Token, TokenKind, unquote};

/// What only a store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The names of its metrics.
    Metrics,
    /// The names of labels, of the series of a selector; an empty one is all series.
    Labels {
        /// What stands in `match[]`.
        selector: String,
    },
    /// The values of a label, of the series of a selector; an empty one is all series.
    LabelValues {
        /// The label.
        label: String,
        /// What stands in `match[]`.
        selector: String,
    },
}

/// What is expected at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// An operand. Behind an operator its modifiers may come first.
    Operand(Vec<&'static str>),
    /// What stands behind an operand; whether that is an aggregation without a clause.
    BehindOperand(bool),
    /// What stands behind the word of an aggregation.
    BehindAggregation,
    /// The name of a label, in braces or in a list.
    LabelName(Ask),
    /// An operator of a matcher.
    MatchOperator,
    /// The value of a label; whether its quotes are open already.
    LabelValue(Ask, bool),
    /// What stands behind a matcher or a label.
    BehindElement(&'static [&'static str]),
    /// A duration; whether in brackets.
    Duration(bool),
    /// A time behind `@`.
    At,
    /// Nothing that could be offered.
    Nothing,
}

/// The tokens before a place, and what of them is open.
struct Before<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// The indices of the brackets that are open, the innermost last.
    open: Vec<usize>,
    /// Where a string begins that is open.
    string: Option<usize>,
}

/// What is expected behind `before`, which ends where the word at the cursor begins; `after` is what follows the cursor. A
/// string that is open begins at the returned place.
pub(super) fn context(before: &str, after: &str) -> (Context, Option<usize>) {
    let before = Before::read(before);
    (before.context(after), before.string)
}

impl<'a> Before<'a> {
    fn read(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let (mut tokens, mut open, mut string) = (Vec::new(), Vec::new(), None);
        loop {
            let token = lexer.next_token();
            match token.kind {
                TokenKind::Eof => break,
                TokenKind::Error => {
                    let start = token.span.start as usize;
                    string = text[start..].starts_with(['"', '\'', '`']).then_some(start);
                    break;
                }
                TokenKind::LeftParen | TokenKind::LeftBrace | TokenKind::LeftBracket => open.push(tokens.len()),
                TokenKind::RightParen | TokenKind::RightBrace | TokenKind::RightBracket => drop(open.pop()),
                _ => {}
            }
            tokens.push(token);
        }
        Before { text, tokens, open, string }
    }

    fn kind(&self, index: usize) -> Option<TokenKind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.span.start as usize..token.span.end as usize]
    }

    fn context(&self, after: &str) -> Context {
        if let Some(open) = self.open.last().copied() {
            let before = open.checked_sub(1).and_then(|index| self.kind(index));
            match (self.kind(open), before) {
                (Some(TokenKind::LeftBrace), _) => return self.in_braces(open),
                (Some(TokenKind::LeftBracket), _) => return Context::Duration(true),
                (_, Some(TokenKind::Keyword(keyword))) if is_label_list(keyword) => return self.in_labels(after),
                (_, Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))) => {
                    return Context::Nothing;
                }
                _ => {}
            }
        }
        if self.string.is_some() {
            return Context::Nothing;
        }
        self.in_expression()
    }

    fn in_expression(&self) -> Context {
        let Some(last) = self.tokens.last().copied() else { return Context::Operand(Vec::new()) };
        match last.kind {
            TokenKind::LeftParen | TokenKind::Comma => Context::Operand(Vec::new()),
            TokenKind::Binary(op) => {
                let mut words = if op.is_comparison() { vec!["bool "] } else { Vec::new() };
                words.extend(["on (", "ignoring ("]);
                let is_sign = matches!(op, BinaryOp::Add | BinaryOp::Sub) && self.is_operand_expected_at_last();
                Context::Operand(if is_sign { Vec::new() } else { words })
            }
            TokenKind::Keyword(Keyword::Bool) => Context::Operand(vec!["on (", "ignoring ("]),
            TokenKind::Keyword(Keyword::GroupLeft | Keyword::GroupRight) => Context::Operand(vec!["("]),
            TokenKind::Keyword(Keyword::Offset) => Context::Duration(false),
            TokenKind::At => Context::At,
            TokenKind::Aggregate(_) => Context::BehindAggregation,
            TokenKind::RightParen => self.behind_parenthesis(),
            TokenKind::Keyword(keyword) if is_label_list(keyword) => Context::BehindElement(&["("]),
            TokenKind::Equal | TokenKind::Colon => Context::Nothing,
            _ => Context::BehindOperand(false),
        }
    }

    /// Whether the operator that stands last is a sign.
    fn is_operand_expected_at_last(&self) -> bool {
        let before = self.tokens.len().checked_sub(2).and_then(|index| self.kind(index));
        before.is_none_or(|kind| matches!(kind, TokenKind::LeftParen | TokenKind::Comma | TokenKind::Binary(_)))
    }

    /// Behind `)`: that of a list of labels, of an aggregation, or of something else.
    fn behind_parenthesis(&self) -> Context {
        let last = self.tokens.len() - 1;
        let Some(open) = self.opening(last) else { return Context::BehindOperand(false) };
        let before = open.checked_sub(1);
        match before.and_then(|index| self.kind(index)) {
            Some(TokenKind::Keyword(Keyword::On | Keyword::Ignoring)) => {
                Context::Operand(vec!["group_left (", "group_right (", "fill ("])
            }
            Some(TokenKind::Keyword(Keyword::GroupLeft | Keyword::GroupRight)) => Context::Operand(vec!["fill ("]),
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)) => {
                Context::Operand(vec!["fill_left (", "fill_right ("])
            }
            Some(TokenKind::Keyword(Keyword::By | Keyword::Without)) => {
                // `sum by (a)` waits for its argument, `sum(x) by (a)` has it.
                let word = before.and_then(|index| index.checked_sub(1)).and_then(|index| self.kind(index));
                match word {
                    Some(TokenKind::Aggregate(_)) => Context::BehindElement(&["("]),
                    _ => Context::BehindOperand(false),
                }
            }
            Some(TokenKind::Aggregate(_)) => Context::BehindOperand(true),
            _ => Context::BehindOperand(false),
        }
    }

    /// The bracket that the closing one at `close` belongs to.
    fn opening(&self, close: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for index in (0..=close).rev() {
            match self.tokens[index].kind {
                TokenKind::RightParen | TokenKind::RightBrace | TokenKind::RightBracket => depth += 1,
                TokenKind::LeftParen | TokenKind::LeftBrace | TokenKind::LeftBracket => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(index);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn in_labels(&self, after: &str) -> Context {
        match self.tokens.last().map(|token| token.kind) {
            Some(TokenKind::LeftParen | TokenKind::Comma) => {
                Context::LabelName(Ask::Labels { selector: self.nearest_selector(after) })
            }
            _ => Context::BehindElement(&[",", ")"]),
        }
    }

    fn in_braces(&self, open: usize) -> Context {
        let inside = &self.tokens[open + 1..];
        // The matcher that is being written begins behind the last comma.
        let begin = inside.iter().rposition(|token| token.kind == TokenKind::Comma).map_or(0, |comma| comma + 1);
        let selector = self.selector(open, &inside[..begin.saturating_sub(1)]);
        match &inside[begin..] {
            [] => Context::LabelName(Ask::Labels { selector }),
            [_] if self.string.is_none() => Context::MatchOperator,
            [name, _] => {
                let label = match name.kind {
                    TokenKind::String => unquote(self.text_of(*name)).text,
                    _ => self.text_of(*name).to_owned(),
                };
                Context::LabelValue(Ask::LabelValues { label, selector }, self.string.is_some())
            }
            _ => Context::BehindElement(&[",", "}"]),
        }
    }

    /// The text of a selector with the matchers that are whole; empty where it selects everything.
    fn selector(&self, open: usize, whole: &[Token]) -> String {
        let name = open.checked_sub(1).map(|index| self.tokens[index]).filter(|token| token.kind.is_metric_name());
        let name = name.map_or("", |token| self.text_of(token));
        let matchers = match (whole.first(), whole.last()) {
            (Some(first), Some(last)) => &self.text[first.span.start as usize..last.span.end as usize],
            _ => "",
        };
        let text = if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{matchers}}}") };
        // What is not valid yet is left out: the store would refuse it.
        if crate::parse_selector(&text).is_ok() { text } else { name.to_owned() }
    }

    /// The name of the metric that a list of labels most likely belongs to: the next one behind it, else the last before it.
    fn nearest_selector(&self, after: &str) -> String {
        let behind = after.find(')').map_or("", |end| &after[end + 1..]);
        let names = |text: &'a str, tokens: &[Token]| {
            let is_name = |(i, token): (usize, &Token)| {
                let is_call = tokens.get(i + 1).is_some_and(|next| next.kind == TokenKind::LeftParen);
                let is_word = matches!(token.kind, TokenKind::Identifier | TokenKind::MetricIdentifier);
                (is_word && !is_call).then(|| text[token.span.start as usize..token.span.end as usize].to_owned())
            };
            tokens.iter().enumerate().filter_map(is_name).collect::<Vec<String>>()
        };
        let tokens = Before::read(behind);
        let next = tokens.tokens.iter().enumerate().find_map(|(i, token)| {
            let is_call = tokens.kind(i + 1) == Some(TokenKind::LeftParen);
            let is_word = matches!(token.kind, TokenKind::Identifier | TokenKind::MetricIdentifier);
            (is_word && !is_call).then(|| tokens.text_of(*token).to_owned())
        });
        next.or_else(|| names(self.text, &self.tokens).pop()).unwrap_or_default()
    }
}

fn is_label_list(keyword: Keyword) -> bool {
    use Keyword::{By, GroupLeft, GroupRight, Ignoring, On, Without};
    matches!(keyword, By | Without | On | Ignoring | GroupLeft | GroupRight)
}

/// The word that ends at `cursor`.
pub(super) fn word_before(text: &str, cursor: usize) -> Span {
    let is_part = |c: char| c == '_' || c == ':' || c.is_ascii_alphanumeric();
    let start = text[..cursor].char_indices().rev().take_while(|(_, c)| is_part(*c)).last().map_or(cursor, |(i, _)| i);
    // In `[5m:1m]` the colon is no part of a name.
    let word = &text[start..cursor];
    let number = word.starts_with(|c: char| c.is_ascii_digit()).then(|| word.rfind(':')).flatten();
    Span { start: (start + number.map_or(0, |colon| colon + 1)) as u32, end: cursor as u32 }
}
