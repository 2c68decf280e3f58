"""Recompute the numbers of a report's claims from the tables beside it, by loops of their own.

    python -m benchmarks.recompute FOLDER [FOLDER …]
    python -m benchmarks.recompute FOLDER/report.html

The folder is one that ``introspect probe``, ``causal``, ``heads`` or ``atlas`` wrote. Every claim
of its ``summary.json`` is compared with what the tables give: accuracies, held-out choices,
differences, shifts, effects and interactions are added up again, intervals by formulas written down
again, and p-values by permutations drawn anew, so that those agree within their Monte Carlo error
alone. That a sentence is on the page, and that no two claims exclude each other, is checked too.
The exit status is 1 if anything differs; what no table holds is counted at the end.

``folder`` reads the tables, ``formulas`` are written down again, ``sets``, ``linear``, ``bias``,
``detect``, ``causal``, ``heads`` and ``atlas`` recompute the claims of each kind of report, and
``check`` compares.
"""

from benchmarks.recompute.check import faults

__all__ = ["faults"]
