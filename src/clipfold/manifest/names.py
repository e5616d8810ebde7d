"""Names that a person would take for the same are the same. Standard library only."""

import re
import unicodedata
from collections.abc import Iterable

from clipfold.checks import require

LONGEST = 1000
"""Most characters of a label, group or id."""

# Characters that show nothing and are not in the category "format": joiners, fillers, selectors of a glyph's variant.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u180b-\u180d\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


def plain(name: str) -> str:
    r"""Return a name in the form in which names are compared.

    That is Unicode's normal form C (Unicode Standard Annex 15), without characters that show nothing, and with one
    blank for each run of blanks of any kind.

    >>> plain(" Andre\u0301\u00a0 B.\u200b ")
    'André B.'
    """
    if not name.isascii():
        seen = "".join(c for c in _UNSEEN.sub("", name) if unicodedata.category(c) != "Cf")
        name = unicodedata.normalize("NFC", seen)
    return " ".join(name.split())


def check_printable(where: str, name: str) -> None:
    """Check that a name can be shown: in a line of a log, in XML, in a table.

    Raises:
        ValueError: It has control characters, or is longer than `LONGEST`.
    """
    require(len(name) <= LONGEST, where, f"{name[:40]}…", f"{len(name)} characters: use at most {LONGEST}")
    if not name.isprintable():
        bad = next((c for c in name if unicodedata.category(c) in ("Cc", "Cs")), "")
        require(not bad, where, name, "remove the control characters")


def check_case(column: str, rows: Iterable[tuple[str, str]]) -> None:
    """Check that no two names differ only in case.

    Args:
        column: What the names are, for the message.
        rows: Name and where it stands, such as `row 3`.

    Raises:
        ValueError: Two do; the message shows both and where they stand.
    """
    first: dict[str, tuple[str, str]] = {}
    for name, where in rows:
        other, there = first.setdefault(name.casefold(), (name, where))
        if other != name:
            raise ValueError(
                f"{column} is {other!r} in {there} and {name!r} in {where}, which differ only in case: "
                "spell them the same way, or make them differ in more"
            )
