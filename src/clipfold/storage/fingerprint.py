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
            pending.extend(_imports(modules[name]))
    codes = sorted(_code(path) for path in files | set(modules.values()))
    return hashlib.blake2b("\n".join(codes).encode(), digest_size=8).hexdigest()


def _locate(module: str) -> Path:
    stem = PACKAGE.joinpath(*module.split(".")[1:])
    path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    if not path.is_file():
        raise FileNotFoundError(f"{module} is not a module of {PACKAGE.name}: {path} does not exist")
    return path


@cache
def _parse(path: Path) -> ast.Module:
    tree: ast.Module = _Essence().visit(ast.parse(path.read_bytes()))
    return tree


@cache
def _code(path: Path) -> str:
    return ast.dump(_parse(path)) if path.suffix == ".py" else path.read_text(encoding="utf-8")


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Return the modules of this package that the file imports, at its top or inside functions."""
    return tuple(name for node in ast.walk(_parse(path)) for name in _imported(node))


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


class _Essence(ast.NodeTransformer):
    """A transformer that removes code without effect on behaviour: docstrings and imports for type checkers."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [n for n in body if not _is_docstring(n)]  # type: ignore[attr-defined]
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
