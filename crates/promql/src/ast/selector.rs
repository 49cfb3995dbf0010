//! Selectors: which series, at which time.

use sonde_model::matcher::{InvalidRegex, MatcherBudget};
use sonde_model::{METRIC_NAME, MatchOp, Matcher, TimestampMs};

use super::{Duration, Expr, Span};

/// A condition on one label, not compiled. The parser has checked that its regular expression compiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMatcher {
    /// The label.
    pub name: String,
    /// How it is compared.
    pub op: MatchOp,
    /// A value or a pattern.
    pub value: String,
}

/// `name{matchers} offset ... @ ...`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorSelector {
    /// The metric name that was written before the braces.
    pub name: Option<String>,
    /// The matchers in the braces; a quoted name in them is one of the matchers.
    pub matchers: Vec<LabelMatcher>,
    /// How far back (or, where negative, ahead) to look.
    pub offset: Option<Duration>,
    /// The time that replaces the one of the evaluation.
    pub at: Option<At>,
    /// `anchored` or `smoothed`.
    pub mode: RangeMode,
}

/// `selector[range]`; offset, `@` and mode stand in the selector.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// Which series.
    pub selector: VectorSelector,
    /// Where the selector without the range stands.
    pub selector_span: Span,
    /// How far the range reaches back; the samples at its left end are not part of it.
    pub range: Duration,
}

/// `expr[range:step] offset ... @ ...`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated at each step.
    pub expr: Box<Expr>,
    /// How far the range reaches back.
    pub range: Duration,
    /// The step, or that of the engine's default where it was left out.
    pub step: Option<Duration>,
    /// How far back (or, where negative, ahead) to look.
    pub offset: Option<Duration>,
    /// The time that replaces the one of the evaluation.
    pub at: Option<At>,
}

/// The time after `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// A fixed time.
    Time(TimestampMs),
    /// `start()`: the start of the query's range.
    Start,
    /// `end()`: the end of the query's range.
    End,
}

/// How values at the ends of a range are made (experimental).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RangeMode {
    /// The samples as they are.
    #[default]
    Plain,
    /// `anchored`: the last sample before the range stands at its start, the last in it at its end.
    Anchored,
    /// `smoothed`: values at the ends are interpolated between the samples around them.
    Smoothed,
}

impl LabelMatcher {
    /// The matcher ready to be asked.
    pub fn compile(&self) -> Result<Matcher, InvalidRegex> {
        Matcher::new(&self.name, self.op, &self.value)
    }
}

impl VectorSelector {
    /// All conditions, the metric name first, ready to be asked.
    pub fn compile(&self) -> Result<Vec<Matcher>, InvalidRegex> {
        self.compile_within(&mut MatcherBudget::default())
    }

    /// The same beside the matchers of other selectors of a request.
    pub fn compile_within(&self, budget: &mut MatcherBudget) -> Result<Vec<Matcher>, InvalidRegex> {
        let name = self.name.iter().map(|name| Ok(Matcher::equal(METRIC_NAME, name)));
        let compiled = self.matchers.iter().map(|m| budget.matcher(&m.name, m.op, &m.value));
        name.chain(compiled).collect()
    }
}
