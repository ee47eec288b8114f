"""`sincewhen`: what changed, where, since when."""

from importlib import import_module

import click

_COMMANDS = {  # by name: its module in sincewhen.cli, and what the list of commands says of it
    "backtest": ("backtest", "Find and date the changes in arrays on disk."),
    "console": ("console", "The pages and the API, beside processes that share Kafka."),
    "correlator": ("correlator", "Findings become incidents, and open incidents alerts."),
    "demo": ("demo", "Two stations, real surfaces, a supplier lot and lens haze."),
    "gateway": ("gateway", "HTTPS /v1/frames into Kafka, a token an agent."),
    "incidents": ("query", "List incidents, newest first."),
    "migrate": ("migrate", "Bring a store's tables up to this release."),
    "processor": ("processor", "One of the processes that turn frames into findings."),
    "profile": ("profile", "What in-control looks like: build, list, show, activate, export."),
    "scan": ("scan", "Look through an image archive, offline: what changed, since when?"),
    "scope": ("query", "What is suspect: lots, supplier lots, shifts, skus, units."),
    "since": ("query", "Was this station out of control, and since when?"),
    "stations": ("query", "Every station: its state, and what learning still misses."),
    "store": ("store", "The store alone, over ClickHouse's HTTP interface."),
    "topics": ("topics", "Kafka's topics: make them as their cards say, and tell what differs."),
    "up": ("up", "The whole server in one process."),
    "writer": ("writer", "What other processes found into ClickHouse."),
}


class _Commands(click.Group):
    """Imports a command's module when it is called: detectors and store take seconds."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"sincewhen.cli.{_COMMANDS[cmd_name][0]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in _COMMANDS.items()])


@click.group(cls=_Commands)
@click.version_option(package_name="sincewhen")
def main() -> None:
    """Streaming drift monitor for factory vision and robotics: what changed, where, since when."""


if __name__ == "__main__":
    main()
