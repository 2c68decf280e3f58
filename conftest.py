"""What pytest collects: the modules of the app only where Streamlit is, which they import."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("streamlit") else ["introspect/app/*"]
