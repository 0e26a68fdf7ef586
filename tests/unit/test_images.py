"""References to images: what container runtimes understand, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.runs import images
from aiagent_operator.core.runs.images import Image, ImageError

SHA = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("nginx", Image("docker.io", "library/nginx")),
        ("nginx:1", Image("docker.io", "library/nginx", "1")),
        ("team/nginx:1", Image("docker.io", "team/nginx", "1")),
        ("docker.io/nginx:1", Image("docker.io", "library/nginx", "1")),
        ("index.docker.io/nginx:1", Image("docker.io", "library/nginx", "1")),
        ("Docker.io/nginx:1", Image("docker.io", "library/nginx", "1")),
        ("localhost/nginx:1", Image("localhost", "nginx", "1")),
        ("localhost:5000", Image("docker.io", "library/localhost", "5000")),
        ("localhost:5000/nginx", Image("localhost:5000", "nginx")),
        ("registry.example/a/b/c:v1.2_3-x", Image("registry.example", "a/b/c", "v1.2_3-x")),
        ("Registry.Example/a:1", Image("registry.example", "a", "1")),
        (f"registry.example:5000/a@{SHA}", Image("registry.example:5000", "a", "", SHA)),
        (f"registry.example/a:1@{SHA}", Image("registry.example", "a", "1", SHA)),
        ("[2001:db8::1]:5000/a:1", Image("[2001:db8::1]:5000", "a", "1")),
        ("[2001:db8::1]/a", Image("[2001:db8::1]", "a")),
        ("10.0.0.1/a_b/c__d/e--f.g:1", Image("10.0.0.1", "a_b/c__d/e--f.g", "1")),
        ("a@sha512:" + "0a" * 64, Image("docker.io", "library/a", "", "sha512:" + "0a" * 64)),
    ],
)
def test_references_are_read_in_full(text: str, image: Image) -> None:
    assert images.parse(text) == image


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the name"),
        (":1", "has the name"),
        ("a:", "has the tag"),
        ("a: 1", "has the tag"),
        ("a:-1", "has the tag"),
        ("a:" + "1" * 129, "has the tag"),
        ("a:1\n", "has the tag"),
        ("a\n", "has the name"),
        ("a:\u0661", "has the tag"),
        ("team/App:1", "has the name"),
        ("a//b:1", "has the name"),
        ("/a:1", "has the name"),
        ("a/:1", "has the name"),
        ("../a:1", "has the registry"),
        ("a/../b:1", "has the name"),
        ("a___b:1", "has the name"),
        ("-a.example/b:1", "has the registry"),
        ("a.example:port/b:1", "has the registry"),
        ("user:secret@a.example/b:1", "has the digest"),
        ("https://a.example/b:1", "has the registry"),
        ("A/b:1", "has the registry"),
        ("a@sha256:0a", "has the digest"),
        ("a@sha256:" + "0A" * 32, "has the digest"),
        ("a@md5:" + "0a" * 16, "has the digest"),
        (f"a@{SHA}@{SHA}", "has the digest"),
        (f"a@{SHA}\n", "has the digest"),
        ("a.example/" + "b" * 256 + ":1", "has the name"),
        ("a" * 513, "has 513 characters"),
    ],
)
def test_what_no_runtime_would_pull_is_refused(text: str, message: str) -> None:
    with pytest.raises(ImageError, match=f"^{message}"):
        images.parse(text)


@given(st.text("aA0./:@-_[]\n %", max_size=60))
def test_whatever_is_read_is_refused_or_reads_back_the_same(text: str) -> None:
    try:
        image = images.parse(text)
    except ImageError as error:
        words = str(error)
    else:
        words = ""
        again = image.repository + (f":{image.tag}" if image.tag else "") + (f"@{image.digest}" if image.digest else "")
        assert images.parse(again) == image
    assert words.isascii()
    assert len(words) < 250


def test_long_hostile_texts_are_refused_in_no_time() -> None:
    for text in ("a-" * 250, "a" * 511 + "!", "a." * 250, "a/" * 250):
        with pytest.raises(ImageError):
            images.parse(text)
