"""The command line: each command parses its arguments, calls one function, and shows the result.

Exit codes: 0 done; 1 internal error; 2 bad arguments or input; 3 finished, but some input rows were
rejected. Heavy packages load inside the commands, so that ``--help`` answers at once.

A command is a function in the module of its group, named in ``commands``.
"""

from introspect.cli.main import main, program

__all__ = ["main", "program"]
