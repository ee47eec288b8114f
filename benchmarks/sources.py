"""The sha of the code under test: of a subject's module and of all of this repository that it reaches by import."""

import ast
import functools
import hashlib
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
ROOTS = tuple(REPO / name for name in ("schemas", "edge_agent", "services", "tests", "."))


@functools.cache
def reached_sha(module: str) -> str:
    """First 12 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(reached(module)):
        digest.update(path.relative_to(REPO).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def reached(module: str) -> set[Path]:
    """Its file and the files of all that it imports, of this repository."""
    found: set[Path] = set()
    todo = [module]
    while todo:
        path = _file(todo.pop())
        if path is not None and path not in found:
            found.add(path)
            todo += _imports(path)
    return found


def _file(module: str) -> Path | None:
    """The module's file, if it is one of ours."""
    place = module.replace(".", "/")
    candidates = [path for root in ROOTS for path in (root / f"{place}.py", root / place / "__init__.py")]
    return next((path.resolve() for path in candidates if path.is_file()), None)


def _imports(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
