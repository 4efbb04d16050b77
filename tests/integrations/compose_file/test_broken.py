"""A file that cannot be trusted is refused quickly, with the place and the next step."""

import time

import pytest

from integrations.compose_file.edits import (
    ComposeFileError,
    read_services,
    remove_environment,
    set_image_tag,
    set_memory_limit,
    set_volume,
)
from integrations.compose_file.file_diff import mask_file, masked_diff

LEVELS = list(zip("abcdefgh", "bcdefghi", strict=True))
END = "services:\n  a:\n    image: b\n"
BOMB = "x-a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"x-{n}: &{n} [{','.join(['*' + o] * 9)}]\n" for o, n in LEVELS) + END
MERGE_BOMB = "x-a: &a {k: v}\n" + "".join(f"x-{n}: &{n} {{<<: [{','.join(['*' + o] * 9)}]}}\n" for o, n in LEVELS) + END
TIME_LIMIT_S = 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n\tapi:\n", r"line 2, column 1: a tab cannot indent"),
        ("services:\n  a: {image: b\n", r"line 3, column 1: a `{` is not closed"),
        ("services:\n  a:\n    image: b\n   c: d\n", r"line 4, column 4: the indentation does not fit"),
        ("services:\n  a:\n    image: 'b\n", r"a quote is opened and never closed"),
        ("services:\n  a:\n    image: b\n    image: c\n", r"line 4, column 5: the key 'image' stands twice"),
        ("services:\n  a: *b\n", r"line 2, column 6: the alias \*b has no anchor"),
        (f"{END}---\n{END}", r"line 4, column 1: it holds several documents"),
        ("- services\n", r"line 1, column 1: it must be a mapping"),
        ("services:\n  a:\n    x: \x01\n", r"line 3, column 8: it holds a control character"),
        ("services:\n  - api\n", r"no `services:` section"),
        ("services:\n  api: nginx\n", r"line 2, column 8: a service must be a mapping"),
        ("version: '3'\n", r"no `services:` section"),
        ("", r"it is empty"),
        ("# nothing\n", r"it is empty"),
        ("a: " + "[" * 100_000, r"nested more than"),
        (BOMB, r"aliases unfold to far too many"),
        (MERGE_BOMB, r"aliases unfold to far too many"),
        ("services:\n  a:\n    image: " + "x" * 2_000_000, r"larger than 1 MB"),
        ("services:\n  a: &a\n    <<: *a\n", r"the alias \*a has no anchor"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text: str, message: str) -> None:
    began = time.monotonic()
    with pytest.raises(ComposeFileError, match=message):
        read_services(text)
    assert mask_file(text).count("\n") == text.count("\n")
    assert time.monotonic() - began < TIME_LIMIT_S


def test_a_large_file_takes_bounded_time() -> None:
    text = "services:\n" + "".join(f"  s{n}:\n    image: a:1\n    environment: [A=b]\n" for n in range(6_000))
    assert len(text) > 250_000
    began = time.monotonic()
    edited = set_memory_limit(text, "s3000", limit_mb=64)
    assert masked_diff(text, edited) == ["@@ s3000", "  environment: [A=[secret]]", "+ mem_limit: 64m"]
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: set_memory_limit(text, "api"), "either a limit in MB or a factor"),
        (lambda text: set_memory_limit(text, "api", factor=2), "no memory limit that a factor could change"),
        (lambda text: set_memory_limit(text, "api", limit_mb=2), "choose 6 MB or more"),
        (lambda text: set_memory_limit(text, "odd", factor=2), "is no amount such as 512m"),
        (lambda text: set_image_tag(text, "api", "1.0 beta"), "no image tag"),
        (lambda text: set_image_tag(text, "api", "2"), "comes from the variable TAG"),
        (lambda text: set_image_tag(text, "built", "2"), "built from source"),
        (lambda text: set_image_tag(text, "apis", "2"), "did you mean 'api'"),
        (lambda text: remove_environment(text, "api", "HUNTER"), "does not set it itself"),
        (lambda text: set_volume(text, "api", "a b", "/x"), "a name or a folder"),
        (lambda text: set_volume(text, "api", "data", "x"), "begins with /"),
    ],
)
def test_an_edit_that_cannot_be_made_says_why(edit: object, message: str) -> None:
    text = (
        "services:\n  api:\n    image: a:${TAG:-1}\n    environment: {A: hunter2}\n"
        "  odd:\n    mem_limit: hunter2\n  built:\n    build: .\n"
    )
    assert callable(edit)
    with pytest.raises(ComposeFileError, match=message) as raised:
        edit(text)
    assert "hunter2" not in str(raised.value)
