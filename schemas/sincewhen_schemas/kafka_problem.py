"""What went wrong between a Kafka client and its broker, in words that say what to do.

kafka-python and aiokafka name their errors alike, so that one table serves both and neither is imported here.
"""

import ssl

from sincewhen_schemas.kafka import PASSWORD, KafkaSettings

_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_*
_OTHER_NAME = {62, 64}
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}


def problem_of(error: BaseException, kafka: KafkaSettings, topic: str = "", operation: str = "Write") -> str:
    """One sentence; `operation` is what the client was to do with `topic`."""
    who = _who(kafka)
    if isinstance(error.args[0] if error.args else None, set):
        topic = ", ".join(sorted(error.args[0]))  # those that it is about
    said = _ssl_problem(error, kafka) if isinstance(error, ssl.SSLError) else ""
    too_few = f"too few brokers hold topic {topic} (min.insync.replicas): start the others"
    by_name = {
        "SaslAuthenticationFailedError": _not_let_in(kafka),
        "AuthenticationFailedError": _not_let_in(kafka),
        "UnsupportedSaslMechanismError": f"the broker takes no {kafka.sasl}: set kafka.sasl to what it takes",
        "TopicAuthorizationFailedError": not_allowed(kafka, f"{operation} topic {topic}", operation),
        "GroupAuthorizationFailedError": not_allowed(kafka, "Read its consumer group"),
        "ClusterAuthorizationFailedError": f"{who} may not manage the cluster: give it as {who} the rights of an "
        "administrator, or name another kafka.user",
        "UnknownTopicOrPartitionError": f"the broker has no topic {topic}: make it with sincewhen topics apply",
        "NotEnoughReplicasError": too_few,
        "NotEnoughReplicasAfterAppendError": too_few,
        "MessageSizeTooLargeError": f"too large for topic {topic}: its max.message.bytes is below the card's; "
        "sincewhen topics apply raises it",
        "InvalidTimestampError": f"the broker refuses this machine's clock for topic {topic}: sincewhen topics apply "
        "makes it use its own",
        "ConnectionRefusedError": f"nothing listens at {kafka.servers}: is the broker up, and kafka.servers right?",
        "gaierror": f"a name in kafka.servers is not known here; got {kafka.servers}: write an address, or ask whoever "
        "runs the network",
        "TimeoutError": f"no answer from {kafka.servers}: is the broker up, does a firewall let this machine through?",
        "KafkaTimeoutError": f"no answer in time from {kafka.servers}: is the broker up and well?",
    }
    for kind in type(error).__mro__:
        said = said or by_name.get(kind.__name__, "")
    return said or f"Kafka at {kafka.servers}: {type(error).__name__}: {error}"


def not_served(kafka: KafkaSettings) -> str:
    """The broker takes connections, TLS included, and then does not serve this client."""
    if kafka.user:
        return f"{_not_let_in(kafka)}; where these are right, the broker is too busy to answer in time"
    if kafka.security == "tls":
        return (
            f"{kafka.servers} takes the TLS connection and serves nobody without a user: set kafka.user and a password"
        )
    return (
        f"{kafka.servers} takes the connection and does not answer: is the broker well, and is this a plaintext port? "
        'If it is one of TLS, write security = "tls"'
    )


def not_allowed(kafka: KafkaSettings, what: str, operation: str = "Read") -> str:
    """`what` it may not do, in words."""
    return f"{_who(kafka)} may not {what}: {_way_in(kafka, operation)}"


def _who(kafka: KafkaSettings) -> str:
    return f"User:{kafka.user}" if kafka.user else "User:ANONYMOUS (no kafka.user is set)"


def _not_let_in(kafka: KafkaSettings) -> str:
    return (
        f"the broker does not let kafka.user {kafka.user!r} in with {kafka.sasl}: correct user, kafka.password_file or "
        f"{PASSWORD}, or make that user at the broker"
    )


def _way_in(kafka: KafkaSettings, operation: str) -> str:
    if not kafka.user:
        return "set kafka.user and a password"
    if operation in {"Write", "Read"}:
        return f"sincewhen topics apply --agent {kafka.user} lets an edge agent do it, --service {kafka.user} a service"
    return "name an administrator's user in kafka.user"


def _ssl_problem(error: ssl.SSLError, kafka: KafkaSettings) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"{kafka.servers} does not speak TLS as asked ({error}): is this the TLS port? For a "
            'plaintext one write security = "plaintext"'
        )
    if error.verify_code == _EXPIRED:
        return f"the certificate of {kafka.servers} has expired: renew it at the broker, and check this machine's clock"
    if error.verify_code == _NOT_YET:
        return f"the certificate of {kafka.servers} is not valid yet: check this machine's clock"
    if error.verify_code in _OTHER_NAME:
        return (
            f"the certificate is not for a name in kafka.servers; got {kafka.servers}: write the name that it is for "
            f"({error.verify_message}), or renew it with this one"
        )
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return (
            f"the certificate of {kafka.servers} is of no authority that is known here: name that one's file in "
            f"kafka.ca_file; got {kafka.ca_file or 'none'}"
        )
    return f"the certificate of {kafka.servers} is not accepted: {error.verify_message}"
