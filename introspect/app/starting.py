"""The server of the app: where it listens, and what it may do."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

from introspect.errors import InputError, MissingExtraError

__all__ = ["LOOPBACK", "SCRIPT", "address_of", "check_start", "serve", "server_options"]

#: What Streamlit runs.
SCRIPT = Path(__file__).parent / "pages" / "frame.py"

#: Names of this machine that no other can reach.
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# In MB. One page checks its uploads more closely; this is what the server takes at all.
_MOST_UPLOADED = 3

# Those of the views' pages, which stand in frames of their own, in the light and in the dark.
_COLOURS = {
    "theme.light.primaryColor": "#1858a8",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f4f6f8",
    "theme.light.textColor": "#1b1f24",
    # Read as words on the page, and under white words on a button.
    "theme.dark.primaryColor": "#3576c8",
    "theme.dark.backgroundColor": "#15181c",
    "theme.dark.secondaryBackgroundColor": "#1e2329",
    "theme.dark.textColor": "#e7eaee",
}


def check_start(host: str, port: int) -> None:
    """Refuse, in words and before anything starts, what cannot be served.

    Args:
        host: the address to listen at.
        port: its port.

    Raises:
        MissingExtraError: Streamlit is not installed.
        InputError: the address is not of this machine, or the port is taken.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "app", "The app")
    if not host:
        raise InputError("Expected an address for --host, got an empty one. Leave --host out.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"Expected a free port at an address of this machine, got {host}:{port} ({reason}). "
            "Choose another one with --port, or leave --host out."
        ) from error


def serve(host: str, port: int) -> None:
    """Serve the app until it is stopped."""
    from streamlit import net_util
    from streamlit.web.cli import main

    # To refuse a page from elsewhere Streamlit compares its name with the outer address of this
    # machine, and asks a server on the internet for it. Nothing is asked of anybody here.
    net_util.get_external_ip = lambda: None
    main(["run", str(SCRIPT), *server_options(host, port)], standalone_mode=False)


def address_of(host: str, port: int) -> str:
    """What to type into a browser.

    Example:
        >>> address_of("127.0.0.1", 8501), address_of("::1", 8501)
        ('http://127.0.0.1:8501', 'http://[::1]:8501')
    """
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def server_options(host: str, port: int) -> list[str]:
    """How the server is run, whatever a configuration file of Streamlit's says."""
    options = {
        "server.address": host,
        "server.port": str(port),
        # No browser is opened, no e-mail address asked for, nothing reported to anybody, and the
        # machine's outer address is not looked up, which a welcome message would need.
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "logger.hideWelcomeMessage": "true",
        # Only pages of this server may talk to it, and only under its own names.
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "server.maxUploadSize": str(_MOST_UPLOADED),
        "server.enableStaticServing": "false",
        # The files of the package do not change while it runs.
        "server.fileWatcherType": "none",
        "runner.magicEnabled": "false",
        # An error is said in a line by the app itself; no trace and no link to a search for it.
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
        "client.toolbarMode": "minimal",
        **_COLOURS,
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    if host in LOOPBACK:
        # Against a page elsewhere whose name is made to point at this machine.
        given += [f"--server.allowedHosts={name}" for name in LOOPBACK]
    return given
