//! Owns how a time is written in each language: the day in words and the zone's name, so that nobody takes 02/03 for
//! another month or another country's clock.

use chrono::{Datelike as _, Timelike as _};

use crate::domain::clock::Timestamp;
use crate::domain::locale::Locale;

const MONTHS_PT: [&str; 12] = [
    "janeiro",
    "fevereiro",
    "março",
    "abril",
    "maio",
    "junho",
    "julho",
    "agosto",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
];
const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const MONTHS_ES: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];
const MONTHS_FR: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

/// `at` as the clocks of `zone` show it: `20 de fevereiro de 2026, 07:00 (America/Sao_Paulo)`.
pub fn told(at: Timestamp, zone: chrono_tz::Tz, locale: Locale) -> String {
    let local = at.to_utc().with_timezone(&zone);
    let (months, of) = match locale {
        Locale::PtBr => (&MONTHS_PT, " de "),
        Locale::En => (&MONTHS_EN, " "),
        Locale::Es => (&MONTHS_ES, " de "),
        Locale::Fr => (&MONTHS_FR, " "),
    };
    let month = months.get(local.month0() as usize).copied().unwrap_or_default();
    let (day, year, hour, minute) = (local.day(), local.year(), local.hour(), local.minute());
    format!("{day}{of}{month}{of}{year}, {hour:02}:{minute:02} ({})", zone.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_the_companys_clock_in_each_language() {
        let at = Timestamp::from_micros(1_771_581_600_000_000);
        let zone = chrono_tz::America::Sao_Paulo;
        for (locale, expected) in [
            (Locale::PtBr, "20 de fevereiro de 2026, 07:00 (America/Sao_Paulo)"),
            (Locale::En, "20 February 2026, 07:00 (America/Sao_Paulo)"),
            (Locale::Es, "20 de febrero de 2026, 07:00 (America/Sao_Paulo)"),
            (Locale::Fr, "20 février 2026, 07:00 (America/Sao_Paulo)"),
        ] {
            assert_eq!(told(at, zone, locale), expected);
        }
    }
}
