"""Let templates that speak of videos speak of something else, such as the rows of a table. Pure."""

import re

_TAG = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<(?:style|script)\b.*?</(?:style|script)>)", re.DOTALL)
# Within a tag of Jinja only texts in quotes are words; elsewhere names of anchors and attributes are none.
_QUOTED = re.compile(r"'[^'{}]*'")
_WORD = re.compile(r"(?<![\w#.\"'=-])([Vv])ideo(s?)(?![\w\"=-]|'(?!s\b))")
_LABEL = re.compile(r"((?:aria-label|placeholder|alt)=\"[^\"]*)")
_IN_LABEL = re.compile(r"\b([Vv])ideo(s?)\b")


def reword(template: str, noun: str) -> str:
    """Replace the word `video` in what a template says, but not in names of variables, anchors or attributes.

    >>> print(reword("<a href='#videos' id='videos'>All videos</a> {{ m.plural(videos, 'video') }}", "row"))
    <a href='#videos' id='videos'>All rows</a> {{ m.plural(videos, 'row') }}
    """

    def said(found: "re.Match[str]") -> str:
        return (noun.capitalize() if found[1] == "V" else noun) + found[2]

    def in_tag(tag: str) -> str:
        return _QUOTED.sub(lambda quoted: _IN_LABEL.sub(said, quoted[0]), tag)

    def in_text(text: str) -> str:
        return _LABEL.sub(lambda label: _IN_LABEL.sub(said, label[0]), _WORD.sub(said, text))

    parts = _TAG.split(template)
    return "".join(
        in_tag(part) if part.startswith(("{{", "{%")) else part if number % 2 else in_text(part)
        for number, part in enumerate(parts)
    )
