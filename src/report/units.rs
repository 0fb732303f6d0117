//! Sizes and durations as people read them, in few characters.

/// A size, rounded down: `512 B`, `1.5 KiB`, `230 MiB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let mut tenths = u128::from(size) * 10;
    let mut unit = "B";
    for next in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = next;
    }
    // Less than before, so it fits; the other type's printing is one KiB of the shipped binary.
    let tenths = u64::try_from(tenths).unwrap_or(u64::MAX);
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// A time: `0.042 s`, `7.5 s`, `12 min 3 s`, `3 h 25 min`.
#[must_use]
pub fn seconds(milliseconds: u64) -> String {
    let whole = milliseconds / 1000;
    match whole {
        0 => format!("0.{milliseconds:03} s"),
        1..=59 => format!("{whole}.{} s", milliseconds % 1000 / 100),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A forecast: `12 s`, `3 min`, `1 h 20 min`. Rounded up.
#[must_use]
pub fn rough(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3540 => format!("{} min", seconds.div_ceil(60)),
        _ => {
            let minutes = seconds.div_ceil(60);
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_keeps_them_short() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 << 10, "10 KiB"),
            ((1 << 20) - 1, "1023 KiB"),
            (1 << 20, "1.0 MiB"),
            (230 << 20, "230 MiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "15 EiB"),
        ] {
            assert_eq!(bytes(size), text, "{size}");
        }
    }

    #[test]
    fn forecasts_are_rounded_up() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "2 min"),
            (3540, "59 min"),
            (3541, "1 h 0 min"),
            (4800, "1 h 20 min"),
        ] {
            assert_eq!(rough(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn times_have_no_more_digits_than_matter() {
        for (milliseconds, text) in [
            (0, "0.000 s"),
            (42, "0.042 s"),
            (999, "0.999 s"),
            (1000, "1.0 s"),
            (7_590, "7.5 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 0 s"),
            (723_000, "12 min 3 s"),
            (3_600_000, "1 h 0 min"),
            (12_345_000, "3 h 25 min"),
        ] {
            assert_eq!(seconds(milliseconds), text, "{milliseconds}");
        }
    }
}
