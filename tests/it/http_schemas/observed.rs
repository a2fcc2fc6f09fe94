//! What values of the wire types were seen at each place of the schemas, and where the
//! schemas say something else.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

const NAMED: &str = "#/components/schemas";
/// What no sample can show; clients that test the API by its description read it.
const NOT_COMPARED: [&str; 9] = [
    "description",
    "example",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "maxLength",
    "discriminator",
    "additionalProperties",
];

/// The schemas, and what was seen so far.
pub(super) struct Observed {
    schemas: Value,
    /// By the schema's place, a JSON pointer.
    places: BTreeMap<String, Seen>,
    differences: Vec<String>,
}

#[derive(Default)]
struct Seen {
    kinds: BTreeSet<String>,
    texts: BTreeSet<String>,
    names: BTreeSet<String>,
    /// Names that no value lacked.
    always: Option<BTreeSet<String>>,
}

impl Observed {
    pub(super) fn new(schemas: Value) -> Self {
        Self {
            schemas,
            places: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    /// A value that the worker answers.
    pub(super) fn see(&mut self, name: &str, value: &impl Serialize) {
        let value = serde_json::to_value(value).unwrap();
        self.visit(&format!("/{name}"), &value);
    }

    /// A request with every field, other forms of it, and, found by trying, the same with
    /// only what it needs.
    pub(super) fn see_request<T: DeserializeOwned>(
        &mut self,
        name: &str,
        full: &Value,
        forms: &[Value],
    ) {
        let is_read = |value: &Value| serde_json::from_value::<T>(value.clone()).is_ok();
        let mut needed = full.clone();
        for field in full.as_object().into_iter().flat_map(Map::keys) {
            let mut less = needed.clone();
            less.as_object_mut().map(|fields| fields.remove(field));
            if is_read(&less) {
                needed = less;
            }
        }
        for form in [full, &needed].into_iter().chain(forms) {
            assert!(is_read(form), "{name}: {form}");
            self.see(name, form);
        }
        let mut more = full.clone();
        more["no such field"] = Value::Null;
        let schema = &self.schemas[name];
        let takes_more = schema["additionalProperties"].is_null();
        let has_bad_example = schema.get("example").is_some_and(|it| !is_read(it));
        if is_read(&more) != takes_more {
            self.differ(name, "additionalProperties is not what the reader does");
        }
        if has_bad_example {
            self.differ(name, "the example is refused");
        }
    }

    fn visit(&mut self, place: &str, value: &Value) {
        let Some(schema) = self.schemas.pointer(place).cloned() else {
            return self.differ(place, "there is no such schema");
        };
        if let Some(name) = schema["$ref"].as_str() {
            let named = name.strip_prefix(NAMED).unwrap_or(name);
            return self.visit(named, value);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(branches) = schema[keyword].as_array() {
                return match self.branch(branches, value) {
                    Some(idx) => self.visit(&format!("{place}/{keyword}/{idx}"), value),
                    None => self.differ(place, &format!("{value} fits nowhere")),
                };
            }
        }
        self.places.entry(place.into()).or_default().add(value);
        for item in value.as_array().into_iter().flatten() {
            self.visit(&format!("{place}/items"), item);
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            if schema["properties"].get(name).is_some() {
                self.visit(&format!("{place}/properties/{name}"), value);
            }
        }
    }

    /// The branch that a value belongs to: first by its text or its `kind`, then by its type.
    fn branch(&self, branches: &[Value], value: &Value) -> Option<usize> {
        let named = |branch: &Value| {
            let name = branch["$ref"].as_str()?.strip_prefix(NAMED)?;
            self.schemas.pointer(name).cloned()
        };
        let resolved = branches
            .iter()
            .map(|branch| named(branch).unwrap_or_else(|| branch.clone()));
        let resolved: Vec<Value> = resolved.collect();
        let lists = |list: &Value, value: &Value| {
            let list = list["enum"].as_array();
            list.is_some_and(|list| list.contains(value))
        };
        let is_listed = |branch: &Value| {
            lists(branch, value) || lists(&branch["properties"]["kind"], &value["kind"])
        };
        let has_kind = |branch: &Value| {
            branch.get("enum").is_none() && names_of(&branch["type"]).contains(kind_of(value))
        };
        let by_list = resolved.iter().position(is_listed);
        by_list.or_else(|| resolved.iter().position(has_kind))
    }

    fn differ(&mut self, place: &str, what: &str) {
        self.differences.push(format!("{place}: {what}"));
    }

    /// Where the schemas say something else than what was seen.
    pub(super) fn differences(mut self) -> Vec<String> {
        let schemas = self.schemas.take();
        for (name, schema) in schemas.as_object().unwrap() {
            self.compare(&format!("/{name}"), schema);
        }
        self.differences
    }

    fn compare(&mut self, place: &str, schema: &Value) {
        let children = |keyword: &str| match &schema[keyword] {
            Value::Array(list) => (0..list.len()).map(|idx| idx.to_string()).collect(),
            Value::Object(fields) => fields.keys().cloned().collect(),
            _ => Vec::new(),
        };
        for keyword in ["anyOf", "oneOf", "properties"] {
            for child in children(keyword) {
                let below = format!("/{keyword}/{child}");
                self.compare(
                    &format!("{place}{below}"),
                    &schema.pointer(&below).unwrap().clone(),
                );
            }
        }
        if let Some(items) = schema.get("items") {
            self.compare(&format!("{place}/items"), items);
        }
        if ["anyOf", "oneOf", "$ref"]
            .iter()
            .any(|keyword| schema.get(keyword).is_some())
        {
            return;
        }
        match self.places.remove(place) {
            Some(seen) => {
                let differences = seen.differences(schema);
                differences.iter().for_each(|what| self.differ(place, what));
            }
            None => self.differ(place, "no wire type has it"),
        }
    }
}

impl Seen {
    fn add(&mut self, value: &Value) {
        self.kinds.insert(kind_of(value).into());
        self.texts.extend(value.as_str().map(str::to_owned));
        if let Some(fields) = value.as_object() {
            let names: BTreeSet<String> = fields.keys().cloned().collect();
            self.names.extend(names.iter().cloned());
            self.always = Some(match self.always.take() {
                Some(always) => &always & &names,
                None => names,
            });
        }
    }

    fn differences(&self, schema: &Value) -> Vec<String> {
        let mut rules = vec![("type", names_of(&schema["type"]), &self.kinds)];
        if schema.get("enum").is_some() {
            rules.push(("enum", names_of(&schema["enum"]), &self.texts));
        }
        // An object without properties is described elsewhere.
        if let Some(properties) = schema["properties"].as_object() {
            let names = properties.keys().cloned().collect();
            rules.push(("properties", names, &self.names));
            let always = self.always.as_ref().unwrap_or(&self.names);
            rules.push(("required", names_of(&schema["required"]), always));
        }
        let known = ["type", "enum", "properties", "required", "items"];
        let mut differences: Vec<String> = rules
            .iter()
            .filter(|(_, said, seen)| said != *seen)
            .map(|(rule, said, seen)| format!("{rule} says {said:?}, the type {seen:?}"))
            .collect();
        let keywords = schema.as_object().into_iter().flat_map(Map::keys);
        let unknown = keywords.filter(|keyword| {
            !known.contains(&keyword.as_str()) && !NOT_COMPARED.contains(&keyword.as_str())
        });
        differences.extend(unknown.map(|keyword| format!("nobody compares {keyword}")));
        differences
    }
}

/// The strings of a list, or the one string.
fn names_of(rule: &Value) -> BTreeSet<String> {
    let list = rule
        .as_array()
        .map_or(std::slice::from_ref(rule), Vec::as_slice);
    list.iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Every variant of an enum: serde names them when it refuses one.
pub(super) fn variants<T: DeserializeOwned>() -> Vec<T> {
    let Err(error) = serde_json::from_value::<T>(json!("no such variant")) else {
        panic!("the enum takes any text");
    };
    let words = error.to_string();
    let names = words.split('`').skip(3).step_by(2);
    let read = |name| serde_json::from_value(json!(name));
    names
        .map(|name| read(name).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

/// Every field of a struct that refuses unknown ones.
pub(super) fn fields<T: DeserializeOwned>() -> Vec<String> {
    let Err(error) = serde_json::from_value::<T>(json!({"no such field": 0})) else {
        panic!("the type takes any field");
    };
    let words = error.to_string();
    words
        .split('`')
        .skip(3)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
