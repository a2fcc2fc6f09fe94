//! The classes of a class-conditional model: a person may write an index or a name.

use std::collections::BTreeMap;

/// Names of the classes by index, as `model_index.json` gives them in `id2label`.
///
/// A name may list synonyms: ImageNet's are like `"tench, Tinca tinca"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassNames(BTreeMap<u32, String>);

/// A label that names no class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not an index of the model.
    #[error("class {index} is outside the model's classes 0 to {}", n_classes - 1)]
    OutOfRange {
        /// What was given.
        index: u32,
        /// Number of classes, the null class not counted.
        n_classes: u32,
    },
    /// Not a name of the model.
    #[error("no class is named {name:?}; {}", hint(similar))]
    Unknown {
        /// What was given.
        name: String,
        /// Names that contain it or begin alike.
        similar: Vec<String>,
    },
}

fn hint(similar: &[String]) -> String {
    if similar.is_empty() {
        "`dfa models --model DIR` lists them".into()
    } else {
        format!("did you mean {}?", similar.join(" or "))
    }
}

impl ClassNames {
    /// From `id2label`; keys that are no numbers are ignored, as diffusers ignores them.
    pub(crate) fn from_id2label(id2label: &BTreeMap<String, String>) -> Self {
        let numbered = id2label.iter();
        Self(
            numbered
                .filter_map(|(index, name)| Some((index.parse().ok()?, name.clone())))
                .collect(),
        )
    }

    /// The name of a class, without its synonyms; its index if it has none.
    pub fn name(&self, class: u32) -> String {
        match self.0.get(&class) {
            Some(name) => name.split(',').next().unwrap_or_default().trim().to_owned(),
            None => format!("class {class}"),
        }
    }

    /// Every named class.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.0.iter().map(|(&index, name)| (index, name.as_str()))
    }

    /// The class that a person means by `text`: an index, or a name or synonym, whatever
    /// its case.
    ///
    /// # Errors
    /// [`LabelError`] says what is near.
    pub fn resolve(&self, text: &str, n_classes: u32) -> Result<u32, LabelError> {
        let text = text.trim();
        if let Ok(index) = text.parse() {
            return if index < n_classes {
                Ok(index)
            } else {
                Err(LabelError::OutOfRange { index, n_classes })
            };
        }
        let wanted = text.to_lowercase();
        let named = self.0.iter().find(|(_, names)| {
            let names = names.to_lowercase();
            names == wanted || names.split(',').any(|name| name.trim() == wanted)
        });
        named
            .map(|(&index, _)| index)
            .ok_or_else(|| LabelError::Unknown {
                name: text.chars().take(80).collect(),
                similar: self.similar(&wanted),
            })
    }

    fn similar(&self, wanted: &str) -> Vec<String> {
        let head: String = wanted.chars().take(3).collect();
        let names = self.0.values().filter(|name| {
            let name = name.to_lowercase();
            !wanted.is_empty() && (name.contains(wanted) || name.starts_with(&head))
        });
        names.take(3).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_indices_names_or_synonyms() {
        let names = [
            ("0", "tench, Tinca tinca"),
            ("1", "goldfish"),
            ("x", "no class"),
        ];
        let names = names.map(|(index, name)| (index.to_owned(), name.to_owned()));
        let names = ClassNames::from_id2label(&names.into());
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(names.resolve(text, 2).ok(), expected, "{text:?}");
        };
        check("1", Some(1));
        check("2", None);
        check("Tench", Some(0));
        check(" tinca TINCA ", Some(0));
        check("tench, Tinca tinca", Some(0));
        check("gold", None);
        check("", None);
        let error = names.resolve("gold", 2).unwrap_err().to_string();
        assert_eq!(error, "no class is named \"gold\"; did you mean goldfish?");
    }
}
