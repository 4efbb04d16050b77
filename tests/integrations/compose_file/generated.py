"""Compose files of every layout, for property tests."""

from hypothesis import strategies as st

MEMORY = ["512m", "2G", "1.5gb", '"700 MB"', "'64M'", "1073741824"]
IMAGES = ["nginx:1", '"reg:5000/a/b"', f"x/y:1.2@sha256:{'a' * 64}"]
COMMENTS = ["", "", "   # why", " # 'quoted' {not} [yaml]: no"]
VALUES = ["x", "a b", '"q: # {}"', "'it''s'", "8080", "true", "${X:-y}", '"é\\n"', "http://a:80/b"]


@st.composite
def _environment(draw: st.DrawFn, indent: int, step: int) -> list[str]:
    pairs = draw(st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from(VALUES)), unique_by=lambda one: one[0]))
    style = draw(st.sampled_from(["map", "list", "flow"]))
    blanks, inner = " " * indent, " " * (indent + step)
    if style == "flow" or not pairs:
        safe = ", ".join(f"{name}: {value}" for name, value in pairs if value[0] in "\"'x8t")
        return [f"{blanks}environment: {{{safe}}}"]
    if style == "map":
        lines = [f"{inner}{name}: {value}{draw(st.sampled_from(COMMENTS))}" for name, value in pairs]
    else:
        dash = draw(st.sampled_from([blanks, inner]))
        lines = [f"{dash}- {name}=v{number}{draw(st.sampled_from(COMMENTS))}" for number, (name, _) in enumerate(pairs)]
    return [f"{blanks}environment:{draw(st.sampled_from(COMMENTS))}", *lines]


@st.composite
def _limit(draw: st.DrawFn, indent: int, step: int) -> list[str]:
    blanks, memory, remark = " " * indent, draw(st.sampled_from(MEMORY)), draw(st.sampled_from(COMMENTS))
    style = draw(st.sampled_from(["none", "plain", "block", "flow", "cpus"]))
    levels = [" " * (indent + step * depth) for depth in range(4)]
    deploy = [f"{levels[0]}deploy:", f"{levels[1]}resources:", f"{levels[2]}limits:"]
    return {
        "none": [],
        "plain": [f"{blanks}mem_limit: {memory}{remark}"],
        "block": [*deploy, f"{levels[3]}memory: {memory}{remark}"],
        "flow": [f"{blanks}deploy: {{resources: {{limits: {{memory: {memory}}}}}}}{remark}"],
        "cpus": [*deploy, f"{levels[3]}cpus: '0.5'{remark}"],
    }[style]


@st.composite
def _service(draw: st.DrawFn, name: str, step: int, has_base: bool) -> list[str]:
    indent = 2 * step
    blanks = " " * indent
    parts = [
        [f"{blanks}image: {draw(st.sampled_from(IMAGES))}"],
        draw(_environment(indent, step)) if draw(st.booleans()) else [],
        draw(_limit(indent, step)),
        [f"{blanks}command: |", f"{blanks}  mem_limit: 1g  # text", "", f"{blanks}  run"]
        if draw(st.booleans())
        else [],
        [f"{blanks}restart:   always"] if draw(st.booleans()) else [],
        [f"{blanks}<<: *base"] if has_base and draw(st.booleans()) else [],
    ]
    lines: list[str] = []
    for part in draw(st.permutations(parts)):
        lines += [
            *part,
            *draw(st.sampled_from([[], [], [""], [f"{blanks}# note: {name}"], [f"{' ' * 9}# deep"], ["# at 0"]])),
        ]
    return [f"{' ' * step}{name}:{draw(st.sampled_from(COMMENTS))}", *lines]


@st.composite
def compose_files(draw: st.DrawFn) -> str:
    """A file with up to three services `api`, `db`, `web-1`."""
    step = draw(st.sampled_from([1, 2, 4]))
    has_base = draw(st.booleans())
    pad = " " * step
    base = ["x-base: &base", f"{pad}mem_limit: 256m", f"{pad}environment: {{BASE: b}}", f"{pad}restart: 'no'", ""]
    lines = [*draw(st.sampled_from([[], ["# top", ""], ["---"]])), *(base if has_base else []), "services:"]
    for name in draw(st.sampled_from([["api"], ["api", "db"], ["db", "api", "web-1"]])):
        lines += draw(_service(name, step, has_base))
    lines += draw(st.sampled_from([[], ["# end"], ["volumes:", f"{pad}data:"], ["x-after: [a, {b: c}]", ""]]))
    line_break = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return line_break.join(lines) + draw(st.sampled_from(["", line_break]))
