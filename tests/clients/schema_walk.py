"""Lets schemathesis ask whatever /openapi.json allows, and more: URL of a worker, then its key.

Run by `cargo xtask test`; by hand:
    python tests/clients/schema_walk.py http://127.0.0.1:3000 KEY

What is checked: no 5xx (429, 503 and 507 are described answers), only described statuses
and media types, bodies as in the schema, refusal of what the schema forbids.
`positive_data_acceptance` is left out: that a model, a plan and a size fit together is
more than a schema can say. Streams are left out: they end only with their job.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]


def main(base, key):
    program = Path(sys.executable).absolute().parent / "schemathesis"
    command = [
        program, "run", f"{base}/openapi.json",
        "--header", f"Authorization: Bearer {key}",
        "--checks", ",".join(CHECKS),
        # What would really run takes minutes; the routes are walked by tests of their own.
        "--exclude-path", "/v1/images/generations",
        "--exclude-path", "/v1/jobs/{id}/events",
        "--max-examples", "25",
        "--seed", "1",
        "--phases", "examples,coverage,fuzzing",
        "--generation-deterministic",
        "--request-timeout", "90",
        "--no-color",
    ]
    # It keeps what it found in the folder it runs in.
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(subprocess.run(command, check=False, cwd=folder).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
