"""``python -m introspect.cli``."""

from introspect.cli.running import program

if __name__ == "__main__":
    program()
