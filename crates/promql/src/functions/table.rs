//! The table of all functions: their names, what they take and what they give.

use crate::ast::ValueType;
use ValueType::{Matrix, Scalar, String, Vector};

/// A function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of PromQL; the reference of the language explains them")]
pub enum Function {
    Abs,
    Absent,
    AbsentOverTime,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    AvgOverTime,
    Ceil,
    Changes,
    Clamp,
    ClampMax,
    ClampMin,
    Cos,
    Cosh,
    CountOverTime,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Deg,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    End,
    Exp,
    FirstOverTime,
    Floor,
    HistogramAvg,
    HistogramCount,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramStddev,
    HistogramStdvar,
    HistogramSum,
    Hour,
    Idelta,
    Increase,
    Info,
    Irate,
    LabelJoin,
    LabelReplace,
    LastOverTime,
    Ln,
    Log10,
    Log2,
    MadOverTime,
    MaxOf,
    MaxOverTime,
    MinOf,
    MinOverTime,
    Minute,
    Month,
    Pi,
    PredictLinear,
    PresentOverTime,
    QuantileOverTime,
    Rad,
    Range,
    Rate,
    Resets,
    Round,
    Scalar,
    Sgn,
    Sin,
    Sinh,
    Sort,
    SortByLabel,
    SortByLabelDesc,
    SortDesc,
    Sqrt,
    Start,
    StartTimestamp,
    StddevOverTime,
    StdvarOverTime,
    Step,
    SumOverTime,
    Tan,
    Tanh,
    Time,
    Timestamp,
    TsOfFirstOverTime,
    TsOfLastOverTime,
    TsOfMaxOverTime,
    TsOfMinOverTime,
    Vector,
    Year,
}

/// What a function takes and gives.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// What it is.
    pub function: Function,
    /// As it is written.
    pub name: &'static str,
    /// The types of the arguments; the last one holds for all that follow.
    pub args: &'static [ValueType],
    /// The least number of arguments.
    pub min_args: usize,
    /// The greatest number of arguments, or none.
    pub max_args: Option<usize>,
    /// The type of the result.
    pub returns: ValueType,
    /// Whether Prometheus hides it behind a flag.
    pub experimental: bool,
}

impl Function {
    /// The function of this name, which is case-sensitive.
    pub fn from_name(name: &str) -> Option<Function> {
        TABLE.binary_search_by(|row| row.name.cmp(name)).ok().map(|i| TABLE[i].function)
    }

    /// What it takes and gives.
    pub fn signature(self) -> &'static Signature {
        &TABLE[self as usize]
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        self.signature().name
    }
}

const fn row(
    function: Function,
    name: &'static str,
    args: &'static [ValueType],
    min_args: usize,
    max_args: Option<usize>,
    returns: ValueType,
) -> Signature {
    Signature { function, name, args, min_args, max_args, returns, experimental: false }
}

const fn experimental(mut row: Signature) -> Signature {
    row.experimental = true;
    row
}

