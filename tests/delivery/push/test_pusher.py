"""One request to another system: what is sent, what each answer means, and where nothing is ever sent."""

from __future__ import annotations

import socket

import pytest

from chalicelib.aws.mailer import InDoubt, Refused
from chalicelib.delivery.push.addresses import PrivateAddress, checked, is_public
from chalicelib.delivery.push.pusher import PRIVATE, Later, Parcel, Pusher
from tests.conftest import Clock
from tests.delivery.push.server import Other

PRIVATE_URLS = [
    "http://127.0.0.1/", "http://127.1/", "http://127.255.255.254/", "http://2130706433/", "http://0x7f000001/",
    "http://0177.0.0.1/", "http://0x7f.1/", "http://0/", "http://0.0.0.0/", "http://localhost/",
    "http://10.0.0.1/", "http://10.255.255.255/", "http://172.16.0.1/", "http://172.31.255.255/",
    "http://192.168.0.1/", "http://100.64.0.1/", "http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/",
    "http://2852039166/", "http://0xa9fea9fe/", "http://192.0.0.192/", "http://192.0.2.1/", "http://192.88.99.1/",
    "http://198.18.0.1/", "http://198.51.100.1/", "http://203.0.113.1/", "http://224.0.0.1/", "http://239.1.1.1/",
    "http://240.0.0.1/", "http://255.255.255.255/",
    "http://[::]/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/", "http://[2001:0:7f00:1::]/", "http://[2001:db8::1]/", "http://[fc00::1]/",
    "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[fec0::1]/", "http://[ff02::1]/", "http://[100::1]/",
    "http://①②⑦.⓪.⓪.①/", "http://１２７.0.0.1/",
]  # fmt: skip


@pytest.mark.parametrize("url", PRIVATE_URLS)
def test_nothing_is_sent_into_private_networks_however_they_are_written(url: str) -> None:
    with pytest.raises(Refused, match="private network"):
        Pusher().push(Parcel(url, "POST", b"{}"))


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "//127.0.0.1/", "http:///x", "http://h:99999/"],
)
def test_nothing_is_sent_but_by_http_to_a_host(url: str) -> None:
    with pytest.raises(Refused):
        Pusher().push(Parcel(url, "POST", b"{}"))


@pytest.mark.parametrize("address", ["8.8.8.8", "193.110.128.109", "2a00:1450:4003:80f::200e", "2606:4700::1111"])
def test_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(PrivateAddress):
        checked("both.example", 443, lambda _host, _port: ["8.8.8.8", "10.0.0.1"])


def test_the_address_that_was_checked_is_the_one_connected_to(other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads to another place with each question is asked once."""
    asked: list[str] = []

    def look_up(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    def no_more(*_args: object, **_more: object) -> None:
        raise AssertionError("the name was looked up again")

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **rest: real(host, *more, **rest) if host == "127.0.0.1" else no_more(),
    )
    reply = Pusher(look_up).push(Parcel(other.url(host="inside.example"), "POST", b"{}"))
    assert (reply.status, asked) == (200, ["inside.example"])
    assert other.got[0].headers["host"] == f"inside.example:{other.port}"


def test_a_redirect_is_followed_on_the_same_host_and_checked_again(other: Other) -> None:
    asked: list[str] = []

    def look_up(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    other.answers["/"] = (307, {"Location": "/there"}, b"")
    assert Pusher(look_up).push(Parcel(other.url(), "PUT", b'{"a": 1}')).status == 200
    assert [(got.method, got.path, got.body) for got in other.got] == [
        ("PUT", "/", '{"a": 1}'), ("PUT", "/there", '{"a": 1}'),
    ]  # fmt: skip
    assert len(asked) == 2


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/", "http://localhost/", "https://127.0.0.1/", "ftp://127.0.0.1/", ""]
)
def test_a_redirect_to_anywhere_else_is_refused(other: Other, location: str) -> None:
    other.answers["/"] = (308, {"Location": location} if location else {}, b"")
    with pytest.raises(Refused):
        Pusher().push(Parcel(other.url(), "POST", b"{}", {"Authorization": "Bearer secret"}))
    assert {got.path for got in other.got} == {"/"}


def test_a_redirect_that_would_drop_the_object_is_refused(other: Other) -> None:
    other.answers["/"] = (302, {"Location": "/there"}, b"")
    with pytest.raises(Refused, match="302"):
        Pusher().push(Parcel(other.url(), "POST", b"{}"))


def test_a_host_that_was_allowed_once_is_private_when_it_is_allowed_no_more() -> None:
    with pytest.raises(Refused) as refused:
        Pusher(lambda _host, _port: ["127.0.0.1"]).push(Parcel("http://inside.example/", "POST", b"{}"))
    assert refused.value.reason == PRIVATE


# -- what answers mean


def test_an_answer_is_kept_in_its_first_part(other: Other) -> None:
    other.answers["/"] = (201, {}, b"a" * 5_000_000)
    reply = Pusher().push(Parcel(other.url(), "POST", b"{}"))
    assert (reply.status, reply.text) == (201, "a" * 500)


def test_what_the_other_system_refuses_is_refused_with_its_words(other: Other) -> None:
    other.answers["/"] = (400, {}, b'{"error":\n "no such learner"}')
    with pytest.raises(Refused, match=r"400 .*no such learner"):
        Pusher().push(Parcel(other.url(), "POST", b"{}"))


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, "120", 120.0), (503, "Tue, 24 Nov 2026 10:05:00 GMT", None), (500, "", None), (502, "soon", None)],
)
def test_what_may_be_taken_later_says_when(
    other: Other, frozen_clock: Clock, status: int, header: str, seconds: float | None
) -> None:
    other.answers["/"] = (status, {"Retry-After": header} if header else {}, b"busy")
    with pytest.raises(Later, match=str(status)) as later:
        Pusher().push(Parcel(other.url(), "POST", b"{}"))
    if "GMT" in header:
        assert later.value.seconds is not None
    else:
        assert later.value.seconds == seconds
    assert later.value.is_host == (status in {429, 503})


def test_a_host_that_is_not_there_gets_the_object_later() -> None:
    with pytest.raises(Later, match="no host"):
        Pusher(lambda _host, _port: []).push(Parcel("http://nowhere.example/", "POST", b"{}"))


def test_a_host_that_refuses_the_connection_gets_the_object_later(other: Other) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(Later, match="could not be reached"):
        Pusher().push(Parcel(f"http://127.0.0.1:{port}/", "POST", b"{}"))


@pytest.mark.parametrize("path", ["/silent", "/drip"])
def test_a_request_without_an_answer_in_time_is_in_doubt(other: Other, path: str) -> None:
    with pytest.raises(InDoubt):
        Pusher(timeout=0.4).push(Parcel(other.url(path), "POST", b"{}"))
    assert len(other.got) == 1


def test_a_certificate_is_checked_against_the_name(other: Other) -> None:
    with pytest.raises(Later, match="could not be reached"):
        Pusher().push(Parcel(f"https://127.0.0.1:{other.port}/", "POST", b"{}"))
    assert other.got == []
