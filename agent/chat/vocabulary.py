"""Words that recognise questions and requests, in Spanish and English, without accents."""

from __future__ import annotations

import re


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


SPANISH_FILLER = _words(
    "el la los las lo le les un una unos unas de del al a en y e o u que se me mi mis tu su sus con por para como cual "
    "esta este esto esa ese eso estan estas estos es son fue era ha han hay hubo ser estar sido muy mas tan ya aun "
    "todavia ahora hoy ayer anoche desde hasta favor porfa muestrame muestra mostrar mostrame muestreme ensename "
    "ensena dame deme denme dime digame diganme decime ver veo quiero quisiera queria necesito puedes podes puede "
    "pueden podrias podria podrian pasame pasa paso mira mirar revisa trae traeme saber si no hola buenas buenos dias "
    "oye che ultimo ultima ultimos ultimas reciente recientes lineas linea cuanto cuanta cuantos cuantas usa usan "
    "usando gasta gastando consume consumiendo esta servicio servicios stack proyecto contenedor contenedores caido "
    "caida caidos cae cayo cayendo falla fallo fallan fallando lento lenta roto rota muerto muerta murio mal raro rara "
    "responde responden funciona funcionan arranca sigue otra vez tiene tienen cosas todo todos toda todas aqui alla "
    "actual actualmente momento gracias bien semana hora horas minuto minutos dia quien cuando donde error errores "
    "entonces pues algo ahi antes alguna parecido parecidos similares"
)
ENGLISH_FILLER = _words(
    "the a an of for to from in on at and or is are was were be been being do does did done has have had it its it's "
    "this that these those my our your me us i we you they what what's whats which who when where how much many so "
    "very please pls can could would will show give tell get fetch see view want need like look check let last latest "
    "recent lines line use uses using used usage consume consuming now right today yesterday tonight night since ago "
    "still again service services stack project container containers down up failing fails failed fail slow broken "
    "dead died crashed crashing crash crashes unhealthy healthy not working work works respond responding answer "
    "hello hi hey there some any all everything thing things currently current moment just thanks ok okay hour hours "
    "minute minutes min day days week error errors bad wrong with about get got keep keeps before ever similar"
)
FILLER = SPANISH_FILLER | ENGLISH_FILLER
"""Words without meaning for a rule: neither names nor details."""

TROUBLE = re.compile(
    r"\b(caid[oa]s?|cae|cayo|fall(a|o|an|ando)|lent[oa]|rot[oa]|muert[oa]|murio|mal|no (funciona|responde|arranca|va)"
    r"|down|failing|fails?|failed|slow|broken|dead|died|crash\w*|unhealthy|not (working|responding|up)|restart\w*"
    r"|reinici\w*|stopp?\w*|par(o|ada|ado)|detuvo)\b"
)
"""Says that something is not well."""

POLITE = (
    r"(?:(?:hola|buenas|buenos dias|ustedes|hey|hi|hello|oye|che|bueno|vale|ok|okay|yes|please"
    r"|pls|porfa|porfavor|por favor|usted|favor de|ahora|now|just|me lo|me la|me|nos|entonces|then"
    r"|podrias|podria|podrian|podes|puedes|puede|pueden"
    r"|quiero|quisiera|queria|necesito|necesitamos|que|hay que|tienes que|tenes que|(?:can|could|would|will) you"
    r"|i want you to|i want to|i need you to|i need to|i would like you to|i would like to|i'd like you to|i'd like to"
    r"|we need to|let's|lets|go ahead and|kindly|quickly|vamos a|ve a|anda|try to|intenta|trata de|bot|guardian"
    r"|infraguardian)\s+)*"
)
"""Polite words that may precede the verb of a request."""

_CLITIC = r"(?:me|nos|te)?(?:l[oae]s?)?"
RESTART = (
    rf"(?:(?:reinici|resete|relanz)(?:a|as|ar|e|es|en|emos){_CLITIC}|rearranc(?:a|as|ar){_CLITIC}|rearranqu(?:e|es|en)"
    r"|(?:haz|hazme|hazle|haga|hagan|hace|hacer|hacele|dale|darle|dar|do|give)(?: it| me| le)?(?: un| a| otro)?"
    r" (?:restart|reinicio|reboot)"
    r"|re-?start(?! (?:count|polic|loop|histor|time|reason))|reboot|bounce|relaunch)"
)
STOP = (
    r"(?:para(?! (?:que|saber|ver|mi|cuando|de|los?\b.*\?))"
    rf"|paras|(?:parar|pare|paren|pares|deten|detener|detenga|detengan|detene|apag(?:a|as|ar)|apague|apaguen){_CLITIC}"
    rf"|para(?:me)?l[oa]s?|stop(?! (?:\w+ing\b|time|reason))|halt|shut ?down|bring down|take down|turn off|power off"
    r"|(?:bring|take|shut|turn)(?= .* (?:down|off)$))"
)
UP = (
    rf"(?:(?:arranc|levant|inici)(?:a|as|ar|e|es|en){_CLITIC}|arranqu(?:e|es|en){_CLITIC}"
    rf"|(?:enciend|prend)(?:a|e|as|es|an|en){_CLITIC}|(?:encender|prender){_CLITIC}|pon(?:er|lo|la)? en marcha"
    r"|start(?: up)?(?! (?:time|date|with|by|from|at|\w+ing\b))|bring up|boot|launch|turn on|power on|spin up"
    r"|(?:bring|turn)(?= .* (?:up|on)$))"
)
_DEPLOYMENT = r"(?:deploy(?:ment)?s?|despliegues?)"
DEPLOY = (
    rf"(?:(?:vuelve|volver|vuelvas?|vuelva) a (?:des|re)plegar{_CLITIC}|(?:re)?desplieg(?:a|as|ue|ues|uen){_CLITIC}"
    rf"|(?:re)?desplegar{_CLITIC}|(?:haz|hazme|hazle|haga|hacer|dale|do|make|run)(?: (?:un|a|otro|another|the))?"
    rf" {_DEPLOYMENT}(?: (?:de|del|of))?"
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
    rf"|undo (?:the )?(?:last |latest )?{_DEPLOYMENT})"
)
UPDATE = (
    rf"(?:actualiz(?:a|as|ar)(?!ci|d){_CLITIC}|actualice[ns]?(?:l[oa]s?)?"
    r"|(?:baja|bajar|trae|traer|pull|fetch|get|download)(?: me)? (?:la|las|una|the|a)?\s?(?:newest|newer|latest|new)?"
    r"\s?(?:imagen|imagenes|images?|version)(?: (?:mas )?(?:nuevas?|reciente|recientes))?"
    r"|update(?! (?:on|me|us|about|log|status|available|policy|history|time))|upgrade(?! (?:path|notes|guide)))"
)
DEPLOY_REPORT = re.compile(r"\b(?:fail\w*|fallo|fallid\w*|broke\w*|crash\w*|error\w*)\b")
"""Reports a deploy instead of requesting one: 'deploy granada failed'."""

