//! The tree of a query: plain data. It prints as text that parses to the same tree.

use std::fmt;

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What is asked.
    pub root: Root,
    /// `with(name=value, ...)`
    pub hints: Vec<Hint>,
}

/// What a query yields.
#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// Sets of spans.
    Spans(Pipeline),
    /// Series.
    Metrics(Metrics),
}

/// A hint to the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Static,
}

/// Stages from left to right; each takes the spansets of the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// At least one.
    pub stages: Vec<Stage>,
}

/// One stage of a pipeline of spansets.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Selects spans.
    Spanset(Spanset),
    /// Keeps spansets for which a comparison of aggregates holds.
    Filter(ScalarFilter),
    /// `by(expr)`: splits spansets by a value.
    By(Field),
    /// `coalesce()`: puts the spansets of a trace together again.
    Coalesce,
    /// `select(a, b)`: adds attributes to the answer.
    Select(Vec<Attribute>),
}

/// An expression over sets of spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Spanset {
    /// `{ expr }`; an empty one is `{ true }`.
    Filter(Field),
    /// A set operator or a structural one.
    Binary(SpansetOp, Box<Spanset>, Box<Spanset>),
    /// A whole pipeline in parentheses.
    Pipeline(Pipeline),
}

/// An operator between sets of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpansetOp {
    /// `&&`: the spans of both sides, where both sides have some.
    And,
    /// `||`: the spans of both sides.
    Or,
    /// A relation within the trace.
    Structural {
        /// What the right side is to the left side.
        relation: Relation,
        /// `!`: the right side's spans that do not stand in the relation; `&`: both sides' spans that do.
        mode: StructuralMode,
    },
}

/// What spans are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `>>`
    Descendant,
    /// `>`
    Child,
    /// `<<`
    Ancestor,
    /// `<`
    Parent,
    /// `~`
    Sibling,
}

/// Which spans a structural operator yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructuralMode {
    /// The right side's that stand in the relation.
    Plain,
    /// The right side's that do not.
    Negated,
    /// Both sides' that do.
    Union,
}

/// A comparison of scalars.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalarFilter {
    /// The comparison.
    pub op: CompareOp,
    /// The left side.
    pub left: Scalar,
    /// The right side.
    pub right: Scalar,
}

/// A number computed of a spanset.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A literal: int, float or duration.
    Static(Static),
    /// `count()`, `max(expr)` and so on.
    Aggregate(AggregateOp, Option<Box<Field>>),
    /// Arithmetic.
    Binary(ArithmeticOp, Box<Scalar>, Box<Scalar>),
    /// A pipeline in parentheses that ends in a scalar.
    Pipeline(Pipeline, Box<Scalar>),
}

/// An aggregate over the spans of a spanset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateOp {
    /// How many spans.
    Count,
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// The mean.
    Avg,
    /// The sum.
    Sum,
}

/// `+ - * / % ^`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// An expression over one span.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// A literal.
    Static(Static),
    /// An attribute or an intrinsic.
    Attribute(Attribute),
    /// `!x`
    Not(Box<Field>),
    /// `-x`
    Negative(Box<Field>),
    /// `x && y`, `x || y`
    Logic(LogicOp, Box<Field>, Box<Field>),
    /// `x = y` and so on
    Compare(CompareOp, Box<Field>, Box<Field>),
    /// `x + y` and so on
    Arithmetic(ArithmeticOp, Box<Field>, Box<Field>),
}

/// `&&` or `||`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicOp {
    /// `&&`
    And,
    /// `||`
    Or,
}

/// A literal value.
#[derive(Clone, Debug, PartialEq)]
pub enum Static {
    /// No value.
    Nil,
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    /// A text.
    String(String),
    /// A truth value.
    Bool(bool),
    /// `ok`, `error`, `unset`
    Status(Status),
    /// `server`, `client` and so on
    Kind(Kind),
}

/// The status of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing was said.
    Unset,
    /// It went well.
    Ok,
    /// It failed.
    Error,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing was said.
    Unspecified,
    /// Within a program.
    Internal,
    /// The callee of a synchronous call.
    Server,
    /// The caller of a synchronous call.
    Client,
    /// The sender of a message.
    Producer,
    /// The receiver of a message.
    Consumer,
}

/// What an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A value that every span, trace, event or link has.
    Intrinsic(Intrinsic),
    /// An attribute of a scope.
    Scoped {
        /// `parent.`: of the parent span.
        parent: bool,
        /// Where it is looked for.
        scope: Scope,
        /// Its key.
        key: String,
    },
}

/// Where an attribute is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// In the span, then in its resource.
    Any,
    /// In the span.
    Span,
    /// In the resource.
    Resource,
    /// In the events.
    Event,
    /// In the links.
    Link,
    /// In the instrumentation scope.
    Instrumentation,
}

