"""What the YAML parser complains of, in words for an operator and without the text of the file."""

from __future__ import annotations

import re

import yaml

_FOUND = re.compile(r"expected (?P<wanted>.+), but (?:found|got) (?P<token>'.*'|0)", re.DOTALL)

_TOKENS = {
    "<stream end>": "the end of the file",
    "<document start>": "the beginning of a document (`---`)",
    "<document end>": "the end of a document (`...`)",
    "<block sequence start>": "the beginning of a list that is indented differently",
    "<block mapping start>": "a line that is indented differently",
    "<block end>": "the end of the indented part",
    "<scalar>": "one more value",
    "<alias>": "an alias (`*`)",
    "<anchor>": "an anchor (`&`)",
    "<tag>": "a tag (`!`)",
    "?": "a key",
    **{sign: f"`{sign}`" for sign in ("[", "]", "{", "}", ",", ":", "-")},
}
"""The parser's names of what it can meet. Anything else it names is a character of the file, and is not repeated."""

_WANTED = {
    "',' or ']'": "`,` or `]`",
    "',' or '}'": "`,` or `}`",
    "<block end>": "a line that is indented as the others of its section, and one value for each key",
    "the node content": "a value",
}

_CANNOT_BEGIN = "@%|>"
"""Signs that cannot begin a value (the last two within brackets). The parser stumbles on tabs and backquotes too."""

_BEGUN = {
    "while parsing a flow sequence": "the list that begins",
    "while parsing a flow mapping": "the mapping that begins",
    "while scanning a quoted scalar": "the quoted text that begins",
}


def syntax(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """What is wrong and what is expected ("" if that is all there is to say)."""
    problem, expected = _explained(error.problem or "cannot be understood", error.context or "")
    begun = _BEGUN.get(error.context or "")
    if begun and error.context_mark is not None:
        problem += f" in {begun} in line {error.context_mark.line + 1}"
    return "not valid YAML: " + problem, expected


def _explained(said: str, context: str) -> tuple[str, str]:
    if "undefined alias" in said:
        return "`*` at the start of a value names an anchor that is not there; put the value in quotes", ""
    if "tag handle" in said:
        return "`!` at the start of a value names a tag; put the value in quotes", ""
    if "duplicate anchor" in context:
        return "an anchor (`&`) is given twice", ""
    if "mapping values are not allowed" in said:
        return (
            "a `:` is not allowed here: a colon may be missing on the line before, this line may be indented too far, "
            "or a value with `: ` in it wants quotes"
        ), ""
    if "cannot start any token" in said:
        return _bad_start(said)
    if "unexpected end of stream" in said:
        return "found the end of the file", "a closing quote"
    match = _FOUND.fullmatch(said)
    if match:
        token = _TOKENS.get(match["token"].strip("'"), "another character")
        wanted = match["wanted"]
        return f"found {token}", _WANTED.get(wanted, wanted)
    return re.split(""" ['"]""", said, maxsplit=1)[0], ""


def _bad_start(said: str) -> tuple[str, str]:
    if r"'\t'" in said:
        return "found a tab", "spaces: YAML does not take tabs for indenting"
    sign = next((f"`{sign}`" for sign in _CANNOT_BEGIN if f"'{sign}'" in said), "a backquote")
    return f"found {sign} at the start of a value", "such a value in quotes"
