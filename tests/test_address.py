"""Where the app listens: hosts of all kinds, each mistake named, nothing loaded before."""

import errno
import socket
from pathlib import Path

import pytest

from wildpdiff.errors import UserError
from wildpdiff.ui import address
from wildpdiff.ui.address import bracketed, check_host, free_port
from wildpdiff.ui.app import serve


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_usual_hosts_can_be_listened_on(host: str) -> None:
    check_host(host)
    assert bracketed(host) == host


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_hosts_of_ipv6_can_be_listened_on_with_brackets_or_without(host: str) -> None:
    check_host(host)
    port = free_port(host, 7800)
    assert 7800 <= port < 7900
    assert bracketed(host) == f"[{host.strip('[]')}]"


@needs_ipv6
def test_a_port_that_is_busy_at_an_address_of_ipv6_is_passed_over() -> None:
    with socket.socket(socket.AF_INET6) as busy:
        busy.bind(("::1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert taken < free_port("::1", taken) < taken + 100


@pytest.mark.parametrize("host", ["typo.invalid", "::zz", "", "a" * 300, "300.1.1.1"])
def test_a_host_that_nobody_knows_is_one_sentence(host: str) -> None:
    with pytest.raises(UserError, match=r"^'.*' is neither an address nor a name .* give --host 127\.0\.0\.1 .*\.$"):
        check_host(host)


@pytest.mark.parametrize("host", ["10.255.255.1", "192.0.2.7"])
def test_an_address_of_another_computer_is_named_before_anything_is_loaded(host: str, tmp_path: Path) -> None:
    for ask in (lambda: check_host(host), lambda: serve(tmp_path / "nowhere", host=host, port=7860)):
        with pytest.raises(UserError, match=rf"^This computer has no address '{host}' to listen on; .*\.$"):
            ask()


def test_ports_of_the_administrator_are_not_said_to_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_problem", lambda place: errno.EACCES)
    with pytest.raises(UserError, match=r"^Ports below 1024 need an administrator's rights; .* than 80\.$"):
        free_port("127.0.0.1", 80)


def test_any_other_trouble_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_problem", lambda place: errno.ENOBUFS)
    with pytest.raises(UserError, match="ENOBUFS"):
        free_port("127.0.0.1", 7860)


def test_port_0_is_any_that_is_free() -> None:
    assert free_port("127.0.0.1", 0) > 0
