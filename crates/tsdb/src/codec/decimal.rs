//! Floats as integers over a power of ten, where that is exact bit for bit.
//!
//! Most measured values were decimals with few digits before they became floats. A float `v` is taken as `m / 10^e`
//! only if that division, correctly rounded, gives back the bits of `v`; so nothing is ever lost, and NaN, infinities
//! and negative zero never qualify.

/// The largest exponent. 10^22 is the last power that a float holds exactly; more than 12 decimals are noise.
pub(crate) const MAX_EXPONENT: u8 = 12;

/// Mantissas stay below this, so that `v * 10^e`, with the two roundings it suffers, is off by less than one half.
const MAX_MANTISSA: f64 = (1u64 << 50) as f64;

/// The powers of ten by exponent.
pub(crate) const POWERS: [f64; MAX_EXPONENT as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

/// The mantissa of `value` at this exponent, if it is exact.
#[inline]
pub(crate) fn mantissa(value: f64, exponent: u8) -> Option<i64> {
    let power = POWERS[exponent as usize];
    let scaled = value * power;
    if scaled.is_nan() || scaled.abs() >= MAX_MANTISSA {
        return None;
    }
    // Adding and taking away 1.5 * 2^52 rounds to an integer, without a call where SSE4.1 cannot be assumed.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let rounded = (scaled + ROUND) - ROUND;
    let mantissa = rounded as i64;
    (restore(mantissa, power).to_bits() == value.to_bits()).then_some(mantissa)
}

/// The value of a mantissa over a power of ten.
#[inline]
pub(crate) fn restore(mantissa: i64, power: f64) -> f64 {
    mantissa as f64 / power
}

/// Mantissas below this are turned into floats by adding and taking away, many at a time.
const MAX_RESTORED: i64 = 1 << 51;

/// Appends the values of mantissas over a power of ten. A mantissa out of the range of [`mantissa`] by far is refused.
#[inline]
pub(crate) fn restore_all(
    mantissas: impl ExactSizeIterator<Item = i64>,
    power: f64,
    out: &mut Vec<f64>,
) -> Result<(), OutOfRange> {
    /// 1.5 * 2^52: the low bits of a float around it are an integer.
    const MIDDLE: f64 = 6_755_399_441_055_744.0;
    let mut outside = 0;
    let mut exact = |m: i64| {
        outside |= m.wrapping_add(MAX_RESTORED) as u64 / (2 * MAX_RESTORED as u64);
        f64::from_bits(MIDDLE.to_bits().wrapping_add(m as u64)) - MIDDLE
    };
    if power == 1.0 {
        out.extend(mantissas.map(&mut exact));
    } else {
        out.extend(mantissas.map(|m| exact(m) / power));
    }
    if outside == 0 { Ok(()) } else { Err(OutOfRange) }
}

/// A mantissa that no writer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfRange;

/// The smallest exponent at which `value` is exact, and its mantissa there. `hint` is tried first and taken if it
/// fits, even if a smaller one would too.
#[inline]
pub(crate) fn decompose(value: f64, hint: u8) -> Option<(i64, u8)> {
    if hint <= MAX_EXPONENT
        && let Some(m) = mantissa(value, hint)
    {
        return Some((m, hint));
    }
    decompose_slowly(value)
}

fn decompose_slowly(value: f64) -> Option<(i64, u8)> {
    if let Some(m) = mantissa(value, 0) {
        return Some((m, 0));
    }
    // One look at the finest scale that fits decides whether the value is a decimal at all.
    let magnitude = value.abs();
    let finest = (0..=MAX_EXPONENT).rev().find(|e| magnitude * POWERS[*e as usize] < MAX_MANTISSA)?;
    let mut m = mantissa(value, finest)?;
    let mut e = finest;
    while e > 0 && m % 10 == 0 {
        m /= 10;
        e -= 1;
    }
    Some((m, e))
}

/// The exponent at which all values are exact, with their mantissas in `out`; or `None`.
pub(crate) fn common(values: &[f64], out: &mut Vec<i64>) -> Option<u8> {
    let mut exponent = 0;
    for value in values {
        let (_, e) = decompose(*value, exponent)?;
        exponent = exponent.max(e);
    }
    out.clear();
    for value in values {
        out.push(mantissa(*value, exponent)?);
    }
    Some(exponent)
}
