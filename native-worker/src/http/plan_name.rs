//! A plan in a path: its id, and the form that is asked for.

use std::fmt;
use std::str::FromStr;

use dfa_core::wire::ContentHash;
use dfa_core::wire::content_hash::BadHash;

/// How a plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlanForm {
    /// The plan file.
    File,
    /// One line per cell.
    Csv,
    /// xDiT's JSON.
    Xdit,
}

/// `{id}`, `{id}.json`, `{id}.csv` or `{id}.xdit.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlanName {
    pub(super) id: ContentHash,
    pub(super) form: PlanForm,
}

impl FromStr for PlanName {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        let (id, ending) = text.split_once('.').unwrap_or((text, "json"));
        let form = match ending {
            "json" => PlanForm::File,
            "csv" => PlanForm::Csv,
            "xdit.json" => PlanForm::Xdit,
            _ => return Err(BadHash),
        };
        let id = id.parse()?;
        Ok(Self { id, form })
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = match self.form {
            PlanForm::File => "json",
            PlanForm::Csv => "csv",
            PlanForm::Xdit => "xdit.json",
        };
        write!(f, "{}.{ending}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_form() {
        let id = ContentHash::of(b"");
        let check = |ending: &str, expected: Option<PlanForm>| {
            let name: Option<PlanName> = format!("{id}{ending}").parse().ok();
            assert_eq!(name.map(|name| name.form), expected, "{ending}");
        };
        check("", Some(PlanForm::File));
        check(".json", Some(PlanForm::File));
        check(".csv", Some(PlanForm::Csv));
        check(".xdit.json", Some(PlanForm::Xdit));
        check(".exe", None);
        check("/../x", None);
        assert!("..csv".parse::<PlanName>().is_err());
    }
}
