//! How numbers are said to people: few digits, a unit, and the right plural. The same
//! everywhere on the page, so that two places never round differently.

/// A number with four significant digits and no idle zeros: `0.0832`, `12.5`, `3e-7`.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor();
    if !(-5.0..9.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let n_decimals = (3.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.n_decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A share in [0, 1] as percents with one decimal: `41.5 %`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.1} %", 100.0 * share);
    // A small loss must not read as a negative zero.
    if text == "-0.0 %" {
        "0.0 %".into()
    } else {
        text
    }
}

/// A number of bytes: `512 B`, `1.5 MiB`.
pub fn bytes(n_bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n_bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let n_decimals = usize::from(unit > 0);
    format!("{value:.n_decimals$} {}", UNITS[unit])
}

/// A large count with a decimal prefix: `1.23 G`.
pub fn large(count: u64) -> String {
    const PREFIXES: [&str; 6] = ["", " k", " M", " G", " T", " P"];
    let mut value = count as f64;
    let mut prefix = 0;
    while value >= 999.5 && prefix + 1 < PREFIXES.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let n_decimals = match value {
        _ if prefix == 0 => 0,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.n_decimals$}{}", PREFIXES[prefix])
}

/// Seconds, as a person would say them: `0.83 s`, `12.4 s`, `3 min 20 s`.
pub fn seconds(secs: f64) -> String {
    if secs < 10.0 {
        return format!("{secs:.2} s");
    }
    if secs < 60.0 {
        return format!("{secs:.1} s");
    }
    let whole = secs.round() as u64;
    format!("{} min {} s", whole / 60, whole % 60)
}

/// A count and its noun: `1 cell`, `3 cells`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected);
        check(0.0, "0");
        check(0.1, "0.1");
        check(0.083_249, "0.08325");
        check(12.5, "12.5");
        check(-0.25, "-0.25");
        check(123_456.0, "123456");
        check(2.5e-7, "2.500e-7");
    }

    #[test]
    fn units_are_chosen_by_size() {
        assert_eq!(percent(0.4151), "41.5 %");
        assert_eq!(percent(-0.0001), "0.0 %");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_572_864), "1.5 MiB");
        assert_eq!(large(999), "999");
        assert_eq!(large(1234), "1.23 k");
        assert_eq!(large(999_600), "1.00 M");
        assert_eq!(large(45_600_000_000), "45.6 G");
        assert_eq!(seconds(0.834), "0.83 s");
        assert_eq!(seconds(200.2), "3 min 20 s");
        assert_eq!(counted(1, "cell"), "1 cell");
        assert_eq!(counted(0, "cell"), "0 cells");
    }
}
