"""Well-known stories about attention that are run: every number in their texts was just computed.

A story that a real model does not confirm says so. Each is told in English and in Chinese; the
wording is in ``data/``.
"""

from introspect.primer.stories.chinese import grey_cat, writing_code
from introspect.primer.stories.english import cat_and_mouse, menu, tired_or_wide
from introspect.primer.stories.story import Reader, Story

__all__ = ["Reader", "Story", "cat_and_mouse", "grey_cat", "menu", "tired_or_wide", "writing_code"]
