"""Fingerprint code, so that an edit re-runs the affected jobs and no others. Standard library only."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def fingerprint(*sources: str) -> str:
    """Hash the code of modules, with all modules of this package that they import, and of single files.

    Comments, docstrings, layout and imports under `if TYPE_CHECKING:` are ignored, since they do not change behaviour.
    A module that is loaded by name at run time, such as an architecture, must be named explicitly.

    Args:
        sources: dotted names of modules (`clipfold.video.probe`), whose imports are followed, or paths of files, whose
            imports are not. In files other than Python, every byte counts.

    Returns:
        16 hexadecimal digits.

    Raises:
        FileNotFoundError: a module or file does not exist.
    """
    files = {Path(source) for source in sources if "/" in source}
    pending = [source for source in sources if "/" not in source]
    modules: dict[str, Path] = {}
    while pending:
        name = pending.pop()
        if name not in modules:
            modules[name] = _locate(name)
            pending.extend(_read(modules[name])[1])
    digests = sorted(_read(path)[0] for path in files | set(modules.values()))
    return hashlib.blake2b("\n".join(digests).encode(), digest_size=8).hexdigest()


def _locate(module: str) -> Path:
    stem = PACKAGE.joinpath(*module.split(".")[1:])
    path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    if not path.is_file():
        raise FileNotFoundError(f"{module} is not a module of {PACKAGE.name}: {path} does not exist")
    return path


@cache
def _read(path: Path) -> tuple[str, tuple[str, ...]]:
    """Hash what a file does; return also the modules of this package that it imports, also inside functions."""
    if path.suffix != ".py":
        return hashlib.blake2b(path.read_bytes()).hexdigest(), ()
    parts: list[str] = []
    imports: list[str] = []
    _describe(ast.parse(path.read_bytes()), parts, imports)
    return hashlib.blake2b(",".join(parts).encode()).hexdigest(), tuple(imports)


def _describe(node: ast.AST, parts: list[str], imports: list[str]) -> None:
    """Append what a node does and imports; in one pass, because each start of the workflow reads the whole package."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        imports.extend(_imported(node))
    parts.append(type(node).__name__)
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            parts.append("[")
            for each in value:
                if not isinstance(each, ast.AST):
                    parts.append(repr(each))
                elif not _is_idle(each):
                    _describe(each, parts, imports)
            parts.append("]")
        elif isinstance(value, ast.AST):
            if field != "ctx":  # follows from the place
                _describe(value, parts, imports)
        else:
            parts.append(repr(value))


def _imported(node: ast.AST) -> Iterator[str]:
    root = PACKAGE.name
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] == root)
    elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == root:
        yield node.module
        for alias in node.names:  # `from clipfold.features import motion` names a module, not an attribute
            below = PACKAGE.joinpath(*node.module.split(".")[1:], alias.name)
            if below.is_dir() or below.with_suffix(".py").is_file():
                yield f"{node.module}.{alias.name}"


def _is_idle(node: ast.AST) -> bool:
    """Tell whether code has no effect on behaviour: docstrings and imports for type checkers."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
