"""`sincewhen topics`: Kafka's topics as their cards say."""

import os
import sys
from pathlib import Path

import click

from sincewhen.log.cards import TopicCard, cards, planned, rules_of_agents
from sincewhen.log.kafka_admin import Cluster, KafkaUnavailable
from sincewhen_edge.publish.reach import reached
from sincewhen_edge.settings import read_text
from sincewhen_schemas.kafka import KafkaSettings, KafkaSettingsError, loaded
from sincewhen_schemas.kafka_problem import problem_of

_REPLICAS = 3


@click.group()
def topics() -> None:
    """Kafka's topics, as schemas/topics says."""


@topics.command()
@click.option(
    "--kafka",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A TOML file with a table [kafka] (schemas/README.md), whose user is an administrator.",
)
@click.option(
    "--replicas", type=click.IntRange(1, 7), help=f"Default: {_REPLICAS}, or all brokers where there are less."
)
@click.option("--agent", "agents", multiple=True, metavar="USER", help="Let this user do what an edge agent does.")
@click.option("--shorten-retention", is_flag=True, help="Delete records that are older than the card keeps.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def apply(file: Path, *, replicas: int | None, agents: tuple[str, ...], shorten_retention: bool, dry_run: bool) -> None:
    """Make the topics that are missing, and change what loses nothing; say what differs and is left as it is.

    Exit code 1 where something differs, or the broker does not answer; again is always safe.
    """
    try:
        settings = loaded(str(file), os.environ, read_text)
        differences = _applied(settings, replicas, agents, shorten=shorten_retention, dry_run=dry_run)
    except KafkaSettingsError as error:
        raise click.UsageError(str(error)) from error
    except KafkaUnavailable as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(problem_of(error, settings)) from error
    for line in differences:
        click.echo(line, err=True)
    sys.exit(1 if differences else 0)


def _applied(
    settings: KafkaSettings, replicas: int | None, agents: tuple[str, ...], *, shorten: bool, dry_run: bool
) -> list[str]:
    """What differs and is left."""
    reached(settings)
    differences: list[str] = []
    with Cluster(settings) as cluster:
        wanted = replicas or min(_REPLICAS, cluster.brokers())
        for card in cards():
            differences += _topic(cluster, card, wanted, shorten=shorten, dry_run=dry_run)
        for user in agents:
            differences += _agent(cluster, user, dry_run=dry_run)
    return differences


def _topic(cluster: Cluster, card: TopicCard, replicas: int, *, shorten: bool, dry_run: bool) -> tuple[str, ...]:
    found = cluster.topic(card.name)
    plan = planned(card, replicas, found, shorten=shorten)
    would = "would be " if dry_run else ""
    if plan.create:
        click.echo(f"{card.name}: {would}made, {card.partitions} partitions, {replicas} replicas")
        if not dry_run:
            cluster.create(card.name, card.partitions, replicas, plan.change)
    elif plan.change:
        assert found
        for name, value in plan.change.items():
            click.echo(f"{card.name}: {name} {would}set to {value}, from {found.settings.get(name, 'nothing')}")
        if not dry_run:
            cluster.change(card.name, plan.change)
    elif not plan.differences:
        click.echo(f"{card.name}: as its card")
    return plan.differences


def _agent(cluster: Cluster, user: str, *, dry_run: bool) -> list[str]:
    wanted, found = rules_of_agents(cards()), cluster.rules(user)
    missing = sorted(wanted - found)
    would = "would be " if dry_run else ""
    for topic, operation in missing:
        click.echo(f"User:{user}: {would}allowed to {operation.lower()} {topic}")
    if missing and not dry_run:
        cluster.allow(user, missing)
    return [
        f"User:{user} may {operation.lower()} {topic} too, which no agent needs: kafka-acls --remove --allow-principal "
        f"'User:{user}' --operation {operation} --topic {topic}"
        for topic, operation in sorted(found - wanted)
    ]
