"""See what a pretrained Transformer attends to, and whether it matters.

    >>> import introspect as ix
    >>> model = ix.load("minilm")                                    # doctest: +SKIP
    >>> record = model.capture("The cat ate because it was hungry.")  # doctest: +SKIP
    >>> ix.head_view(record, layer=3, heads=[1])                     # doctest: +SKIP

The public names stand in ``__init__.pyi``. A name is loaded on its first use, so that importing the
package loads neither torch nor Plotly.
"""

import sys as _sys

from lazy_loader import attach_stub as _attach_stub

from introspect.deprecated import OldModules as _OldModules

__version__ = "0.3.0"

__getattr__, __dir__, __all__ = _attach_stub(__name__, __file__)

# After all others: only a name that is nowhere else is looked up among the old ones.
_sys.meta_path.append(_OldModules())
