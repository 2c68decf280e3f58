"""``python -m introspect.cli``."""

from introspect.cli.running import main

if __name__ == "__main__":
    main()
