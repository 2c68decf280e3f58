"""``python -m introspect``."""

from introspect.cli.main import program

if __name__ == "__main__":
    program()
