"""`sincewhen`: what changed, where, since when."""

import click

from sincewhen.cli.backtest import backtest


@click.group()
@click.version_option(package_name="sincewhen")
def main() -> None:
    """Streaming drift monitor for factory vision and robotics: what changed, where, since when."""


main.add_command(backtest)

if __name__ == "__main__":
    main()
