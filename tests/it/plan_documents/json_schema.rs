//! As much of JSON Schema 2020-12 as `docs/plan.schema.json` uses, and not one keyword
//! more: an unknown one panics, so that a schema cannot promise what nobody checks.

use serde_json::{Map, Value};

/// What is wrong with `value`, one line each; empty if it fits.
pub(crate) fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    let checker = Checker { root: schema };
    checker.check(schema, value, "$", &mut errors);
    errors
}

struct Checker<'a> {
    /// Where `$ref` starts.
    root: &'a Value,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        let keywords = schema.as_object().expect("a schema is an object");
        for (keyword, rule) in keywords {
            let fits = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "items" | "properties" => true,
                "$ref" => {
                    self.check(self.definition(rule), value, place, errors);
                    true
                }
                "anyOf" => list(rule).iter().any(|schema| self.fits(schema, value)),
                "const" => value == rule,
                "enum" => list(rule).contains(value),
                "type" => has_type(rule, value),
                "required" => has_all(rule, value),
                "additionalProperties" => has_only(keywords, value),
                "minimum" => compare(value.as_f64(), rule, |found, limit| found >= limit),
                "exclusiveMinimum" => compare(value.as_f64(), rule, |found, limit| found > limit),
                "maximum" => compare(value.as_f64(), rule, |found, limit| found <= limit),
                "minItems" | "minLength" | "minProperties" => {
                    compare(size(value), rule, |found, limit| found >= limit)
                }
                "maxItems" | "maxLength" | "maxProperties" => {
                    compare(size(value), rule, |found, limit| found <= limit)
                }
                "uniqueItems" => is_unique(value),
                "pattern" => is_sha256(rule, value),
                _ => panic!("{keyword} is not a keyword that this checker knows"),
            };
            if !fits {
                errors.push(format!("{place}: {keyword} {rule} does not hold"));
            }
        }
        self.check_children(keywords, value, place, errors);
    }

    fn check_children(
        &self,
        keywords: &Map<String, Value>,
        value: &Value,
        place: &str,
        errors: &mut Vec<String>,
    ) {
        if let (Some(items), Some(values)) = (keywords.get("items"), value.as_array()) {
            for (idx, value) in values.iter().enumerate() {
                self.check(items, value, &format!("{place}[{idx}]"), errors);
            }
        }
        if let (Some(properties), Some(fields)) = (keywords.get("properties"), value.as_object()) {
            for (name, value) in fields {
                if let Some(schema) = properties.get(name) {
                    self.check(schema, value, &format!("{place}.{name}"), errors);
                }
            }
        }
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors.is_empty()
    }

    fn definition(&self, reference: &Value) -> &Value {
        let path = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let found = path.and_then(|path| self.root.pointer(path));
        found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().expect("a list")
}

/// `rule` is one type or a list of them.
fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => panic!("{name} is not a type that this checker knows"),
    };
    rule.as_array()
        .map_or_else(|| is(rule), |names| names.iter().any(is))
}

fn has_all(required: &Value, value: &Value) -> bool {
    let has = |name: &Value| name.as_str().is_some_and(|name| value.get(name).is_some());
    !value.is_object() || list(required).iter().all(has)
}

fn has_only(keywords: &Map<String, Value>, value: &Value) -> bool {
    assert_eq!(keywords["additionalProperties"], false);
    let properties = &keywords["properties"];
    let mut names = value.as_object().into_iter().flat_map(Map::keys);
    names.all(|name| properties.get(name).is_some())
}

/// Rules of sizes and numbers hold for values that have none.
fn compare(found: Option<f64>, limit: &Value, holds: fn(f64, f64) -> bool) -> bool {
    let limit = limit.as_f64().expect("a number");
    found.is_none_or(|found| holds(found, limit))
}

fn size(value: &Value) -> Option<f64> {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => return None,
    };
    Some(size as f64)
}

fn is_unique(value: &Value) -> bool {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    (1..items.len()).all(|idx| !items[..idx].contains(&items[idx]))
}

/// The one pattern of the schema, so that no regular expressions are needed.
fn is_sha256(pattern: &Value, value: &Value) -> bool {
    assert_eq!(pattern, "^[0-9a-f]{64}$");
    let is_digit = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
    value
        .as_str()
        .is_none_or(|text| text.len() == 64 && text.chars().all(is_digit))
}
