"""Mail through a server of one's own: what is known after each answer, and runs through a server that misbehaves."""

from __future__ import annotations

import email
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Session
from aiosmtpd.smtp import Envelope as Given
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chalicelib import database
from chalicelib.aws.mailer import Closed, Envelope, InDoubt, MailError, NotSent, Refused
from chalicelib.delivery import service
from chalicelib.delivery.models import Message, Run
from chalicelib.delivery.send import Sender
from chalicelib.delivery.smtp import Later, SmtpMailer
from chalicelib.delivery.worker import RESERVE_SECONDS
from chalicelib.settings import settings
from tests.conftest import Clock
from tests.delivery.cloud import Cloud, run_state, states
from tests.delivery.conftest import MakeCourse

PASSWORD = "a password that nobody sees"
DROP = "drop"
MAIL = Envelope("Inés <no-reply@uni.example>", "ana@uni.example", ["copy@uni.example"], ["hidden@uni.example"])
RAW = b"From: no-reply@uni.example\r\nSubject: Hello\r\n\r\n.a line that begins with a dot\r\n"


class Server:
    """What aiosmtpd calls at each step. `answers` maps a step and an address ("" for all) to one answer or DROP."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[str]] = {}
        self.taken: list[Given] = []
        self.connections = 0

    def _say(self, step: str, address: str, server: SMTP, otherwise: str) -> str:
        for key in ((step, address), (step, "")):
            if self.answers.get(key):
                answer = self.answers[key].pop(0)
                if answer == DROP:
                    server.transport.abort()
                return answer
        return otherwise

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Given, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Given, address: str, options: list[str]
    ) -> str:
        answer = self._say("MAIL", address, server, "250 OK")
        if answer.startswith("250"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Given, address: str, options: list[str]
    ) -> str:
        answer = self._say("RCPT", address, server, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Given) -> str:
        answer = self._say("DATA", envelope.rcpt_tos[0], server, "250 OK")
        if answer in {"250 OK", DROP}:
            self.taken.append(envelope)
        return answer

    def mails(self) -> Counter[str]:
        """How many mails each first recipient got."""
        return Counter(envelope.rcpt_tos[0] for envelope in self.taken)


def signed_in(_server: SMTP, _session: Session, _envelope: Given, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"ontask", PASSWORD.encode()), handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the server's key and certificate, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(pem))
    return path


@pytest.fixture(scope="module")
def running(certificate: Path) -> Iterator[tuple[Server, int]]:
    """A server that wants encryption and a name before it takes anything; with its port."""
    handler = Server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(
        handler, hostname="127.0.0.1", port=port, ready_timeout=20, tls_context=context, require_starttls=True,
        authenticator=signed_in, auth_required=True,
    )  # fmt: skip
    controller.start()
    yield handler, port
    controller.stop()


def configure(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    settings.cache_clear()


@pytest.fixture
def relay(running: tuple[Server, int], certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, which the installation's settings name."""
    handler, port = running
    handler.answers.clear()
    handler.taken.clear()
    handler.connections = 0
    configure(
        monkeypatch, EMAIL_HOST="localhost", EMAIL_PORT=port, EMAIL_HOST_USER="ontask", EMAIL_HOST_PASSWORD=PASSWORD,
        SSL_CERT_FILE=certificate,
    )  # fmt: skip
    return handler


def send(mailer: SmtpMailer) -> str:
    return mailer.send(MAIL, RAW, "", {})


@pytest.mark.parametrize(
    ("step", "address", "answer", "kind", "taken"),
    [
        ("MAIL", "", "550 5.7.1 no such sender", Closed, 0),
        ("MAIL", "", "451 4.3.0 try later", NotSent, 0),
        ("MAIL", "", DROP, NotSent, 0),
        ("RCPT", "ana@uni.example", "550 5.1.1 no such user", Refused, 0),
        ("RCPT", "ana@uni.example", "450 4.7.1 greylisted", Later, 0),
        ("RCPT", "ana@uni.example", "554 5.7.1 Relay access denied", Closed, 0),
        ("RCPT", "ana@uni.example", DROP, NotSent, 0),
        ("RCPT", "copy@uni.example", "550 5.1.1 no such user", None, 1),
        ("DATA", "", "554 5.7.1 spam", Refused, 0),
        ("DATA", "", "452 4.2.2 mailbox full", Later, 0),
        ("DATA", "", "421 4.3.2 shutting down", NotSent, 0),
        ("DATA", "", DROP, InDoubt, 1),
    ],
)
def test_each_answer_says_what_is_known_and_the_next_mail_goes(
    relay: Server, frozen_clock: Clock, step: str, address: str, answer: str, kind: type[MailError] | None, taken: int
) -> None:
    relay.answers[step, address] = [answer]
    mailer = SmtpMailer()
    if kind is None:
        send(mailer)
    else:
        with pytest.raises(kind) as caught:
            send(mailer)
        assert answer == DROP or answer in caught.value.reason
    assert len(relay.taken) == taken
    send(mailer)
    mailer.close()
    assert len(relay.taken) == taken + 1


