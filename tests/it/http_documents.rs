//! Every example of `docs/http-api.md` is asked of a worker, in order, and the answer is
//! the one that is shown.
//!
//! A block `sh` holds one `curl`; the block `text` after it holds the answer: the status
//! line, the headers worth showing, an empty line, the body. `…` stands for anything, in
//! headers and as a JSON text; a field `"…"` for more fields. `$JOB`, `$PLAN` and
//! `$ARTIFACT` are those of the answers before.

use std::collections::BTreeMap;

use dfa_tests::worker::{Answer, TestWorker};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/http-api.md");

#[test]
fn every_example_gives_what_it_shows() {
    let worker = TestWorker::start();
    let blocks = blocks(DOCUMENT);
    let mut known = BTreeMap::new();
    let mut n_examples = 0;
    for (idx, (language, text)) in blocks.iter().enumerate() {
        if *language != "sh" || !text.starts_with("curl") {
            continue;
        }
        let shown = match blocks.get(idx + 1) {
            Some(("text", shown)) => shown,
            _ => panic!("no answer is shown after\n{text}"),
        };
        let answer = ask(&worker, &filled(text, &known));
        remember(&answer, &mut known);
        compare(&answer, &filled(shown, &known), text);
        n_examples += 1;
    }
    assert!(n_examples >= 15, "only {n_examples} examples were found");
}

/// Language and text of the fenced blocks.
fn blocks(document: &str) -> Vec<(&str, &str)> {
    let fenced = document.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

fn filled(text: &str, known: &BTreeMap<&'static str, String>) -> String {
    known.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}

/// Understands the little of curl that the document uses.
fn ask(worker: &TestWorker, command: &str) -> Answer {
    let words = words(&command.replace("\\\n", " "));
    let mut words = words.iter().skip(1);
    let (mut method, mut path, mut headers, mut body) = ("GET", "", Vec::new(), String::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "-i" | "-s" | "-N" => {}
            "-X" => method = words.next().unwrap(),
            "-H" => headers.push(words.next().unwrap().split_once(": ").unwrap()),
            "--json" => {
                method = "POST";
                headers.push(("content-type", "application/json"));
                words.next().unwrap().clone_into(&mut body);
            }
            url => path = url.strip_prefix("http://localhost:3000").unwrap(),
        }
    }
    worker.ask(method, path, &headers, body)
}

/// Words as a shell would split them: by spaces, outside single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (idx, part) in line.split('\'').enumerate() {
        if idx % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn remember(answer: &Answer, known: &mut BTreeMap<&'static str, String>) {
    let json = answer.json();
    let text = |pointer: &str| {
        json.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    if json.get("kind").is_some() {
        known.extend(text("/id").map(|id| ("$JOB", id)));
    }
    known.extend(text("/result/plan").map(|id| ("$PLAN", id)));
    known.extend(text("/result/artifacts/0/hash").map(|hash| ("$ARTIFACT", hash)));
}

fn compare(answer: &Answer, shown: &str, example: &str) {
    let (head, body) = shown.split_once("\n\n").unwrap_or((shown, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    assert_eq!(
        status,
        Some(answer.status.to_string().as_str()),
        "{example}{}",
        answer.text()
    );
    for line in lines {
        let (name, expected) = line.split_once(": ").unwrap();
        let found = answer.header(name);
        let is_same = match expected.split_once('…') {
            Some((start, end)) => {
                found.starts_with(start) && found.ends_with(end) && !found.is_empty()
            }
            None => found == expected,
        };
        assert!(is_same, "{example}{name}: {found}, expected {expected}");
    }
    let body = body.trim();
    match serde_json::from_str::<Value>(body) {
        Ok(expected) => compare_json(&answer.json(), &expected, example),
        Err(_) => {
            for line in body
                .lines()
                .filter(|line| !line.is_empty() && !line.contains('…'))
            {
                assert!(
                    answer.text().contains(line),
                    "{example}{line} is not in\n{}",
                    answer.text()
                );
            }
        }
    }
}

fn compare_json(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (_, Value::String(text)) if text == "…" => {}
        (Value::String(found), Value::String(text)) if text.contains('…') => {
            let (start, end) = text.split_once('…').unwrap();
            assert!(
                found.starts_with(start) && found.ends_with(end),
                "{place}: {found} is not {text}"
            );
        }
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected.iter().filter(|(name, _)| *name != "…") {
                let place = format!("{place}/{name}");
                compare_json(
                    found
                        .get(name)
                        .unwrap_or_else(|| panic!("{place} is missing")),
                    value,
                    &place,
                );
            }
            let n_expected = expected.len();
            assert!(
                expected.contains_key("…") || found.len() == n_expected,
                "{place}: more fields in {found:?}"
            );
        }
        (Value::Array(found), Value::Array(expected)) => {
            let has_more = expected.last() == Some(&Value::from("…"));
            let n_shown = expected.len() - usize::from(has_more);
            assert!(found.len() == n_shown || has_more, "{place}: {found:?}");
            for (found, expected) in found.iter().zip(&expected[..n_shown]) {
                compare_json(found, expected, &format!("{place}/[]"));
            }
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}
