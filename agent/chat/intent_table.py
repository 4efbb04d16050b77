"""Intents and the patterns that recognise each; the first match counts."""

from __future__ import annotations

from enum import StrEnum

from agent.chat.vocabulary import (
    COMPOSE_FILE,
    DEPLOY,
    DEPLOY_LOG,
    DEPLOYED,
    DISK,
    OUTDATED,
    RESTART,
    ROLLBACK,
    STOP,
    UP,
    UPDATE,
)


class Intent(StrEnum):
    """Intent of a question or request."""

    STATUS = "status"
    WHY = "why"
    LOGS = "logs"
    METRICS = "metrics"
    CPU = "cpu"
    MEMORY_USE = "memory_use"
    MOST_CPU = "most_cpu"
    MOST_MEMORY = "most_memory"
    """Asks for the heaviest consumers of memory."""
    HEALTH = "health"
    SERVICES = "services"
    INCIDENTS = "incidents"
    CHANGES = "changes"
    BEFORE = "before"
    HELP = "help"
    HELLO = "hello"
    THANKS = "thanks"
    RESTART = "restart"
    STOP = "stop"
    UP = "up"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    UPDATE = "update"
    DEPLOYED = "deployed"
    """Asks if, when and by whom something was deployed."""
    DEPLOY_LOG = "deploy_log"
    OUTDATED = "outdated"
    PORTS = "ports"
    DISK = "disk"
    COMPOSE_FILE = "compose_file"
    DETAILS = "details"
    FORBIDS = "forbids"
    """Forbids changes."""
    DECIDES = "decides"
    """Answers yes or no to an open question."""


CHANGE_INTENTS = frozenset({Intent.RESTART, Intent.STOP, Intent.UP, Intent.DEPLOY, Intent.ROLLBACK, Intent.UPDATE})
MOST_PATTERN = r"\b(what|which|who|que|quien|quienes|cual|cuales)\b.*\b(most|mas|top|biggest|highest|mayor)"

