"""`sincewhen topics`: Kafka's topics as their cards say."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from sincewhen.log.cards import TopicCard, cards, planned
from sincewhen.log.kafka_admin import Cluster, KafkaUnavailable
from sincewhen.log.rights import AGENT, SERVICES, Right, rights_of
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
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="[PROCESS=]USER",
    help=f"Let this user do what that process does ({', '.join(SERVICES)}); without PROCESS, what all of them do.",
)
@click.option("--shorten-retention", is_flag=True, help="Delete records that are older than the card keeps.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def apply(
    file: Path,
    *,
    replicas: int | None,
    agents: tuple[str, ...],
    services: tuple[str, ...],
    shorten_retention: bool,
    dry_run: bool,
) -> None:
    """Make the topics that are missing, and change what loses nothing; say what differs and is left as it is.

    Exit code 1 where something differs, or the broker does not answer; again is always safe.
    """
    wanted = _wanted(agents, services)
    try:
        settings = loaded(str(file), os.environ, read_text)
        differences = _applied(settings, replicas, wanted, shorten=shorten_retention, dry_run=dry_run)
    except KafkaSettingsError as error:
        raise click.UsageError(str(error)) from error
    except KafkaUnavailable as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(problem_of(error, settings)) from error
    for line in differences:
        click.echo(line, err=True)
    sys.exit(1 if differences else 0)


def _wanted(agents: tuple[str, ...], services: tuple[str, ...]) -> dict[str, set[Right]]:
    """What each user is to be allowed."""
    wanted: dict[str, set[Right]] = {}
    named = [(user, (AGENT,)) for user in agents] + [_service(service) for service in services]
    for user, processes in named:
        wanted.setdefault(user, set()).update(*(rights_of(process, cards()) for process in processes))
    return wanted


def _service(service: str) -> tuple[str, tuple[str, ...]]:
    """User and processes."""
    process, named, user = service.rpartition("=")
    if named and process not in SERVICES:
        raise click.UsageError(
            f"--service is PROCESS=USER or USER, of {', '.join(SERVICES)}; got {service}: correct the process"
        )
    return user, (process,) if named else SERVICES


def _applied(
    settings: KafkaSettings, replicas: int | None, users: Mapping[str, set[Right]], *, shorten: bool, dry_run: bool
) -> list[str]:
    """What differs and is left."""
    reached(settings)
    differences: list[str] = []
    with Cluster(settings) as cluster:
        copies = replicas or min(_REPLICAS, cluster.brokers())
        for card in cards():
            differences += _topic(cluster, card, copies, shorten=shorten, dry_run=dry_run)
        for user, wanted in users.items():
            differences += _user(cluster, user, wanted, dry_run=dry_run)
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


def _user(cluster: Cluster, user: str, wanted: set[Right], *, dry_run: bool) -> list[str]:
    found = cluster.rights(user)
    missing = sorted(wanted - found)
    would = "would be " if dry_run else ""
    for right in missing:
        click.echo(f"User:{user}: {would}allowed to {right}")
    if missing and not dry_run:
        cluster.allow(user, missing)
    return [
        f"User:{user} may {right} too, which it does not need: kafka-acls --remove --allow-principal 'User:{user}' "
        f"{right.acls_options}"
        for right in sorted(found - wanted)
    ]
