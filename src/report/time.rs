//! Seconds since 1970 as a date.

/// A date and time in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
}

/// The date of a moment, in UTC.
///
/// Counts in eras of 400 years from 1 March of year 0, so that the leap day ends a year.
#[must_use]
pub fn civil(seconds: i64) -> Civil {
    let days = seconds.div_euclid(86_400) + 719_468;
    let rest = seconds.rem_euclid(86_400);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    Civil {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
        hour: rest / 3_600,
        minute: rest % 3_600 / 60,
        second: rest % 60,
    }
}

/// A moment as `2023-12-18T14:30:22Z`.
#[must_use]
pub fn utc(seconds: i64) -> String {
    let time = civil(seconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}

#[cfg(test)]
mod tests {
    use super::{civil, utc};

    #[test]
    fn a_moment_is_written_as_iso_8601_in_utc() {
        assert_eq!(utc(1_702_909_822), "2023-12-18T14:30:22Z");
    }

    #[test]
    fn known_moments_have_their_dates() {
        for (seconds, date) in [
            (0, (1970, 1, 1, 0, 0, 0)),
            (951_782_400, (2000, 2, 29, 0, 0, 0)),
            (1_702_909_822, (2023, 12, 18, 14, 30, 22)),
            (-1, (1969, 12, 31, 23, 59, 59)),
            (4_107_542_400, (2100, 3, 1, 0, 0, 0)),
        ] {
            let c = civil(seconds);
            assert_eq!(
                (c.year, c.month, c.day, c.hour, c.minute, c.second),
                date,
                "{seconds}"
            );
        }
    }
}
