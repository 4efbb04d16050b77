"""Explains the errors of the YAML parser and their cure."""

from __future__ import annotations

YAML_ERRORS = (
    (
        "cannot start any token",
        "character",
        "a character stands where YAML allows none (a tab, @, ` or %); indent with blanks",
    ),
    ("tab", "tab", "a tab cannot indent; use blanks"),
    (
        "mapping values are not allowed",
        "mapping",
        "a `:` stands where no mapping can begin; look at the indentation and quotes",
    ),
    (
        "could not find expected ':'",
        "no_colon",
        "a key has no `:` after it; add it, or look at the indentation of the line before",
    ),
    (
        "did not find expected key",
        "indentation",
        "the indentation does not fit the lines before; align it with its neighbours",
    ),
    (
        "expected <block end>",
        "indentation",
        "the indentation does not fit the lines before; align it with its neighbours",
    ),
    (
        "did not find expected '-' indicator",
        "list",
        "the items of a list are not aligned; give each the same indentation",
    ),
    ("block sequence entries are not allowed", "list_there", "a list begins where none can; look at the indentation"),
    ("unexpected end of stream", "quote", "a quote is opened and never closed; close it"),
    ("end of stream", "bracket", "a bracket or quote is opened and never closed; close it"),
    ("',' or '}'", "brace", "a `{` is not closed, or a comma is missing; close it"),
    ("',' or ']'", "square", "a `[` is not closed, or a comma is missing; close it"),
    (
        "unknown escape character",
        "escape",
        "a backslash in double quotes starts no known escape; use single quotes or double it",
    ),
    ("duplicate anchor", "anchor_twice", "an anchor of that name stands twice; rename one"),
    ("undefined alias", "alias", "an alias has no anchor before it; add the anchor or write the value out"),
    ("control characters", "control", "it holds a control character; remove it"),
    ("special characters", "control", "it holds a control character; remove it"),
)
"""Part of the parser's message, key of the sentence for people (`compose_error.yaml.<name>`), the same in English."""