/// All functions in the order of their names, which is also that of the enum.
pub const TABLE: [Signature; 90] = [
    row(Function::Abs, "abs", &[Vector], 1, Some(1), Vector),
    row(Function::Absent, "absent", &[Vector], 1, Some(1), Vector),
    row(Function::AbsentOverTime, "absent_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::Acos, "acos", &[Vector], 1, Some(1), Vector),
    row(Function::Acosh, "acosh", &[Vector], 1, Some(1), Vector),
    row(Function::Asin, "asin", &[Vector], 1, Some(1), Vector),
    row(Function::Asinh, "asinh", &[Vector], 1, Some(1), Vector),
    row(Function::Atan, "atan", &[Vector], 1, Some(1), Vector),
    row(Function::Atanh, "atanh", &[Vector], 1, Some(1), Vector),
    row(Function::AvgOverTime, "avg_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::Ceil, "ceil", &[Vector], 1, Some(1), Vector),
    row(Function::Changes, "changes", &[Matrix], 1, Some(1), Vector),
    row(Function::Clamp, "clamp", &[Vector, Scalar, Scalar], 3, Some(3), Vector),
    row(Function::ClampMax, "clamp_max", &[Vector, Scalar], 2, Some(2), Vector),
    row(Function::ClampMin, "clamp_min", &[Vector, Scalar], 2, Some(2), Vector),
    row(Function::Cos, "cos", &[Vector], 1, Some(1), Vector),
    row(Function::Cosh, "cosh", &[Vector], 1, Some(1), Vector),
    row(Function::CountOverTime, "count_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::DayOfMonth, "day_of_month", &[Vector], 0, Some(1), Vector),
    row(Function::DayOfWeek, "day_of_week", &[Vector], 0, Some(1), Vector),
    row(Function::DayOfYear, "day_of_year", &[Vector], 0, Some(1), Vector),
    row(Function::DaysInMonth, "days_in_month", &[Vector], 0, Some(1), Vector),
    row(Function::Deg, "deg", &[Vector], 1, Some(1), Vector),
    row(Function::Delta, "delta", &[Matrix], 1, Some(1), Vector),
    row(Function::Deriv, "deriv", &[Matrix], 1, Some(1), Vector),
    experimental(row(
        Function::DoubleExponentialSmoothing,
        "double_exponential_smoothing",
        &[Matrix, Scalar, Scalar],
        3,
        Some(3),
        Vector,
    )),
    experimental(row(Function::End, "end", &[], 0, Some(0), Scalar)),
    row(Function::Exp, "exp", &[Vector], 1, Some(1), Vector),
    row(Function::FirstOverTime, "first_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::Floor, "floor", &[Vector], 1, Some(1), Vector),
    row(Function::HistogramAvg, "histogram_avg", &[Vector], 1, Some(1), Vector),
    row(Function::HistogramCount, "histogram_count", &[Vector], 1, Some(1), Vector),
    row(Function::HistogramFraction, "histogram_fraction", &[Scalar, Scalar, Vector], 3, Some(3), Vector),
    row(Function::HistogramQuantile, "histogram_quantile", &[Scalar, Vector], 2, Some(2), Vector),
    experimental(row(
        Function::HistogramQuantiles,
        "histogram_quantiles",
        &[Vector, String, Scalar, Scalar],
        3,
        Some(12),
        Vector,
    )),
    row(Function::HistogramStddev, "histogram_stddev", &[Vector], 1, Some(1), Vector),
    row(Function::HistogramStdvar, "histogram_stdvar", &[Vector], 1, Some(1), Vector),
    row(Function::HistogramSum, "histogram_sum", &[Vector], 1, Some(1), Vector),
    row(Function::Hour, "hour", &[Vector], 0, Some(1), Vector),
    row(Function::Idelta, "idelta", &[Matrix], 1, Some(1), Vector),
    row(Function::Increase, "increase", &[Matrix], 1, Some(1), Vector),
    experimental(row(Function::Info, "info", &[Vector, Vector], 1, Some(2), Vector)),
    row(Function::Irate, "irate", &[Matrix], 1, Some(1), Vector),
    row(Function::LabelJoin, "label_join", &[Vector, String, String, String], 3, None, Vector),
    row(Function::LabelReplace, "label_replace", &[Vector, String, String, String, String], 5, Some(5), Vector),
    row(Function::LastOverTime, "last_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::Ln, "ln", &[Vector], 1, Some(1), Vector),
    row(Function::Log10, "log10", &[Vector], 1, Some(1), Vector),
    row(Function::Log2, "log2", &[Vector], 1, Some(1), Vector),
    experimental(row(Function::MadOverTime, "mad_over_time", &[Matrix], 1, Some(1), Vector)),
    experimental(row(Function::MaxOf, "max_of", &[Scalar, Scalar], 2, Some(2), Scalar)),
    row(Function::MaxOverTime, "max_over_time", &[Matrix], 1, Some(1), Vector),
    experimental(row(Function::MinOf, "min_of", &[Scalar, Scalar], 2, Some(2), Scalar)),
    row(Function::MinOverTime, "min_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::Minute, "minute", &[Vector], 0, Some(1), Vector),
    row(Function::Month, "month", &[Vector], 0, Some(1), Vector),
    row(Function::Pi, "pi", &[], 0, Some(0), Scalar),
    row(Function::PredictLinear, "predict_linear", &[Matrix, Scalar], 2, Some(2), Vector),
    row(Function::PresentOverTime, "present_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::QuantileOverTime, "quantile_over_time", &[Scalar, Matrix], 2, Some(2), Vector),
    row(Function::Rad, "rad", &[Vector], 1, Some(1), Vector),
    experimental(row(Function::Range, "range", &[], 0, Some(0), Scalar)),
    row(Function::Rate, "rate", &[Matrix], 1, Some(1), Vector),
    row(Function::Resets, "resets", &[Matrix], 1, Some(1), Vector),
    row(Function::Round, "round", &[Vector, Scalar], 1, Some(2), Vector),
    row(Function::Scalar, "scalar", &[Vector], 1, Some(1), Scalar),
    row(Function::Sgn, "sgn", &[Vector], 1, Some(1), Vector),
    row(Function::Sin, "sin", &[Vector], 1, Some(1), Vector),
    row(Function::Sinh, "sinh", &[Vector], 1, Some(1), Vector),
    row(Function::Sort, "sort", &[Vector], 1, Some(1), Vector),
    experimental(row(Function::SortByLabel, "sort_by_label", &[Vector, String], 1, None, Vector)),
    experimental(row(Function::SortByLabelDesc, "sort_by_label_desc", &[Vector, String], 1, None, Vector)),
    row(Function::SortDesc, "sort_desc", &[Vector], 1, Some(1), Vector),
    row(Function::Sqrt, "sqrt", &[Vector], 1, Some(1), Vector),
    experimental(row(Function::Start, "start", &[], 0, Some(0), Scalar)),
    experimental(row(Function::StartTimestamp, "start_timestamp", &[Vector], 1, Some(1), Vector)),
    row(Function::StddevOverTime, "stddev_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::StdvarOverTime, "stdvar_over_time", &[Matrix], 1, Some(1), Vector),
    experimental(row(Function::Step, "step", &[], 0, Some(0), Scalar)),
    row(Function::SumOverTime, "sum_over_time", &[Matrix], 1, Some(1), Vector),
    row(Function::Tan, "tan", &[Vector], 1, Some(1), Vector),
    row(Function::Tanh, "tanh", &[Vector], 1, Some(1), Vector),
    row(Function::Time, "time", &[], 0, Some(0), Scalar),
    row(Function::Timestamp, "timestamp", &[Vector], 1, Some(1), Vector),
    experimental(row(Function::TsOfFirstOverTime, "ts_of_first_over_time", &[Matrix], 1, Some(1), Vector)),
    experimental(row(Function::TsOfLastOverTime, "ts_of_last_over_time", &[Matrix], 1, Some(1), Vector)),
    experimental(row(Function::TsOfMaxOverTime, "ts_of_max_over_time", &[Matrix], 1, Some(1), Vector)),
    experimental(row(Function::TsOfMinOverTime, "ts_of_min_over_time", &[Matrix], 1, Some(1), Vector)),
    row(Function::Vector, "vector", &[Scalar], 1, Some(1), Vector),
    row(Function::Year, "year", &[Vector], 0, Some(1), Vector),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(TABLE.windows(2).all(|w| w[0].name < w[1].name));
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!((row.function as usize, Function::from_name(row.name)), (i, Some(row.function)), "{}", row.name);
        }
        assert_eq!(Function::from_name("Rate"), None);
    }
}
