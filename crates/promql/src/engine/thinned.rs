//! Which functions answer for all samples although only some were kept.

use crate::ast::{Expr, ExprKind};
use crate::functions::Function;

/// The names of the functions in the expression that need every sample of their range, each once, in their order.
pub fn needs_all_samples(expr: &Expr) -> Vec<&'static str> {
    let mut found = Vec::new();
    gather(expr, &mut found);
    found
}

fn gather(expr: &Expr, found: &mut Vec<&'static str>) {
    if let ExprKind::Call(call) = &expr.kind
        && counts_samples(call.function)
        && call.args.iter().any(|arg| matches!(arg.unparenthesised().kind, ExprKind::Matrix(_)))
        && !found.contains(&call.function.name())
    {
        found.push(call.function.name());
    }
    expr.children().into_iter().for_each(|child| gather(child, found));
}

/// Whether a function over the samples of a series is another one where some of them are missing. Of a subquery it takes the
/// values at the steps, which are there.
fn counts_samples(function: Function) -> bool {
    matches!(
        function,
        Function::AvgOverTime
            | Function::Changes
            | Function::CountOverTime
            | Function::Deriv
            | Function::DoubleExponentialSmoothing
            | Function::Idelta
            | Function::Irate
            | Function::MadOverTime
            | Function::PredictLinear
            | Function::QuantileOverTime
            | Function::StddevOverTime
            | Function::StdvarOverTime
            | Function::SumOverTime
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_samples_is_named() {
        for (text, expected) in [
            ("up", &[][..]),
            ("sum(rate(a_total[5m])) / max_over_time(b[5m])", &[]),
            (
                "avg_over_time(up[5m]) + avg_over_time(down[5m]) > sum_over_time(up[1h])",
                &["avg_over_time", "sum_over_time"],
            ),
            ("avg_over_time(up[1h:5m])", &[]),
            ("max_over_time(deriv((up[5m]))[1h:5m])", &["deriv"]),
            ("quantile_over_time(0.9, up[5m])", &["quantile_over_time"]),
        ] {
            let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(needs_all_samples(&expr), expected, "{text}");
        }
    }
}
