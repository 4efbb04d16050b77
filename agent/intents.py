"""Understands the common questions and wishes in English and Spanish by plain rules, without a model."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from core.inventory import Inventory, Target, find


class Intent(StrEnum):
    """What a person means."""

    STATUS = "status"
    WHY = "why"
    LOGS = "logs"
    METRICS = "metrics"
    CPU = "cpu"
    MEMORY_USE = "memory_use"
    HEALTH = "health"
    SERVICES = "services"
    INCIDENTS = "incidents"
    CHANGES = "changes"
    BEFORE = "before"
    HELP = "help"
    THANKS = "thanks"
    RESTART = "restart"
    STOP = "stop"
    UP = "up"


WISHES = frozenset({Intent.RESTART, Intent.STOP, Intent.UP})

_PATTERNS: tuple[tuple[Intent, str], ...] = (
    (Intent.THANKS, r"^(muchas )?(gracias|thanks|thank you|thx|perfecto|genial|ok|vale|great)( you)?$"),
    (Intent.HELP, r"^(ayuda|help|que puedes hacer|que sabes hacer|what can you do|como funcionas)$"),
    (
        Intent.BEFORE,
        r"\b(ha pasado (esto )?antes|paso antes|ya habia pasado|happened before|seen this before|has this happened)\b",
    ),
    (
        Intent.CHANGES,
        r"\b(que (ha )?cambi(o|ado|aron)|what('s| has|s)? ?changed|cambios (desde|de)|changes since|what is new)\b",
    ),
    (
        Intent.WHY,
        r"\b(por ?que|why|que (le )?(pasa|paso|ocurre|sucede|tiene)|what('s| is|s)? (wrong|happening|going on)"
        r"|what happened (to|with)|diagnostica\w*|diagnose)\b",
    ),
    (Intent.LOGS, r"\b(logs?|registros?|bitacora|trazas)\b"),
    (Intent.CPU, r"\b(cpu|procesador|processor)\b"),
    (
        Intent.MEMORY_USE,
        r"\b(cuanta (memoria|ram)|how much (memory|ram)|(memoria|memory|ram) (usa|gasta|consume|use[sd]?))\b",
    ),
    (Intent.METRICS, r"\b(metricas?|metrics?|grafic[ao]s?|charts?|graphs?|consumo|rendimiento|memoria|memory|ram)\b"),
    (Intent.RESTART, r"\b(reinici(a|ar|alo|ala|es|en|e|o)|rearranca\w*|restart|reboot|bounce)\b"),
    (
        Intent.STOP,
        r"^(please |por favor |puedes |can you )?(para|parar|deten|detener|apaga|apagar|stop|shut down|halt)\b",
    ),
    (
        Intent.UP,
        r"^(please |por favor |puedes |can you )?(arranca|arrancar|levanta|levantar|inicia|iniciar|enciende|start|bring up)\b",
    ),
    (
        Intent.INCIDENTS,
        r"\b(incidentes?|incidencias?|incidents?|alertas?|alerts?|que paso|what happened|problemas|problems)\b",
    ),
    (Intent.SERVICES, r"\b(servicios|services|contenedores|containers)\b"),
    (
        Intent.HEALTH,
        r"\b(salud|health|healthy|san[oa]|vivo|viva|alive|arriba|caid[oa]|funciona|working|up|down|running)\b",
    ),
    (
        Intent.STATUS,
        r"\b(estado|status|como (esta|estan|va|vamos|anda)|todo (bien|ok)|how (is|are)( it going| things)?|everything)\b",
    ),
)
_COMPILED = tuple((intent, re.compile(pattern)) for intent, pattern in _PATTERNS)
_NOT = re.compile(r"\b(no|nunca|never|don'?t|do not|sin|without)\b")
_FILLER = frozenset(
    ["el", "la", "los", "las", "un", "una", "de", "del", "al", "a", "en", "y", "o", "que", "se", "le", "lo", "me", "mi", "su", "con", "por", "para", "esta", "este", "estan", "es", "son", "fue", "era", "ha", "han", "the", "a", "an", "of", "for", "to", "in", "on", "at", "and", "or", "is", "are", "was", "were", "do", "does", "did", "has", "have", "it", "its", "my", "our", "your", "me", "us", "please", "por", "favor", "muestrame", "muestra", "ensename", "ensena", "dame", "dime", "ver", "quiero", "puedes", "podrias", "show", "give", "tell", "can", "could", "you", "see", "view", "want", "ultimos", "ultimas", "last", "lines", "lineas", "cuanto", "cuanta", "cuantos", "how", "much", "many", "use", "uses", "using", "used", "usa", "gasta", "consume", "ahora", "now", "hoy", "today", "ayer", "yesterday", "anoche", "desde", "since", "servicio", "service", "stack", "proyecto", "project", "contenedor", "container", "caido", "caida", "falla", "fallando", "lento", "lenta", "down", "failing", "slow", "broken", "roto", "rota", "cayo", "fallo", "muerto", "muerta", "dead", "crashed"]
)
MAX_WORDS = 60


@dataclass(frozen=True, kw_only=True)
class Understood:
    """A question that a rule understands."""

    intent: Intent
    targets: tuple[Target, ...]
    """What it is about; empty: nothing named, or nothing of that name; several: ambiguous."""
    named: str
    """The words that name the target, as typed."""


def understand(question: str, inventory: Inventory) -> Understood | None:
    """The intent and the target of a question; None: no rule fits, or it is too long to be a common one."""
    plain = fold(question)
    words = plain.split()
    if not words or len(words) > MAX_WORDS:
        return None
    intent = next((intent for intent, pattern in _COMPILED if pattern.search(plain)), None)
    if intent is None:
        return None
    if intent in WISHES and _NOT.search(plain):
        return None
    pattern = next(pattern for one, pattern in _COMPILED if one is intent)
    named, targets = _target(pattern.sub(" ", plain), inventory)
    return Understood(intent=intent, targets=targets, named=named)


def fold(text: str) -> str:
    """Lower case, without accents and punctuation (`/`, `-`, `_`, `.` stay), single spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join(re.sub(r"[^\w\s/\-.']", " ", kept).split()).strip(".- ")


def _target(rest: str, inventory: Inventory) -> tuple[str, tuple[Target, ...]]:
    words = [word for word in rest.split() if word not in _FILLER and not word.isdigit()]
    for size in range(min(len(words), 4), 0, -1):
        for start in range(len(words) - size + 1):
            name = " ".join(words[start : start + size])
            found = find(inventory, name)
            if found:
                return name, found
    return " ".join(words[:4]), ()
