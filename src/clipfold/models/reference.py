"""Write the reference of models, settings and feature groups into `config/README.md`.

    python -m clipfold.models.reference config/README.md

Everything comes from the declarations, so that the page cannot differ from what is checked. Standard library only.
"""

import ast
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from clipfold.features.registry import GROUPS
from clipfold.models.architecture import Architecture
from clipfold.models.catalog import ARCHITECTURES
from clipfold.models.declare import Setting
from clipfold.models.settings import ON_CLIPS, ON_FEATURES, PRETRAINED, SCALED

BEGIN = "<!-- begin: written by python -m clipfold.models.reference -->"
END = "<!-- end -->"


def reference() -> str:
    """Build the reference in Markdown."""
    shared = {
        "every model on features": ON_FEATURES,
        "models on features but trees": _SCALES,
        "every model on clips": ON_CLIPS,
        "a backbone": PRETRAINED,
    }
    parts = [
        "### Architectures",
        _table(
            ("architecture", "learns from", "what it is", "has a backbone"),
            (
                (f"`{known.name}`", known.input, _summary(known.module), "yes" if "weights" in known.declared else "")
                for known in ARCHITECTURES.values()
            ),
        ),
        "### Settings of single architectures",
        "An architecture's own settings, and its defaults for shared ones.",
        _table(
            ("architecture", *_HEADER),
            ((f"`{a.name}`", *_row(k, s)) for a in ARCHITECTURES.values() for k, s in _own(a).items()),
        ),
        *(
            part
            for whose, settings in shared.items()
            for part in (f"### Settings of {whose}", _table(_HEADER, (_row(k, s) for k, s in settings.items())))
        ),
        "### Feature groups",
        _table(
            ("group", "reads", "what it is"),
            ((f"`{name}`", group.view, _summary(group.module)) for name, group in GROUPS.items()),
        ),
    ]
    return "\n\n".join(parts)


def insert(page: str) -> str:
    """Replace the reference in a page.

    Raises:
        ValueError: The page has no markers.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"reference: no markers: add the lines {BEGIN} and {END} where it belongs")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


_SCALES = {name: setting for name, setting in SCALED.items() if name not in ON_FEATURES}
_HEADER = ("setting", "default", "values", "what it is")


def _row(name: str, setting: Setting) -> tuple[str, ...]:
    default = setting.default if isinstance(setting.default, str) else json.dumps(setting.default).replace('"', "")
    return f"`{name}`", default, setting.accepted, setting.doc


def _own(known: Architecture) -> Mapping[str, Setting]:
    shared = {"features": SCALED, "clips": {**ON_CLIPS, **PRETRAINED}, "predictions": {}}[known.input]
    return {name: setting for name, setting in known.declared.items() if shared.get(name) != setting}


def _summary(module: str) -> str:
    """Return the first line of a module's docstring, without loading the module's libraries."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) or "").split("\n")[0].rstrip(".")


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(insert(page.read_text(encoding="utf-8")), encoding="utf-8")
