"""``python -m introspect``."""

from introspect.cli import program

if __name__ == "__main__":
    program()