QUESTION_PATTERNS: tuple[tuple[Intent, str], ...] = (
    (
        Intent.THANKS,
        r"^((muchas|mil) )?(gracias|thanks|thank you|thx|ty|perfecto|genial|great|nice|cool|excelente)"
        r"( (you|a lot|so much|very much|bot|por todo|totales))*$",
    ),
    (
        Intent.HELLO,
        r"^(hola|buenas|buenos dias|buenas (tardes|noches)|hello|hi|hey|good (morning|evening))( bot| there)?$",
    ),
    (
        Intent.DECIDES,
        r"^((si|yes|no|ok|okay|vale|dale|hazlo|do it|go ahead|adelante|apruebalo|aprobado|aprueba|apruebo|approved?"
        r"|approve it|deny|deny it|deniega|denegado|rechaza|rechazalo|reject|reject it|procede|proceed|please"
        r"|por favor)( |$))+$",
    ),
    (
        Intent.HELP,
        r"^(ayuda|ayudame|help|help me|que (mas )?(puedes|sabes|podes) hacer|what (else )?can you do|como funcionas"
        r"|como te uso|how do (you work|i use you)|comandos|commands)$",
    ),
    (
        Intent.BEFORE,
        r"\b((ha|habia|han) (pasado|ocurrido|sucedido)( \w+){0,3} (antes|alguna vez)|(paso|ocurrio) (esto )?antes"
        r"|ya (habia |ha )?(pasado|ocurrido|paso)|alguna vez|happened before|(seen|had) (this|it|that)( \w+)? before"
        r"|has (this|it|that)( ever)? happened|happen(ed)? before|(incidentes|incidents|casos) (parecidos|similares)"
        r"|similar (incidents|cases))\b",
    ),
    (
        Intent.CHANGES,
        r"\b(que (se )?(ha |han )?(cambi(o|ado|aron)|modific(o|ado|aron))|what('s| has| have|s)? ?(been )?changed"
        r"|what('s| is|s) (new|different)|que hay de nuevo|novedades|cambios|changes|did (anything|something) change"
        r"|(ha|han) cambiado (algo|cosas)|cambio algo)\b",
    ),
    (Intent.HEALTH, r"\b(cuantas veces|how (many times|often)|restart counts?|cuantos reinicios)\b"),
    (Intent.MOST_CPU, rf"^.*{MOST_PATTERN}\b.*\b(cpu|procesador|processor)\b.*$|^top (cpu|procesador)$"),
    (Intent.MOST_MEMORY, rf"^.*{MOST_PATTERN}\b.*\b(memoria|memory|ram)\b.*$|^top (memoria|memory|ram)$"),
    (Intent.DEPLOY_LOG, DEPLOY_LOG),
    (Intent.OUTDATED, OUTDATED),
    (
        Intent.LOGS,
        r"\b(logs?|logz|registros?|bitacoras?|trazas)\b",
    ),
    (Intent.PORTS, r"\b(puertos?|ports?)\b"),
    (Intent.DISK, DISK),
    (Intent.COMPOSE_FILE, COMPOSE_FILE),
    (Intent.CPU, r"\b(cpu|procesador|processor)\b"),
    (
        Intent.MEMORY_USE,
        r"\b(cuanta (memoria|ram)|how much (memory|ram)|(memoria|memory|ram) (usan?|gasta|consume|use[sd]?|usage)"
        r"|uso de (la )?(memoria|ram)|ram)\b",
    ),
    (
        Intent.METRICS,
        r"\b(metricas?|metrics?|grafic[ao]s?|charts?|graphs?|consumo|rendimiento|performance|memoria|memory)\b",
    ),
    (
        Intent.WHY,
        r"\bpor ?que\b|^(porque|porke|xq|pq)\b|\b(why|how come"
        r"|what('s| is|s|'re| are)? (wrong|happening|going on|the (matter|problem|cause|reason))"
        r"|what (has )?happened (to|with)|que (les? |se )?(pasa|paso|esta pasando|ocurre|ocurrio|sucede|sucedio|tiene)"
        r"|diagnos\w+|cual es (el problema|la causa)|a que se debe|causa de|cause of"
        r"|se (ha )?(reinicio|reiniciado|paro|parado|cayo|caido|detuvo|detenido|apago|apagado|murio|muerto|reiniciaron)"
        r"|quien (ha )?(reinici|par|detuvo|deten|apag|arranc|mat)\w*|who (has )?(restarted|stopped|killed|started|shut)"
        r"|(has|habeis|han) (reiniciado|parado|detenido|arrancado)"
        r"|(did|was|were|has|have|had)( \w+)?( \S+){1,3}? (restart(ed)?|stop(ped)?|die|died|crash(ed)?|killed))\b",
    ),
    (Intent.DEPLOYED, DEPLOYED),
    (
        Intent.INCIDENTS,
        r"\b(incidentes?|incidencias?|incidents?|alertas?|alerts?|alarmas?|alarms?|what happened|problemas?|problems?"
        r"|que fallo)\b",
    ),
    (
        Intent.HEALTH,
        r"\b(salud|health|healthy|unhealthy|san[oa]s?|viv[oa]s?|alive|arriba|caid[oa]s?|funcionan?|working|works|up|down"
        r"|running|corriendo|responde|en marcha|levantad[oa]s?|encendid[oa]s?)\b",
    ),
    (Intent.DETAILS, r"\b(detalles|details|info|informacion|information)\b"),
    (Intent.SERVICES, r"\b(servicios|services|contenedores|containers)\b"),
    (
        Intent.STATUS,
        r"\b(estado|status|situacion|resumen|overview|summary|como (esta|estan|va|van|vamos|anda|andan|sigue|estamos)"
        r"|(todo|todos) (bien|ok|en orden)|how('s| is| are|s)( it going| things| everything)?|everything (ok|fine|good)"
        r"|all (good|ok|fine)|(any|some)thing (wrong|broken))\b",
    ),
)

CHANGE_VERB_PATTERNS: tuple[tuple[Intent, str], ...] = (
    (Intent.ROLLBACK, ROLLBACK),
    (Intent.DEPLOY, DEPLOY),
    (Intent.UPDATE, UPDATE),
    (Intent.RESTART, RESTART),
    (Intent.STOP, STOP),
    (Intent.UP, UP),
)
