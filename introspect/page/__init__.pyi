# What the folder hands out, each name loaded on its first use.
from .bundle import template as template
from .codec import LARGEST_DENSE as LARGEST_DENSE
from .codec import kept_of as kept_of
from .codec import sequence_json as sequence_json
from .document import FRAME_HEIGHT as FRAME_HEIGHT
from .document import Document as Document
from .document import Instrument as Instrument
from .document import Measure as Measure
from .document import Section as Section
from .document import framed as framed
from .document import read_summary as read_summary