def test_a_mail_arrives_as_it_was_written_with_copies_and_a_name(relay: Server, frozen_clock: Clock) -> None:
    mailer = SmtpMailer()
    names = {send(mailer), send(mailer)}
    frozen_clock.advance(minutes=5)  # by then the server would have closed the connection
    send(mailer)
    mailer.close()
    assert len(names) == 2
    assert relay.connections == 4, "two connections, and each greets again once it is encrypted"
    given = relay.taken[0]
    assert (given.mail_from, given.rcpt_tos) == (
        "no-reply@uni.example", ["ana@uni.example", "copy@uni.example", "hidden@uni.example"],
    )  # fmt: skip
    assert isinstance(given.content, bytes)
    found = email.message_from_bytes(given.content)
    assert found["Message-ID"] in names
    assert found.get_payload() == ".a line that begins with a dot\r\n"


def test_what_concerns_the_account_closes_it_and_the_password_is_told_to_nobody(
    relay: Server, frozen_clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    for changes in (
        {"EMAIL_HOST_PASSWORD": "another password"},
        {"EMAIL_HOST": "127.0.0.1", "EMAIL_HOST_PASSWORD": PASSWORD},  # not the name in the certificate
        {"EMAIL_HOST": "127.0.0.2", "EMAIL_USE_TLS": "no"},
    ):
        configure(monkeypatch, **changes)
        with pytest.raises((Closed, NotSent)) as caught:
            send(SmtpMailer())
        said.append(f"{caught.type.__name__}: {caught.value.reason}")
    assert "name and password: 535" in said[0]
    assert "certificate" in said[1]
    assert said[2].startswith("NotSent"), "nothing listens there"
    assert not relay.taken
    assert not [text for text in [*said, caplog.text] if "password that" in text or "another password" in text]


def test_a_run_goes_through_a_server_that_misbehaves_and_nobody_gets_two(
    make_course: MakeCourse, cloud: Cloud, relay: Server
) -> None:
    course = make_course(12)
    cloud.seconds = 120
    cloud.sender = lambda lane, _ses, **more: Sender(lane, SmtpMailer(), **more)
    relay.answers = {
        ("RCPT", "s2@uni.example"): ["550 5.1.1 no such user"],
        ("RCPT", "s3@uni.example"): ["450 4.7.1 greylisted"] * 2,
        ("DATA", "s4@uni.example"): [DROP],
        ("MAIL", ""): ["250 OK"] * 6 + ["535 5.7.8 authentication required"],
    }
    run = course.confirm()
    cloud.run(hours=0.25)
    assert run_state(run.id) == "paused", "the server did not want us"
    with database.scope() as session:
        service.resume(session, course.user.id, session.get_one(Run, run.id))
    cloud.run(hours=3)
    assert (run_state(run.id), states(run.id)) == ("done", {"sent": 10, "failed": 1, "unknown": 1})
    assert relay.mails() == {f"s{n}@uni.example": 1 for n in range(1, 13) if n != 2}
    assert relay.connections <= 8, "mails share a connection"
    with database.scope() as session:
        found = {m.recipient: m for m in session.query(Message)}
        assert found["s2@uni.example"].reason == "550 5.1.1 no such user"
        assert found["s3@uni.example"].attempts == 3
        assert found["s4@uni.example"].state == "unknown"
        assert found["s5@uni.example"].ses_id.endswith("@ontask.example>")
    assert RESERVE_SECONDS + SmtpMailer().slowest < 60, "a slow mail ends before its lease"
