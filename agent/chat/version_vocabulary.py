"""The words by which questions and wishes about versions and hosts are recognised, without accents."""

from __future__ import annotations

import re

_CLITIC = r"(?:me|nos|te)?(?:l[oae]s?)?"
_NOUN = r"(?:deploy(?:ment)?s?|despliegues?)"
DEPLOY = (
    rf"(?:(?:vuelve|volver|vuelvas?|vuelva) a (?:des|re)plegar{_CLITIC}|(?:re)?desplieg(?:a|as|ue|ues|uen){_CLITIC}"
    rf"|(?:re)?desplegar{_CLITIC}|(?:haz|hazme|hazle|haga|hacer|dale|do|make|run)(?: (?:un|a|otro|another|the))?"
    rf" {_NOUN}(?: (?:de|del|of))?"
    r"|re-?deploy(?! (?:of|log|logs|status|history|time|failed|error))"
    r"|deploy(?! (?:of|log|logs|status|history|time|failed|error|key|hook)))"
)
_BEFORE = r"(?:version|versiones|release) (?:anterior|previa|buena|de antes|que funcionaba)"
ROLLBACK = (
    rf"(?:(?:vuelv(?:e|as?|an)|volver|regresa|regresar|retrocede|retroceder) a (?:la |una )?(?:ultima )?{_BEFORE}"
    rf"|(?:pon|poner|ponga|restaura|restaurar|recupera|recuperar) la {_BEFORE}"
    r"|vuelv(?:e|as?|an) atras|volver atras|reviert(?:e|as?|an|elo|ela)|revertir(?:lo|la)?"
    r"|(?:haz|hazme|hazle|haga|hacer|dale|do|make)(?: (?:un|a))? (?:roll ?back|rollback)(?: (?:de|del|of|a|al))?"
    r"|roll ?back(?! (?:of|log|status|failed|histor))|revert(?! (?:of|log))|roll(?= .* back$)"
    r"|go back to (?:the )?(?:last |previous |earlier )?(?:good |working |previous )?version"
    rf"|undo (?:the )?(?:last |latest )?{_NOUN})"
)
UPDATE = (
    rf"(?:actualiz(?:a|as|ar)(?!ci|d){_CLITIC}|actualice[ns]?(?:l[oa]s?)?"
    r"|(?:baja|bajar|trae|traer|pull|fetch|get|download)(?: me)? (?:la|las|una|the|a)?\s?(?:newest|newer|latest|new)?"
    r"\s?(?:imagen|imagenes|images?|version)(?: (?:mas )?(?:nuevas?|reciente|recientes))?"
    r"|update(?! (?:on|me|us|about|log|status|available|policy|history|time))|upgrade(?! (?:path|notes|guide)))"
)
FAILED = re.compile(r"\b(?:fail\w*|fallo|fallid\w*|broke\w*|crash\w*|error\w*)\b")
"""Told of a deploy, not asked for: 'deploy granada failed'."""

DEPLOY_LOG = (
    rf"\b(?:logs?|registros?|salida|output) (?:del?|of|for)(?: (?:the|el|la|los))?(?: (?:last|latest|ultim[oa]s?))?"
    rf" {_NOUN}\b|\b{_NOUN} logs?\b"
)
DEPLOYED = (
    r"\b(?:(?:quien|who)(?: (?:ha|han|has|have|was it that))? (?:desplego|desplegado|desplegaron|deployed|deploy)"
    r"|(?:quien|who) (?:hizo|did|made|ordered|pidio|lanzo)(?: (?:el|la|the|un|a))?(?: (?:last|latest|ultim[oa]))?"
    rf" {_NOUN}"
    rf"|(?:ultim[oa]s?|last|latest|previous) {_NOUN}|{_NOUN}(?= (?:de|del|of)\b)|{_NOUN} history"
    r"|(?:esta|estan|fue|fueron|se ha|is|are|was|were|has been|get) (?:\S+ ){0,3}?(?:desplegad[oa]s?|deployed)"
    r"|(?:se )?(?:desplego|desplegaron|desplegad[oa]s?|deployed)|despliegues|deployments|deploys)\b"
)
OUTDATED = (
    r"\b(?:desactualizad[oa]s?|obsolet[oa]s?|outdated|out of date"
    r"|(?:hay|tiene|any|are there|new|newer|nuevas?|pending|available) (?:\S+ ){0,2}?(?:actualizaciones|updates?)"
    r"|(?:imagenes|images?|imagen|version|versiones|versions?) (?:mas )?(?:nuev[oa]s?|recientes?)|(?:new|newer) images?"
    r"|actualizaciones|(?:se )?(?:puede|pueden|can|could|should) (?:be )?(?:actualizar|updated)|updates)\b"
)
DISK = r"\b(?:disco|discos|disk|disks|(?:libera|liberar|free)(?: \S+)? (?:espacio|space)|espacio libre|free space)\b"
COMPOSE_FILE = r"\b(?:(?:archivo|fichero) (?:de )?)?(?:docker-?)?compose(?: ?file)?\b"
