//! OpenAI's route for images.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use dfa_tests::worker::TestWorker;
use serde_json::{Value, json};

use super::{PNG, ended};

#[test]
fn images_come_in_openais_shape() {
    let worker = TestWorker::start();
    let ask = |more: Value| {
        let mut body = json!({"prompt": "1", "num_inference_steps": 2, "seed": 7});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = worker.post("/v1/images/generations", &body);
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        answer.json()
    };
    let by_url = ask(json!({}));
    assert_eq!(by_url["warnings"], json!([]));
    let url = by_url["data"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix(&worker.url("")).unwrap();
    let picture = worker.get(path).body;
    assert!(picture.starts_with(PNG));
    let in_line = ask(
        json!({"response_format": "b64_json", "n": 2, "model": "avatars-dit", "quality": "high",
        "negative_prompt": "blur", "user": "me", "size": "auto", "plan": "none", "guidance_scale": 4}),
    );
    let images = in_line["data"].as_array().unwrap();
    let decoded: Vec<Vec<u8>> = images
        .iter()
        .map(|image| BASE64.decode(image["b64_json"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(decoded[0], picture, "the same seed gives the same image");
    assert_ne!(decoded[1], picture);
    let warnings = in_line["warnings"].to_string();
    assert!(
        warnings.contains("quality") && warnings.contains("negative_prompt"),
        "{warnings}"
    );
}

#[test]
fn a_client_of_the_synchronous_route_that_goes_away_cancels() {
    let worker = TestWorker::start();
    let body = json!({"prompt": "1", "num_inference_steps": 500}).to_string();
    let mut stream = TcpStream::connect(worker.address).unwrap();
    let head = format!(
        "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let start = Instant::now();
    let jobs = || worker.get("/v1/jobs").json()["jobs"].clone();
    while jobs()[0].is_null() {
        assert!(start.elapsed() < Duration::from_secs(10), "no job came");
        std::thread::sleep(Duration::from_millis(10));
    }
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    stream.read_exact(&mut [0]).unwrap_err();
    drop(stream);
    assert_eq!(ended(&worker, &jobs()[0])["state"], "cancelled");
}
