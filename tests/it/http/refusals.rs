//! Every refusal, one a row.

use dfa_tests::worker::TestWorker;

use super::assert_refused;

/// Request, header, body, refusal.
const REFUSALS: &str = r#"
GET /nothing                 |                          |                                      | 404 route_not_found
GET /docs/nothing            |                          |                                      | 404 route_not_found
PUT /v1/jobs                 |                          |                                      | 405 method_not_allowed
POST /ping                   |                          |                                      | 405 method_not_allowed
POST /v1/jobs                |                          | {}                                   | 415 unsupported_media_type
POST /v1/jobs                | content-type: text/plain | {}                                   | 415 unsupported_media_type
POST /v1/jobs                | JSON                     |                                      | 400 invalid_json
POST /v1/jobs                | JSON                     | {"kind":                             | 400 invalid_json
POST /v1/jobs                | JSON                     | TOO_DEEP                             | 400 invalid_json
POST /v1/jobs                | JSON                     | {}                                   | 400 invalid_request
POST /v1/jobs                | JSON                     | [1]                                  | 400 invalid_request
POST /v1/jobs                | JSON                     | {"kind":"calibrate"}                 | 400 invalid_request
POST /v1/jobs                | JSON                     | {"kind":"x","model":"tiny"}          | 400 invalid_request
GET /v1/jobs?status=asleep   |                          |                                      | 400 invalid_request
GET /v1/jobs?kind=x          |                          |                                      | 400 invalid_request
GET /v1/jobs?limit=0         |                          |                                      | 400 invalid_request
GET /v1/jobs?limit=201       |                          |                                      | 400 invalid_request
GET /v1/jobs?limit=1&limit=2 |                          |                                      | 400 invalid_request
GET /v1/jobs?colour=blue     |                          |                                      | 400 invalid_request
GET /v1/jobs/..%2f..%2fetc   |                          |                                      | 400 invalid_request
GET /v1/jobs/%ff             |                          |                                      | 400 invalid_request
GET /v1/jobs/UUID            |                          |                                      | 404 job_not_found
GET /v1/jobs/UUID?wait=1     |                          |                                      | 404 job_not_found
GET /v1/jobs/UUID?wait=61    |                          |                                      | 400 invalid_request
GET /v1/jobs/UUID?wait=-1    |                          |                                      | 400 invalid_request
DELETE /v1/jobs/UUID         |                          |                                      | 404 job_not_found
POST /v1/jobs/UUID/cancel    |                          |                                      | 404 job_not_found
GET /v1/jobs/UUID/events     |                          |                                      | 404 job_not_found
GET /v1/jobs/UUID/events     | last-event-id: x         |                                      | 400 invalid_request
GET /v1/artifacts/HASH       |                          |                                      | 404 artifact_not_found
GET /v1/artifacts/passwd     |                          |                                      | 400 invalid_request
GET /v1/models/nobody        |                          |                                      | 404 model_not_found
GET /v1/plans/HASH           |                          |                                      | 404 plan_not_found
GET /v1/plans/HASH.exe       |                          |                                      | 400 invalid_request
POST /v1/plans               | content-type: text/html  |                                      | 415 unsupported_media_type
POST /v1/plans               | JSON                     | ZIP                                  | 400 invalid_plan
POST /v1/plans?format=pickle | JSON                     | {}                                   | 400 invalid_request
POST /v1/plans?window=all    | JSON                     | {}                                   | 400 invalid_request
POST /v1/images/generations  | JSON                     | {}                                   | 400 invalid_request
POST /v1/images/generations  | JSON                     | {"prompt":"a cat in a hat"}          | 400 invalid_request
POST /v1/images/generations  | JSON                     | {"prompt":"0","model":"x"}           | 404 model_not_found
POST /v1/images/generations  | JSON                     | {"prompt":"0","size":"huge"}         | 400 invalid_request
POST /v1/images/generations  | JSON                     | {"prompt":"0","response_format":"x"} | 400 invalid_request
POST /login                  | JSON                     | {"key":"x"}                          | 400 invalid_request
"#;

/// What would be long or unreadable in a row.
fn spelled_out(cell: &str) -> String {
    cell.trim()
        .replace("UUID", "019abc12-3456-7890-abcd-ef0123456789")
        .replace("HASH", &"9f".repeat(32))
        .replace("JSON", "content-type: application/json")
        .replace("TOO_DEEP", &"[".repeat(33))
        .replace("ZIP", "PK\u{3}\u{4}")
}

#[test]
fn every_refusal_is_in_the_envelope() {
    let worker = TestWorker::start();
    for row in REFUSALS.trim().lines() {
        let cells: Vec<String> = row.split('|').map(spelled_out).collect();
        let [request, header, body, refusal] = &cells[..] else {
            panic!("{row}");
        };
        let (method, path) = request.split_once(' ').unwrap();
        let (status, code) = refusal.split_once(' ').unwrap();
        let header = header.split_once(": ");
        let answer = worker.ask(method, path, header.as_slice(), body.as_str());
        assert_refused(&answer, status.parse().unwrap(), code, row);
    }
}
