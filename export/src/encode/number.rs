//! Numbers as text, the same as `itoa` and `ryu` write them.

use super::line::Line;

const ZEROS: u64 = u64::MAX / 255 * b'0' as u64;
const EIGHT: u64 = 100_000_000;

/// The eight digits of a number below 10^8 as the values of bytes, the first one lowest. Halves,
/// quarters and single digits are parted side by side in one word.
#[inline(always)]
fn eight(number: u64) -> u64 {
    debug_assert!(number < EIGHT);
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // 10486 / 2^20 is a hundredth, near enough below 10,000; 103 / 2^10 a tenth below 100.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

/// A number below 10^8 without leading zeros.
#[inline(always)]
fn few(number: u64, line: &mut Line<'_>) {
    let digits = eight(number);
    // The last digit is kept although it be zero.
    let skipped = (digits | 1 << 56).trailing_zeros() as usize / 8;
    line.word((digits | ZEROS) >> (skipped * 8), 8 - skipped);
}

/// Nine digits, leading zeros among them.
#[inline(always)]
pub fn nine(number: u64, line: &mut Line<'_>) {
    line.put(&[b'0' + (number / EIGHT % 10) as u8]);
    line.word(eight(number % EIGHT) | ZEROS, 8);
}

/// An unsigned integer.
#[inline(always)]
pub fn unsigned(number: u64, line: &mut Line<'_>) {
    if number < EIGHT { few(number, line) } else { many(number, line) }
}

#[inline(always)]
fn many(number: u64, line: &mut Line<'_>) {
    let high = number / EIGHT;
    if high < EIGHT {
        few(high, line);
    } else {
        few(high / EIGHT, line);
        line.word(eight(high % EIGHT) | ZEROS, 8);
    }
    line.word(eight(number % EIGHT) | ZEROS, 8);
}

/// A signed integer.
#[inline(always)]
pub fn signed(number: i64, line: &mut Line<'_>) {
    line.word(u64::from(b'-'), usize::from(number < 0));
    unsigned(number.unsigned_abs(), line);
}

/// A finite number, so that it reads back as the same: the shortest such digits.
#[inline(always)]
pub fn finite(number: f64, line: &mut Line<'_>) {
    const MILLION: f64 = 1e6;
    line.word(u64::from(b'-'), usize::from(number.is_sign_negative()));
    let size = number.abs();
    if size < 1e8 {
        // Measured prices, shares and seconds have few decimals. Where the nearest multiple of a
        // millionth reads back as this number, its digits are the shortest: no two decimals of at
        // most 15 digits are the same double. The quotient of two whole numbers that are doubles
        // is rounded as a decimal that is read.
        // SAFETY: at least 0 and below 2^62.
        let millionths = unsafe { (size * MILLION + 0.5).to_int_unchecked::<i64>() };
        // From 1 to 9 millionths there is an exponent.
        if millionths as f64 / MILLION == size && (millionths >= 10 || millionths == 0) {
            let millionths = millionths as u64;
            few(millionths / 1_000_000, line);
            let decimals = eight(millionths % 1_000_000) >> 16;
            let kept = 8 - (decimals | 1).leading_zeros() as usize / 8;
            line.word(u64::from(b'.') | (decimals | ZEROS) << 8, 1 + kept);
            return;
        }
    }
    line.rarely(|out| shortest(size, out));
}

/// As [`finite`], at the end of a vector.
pub fn append_finite(number: f64, out: &mut Vec<u8>) {
    let mut line = Line::new(out);
    finite(number, &mut line);
    line.finish();
}

/// A finite number by way of the general algorithm.
#[inline(never)]
fn shortest(number: f64, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(number);
    match text.split_once('+') {
        Some((digits, exponent)) => {
            out.extend_from_slice(digits.as_bytes());
            out.extend_from_slice(exponent.as_bytes());
        }
        None => out.extend_from_slice(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = Vec::new();
        let mut line = Line::new(&mut out);
        write(&mut line);
        line.finish();
        String::from_utf8(out).unwrap()
    }

    fn check_integer(number: u64) {
        let text = written(|line| unsigned(number, line));
        assert_eq!(text, number.to_string());
        let text = written(|line| signed(number as i64, line));
        assert_eq!(text, (number as i64).to_string());
        let text = written(|line| nine(number % 1_000_000_000, line));
        assert_eq!(text, format!("{:09}", number % 1_000_000_000));
    }

    fn check_float(number: f64) {
        let text = written(|line| finite(number, line));
        assert_eq!(text, ryu::Buffer::new().format_finite(number));
        assert_eq!(text.parse::<f64>().unwrap().to_bits(), number.to_bits());
    }

    #[test]
    fn integers_at_every_power() {
        for base in [2u64, 10] {
            for exponent in 0..64 {
                let power = base.saturating_pow(exponent);
                for near in [power - 1, power, power.saturating_add(1)] {
                    check_integer(near);
                    check_integer(near.wrapping_neg());
                }
            }
        }
    }

    #[test]
    fn eight_digits_by_every_pair_of_fours() {
        for four in 0..10_000 {
            check_integer(four);
            check_integer(four * 10_000 + 9_999 - four);
        }
    }

    #[test]
    fn floats_at_the_edges() {
        for number in [0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::EPSILON, 0.1 + 0.2, 0.25] {
            check_float(number);
            check_float(-number);
        }
        for exponent in -330..310 {
            for digits in [1.0, 1.5, 9.0, 9.999_999, 1.234_567_890_123_456_7] {
                let number: f64 = format!("{digits}e{exponent}").parse().unwrap();
                for number in [number.next_down(), number, number.next_up()] {
                    check_float(number);
                }
            }
        }
        for exponent in -1074..1024 {
            let power = f64::from(exponent).exp2();
            for number in [power.next_down(), power, power.next_up()] {
                if number.is_finite() {
                    check_float(number);
                }
            }
        }
    }

    #[test]
    fn every_short_decimal() {
        for thousandths in 0..1_000_000u32 {
            let number = f64::from(thousandths) / 1e3;
            let text = written(|line| finite(number, line));
            assert_eq!(text, ryu::Buffer::new().format_finite(number));
        }
        for millionths in 0..20_000 {
            check_float(f64::from(millionths) / 1e6);
            check_float(f64::from(millionths) / 1e7);
            check_float(1e8 - f64::from(millionths) / 1e6);
            check_float(1e8 + f64::from(millionths) / 1e6);
        }
    }

    proptest! {
        #[test]
        fn any_number(bits in any::<u64>(), shift in 0..64u32, decimals in 0..16) {
            check_integer(bits >> shift);
            let decimal = (bits >> shift) as f64 / 10f64.powi(decimals);
            for number in [f64::from_bits(bits), decimal, decimal.next_up(), -decimal] {
                if number.is_finite() {
                    check_float(number);
                }
            }
        }
    }
}
