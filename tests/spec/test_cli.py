"""The command `sincewhen`: complete, and quick where nothing heavy is asked for."""

import pkgutil
import subprocess
import sys
from importlib import import_module

import click
from click.testing import CliRunner

import sincewhen.cli
from sincewhen.cli.__main__ import main

HEAVY = ("numpy", "scipy", "numba", "chdb", "fastapi", "pyarrow")


def test_every_command_of_every_module_is_listed_and_says_what_it_does() -> None:
    found: dict[str, click.Command] = {}
    for module in pkgutil.iter_modules(sincewhen.cli.__path__):
        values = vars(import_module(f"sincewhen.cli.{module.name}")).values()
        found |= {str(value.name): value for value in values if isinstance(value, click.Command)}
    found.pop("main")
    parts = {name for group in found.values() if isinstance(group, click.Group) for name in group.commands}
    context = click.Context(main)
    assert set(main.list_commands(context)) == found.keys() - parts
    told = CliRunner().invoke(main, ["--help"]).output
    for name in main.list_commands(context):
        assert main.get_command(context, name) is found[name]
        assert f"\n  {name} " in told


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main, ["nothing"]).exit_code == 2


def test_a_query_loads_neither_detectors_nor_store() -> None:
    code = f"""import sys
from sincewhen.cli.__main__ import main
for arguments in (["--help"], ["incidents", "--help"], ["profile", "build", "--help"]):
    main(arguments, standalone_mode=False)
loaded = [name for name in {HEAVY} if name in sys.modules]
sys.exit(str(loaded) if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
