"""Sets the tag or digest of a service's image; registry and name stay."""

from __future__ import annotations

import re

from core.text import text as said
from integrations.compose_file.edits.proved_change import change_setting, find_setting, service_node
from integrations.compose_file.file_errors import ComposeFileError, name_for_people, quoted_name
from integrations.compose_file.interpolation import find_variables
from integrations.compose_file.text_splice import yaml_scalar
from integrations.compose_file.yaml_tree import ComposeDocument, YamlNode, parse_compose_file

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def set_image_tag(text: str, service: str, tag: str) -> str:
    """Return the file with another image tag for a service; a digest is dropped, since it would override the tag."""
    if not _TAG.fullmatch(tag):
        raise ComposeFileError(
            "that is no image tag; one has up to 128 letters, digits, dots, dashes and underscores",
            message=said("compose_error.bad_tag"),
        )
    document, node = _image(text, service)
    name, _ = _parts(document, node, service)
    return _with_image(document, service, node, f"{name}:{tag}")


def pin_digest(text: str, service: str, digest: str) -> str:
    """Return the file with a service's image pinned to `sha256:…`; the tag stays, for people to read."""
    if not _DIGEST.fullmatch(digest):
        raise ComposeFileError(
            "that is no image digest; one is `sha256:` and 64 hexadecimal digits",
            message=said("compose_error.bad_digest"),
        )
    document, node = _image(text, service)
    name, tag = _parts(document, node, service)
    return _with_image(document, service, node, f"{name}:{tag}@{digest}" if tag else f"{name}@{digest}")


def _image(text: str, service: str) -> tuple[ComposeDocument, YamlNode]:
    document = parse_compose_file(text)
    node = find_setting(document, service, "image")
    if node is None:
        is_built = find_setting(document, service, "build") is not None
        why = "it is built from source; change its source instead" if is_built else "add `image:` first"
        message = said(
            "compose_error.is_built" if is_built else "compose_error.no_image", service=name_for_people(service)
        )
        raise document.error(f"{quoted_name(service)} has no image: {why}", service_node(document, service), message)
    if node.kind != "scalar":
        raise document.error(
            f"the image of {quoted_name(service)} must be a single value; correct it",
            node,
            said("compose_error.image_no_value", service=name_for_people(service)),
        )
    return document, node


def _parts(document: ComposeDocument, node: YamlNode, service: str) -> tuple[str, str]:
    """Return the image name with its registry, and the tag; the digest is left out."""
    image = node.value
    signs = list(image)
    found = find_variables(image)
    for variable in found:
        signs[variable.start : variable.end] = "v" * (variable.end - variable.start)
    plain = "".join(signs)
    end = plain.find("@") if "@" in plain else len(plain)
    last = plain.rfind("/", 0, end) + 1
    colon = plain.find(":", last, end)
    for variable in found:
        if variable.end > last:
            raise document.error(
                f"the image of {quoted_name(service)} comes from the variable {variable.name}; "
                f"set {variable.name} in the environment",
                node,
                said("compose_error.image_variable", service=name_for_people(service), variable=variable.name),
                variable=variable.name,
            )
    return (image[:end], "") if colon < 0 else (image[:colon], image[colon + 1 : end])


def _with_image(document: ComposeDocument, service: str, node: YamlNode, image: str) -> str:
    return change_setting(document, service, ("image",), yaml_scalar(image, style=node.style)).text
