//! Numbers as Prometheus's API writes them: those of Go, with the shortest digits that read back as the same number.

use sonde_model::TimestampMs;

/// The digits of the whole numbers below 100, two each.
const PAIRS: &[u8; 200] = b"00010203040506070809101112131415161718192021222324252627282930313233343536373839\
40414243444546474849505152535455565758596061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Writes a float the way Go's `strconv` does with format 'f' (or 'e' for the very small and large), shortest digits.
pub(crate) fn write_float(out: &mut Vec<u8>, v: f64) {
    const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;
    let magnitude = v.abs();
    if v.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if v.is_infinite() {
        out.extend_from_slice(if v > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if magnitude < LARGEST_WHOLE && v.trunc() == v && (v != 0.0 || v.is_sign_positive()) {
        write_integer(out, v as i64);
    } else if v == 0.0 {
        out.extend_from_slice(b"-0");
    } else if (1e-6..1e21).contains(&magnitude) {
        write_plain(out, zmij::Buffer::new().format_finite(v));
    } else {
        write_scientific(out, v);
    }
}

/// Writes a float in Go's 'e' format: at least two digits of exponent, and its sign.
pub(crate) fn write_scientific(out: &mut Vec<u8>, v: f64) {
    if !v.is_finite() {
        return write_float(out, v);
    }
    let text = format!("{v:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => (b'-', rest),
        None => (b'+', exponent),
    };
    out.extend_from_slice(digits.as_bytes());
    out.extend_from_slice(&[b'e', sign]);
    if exponent.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(exponent.as_bytes());
}

/// Writes a number that is given in its shortest digits without the exponent it may have.
fn write_plain(out: &mut Vec<u8>, text: &str) {
    let Some((digits, exponent)) = text.split_once('e') else {
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
        return;
    };
    let digits = match digits.strip_prefix('-') {
        Some(rest) => {
            out.push(b'-');
            rest
        }
        None => digits,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = if fraction == "0" { "" } else { fraction };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let zeros = |out: &mut Vec<u8>, n: usize| out.resize(out.len() + n, b'0');
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        zeros(out, exponent.unsigned_abs() as usize - 1);
        out.extend_from_slice(whole.as_bytes());
        out.extend_from_slice(fraction.as_bytes());
    } else {
        let shift = exponent as usize;
        out.extend_from_slice(whole.as_bytes());
        let (before, after) = fraction.split_at(shift.min(fraction.len()));
        out.extend_from_slice(before.as_bytes());
        zeros(out, shift - before.len());
        if !after.is_empty() {
            out.push(b'.');
            out.extend_from_slice(after.as_bytes());
        }
    }
}

/// Writes a time: seconds with up to three decimals.
pub(crate) fn write_timestamp(out: &mut Vec<u8>, ms: TimestampMs) {
    if ms < 0 {
        out.push(b'-');
    }
    let ms = ms.unsigned_abs();
    write_unsigned(out, ms / 1_000);
    let rest = (ms % 1_000) as usize;
    if rest != 0 {
        let tens = 2 * (rest % 100);
        out.extend_from_slice(&[b'.', b'0' + (rest / 100) as u8, PAIRS[tens], PAIRS[tens + 1]]);
    }
}

/// Writes a whole number.
pub(crate) fn write_integer(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    write_unsigned(out, n.unsigned_abs());
}

fn write_unsigned(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while n >= 100 {
        let pair = 2 * (n % 100) as usize;
        n /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if n >= 10 {
        let pair = 2 * n as usize;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        digits[at] = b'0' + n as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(v: f64) -> String {
        let mut out = Vec::new();
        write_float(&mut out, v);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn values_look_as_prometheus_writes_them() {
        for (v, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (100.0, "100"),
            (12_345.0, "12345"),
            (0.1, "0.1"),
            (1.5e-7, "1.5e-07"),
            (1e-6, "0.000001"),
            (-1.25e-6, "-0.00000125"),
            (9.99e-7, "9.99e-07"),
            (1e21, "1e+21"),
            (1e20, "100000000000000000000"),
            (-1.5e17, "-150000000000000000"),
            (123_456_789.125, "123456789.125"),
            // Go takes the even one of two digits that are equally near.
            (1_332_145_028_332_345.0 / 8.0, "166518128541543.12"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(v), text);
        }
        let mut out = Vec::new();
        write_scientific(&mut out, 1.0);
        assert_eq!(String::from_utf8_lossy(&out), "1e+00");
    }

    /// Rust prints the shortest digits, too, and never an exponent. Of two that are equally near it takes the greater.
    #[test]
    fn digits_are_the_shortest() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for i in 0..200_000 {
            bits = bits.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            let wide = f64::from_bits(bits);
            let near = (bits >> 20) as f64 / 10f64.powi(i % 19);
            for v in [wide, near, -near] {
                if (1e-6..1e21).contains(&v.abs()) {
                    assert_eq!(float(v).len(), v.to_string().len(), "{v}");
                }
                if v.is_finite() {
                    assert_eq!(float(v).parse(), Ok(v));
                }
            }
        }
    }

    #[test]
    fn times_have_up_to_three_decimals() {
        for (ms, text) in [
            (0, "0"),
            (1_000, "1"),
            (1_500, "1.500"),
            (1_007, "1.007"),
            (-1_020, "-1.020"),
            (1_795_188_720_123, "1795188720.123"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            let mut out = Vec::new();
            write_timestamp(&mut out, ms);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
