"""Makes an image with OpenAI's own client: URL of a worker, then its key.

Run by `cargo xtask test`; by hand:
    python tests/clients/openai_client.py http://127.0.0.1:3000 KEY
"""

import base64
import sys
import urllib.request

import openai

PNG = b"\x89PNG\r\n\x1a\n"


def fetched(url, key):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def main(base, key):
    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)
    model = client.models.list().data[0].id

    by_url = client.images.generate(
        model=model, prompt="1", extra_body={"num_inference_steps": 2, "seed": 7}
    )
    assert len(by_url.data) == 1, by_url
    picture = fetched(by_url.data[0].url, key)
    assert picture.startswith(PNG)

    in_line = client.images.generate(
        model=model,
        prompt="1",
        n=2,
        response_format="b64_json",
        quality="high",
        extra_body={"num_inference_steps": 2, "seed": 7, "negative_prompt": "blur"},
    )
    pictures = [base64.b64decode(image.b64_json) for image in in_line.data]
    assert pictures[0] == picture, "the same seed gives the same image"
    assert pictures[1] != picture, "another index gives another image"
    warnings = " ".join(in_line.model_extra["warnings"])
    assert "quality" in warnings and "negative_prompt" in warnings, warnings

    text_model = next(model for model in client.models.list().data if model.takes == "text")
    by_text = client.images.generate(
        model=text_model.id,
        prompt="a tram passes an old church",
        response_format="b64_json",
        extra_body={"num_inference_steps": 2, "negative_prompt": "blurry"},
    )
    assert base64.b64decode(by_text.data[0].b64_json).startswith(PNG)
    assert by_text.model_extra["warnings"] == [], by_text

    try:
        client.images.generate(model=model, prompt="no such class")
    except openai.BadRequestError as error:
        assert error.param == "prompt" and error.code == "invalid_request", error
    else:
        raise AssertionError("a prompt that is no class was taken")

    try:
        openai.OpenAI(base_url=f"{base}/v1", api_key="wrong", max_retries=0).models.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error
    else:
        raise AssertionError("a wrong key was taken")


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("OpenAI's client works")
