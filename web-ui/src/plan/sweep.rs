//! Reports of comparisons as files and jobs hold them, and which of them say something
//! about an open plan.

use dfa_core::wire::Report;
use serde_json::Value;

use super::opened::OpenPlan;

/// The reports in the JSON of a sweep: a list whose entries are reports or have one as
/// `report`. Entries that hold none are left out.
pub fn reports_of(text: &str) -> Vec<Report> {
    let entries = match serde_json::from_str(text) {
        Ok(Value::Array(entries)) => entries,
        Ok(entry) => vec![entry],
        Err(_) => return Vec::new(),
    };
    entries.into_iter().filter_map(report_of).collect()
}

fn report_of(mut entry: Value) -> Option<Report> {
    let inner = entry.get_mut("report").map(Value::take);
    let file = entry.get("plan").and_then(Value::as_str);
    let file = file.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
    let mut report: Report = serde_json::from_value(inner.unwrap_or(entry)).ok()?;
    report.plan.file = report.plan.file.or(file);
    Some(report)
}

/// The report that predicts best what a plan costs: one of the same model and number of
/// steps, if there is any.
pub fn telling<'a>(reports: &'a [Report], opened: &OpenPlan) -> Option<&'a Report> {
    let shape = opened.plan().shape();
    let weights = opened.checked.fingerprint.as_ref();
    let weights = weights.map(|fingerprint| fingerprint.weights_sha256);
    let fits = |report: &&Report| {
        report.settings.n_steps == shape.n_steps
            && report.model.n_blocks == shape.n_blocks
            && weights.is_none_or(|weights| weights == report.model.weights_sha256)
    };
    let hash = opened.hash();
    let same_plan = reports.iter().filter(fits);
    let same_plan = same_plan
        .clone()
        .find(|report| report.plan.plan_hash == hash);
    same_plan.or_else(|| reports.iter().find(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_report_is_left_out() {
        let check = |text: &str| assert!(reports_of(text).is_empty(), "{text}");
        check("");
        check("{}");
        check("[1, null, {\"report\": 7}]");
        check("[{\"report\": {\"format\": \"dfa-report\"}}]");
    }
}
