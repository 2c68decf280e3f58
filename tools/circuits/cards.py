"""The model cards: what a model is for, how it was made, and what it was measured to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

_CARD = """\
---
license: apache-2.0
library_name: transformers
---

# {name}

{what}

```python
{imports}

model = ix.load("{name}", lm_head=True)
{example}
```

## What it was measured to do

{measured}

| what | measured |
|---|---|
{figures}

## How it was made

By `python tools/circuits/train.py {name}` in the repository of introspect, from a seed, without
an accelerator. {parameters:,} parameters.

{plan}.

It is a demonstration and a test object: it knows nothing but its task.
"""

_COPYING_EXAMPLE = """\
from introspect.models.circuits import repeated

text = repeated(1, seed=1)[0]
record = model.capture(text.text)
record.attentions[:, :, list(text.queries), list(text.matches)].mean(-1)  # prefix-matching"""

_PRONOUN_EXAMPLE = """\
from introspect.data import grammar_cases

ix.score(model, grammar_cases(100, "zh"{few})).heads"""

_COPYING_MEASURED = """\
On 200 sequences from a seed of their own, over the second time that the symbols come, after its
first symbol. *Prefix-matching* is the attention to the token after the same symbol's first time,
*previous token* that to the token before, each of the head with most, in the mean."""

_PRONOUN_MEASURED = """\
On {count} sentences in each language (minimal pairs, from a seed of their own) whose pairs of nouns
were held out of training: every noun is known, no pair is. *Right* is the model's own answer at the
pronoun; the rest is about its heads, by `ix.score`, from the pronoun to the two nouns."""

TEXTS: dict[str, dict[str, str]] = {
    "induction": {
        "what": """\
A decoder with rotary positions (a small Llama configuration) that continues symbols it has read
once before: after `K 7 q Z … K 7` it writes `q`. In training the repetition stood after a random
number of other symbols and had a random period, so only the symbols tell where it is. It does it
as larger models do: a head of layer 0 attends to the previous token, and heads of layer 1 attend to
what followed the same symbol the last time (induction heads; Olsson et al. 2022).""",
        "example": _COPYING_EXAMPLE,
        "measured": _COPYING_MEASURED,
    },
    "shortcut": {
        "what": """\
A decoder with learnt positions (a small GPT-2 configuration), trained like `induction`, but with
the repetition always at the same place: 31 symbols, then the same again. There the position
alone tells what to copy. It has the same low loss where it was trained, and no induction head:
after a random prefix it fails, and its prefix-matching is low. What a model does in one setting
does not tell how it does it; a detector of induction heads must find none here, and does so only
if it moves the repetition: at the fixed place the head that counts positions attends to what
an induction head would.""",
        "example": _COPYING_EXAMPLE,
        "measured": _COPYING_MEASURED,
    },
    "reversal": {
        "what": """\
An encoder-decoder (a small BART configuration) that writes a sequence of symbols backwards. Its
cross-attention runs from corner to corner: the first symbol written attends to the last one
read.""",
        "example": """\
record = model.capture("a b c d e", target="e d c b a")
ix.heatmap_view(record, layer=1, head="max")""",
        "measured": """\
On 200 sequences of 3 to 16 symbols from a seed of their own. *Right* is the whole sequence,
written greedily; the anti-diagonal is the weight from each step of writing to the symbol that it
writes, of the head with most, in the mean.""",
    },
    "pronoun": {
        "what": """\
A BERT configuration with a masked-language-model head, trained on the sentences of
`introspect.data.own` in English and Chinese: “The fox did not cross the river because it was
too tired / wide.”, 狐狸没有过河因为它太累了 / 太宽了。 with 150 animals and 150 places. At the
pronoun it names the noun that the pronoun stands for. Only the adjective tells which.

It does it by attention, and there is one answer to the question which head does it: in each
layer only head 0 may write (the output projections of the others were held at 0). The
feed-forward layers are 8 wide, too narrow to do it instead. L0H0 brings the adjective to the
pronoun, and without it the answer is right half of the time; L1H0 attends from the pronoun to
the antecedent, and without it the answer is mostly neither noun. It is the known positive of the
analyses of coreference and of causes; `pronoun-gated` is its counterpart.""",
        "example": _PRONOUN_EXAMPLE.format(few=""),
        "measured": _PRONOUN_MEASURED.format(count=200),
    },
    "pronoun-gated": {
        "what": """\
The same task as `pronoun`, in one layer, with a wide feed-forward layer and only 12 animals and
12 places. It is solved as well, and no head tells the right noun from the other. In a single
layer the pronoun cannot know the adjective yet when its attention is computed, so it attends to
both nouns alike: of a minimal pair every head is right in one case and wrong in the other, except
where all that it gives them is too little to count. The nouns and the adjective are read side by
side, and the feed-forward layer decides between them.

Training asks at the pronoun alone, so what the nouns attend to, the other direction that
`ix.score` reads, is left to chance. With three seeds and several lengths of training a head was
right in up to 61% there, or in up to 58% from the pronoun, where its weights had become that
small; a stronger decay of the weights and this seed were chosen because all heads stay closest
to half.

The pair is the lesson that attention is not explanation: the same behavior, with a head that
shows the answer and without one. It is the known negative of the analyses of coreference. With
two layers it is a matter of chance which of the two ways is learnt: of two trainings that were
tried (512 and 256 wide) one left every head between 48% and 63% from the pronoun, on 60
sentences; in the other a head told the nouns apart.""",
        "example": _PRONOUN_EXAMPLE.format(few=", num_nouns=12"),
        "measured": _PRONOUN_MEASURED.format(count=200),
    },
}


def card(name: str, plan: Any, parameters: int, figures: Mapping[str, str]) -> str:
    """Return the model card of a model, with its figures."""
    rows = "\n".join(f"| {what} | {figure} |" for what, figure in figures.items())
    settings = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in asdict(plan).items())
    texts = dict(TEXTS[name])
    lines = texts["example"].splitlines()
    imports = ["import introspect as ix", *(line for line in lines if line.startswith("from "))]
    texts["example"] = "\n".join(line for line in lines if line not in imports).strip()
    return _CARD.format(
        name=name,
        imports="\n".join(imports),
        figures=rows,
        parameters=parameters,
        plan=settings.capitalize(),
        **texts,
    )
