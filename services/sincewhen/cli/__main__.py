"""`sincewhen`: what changed, where, since when."""

import click

from sincewhen.cli.backtest import backtest
from sincewhen.cli.demo import demo
from sincewhen.cli.migrate import migrate
from sincewhen.cli.query import incidents, profile, scope, since
from sincewhen.cli.scan import scan
from sincewhen.cli.up import up


@click.group()
@click.version_option(package_name="sincewhen")
def main() -> None:
    """Streaming drift monitor for factory vision and robotics: what changed, where, since when."""


for command in (backtest, demo, incidents, migrate, profile, scan, scope, since, up):
    main.add_command(command)

if __name__ == "__main__":
    main()
