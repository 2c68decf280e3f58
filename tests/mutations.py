"""Damage of many kinds to files: wrong types at any place of JSON, cut and changed bytes."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

#: What stands where something else belongs.
WRONG: tuple[Any, ...] = (
    None, True, False, 0, -1, 0.5, 10**30, -(10**30), 1e308, float("nan"), float("inf"), "", "x",
    "../../x", "\ud800", "‮", [], [[]], {}, {"a": {"b": []}}, [None], [1.5, "x"], "x" * 5_000,
)  # fmt: skip
#: Deeper than any parser follows.
DEEP = "[" * 100_000


def mutated(value: Any, random_: random.Random) -> Any:
    """A copy of a value of JSON with something else, more, or less at one place."""
    changed = [copy.deepcopy(value)]
    places = list(_places(changed))
    holder, key = random_.choice(places[1:] or places)
    way = random_.randrange(4)
    if way == 0 and isinstance(holder, dict | list) and holder is not changed:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[random_.choice(("more", "", "layer"))] = random_.choice(WRONG)
    else:
        holder[key] = copy.deepcopy(random_.choice(WRONG))
    return changed[0]


def _places(value: Any):
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def damaged(content: bytes, random_: random.Random) -> bytes:
    """Bytes that were cut, changed, doubled, or followed by others."""
    place = random_.randrange(len(content) or 1)
    return random_.choice(
        (
            content[:place],
            content[:place] + bytes([random_.randrange(256)]) + content[place + 1 :],
            content[:place] + content[place // 2 :],
            content + b"\0" * random_.randrange(1, 20),
            content.replace(b"1", b"9" * 400, 1),
            b"",
            DEEP.encode(),
        )
    )


def json_damaged(text: str, random_: random.Random) -> str:
    """A text of JSON with a fault in it: a wrong value at any place, or damaged bytes."""
    if random_.random() < 0.7:
        return json.dumps(mutated(json.loads(text), random_))
    return damaged(text.encode(), random_).decode("utf-8", "replace")
