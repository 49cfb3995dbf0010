//! The further runs of an instant query: with `@` on every selector the result must be the same at any time.

use sonde_model::TimestampMs;
use sonde_promql::Expr;
use sonde_promql::ast::{At, ExprKind};
use sonde_promql::functions::Function;

/// The query with `@ time` on every selector and subquery, and the times to run it at; none where a function in it
/// depends on the time of evaluation.
pub(crate) fn with_at(expr: &Expr, time: TimestampMs) -> Option<(String, Vec<TimestampMs>)> {
    if depends_on_time(expr) {
        return None;
    }
    let mut expr = expr.clone();
    set_at(&mut expr, time);
    let times = if time == 0 { vec![-1000, 0, 1000] } else { vec![-10 * time, 0, time / 5, time, 10 * time] };
    Some((expr.to_string(), times))
}

fn depends_on_time(expr: &Expr) -> bool {
    use Function::{
        DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, End, Hour, Minute, Month, PredictLinear, Range, Start, Step,
        Time, Timestamp, Year,
    };
    let unsafe_call = matches!(&expr.kind, ExprKind::Call(call) if matches!(
        call.function,
        DaysInMonth | DayOfMonth | DayOfWeek | DayOfYear | End | Hour | Minute | Month | PredictLinear | Range | Start
            | Step | Time | Timestamp | Year
    ));
    unsafe_call || expr.children().into_iter().any(depends_on_time)
}

/// What stands inside a subquery keeps its times: the subquery itself gets the one.
fn set_at(expr: &mut Expr, time: TimestampMs) {
    let at = match &mut expr.kind {
        ExprKind::Vector(selector) => &mut selector.at,
        ExprKind::Matrix(matrix) => &mut matrix.selector.at,
        ExprKind::Subquery(subquery) => &mut subquery.at,
        _ => {
            expr.children_mut().into_iter().for_each(|child| set_at(child, time));
            return;
        }
    };
    if !matches!(at, Some(At::Time(_))) {
        *at = Some(At::Time(time));
    }
}

/// Whether the query is not run as a range query too: these functions would yield other values.
pub(crate) fn knows_its_range(query: &str) -> bool {
    ["start()", "end()", "range()", "step()"].iter().any(|call| query.contains(call))
}
