"""The built-in embedding: deterministic, offline, without a model; English and Spanish fold into the same words."""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

DIMENSIONS = 384
EMBEDDING_ID = "builtin-1"
"""Changed together with the embedding; the index is then rebuilt."""
LONGEST_TEXT = 8000
EMBEDDED_WORD = re.compile(r"[a-z0-9][a-z0-9_.]*")
STOP_WORDS = frozenset(
    {"a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "had", "has", "have", "in", "is", "it", "not"}
    | {"of", "on", "or", "the", "there", "this", "to", "was", "were", "what", "when", "why", "with"}
    | {"al", "como", "con", "cual", "cuando", "de", "del", "donde", "el", "en", "es", "esta", "este", "fue", "ha"}
    | {"hay", "he", "la", "las", "le", "lo", "los", "me", "mi", "no", "para", "pero", "por", "porque", "que", "se"}
    | {"si", "sin", "son", "su", "un", "una", "y", "ya"}
)
SYNONYMS = {
    "memoria": "memory",
    "oom": "memory",
    "ram": "memory",
    "disco": "disk",
    "volumen": "volume",
    "lleno": "full",
    "llena": "full",
    "red": "network",
    "caido": "down",
    "caida": "down",
    "cae": "down",
    "cayo": "down",
    "murio": "died",
    "muerto": "died",
    "dead": "died",
    "dies": "died",
    "exited": "died",
    "terminado": "killed",
    "matado": "killed",
    "kill": "killed",
    "reinicio": "restart",
    "reinicia": "restart",
    "reiniciar": "restart",
    "reiniciado": "restart",
    "restarted": "restart",
    "restarting": "restart",
    "lento": "slow",
    "lenta": "slow",
    "colgado": "stuck",
    "atascado": "stuck",
    "hung": "stuck",
    "contenedor": "container",
    "servicio": "service",
    "servidor": "server",
    "limite": "limit",
    "salud": "health",
    "insano": "unhealthy",
    "conexion": "connection",
    "conectar": "connection",
    "connect": "connection",
    "rechazada": "refused",
    "rechazado": "refused",
    "base": "database",
    "datos": "database",
    "db": "database",
    "cola": "queue",
    "tarea": "task",
    "fuga": "leak",
    "pico": "peak",
    "arranque": "start",
    "arranca": "start",
    "arrancar": "start",
    "bucle": "loop",
    "variable": "env",
    "entorno": "env",
    "falta": "missing",
    "pausado": "paused",
    "permiso": "permission",
    "imagen": "image",
    "puerto": "port",
    "certificado": "certificate",
    "despliegue": "deploy",
    "deployment": "deploy",
}
"""Words of operations that mean the same, Spanish or English, after folding."""


def folded_words(text: str) -> list[str]:
    """The words that carry meaning, folded: no accents, no plural, one word for what means the same."""
    plain = unicodedata.normalize("NFKD", text[:LONGEST_TEXT].casefold())
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    found = []
    for word in EMBEDDED_WORD.findall(kept):
        for part in (word.strip("._"), *_parts(word)):
            if part and part not in STOP_WORDS:
                found.append(_fold(part))
    return found


def embed_text(text: str) -> list[float]:
    """Embed a text as 384 numbers of length 1: hashed words, word pairs, letter triples, each damped by its count."""
    vector = [0.0] * DIMENSIONS
    for feature, count in Counter(_features(folded_words(text))).items():
        digest = zlib.crc32(feature.encode())
        weight = _weight(feature) * (1.0 + math.log(count))
        vector[digest % DIMENSIONS] += weight if digest & 0x8000_0000 else -weight
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else [1.0 / math.sqrt(DIMENSIONS)] * DIMENSIONS


def cosine_likeness(one: list[float], other: list[float]) -> float:
    """Cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def _parts(word: str) -> list[str]:
    """`memory_limit` also counts as `memory` and `limit`."""
    parts = re.split(r"[._]", word)
    return parts if len(parts) > 1 else []


def _fold(word: str) -> str:
    if word in SYNONYMS:
        return SYNONYMS[word]
    for ending, least in (("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) > least and not word.endswith(("ss", "us", "is")):
            stem = word[: -len(ending)]
            if ending == "s" or stem in SYNONYMS:
                return SYNONYMS.get(stem, stem)
    return word


def _features(found: list[str]) -> Iterator[str]:
    for word in found:
        yield f"w:{word}"
        if len(word) > 4 and not word.isdigit():
            padded = f"^{word}$"
            yield from (f"t:{padded[place : place + 3]}" for place in range(len(padded) - 2))
    yield from (f"p:{one} {other}" for one, other in pairwise(found))


def _weight(feature: str) -> float:
    if feature.startswith("t:"):
        return 0.15
    if feature.startswith("p:"):
        return 0.5
    return 0.3 if feature[2:].isdigit() else 1.0
