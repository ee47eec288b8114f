"""The house is kept: sizes, names, reasons."""

import ast
import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
ROOTS = ("schemas", "edge_agent", "services", "tests", "benchmarks")
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
BANNED_NAMES = {"utils", "helpers", "common", "manager", "util", "helper"}
EXCEPTION = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<rest>.*)$")


def sources() -> list[Path]:
    found = [path for root in ROOTS for path in (REPO / root).rglob("*.py")]
    return [path for path in found if not path.name.endswith("_pb2.py")]


def test_modules_have_at_most_400_lines() -> None:
    assert sources()
    long = {str(path): lines for path in sources() if (lines := len(path.read_text().splitlines())) > MODULE_LINES_MAX}
    assert not long


def test_functions_have_at_most_50_lines_or_say_why() -> None:
    long = []
    for path in sources():
        text = path.read_text()
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES_MAX and "compiled by numba" not in lines[node.lineno - 1]:
                    long.append(f"{path}:{node.lineno} {node.name} has {size} lines")
    assert not long


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [path for path in sources() if BANNED_NAMES & set(path.stem.split("_"))]


def test_every_exception_to_a_rule_carries_its_reason() -> None:
    bare = []
    for path in sources():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = EXCEPTION.search(line)
            if match and path.name != Path(__file__).name and not re.search(r"[-#]\s+\w+", match["rest"]):
                bare.append(f"{path}:{number}: {line.strip()}")
    assert not bare


def test_the_lock_has_hashes_and_no_addresses_and_no_torch() -> None:
    lock = (REPO / "requirements.lock").read_text()
    packages = re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE)
    assert len(packages) > 30
    assert "://" not in lock
    assert not {"torch", "triton"} & set(packages)
    assert not [name for name in packages if name.startswith(("nvidia-", "cuda-"))]
    for block in re.split(r"\n(?=[a-z0-9])", lock.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]
