//! The tokens and the words of the language.

use crate::ast::{AggregateOp, BinaryOp, Span};

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// What a token is. Its text is in the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Eof,
    Error,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    /// `=`
    Equal,
    /// `=~`
    EqualRegex,
    /// `!~`
    NotEqualRegex,
    /// `@`
    At,
    Number,
    Duration,
    String,
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    /// Also the signs, which look the same.
    Binary(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
}

/// A word that is neither an operator nor an aggregation. Upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Anchored,
    Bool,
    By,
    End,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Range,
    Smoothed,
    Start,
    Step,
    Without,
}

/// What a word is, or none for a name.
pub(super) fn word_kind(word: &str) -> Option<TokenKind> {
    /// The longest word of the language is shorter than this.
    const LONGEST: usize = 16;
    if word.len() >= LONGEST {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    if let Some(op) = AggregateOp::ALL.iter().find(|op| op.name() == lower) {
        return Some(TokenKind::Aggregate(*op));
    }
    Some(match lower.as_str() {
        "and" => TokenKind::Binary(BinaryOp::And),
        "or" => TokenKind::Binary(BinaryOp::Or),
        "unless" => TokenKind::Binary(BinaryOp::Unless),
        "atan2" => TokenKind::Binary(BinaryOp::Atan2),
        "inf" | "nan" => TokenKind::Number,
        "anchored" => TokenKind::Keyword(Keyword::Anchored),
        "bool" => TokenKind::Keyword(Keyword::Bool),
        "by" => TokenKind::Keyword(Keyword::By),
        "end" => TokenKind::Keyword(Keyword::End),
        "fill" => TokenKind::Keyword(Keyword::Fill),
        "fill_left" => TokenKind::Keyword(Keyword::FillLeft),
        "fill_right" => TokenKind::Keyword(Keyword::FillRight),
        "group_left" => TokenKind::Keyword(Keyword::GroupLeft),
        "group_right" => TokenKind::Keyword(Keyword::GroupRight),
        "ignoring" => TokenKind::Keyword(Keyword::Ignoring),
        "offset" => TokenKind::Keyword(Keyword::Offset),
        "on" => TokenKind::Keyword(Keyword::On),
        "range" => TokenKind::Keyword(Keyword::Range),
        "smoothed" => TokenKind::Keyword(Keyword::Smoothed),
        "start" => TokenKind::Keyword(Keyword::Start),
        "step" => TokenKind::Keyword(Keyword::Step),
        "without" => TokenKind::Keyword(Keyword::Without),
        _ => return None,
    })
}

impl TokenKind {
    /// Whether the token can stand as a metric name: a word of the language is one where nothing else fits.
    pub(crate) fn is_metric_name(self) -> bool {
        match self {
            TokenKind::Identifier | TokenKind::MetricIdentifier | TokenKind::Aggregate(_) => true,
            TokenKind::Binary(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) => true,
            TokenKind::Keyword(keyword) => !matches!(
                keyword,
                Keyword::Bool | Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight
            ),
            _ => false,
        }
    }

    /// Whether an expression can start with the token.
    pub(crate) fn starts_expression(self) -> bool {
        let is_literal = matches!(self, TokenKind::Number | TokenKind::Duration | TokenKind::String);
        let opens = matches!(self, TokenKind::LeftParen | TokenKind::LeftBrace);
        let is_sign = matches!(self, TokenKind::Binary(BinaryOp::Add | BinaryOp::Sub));
        is_literal || opens || is_sign || self.is_metric_name()
    }

    /// Whether the token is `fill` or one of its kin.
    pub(crate) fn is_fill(self) -> bool {
        matches!(self, TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
    }

    /// Whether the token can stand as a label name in a list of labels.
    pub(crate) fn is_label_name(self) -> bool {
        match self {
            // The one word that Prometheus's grammar leaves out.
            TokenKind::Keyword(Keyword::Without) => false,
            TokenKind::Identifier | TokenKind::Aggregate(_) | TokenKind::Keyword(_) => true,
            TokenKind::Binary(op) => {
                matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2)
            }
            _ => false,
        }
    }

    /// The token as error messages name it; `text` is how it was written.
    pub(crate) fn describe(self, text: &str) -> String {
        match self {
            TokenKind::Eof => "end of input".to_owned(),
            TokenKind::Error => "error".to_owned(),
            TokenKind::Identifier => format!("identifier {text:?}"),
            TokenKind::MetricIdentifier => format!("metric identifier {text:?}"),
            TokenKind::Keyword(Keyword::Start | Keyword::End | Keyword::Step | Keyword::Range) => format!("{text:?}"),
            TokenKind::Keyword(_) => format!("<{text}>"),
            TokenKind::At | TokenKind::EqualRegex | TokenKind::NotEqualRegex | TokenKind::Binary(_) => {
                format!("<op:{text}>")
            }
            TokenKind::Aggregate(_) => format!("<aggr:{text}>"),
            TokenKind::Number => format!("number {}", shorten(text)),
            TokenKind::Duration => format!("duration {}", shorten(text)),
            TokenKind::String => format!("string {}", shorten(text)),
            _ => format!("{text:?}"),
        }
    }
}

fn shorten(text: &str) -> String {
    /// How much of a literal a message shows.
    const SHOWN: usize = 10;
    if text.len() <= SHOWN {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(SHOWN).collect();
    format!("{head:?}...")
}
