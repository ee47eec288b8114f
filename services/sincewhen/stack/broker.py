"""One Apache Kafka broker (KRaft, Java) of our own, on loopback ports, in a folder of its own.

It stands here, in the product, because tests and whoever tries the distributed product start the same one.

Invariants
- Everything it writes is in `folder`; a second start with the same folder and ports goes on with the same records.
- Listeners, on 127.0.0.1 only: PLAINTEXT, where everybody is a superuser; with `secure` also SASL_SSL, where a user may
  do what access rules allow and nothing else.
- A user's password is given to Java on its command line at the first start: no broker for a plant.
"""

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

_HOST = "127.0.0.1"
_START_S, _FORMAT_S, _STOP_S = 180.0, 120.0, 30.0  # a busy machine takes a minute for what takes 3 s alone
_POLL_S = 0.05
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_LOG4J = """rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c %m%n
"""


class BrokerUnavailable(Exception):  # noqa: N818 - the unwell world: Java or the jars are not here, or it did not start
    """No broker runs."""


@dataclass(frozen=True, slots=True)
class Ports:
    plain: int
    controller: int
    secure: int = 0


@dataclass(frozen=True, slots=True)
class Secure:
    """Of the SASL_SSL listener. `certificate`: PEM, the key (PKCS #8) and the chain in one file; `authority`: PEM."""

    certificate: Path
    authority: Path
    users: tuple[tuple[str, str], ...]  # name, password


def jars_folder() -> Path:
    """Where `deploy/kafka/fetch` puts Kafka's jars."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SINCEWHEN_KAFKA_JARS") or cache / "sincewhen" / "kafka-4.3.0")


class Broker:
    def __init__(self, folder: Path, ports: Ports, secure: Secure | None = None, heap: str = "384m") -> None:
        self.folder, self.ports, self.heap = folder, ports, heap
        self.secure = secure  # may be changed between two starts
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        return f"{_HOST}:{self.ports.plain}"

    @property
    def secure_servers(self) -> str:
        return f"{_HOST}:{self.ports.secure}"

    def start(self) -> None:
        """Start, the first time with a new log, and wait until it answers. Raises BrokerUnavailable."""
        java = shutil.which("java")
        if java is None or not jars_folder().is_dir():
            raise BrokerUnavailable(
                f"a broker needs Java 17 and Kafka's jars; got java {java}, jars {jars_folder()}: apt-get install "
                "openjdk-17-jre-headless, then deploy/kafka/fetch"
            )
        new = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._properties().items()))
        (self.folder / "log4j2.properties").write_text(_LOG4J.format(file=self.folder / "broker.log"))
        logging = f"-Dlog4j2.configurationFile=file:{self.folder / 'log4j2.properties'}"
        small = [f"-Xmx{self.heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]  # little memory, a quick start
        kafka = [java, *small, logging, "-cp", f"{jars_folder()}/*"]
        if new:
            self._format(kafka, properties)
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [*kafka, "kafka.Kafka", str(properties)], stdout=output, stderr=output, start_new_session=True
            )
        self._wait_until_it_listens()

    def stop(self) -> None:
        """End it as whoever runs a broker does; what was acknowledged stays."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As a loss of power does."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """It keeps its connections and answers nothing (SIGSTOP), until `resume`."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # until it takes effect

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def _properties(self) -> dict[str, object]:
        secure = self.secure and self.ports.secure
        listeners = [f"PLAINTEXT://{self.servers}", f"CONTROLLER://{_HOST}:{self.ports.controller}"]
        if secure:
            listeners.append(f"SASL_SSL://{self.secure_servers}")
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"{_HOST}:{self.ports.controller}",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(listeners),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.folder / "log",
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.cleaner.dedupe.buffer.size": 16 * 1024**2,  # the default, 128 MiB, does not fit a small heap
            "message.max.bytes": 8 * 1024**2,
            "auto.create.topics.enable": "false",
            **(self._secured() if secure else {}),
        }

    def _secured(self) -> dict[str, object]:
        assert self.secure
        jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "sasl.enabled.mechanisms": ",".join(_SCRAM),
            **{f"listener.name.sasl_ssl.{name.lower()}.sasl.jaas.config": jaas for name in _SCRAM},
            "listener.name.sasl_ssl.ssl.keystore.type": "PEM",
            "listener.name.sasl_ssl.ssl.keystore.location": self.secure.certificate,
            "listener.name.sasl_ssl.ssl.truststore.type": "PEM",
            "listener.name.sasl_ssl.ssl.truststore.location": self.secure.authority,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # of the plaintext listeners
        }

    def _format(self, kafka: list[str], properties: Path) -> None:
        tool = [*kafka, "kafka.tools.StorageTool"]
        identity = base64.urlsafe_b64encode(b"SW" + uuid.uuid4().bytes[2:]).decode().rstrip("=")  # never begins with -
        users = [
            f"{mechanism}=[name={name},password={password}]"
            for name, password in (self.secure.users if self.secure else ())
            for mechanism in _SCRAM
        ]
        scram = [part for user in users for part in ("--add-scram", user)]
        command = [*tool, "format", "-t", identity, "-c", str(properties), "--standalone", *scram]
        made = subprocess.run(  # noqa: S603 - our own command line
            command, capture_output=True, timeout=_FORMAT_S, check=False, text=True
        )
        if made.returncode:
            shutil.rmtree(self.folder)
            raise BrokerUnavailable(f"Kafka's storage was not formatted: {made.stdout}{made.stderr}")

    def _wait_until_it_listens(self) -> None:
        """On the last port, once the controller has let the broker in."""
        assert self._process
        until = time.monotonic() + _START_S
        port = self.ports.secure if self.secure and self.ports.secure else self.ports.plain
        while self._process.poll() is None and time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex((_HOST, port)) == 0:
                    return
            time.sleep(_POLL_S)
        if self._process.poll() is None:
            self.kill()
        raise BrokerUnavailable(f"the broker did not start: {self.folder}/output.log and broker.log say why")
