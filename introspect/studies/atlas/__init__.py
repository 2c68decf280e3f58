"""What every head of a model does on a whole corpus.

``rules`` says where a head with a certain job would look, ``rule_text`` what a rule knows of a
text. ``row_figures`` measures the rows of a text, ``analyzer`` adds them up over a corpus with
``examples`` and ``entries``; ``rule_tests`` finds a rule for each head on one half of the texts and
checks it on the other, and ``sentences`` says what comes out.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
