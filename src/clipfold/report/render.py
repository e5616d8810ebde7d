"""Render the page from the templates, styles and script in `page/`, as one self-contained file."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup, escape

from clipfold.report.shortcuts import sees
from clipfold.report.wording import reword

PAGE = Path(__file__).parent / "page"


def render(facts: Mapping[str, Any], template: Path = PAGE / "index.html", noun: str = "video") -> str:
    """Fill in a template, which may use those in `page/`; all outside text is escaped.

    Args:
        facts: What the template names.
        template: Its file.
        noun: What a row of the manifest is, as the page is to call it.
    """
    return environment(template.parent, noun=noun).get_template(template.name).render(facts)


def environment(*folders: Path, noun: str = "video") -> Environment:
    """Prepare templates in `folders`, and in `page/`, whose macros and styles other pages share; see `render`."""
    made = Environment(
        loader=FileSystemLoader([*folders, PAGE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Worded],
    )
    made.extend(noun=noun)
    made.globals["noun"] = noun
    made.filters |= {
        "number": number,
        "signed": signed,
        "chance": chance,
        "seconds": seconds,
        "share": share,
        "short": short,
        "sees": sees,
    }
    made.filters["said"] = lambda sentence: reword(sentence, noun) if noun != "video" else sentence
    made.filters["breakable"] = lambda name: escape(name).replace("_", Markup("_<wbr>"))
    made.globals["file"] = lambda name: Markup((PAGE / name).read_text("utf-8"))
    return made


class Worded(Extension):
    """Templates that speak of what a row of the manifest is, see `reword`; no name of a file or class is changed."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        noun: str = self.environment.noun  # type: ignore[attr-defined]
        for token in stream:
            said = token.type in ("data", "string") and noun != "video"
            yield Token(token.lineno, token.type, reword(token.value, noun)) if said else token


def svg(figure: str) -> Markup:
    """Mark one of our own figures, already escaped by matplotlib, as safe to embed."""
    return Markup(re.sub(r"^.*?(?=<svg )", "", figure, flags=re.DOTALL))


def number(value: float, digits: int = 3, sign: str = "") -> str:
    r"""Format a number, with a true minus sign and a dash for NaN.

    >>> number(1234.5), number(-0.25) == "\N{MINUS SIGN}0.250"
    ('1,234.500', True)
    """
    return "\N{EN DASH}" if pd.isna(value) else f"{value:{sign},.{digits}f}".replace("-", "\N{MINUS SIGN}")


signed = partial(number, sign="+")
"""Format a difference like `number`, with a sign in any case."""


def chance(p: float) -> str:
    """Format a p-value.

    >>> chance(0.0421), chance(0.0002)
    ('0.042', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else number(p)


def short(value: float) -> str:
    r"""Format a number of any size with four digits.

    >>> short(12.3456), short(-0.000123456) == "\N{MINUS SIGN}0.0001235"
    ('12.35', True)
    """
    return "\N{EN DASH}" if pd.isna(value) else f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def share(value: float) -> str:
    r"""Format a share as a percentage.

    >>> share(0.256)
    '26\xa0%'
    """
    return "\N{EN DASH}" if pd.isna(value) else f"{100 * value:.0f}\N{NO-BREAK SPACE}%"


def seconds(value: float) -> str:
    """Format a duration in its two largest units.

    >>> [seconds(v) for v in (2.34, 95, 7260)]
    ['2.3 s', '1 min 35 s', '2 h 01 min']
    """
    if pd.isna(value):
        return "\N{EN DASH}"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