DEPLOY_LOG = (
    rf"\b(?:logs?|registros?|salida|output) (?:del?|of|for)(?: (?:the|el|la|los))?(?: (?:last|latest|ultim[oa]s?))?"
    rf" {_DEPLOYMENT}\b|\b{_DEPLOYMENT} logs?\b"
)
DEPLOYED = (
    r"\b(?:(?:quien|who)(?: (?:ha|han|has|have|was it that))? (?:desplego|desplegado|desplegaron|deployed|deploy)"
    r"|(?:quien|who) (?:hizo|did|made|ordered|pidio|lanzo)(?: (?:el|la|the|un|a))?(?: (?:last|latest|ultim[oa]))?"
    rf" {_DEPLOYMENT}"
    rf"|(?:ultim[oa]s?|last|latest|previous) {_DEPLOYMENT}|{_DEPLOYMENT}(?= (?:de|del|of)\b)|{_DEPLOYMENT} history"
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
VERSION_ACT = (
    r"(?:(?:re)?despliegu(?:e|es|en)|(?:re)?desplegar|(?:re-?)?deploy(?:ing)?|actualic(?:e|es|en)|actualizar|update|upgrade"
    r"|updating|roll ?back|revert|revertir|reviertas?|vuelvas? (?:a la version|atras))"
)
ACT = (
    rf"(?:{RESTART}|{STOP}|{UP}|{VERSION_ACT}|restarting|stopping|starting|toques?|touch|kill|mates?|borres?|delete"
    r"|hagas|do any)"
)

CLAUSE_END = re.compile(
    r"[,;:.!?](?=\s|$)|[¿¡\n()]|\s(?:y luego|y|e|and then|and|then|luego|entonces|so|asi que|pero|but)\s"
)
CONDITION = re.compile(
    r"^(?:si|if|cuando|when|whenever|in case|en caso|cada vez|every time|as soon as|en cuanto|una vez|after)\s+\S"
)
"""A clause that makes a request conditional."""
HEDGE = re.compile(
    r"\b(?:if|cuando|when|whenever|unless|hasta|until|cada|every|manana|tomorrow|tonight|esta noche|despues|after"
    r"|before|antes|menos|excepto|salvo|except|nada|nothing|everything|all|tod[oa]s?|ninguno|none|no|not|sin|without|nunca|never|ni|or|later"
    r"|mas tarde|at \d+|a las? \d+|in \d+|en \d+|dentro de)\b"
)
"""Makes a request more than 'this, now': too much for a plain rule."""
REASON_CLAUSE = re.compile(r"\s(?:que|which|that|because|porque|pues|ya que)\s.*")
"""A clause that gives a reason."""
FORBIDS = re.compile(
    rf"^{POLITE}(?:mejor\s+)?(?:no|nunca|never|don't|dont|do not|ni se te ocurra)\s+"
    rf"(?:l[oae]s?\s+|se\s+|me\s+|to\s+)*{ACT}\b"
)
CHANGE_WORDS = re.compile(
    rf"\b(?:{ACT}|arregl\w*|repar\w+|solucion\w*|recuper\w*|fix|repair|solve|recover|heal|cure|bring .* (?:up|back)"
    r"|desplieg\w*|redeploy\w*|actualiza\w*|turn (?:on|off)|haz algo|do something|reinici\w+|restart\w*"
    r"|levantar\w*)\b"
)
"""Words that ask for a change, anywhere in the text."""
NEGATED_ACT = re.compile(rf"\b(?:no|nunca|never|don't|dont|do not|not|sin|without|ni)\s+(?:\w+\s+){{0,2}}{ACT}\b")
AGREEMENT = re.compile(
    r"^(?:si|yes|yep|dale|hazlo|hagalo|hacelo|do it|go ahead|adelante|ok|okay|vale|de acuerdo|sure|please do)\b"
)
PAST_TENSE = re.compile(
    r"\b(?:reinici|par|arranqu|apagu|levant|inici|lanc|actualic|actualiz|despleg|desplegu|volv|revert)(?:é|ó|í|ió)\b|\b(?:detuve|detuvo|encend(?:í|ió)|prend(?:í|ió))\b"
)
"""Matched with accents: 'reinicié' reports, 'reinicie' asks."""
