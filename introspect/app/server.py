"""The app's server: its address, start checks, and options."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

from introspect.app.offered import offer_atlas
from introspect.errors import InputError, MissingExtraError

#: The script that Streamlit runs.
SCRIPT = Path(__file__).parent / "pages" / "frame.py"

#: Names of this machine that no other machine can reach.
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# In MB: the server's limit for any upload. The page with uploads has a stricter check.
_MOST_UPLOADED = 3

# The colors of the view pages, which the app shows in frames, in light and dark mode.
_COLORS = {
    "theme.light.primaryColor": "#1858a8",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f4f6f8",
    "theme.light.textColor": "#1b1f24",
    # Used for text on the page and as the background of white text on a button.
    "theme.dark.primaryColor": "#3576c8",
    "theme.dark.backgroundColor": "#15181c",
    "theme.dark.secondaryBackgroundColor": "#1e2329",
    "theme.dark.textColor": "#e7eaee",
}


def check_start(host: str, port: int) -> None:
    """Check that the app can be served, before anything starts.

    Args:
        host: the address to listen on.
        port: the port.

    Raises:
        MissingExtraError: Streamlit is not installed.
        InputError: the address does not belong to this machine, or the port is taken.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "app", "The app")
    if not host:
        raise InputError("Expected an address for --host, got an empty one. Leave --host out.")
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = addresses[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"Expected a free port at an address of this machine, got {host}:{port} ({reason}). "
            "Choose another one with --port, or leave --host out."
        ) from error


def serve(host: str, port: int, atlas: str | None = None) -> None:
    """Serve the app until it is stopped.

    Args:
        host: the address to listen at.
        port: its port.
        atlas: the folder that the page for an atlas begins with.
    """
    from streamlit import net_util
    from streamlit.web.cli import main

    if atlas is not None:
        offer_atlas(atlas)
    # To refuse a page from elsewhere, Streamlit compares its name with the outer address of this
    # machine, which it asks a server on the internet for. The app makes no such request.
    net_util.get_external_ip = lambda: None
    main(["run", str(SCRIPT), *server_options(host, port)], standalone_mode=False)


def address_of(host: str, port: int, page: str = "") -> str:
    """Return the address to type into a browser.

    Example:
        >>> address_of("127.0.0.1", 8501), address_of("::1", 8501, "atlas")
        ('http://127.0.0.1:8501', 'http://[::1]:8501/atlas')
    """
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{page and f'/{page}'}"


def server_options(host: str, port: int) -> list[str]:
    """Return the server's command-line options, which override Streamlit's configuration."""
    options = {
        "server.address": host,
        "server.port": str(port),
        # Open no browser, ask for no e-mail address, report no usage, and do not look up the
        # machine's outer address, which a welcome message would need.
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
        "logger.hideWelcomeMessage": "true",
        # Only pages from this server may connect to it, and only under its own names.
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "server.maxUploadSize": str(_MOST_UPLOADED),
        "server.enableStaticServing": "false",
        # The package's files do not change while the app runs.
        "server.fileWatcherType": "none",
        "runner.magicEnabled": "false",
        # The app shows an error in one line itself, without a traceback or a search link.
        "client.showErrorDetails": "none",
        "client.showErrorLinks": "false",
        "client.toolbarMode": "minimal",
        **_COLORS,
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    if host in LOOPBACK:
        # This blocks a page elsewhere whose name is made to point at this machine.
        given += [f"--server.allowedHosts={name}" for name in LOOPBACK]
    return given
