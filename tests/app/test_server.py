"""The server: what is refused before it starts, where it listens, and to whom."""

from __future__ import annotations

import http.client
import importlib.util
import socket
import sys

import pytest

from introspect import cli
from introspect.app import check_start
from introspect.app.server import server_options
from introspect.errors import InputError, MissingExtraError
from tests.app.conftest import free_port


@pytest.fixture
def installed(monkeypatch):
    """As if Streamlit were installed, whether it is or not."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


def test_a_port_that_is_taken_is_refused_in_words(installed):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"got 127\.0\.0\.1:{port} .*--port"):
            check_start("127.0.0.1", port)
    check_start("127.0.0.1", port)


@pytest.mark.parametrize("host", ["8.8.8.8", "no such host", "x" * 300, ""])
def test_an_address_that_is_not_of_this_machine_is_refused_in_words(installed, host):
    if host:
        with pytest.raises(InputError, match="an address of this machine"):
            check_start(host, free_port())
    else:
        with pytest.raises(InputError, match="got an empty one"):
            check_start(host, free_port())


def test_without_streamlit_the_command_to_install_it_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match='pip install "streamlit>='):
        check_start("127.0.0.1", free_port())


def test_the_command_line_says_what_is_wrong_and_exits_with_2(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["introspect", "app"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    assert stopped.value.code == 2 and printed.out == ""
    assert printed.err.count("\n") == 1 and 'pip install "streamlit>=' in printed.err


def test_an_open_address_is_warned_of(installed, monkeypatch, capsys):
    monkeypatch.setattr("introspect.app.serve", lambda *given: None)
    monkeypatch.setattr(
        sys, "argv", ["introspect", "app", "--host", "0.0.0.0", "--port", str(free_port())]
    )
    with pytest.raises(SystemExit):
        cli.main()
    assert "notice: whoever reaches this address" in capsys.readouterr().err


def test_only_names_of_this_machine_are_answered_unless_it_is_opened():
    closed = [o for o in server_options("127.0.0.1", 1) if "allowedHosts" in o]
    assert [option.split("=")[1] for option in closed] == ["127.0.0.1", "localhost", "::1"]
    assert not [o for o in server_options("0.0.0.0", 1) if "allowedHosts" in o]


def test_the_server_listens_at_the_loopback_address_alone(served):
    socket.create_connection(("127.0.0.1", served.port), timeout=5).close()
    # Also of this machine, and answered by whoever listens at every address.
    if sys.platform == "linux":
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", served.port), timeout=5)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1", None, 101),
        ("localhost", "http://localhost", 101),
        ("evil.example", None, 403),
        ("127.0.0.1", "http://evil.example", 403),
    ],
)
def test_pages_from_elsewhere_cannot_talk_to_it(served, host, origin, status):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    headers = {
        "Host": f"{host}:{served.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    if origin is not None:
        headers["Origin"] = f"{origin}:{served.port}"
    connection.request("GET", "/_stcore/stream", headers=headers)
    assert connection.getresponse().status == status
    connection.close()


def test_an_upload_without_the_pages_own_mark_is_refused(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.request("PUT", "/_stcore/upload_file/session/file", body=b"x")
    assert connection.getresponse().status == 403
    connection.close()


def test_an_atlas_is_named_by_its_page_and_refused_if_it_is_none(
    installed, monkeypatch, capsys, tmp_path
):
    served: list[object] = []
    monkeypatch.setattr("introspect.app.serve", lambda *given: served.append(given))
    for folder in (tmp_path, tmp_path / "none"):
        given = ["introspect", "app", "--port", str(free_port()), "--atlas", str(folder)]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        printed = capsys.readouterr()
        assert stopped.value.code == 2 and printed.out == "" and served == []
        assert "Expected the folder of an atlas" in printed.err and printed.err.count("\n") == 1
    (tmp_path / "run.json").write_text('{"plan": {"kind": "atlas"}}')
    (tmp_path / "summary.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", [*given[:-1], str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    assert printed.out.endswith("/atlas\n") and len(served) == 1
    assert served[0][2] == str(tmp_path.resolve())
