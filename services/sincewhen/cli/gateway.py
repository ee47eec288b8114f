"""`sincewhen gateway`: HTTPS /v1/frames into Kafka, with a token an agent."""

from pathlib import Path

import click
import uvicorn

from sincewhen.access.listening import AddressError, check_address
from sincewhen.access.tokens import TokensError
from sincewhen.backend.kafka import ANSWER_S, KafkaIntake
from sincewhen.cli.served import begin
from sincewhen.cli.settings import FILE
from sincewhen.gateway import agents as kept
from sincewhen.gateway.app import make_gateway
from sincewhen.log.kafka import new_producer


@click.command()
@click.option("--config", type=FILE, help="TOML of all processes: [kafka], plant, ...")
@click.option("--agents", type=FILE, default=Path("agents.toml"), show_default=True, help="Who may write what.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; elsewhere with TLS only.")
@click.option("--port", type=click.IntRange(1, 65535), default=8443, show_default=True)
@click.option("--tls-cert", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--tls-key", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--add-agent", metavar="NAME", help="Make an agent of the --station given, print its token, and end.")
@click.option("--station", "stations", multiple=True, metavar="ID", help="With --add-agent. May be repeated.")
def gateway(
    config: Path | None,
    agents: Path,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    add_agent: str | None,
    stations: tuple[str, ...],
) -> None:
    """Take uploads until SIGTERM or Ctrl-C; 200 means that Kafka has them."""
    try:
        if add_agent is not None:
            click.echo(kept.add_agent(agents, add_agent, stations))
            return
        known = kept.Agents(agents)
        check_address(host, tls_cert, tls_key)
    except (TokensError, AddressError) as error:
        raise click.UsageError(str(error)) from error
    if config is None:
        raise click.UsageError("the gateway needs --config: the TOML with the [kafka] table")
    settings, plant = begin(config, "gateway")
    producer = new_producer(settings.kafka, ANSWER_S)
    served = uvicorn.Config(
        make_gateway(KafkaIntake(settings.kafka, plant, producer), known),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ssl_certfile=str(tls_cert) if tls_cert else None,
        ssl_keyfile=str(tls_key) if tls_key else None,
    )
    try:
        uvicorn.Server(served).run()
    finally:
        producer.close()
