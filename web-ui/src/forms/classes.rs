//! The classes of a model, found by name or by number.

use dfa_core::wire::service::{ClassView, ModelView};

/// The classes that a search finds, best first: those whose number or name is the query,
/// then names that begin with it, then names with it anywhere. An empty query finds all.
pub fn found(model: &ModelView, query: &str) -> Vec<ClassView> {
    let query = query.trim().to_lowercase();
    let mut ranked: Vec<(u8, ClassView)> = Vec::new();
    for class in &model.classes {
        if let Some(rank) = rank(class, &query) {
            ranked.push((rank, class.clone()));
        }
    }
    // A class without a name can still be asked for by its number.
    if let Ok(index) = query.parse::<u32>()
        && index < model.n_classes
        && !ranked.iter().any(|(_, class)| class.index == index)
    {
        ranked.push((0, named(model, index)));
    }
    ranked.sort_by_key(|(rank, class)| (*rank, class.index));
    ranked.into_iter().map(|(_, class)| class).collect()
}

fn rank(class: &ClassView, query: &str) -> Option<u8> {
    let name = class.name.to_lowercase();
    let mut names = name.split(',').map(str::trim);
    if class.index.to_string() == query || names.any(|name| name == query) {
        return Some(0);
    }
    let mut names = name.split(',').map(str::trim);
    if names.any(|name| name.starts_with(query)) {
        return Some(1);
    }
    name.contains(query).then_some(2)
}

/// A class by its index, with whatever name it has.
pub fn named(model: &ModelView, index: u32) -> ClassView {
    let mut classes = model.classes.iter();
    let known = classes.find(|class| class.index == index);
    known.cloned().unwrap_or_else(|| ClassView {
        index,
        name: format!("class {index}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::examples::capabilities;

    #[test]
    fn classes_are_found_by_name_and_number() {
        let model = &capabilities().models[0];
        let check = |query: &str, expected: &[u32]| {
            let indices: Vec<u32> = found(model, query)
                .iter()
                .map(|class| class.index)
                .collect();
            assert_eq!(indices, expected, "{query:?}");
        };
        check("", &[0, 1, 2, 3]);
        check("MIC", &[1]);
        check(" fish", &[2, 3]);
        check("goldfish", &[3]);
        check("2", &[2]);
        check("7", &[7]);
        check("99", &[]);
        check("nothing", &[]);
    }

    #[test]
    fn a_class_without_a_name_is_a_number() {
        let model = &capabilities().models[0];
        assert_eq!(named(model, 7).name, "class 7");
        assert_eq!(named(model, 1).name, "micah");
    }
}