macro_rules! intrinsics {
    ($($(#[$doc:meta])* $name:ident => $text:literal $(, $alias:literal)*;)*) => {
        /// A value that every span, trace, event or link has.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Intrinsic {
            $($(#[$doc])* $name,)*
        }

        impl Intrinsic {
            /// The intrinsic of this name, in its old or its scoped form.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text $(| $alias)* => Some(Intrinsic::$name),)*
                    _ => None,
                }
            }

            /// The name that prints.
            pub fn name(self) -> &'static str {
                match self {
                    $(Intrinsic::$name => $text,)*
                }
            }
        }
    };
}

intrinsics! {
    /// The duration of the span.
    Duration => "duration", "span:duration";
    /// The name of the span.
    Name => "name", "span:name";
    /// The status of the span.
    Status => "status", "span:status";
    /// The message of the status.
    StatusMessage => "statusMessage", "span:statusMessage";
    /// The kind of the span.
    Kind => "kind", "span:kind";
    /// The id of the span, in hex.
    SpanId => "span:id";
    /// The id of the parent span, in hex.
    ParentId => "span:parentID";
    /// How many children the span has.
    ChildCount => "span:childCount";
    /// The parent span: not supported.
    Parent => "parent";
    /// The name of the root span.
    RootName => "rootName", "trace:rootName";
    /// The service of the root span.
    RootServiceName => "rootServiceName", "trace:rootService";
    /// From the first start to the last end in the trace.
    TraceDuration => "traceDuration", "trace:duration";
    /// The id of the trace, in hex.
    TraceId => "trace:id";
    /// The left number of the span in the nested-set model.
    NestedSetLeft => "nestedSetLeft";
    /// The right number of the span in the nested-set model.
    NestedSetRight => "nestedSetRight";
    /// The left number of the parent; negative for a root.
    NestedSetParent => "nestedSetParent";
    /// The name of an event.
    EventName => "event:name";
    /// From the start of the span to the event.
    EventTimeSinceStart => "event:timeSinceStart";
    /// The trace that a link leads to, in hex.
    LinkTraceId => "link:traceID";
    /// The span that a link leads to, in hex.
    LinkSpanId => "link:spanID";
    /// The name of the instrumentation scope.
    InstrumentationName => "instrumentation:name";
    /// The version of the instrumentation scope.
    InstrumentationVersion => "instrumentation:version";
}

/// An expression that yields series.
#[derive(Clone, Debug, PartialEq)]
pub enum Metrics {
    /// A function over the spans of a pipeline.
    Function {
        /// Which spans.
        spans: Pipeline,
        /// What is computed.
        function: MetricsFunction,
        /// `by (a, b)`
        by: Vec<Attribute>,
    },
    /// A number, as an operand of arithmetic.
    Scalar(Scalar),
    /// `+ - * /` between series, or series and a number.
    Binary(ArithmeticOp, Box<Metrics>, Box<Metrics>),
    /// `topk`, `bottomk` or a comparison.
    Second(Box<Metrics>, SecondStage),
}

/// What is computed over spans, step by step.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricsFunction {
    /// Spans a second.
    Rate,
    /// Spans.
    CountOverTime,
    /// The smallest value.
    MinOverTime(Field),
    /// The largest value.
    MaxOverTime(Field),
    /// The mean.
    AvgOverTime(Field),
    /// The sum.
    SumOverTime(Field),
    /// Quantiles.
    QuantileOverTime(Field, Vec<f64>),
    /// Counts by buckets of powers of two.
    HistogramOverTime(Field),
    /// How a selection differs from the rest.
    Compare {
        /// The selection.
        selection: Field,
        /// How many values an attribute, then start and end of the selection in nanoseconds.
        arguments: Vec<i64>,
    },
}

/// What is done with series.
#[derive(Clone, Debug, PartialEq)]
pub enum SecondStage {
    /// The largest series at each step.
    TopK(i64),
    /// The smallest series at each step.
    BottomK(i64),
    /// The values for which a comparison holds.
    Compare(CompareOp, Scalar),
}

impl CompareOp {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            CompareOp::Equal => "=",
            CompareOp::NotEqual => "!=",
            CompareOp::Less => "<",
            CompareOp::LessEqual => "<=",
            CompareOp::Greater => ">",
            CompareOp::GreaterEqual => ">=",
            CompareOp::Regex => "=~",
            CompareOp::NotRegex => "!~",
        }
    }
}

impl ArithmeticOp {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Sub => "-",
            ArithmeticOp::Mul => "*",
            ArithmeticOp::Div => "/",
            ArithmeticOp::Mod => "%",
            ArithmeticOp::Pow => "^",
        }
    }
}

impl AggregateOp {
    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            AggregateOp::Count => "count",
            AggregateOp::Max => "max",
            AggregateOp::Min => "min",
            AggregateOp::Avg => "avg",
            AggregateOp::Sum => "sum",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Unset => "unset",
            Status::Ok => "ok",
            Status::Error => "error",
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Unspecified => "unspecified",
            Kind::Internal => "internal",
            Kind::Server => "server",
            Kind::Client => "client",
            Kind::Producer => "producer",
            Kind::Consumer => "consumer",
        })
    }
}
