# What the folder hands out, each name loaded on its first use.
from .codec import LARGEST_DENSE as LARGEST_DENSE
from .codec import kept_of as kept_of
from .document import Document as Document
from .document import Section as Section
from .document import framed as framed
from .document import read_summary as read_summary
from .markup import template as template
