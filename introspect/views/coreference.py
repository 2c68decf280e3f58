"""The coreference view: arcs from the pronoun, a map of all heads, and their ranking."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.functional import mention_shares
from introspect.page import Choice, Measure, Section
from introspect.records import AttentionRecord, Head, HeadLike, as_head, mention_pieces
from introspect.studies.coreference import DIRECTIONS, Direction, DirectionScores, score_case
from introspect.text import CorefCase, Span, decimal, segment_words, signed, visible
from introspect.views.base import View, plotly_text
from introspect.views.given import layer_row, shown_record
from introspect.views.head import hidden_head_view
from introspect.views.palette import ACCENT, DIVERGING, INK, MUTED, RIVAL, SEQUENTIAL, themed
from introspect.views.plotly_numbers import NUMBER_TICKS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Arcs below this weight are not drawn; the view says so.
ARC_THRESHOLD = 0.02
_ARC_POINTS = 65
# Widths of the figure, and of a word that is turned, in pixels.
_SHEET, _NARROWEST = 1200, 16
_MAP_OF_TWO = (
    "The map shows every head: blue where it prefers the antecedent, brown where the distractor."
)
_MAP_OF_ONE = "The map shows the weight in every head."
_PER_WORD = (
    "The map and the table are per word of a mention; the line above the map says what the whole "
    "mention gets."
)
_CHOOSE = "Choose a head on the map or in the table; the sentence above shows what it attends to."
_DECIMALS = 6


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class CoreferenceView(View):
    """One case: a head's weight on each word, and every head's weights on the candidates.

    Args:
        record: the attention over the case's text, at token level.
        case: the pronoun and its candidates.
        scores: the scores of every head, in both directions.
        head: the head shown first.
        direction: the direction shown first.
    """

    case: CorefCase
    scores: tuple[DirectionScores, DirectionScores]
    head: Head
    direction: str = DIRECTIONS[0]

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Coreference view"

    @property
    def choice(self) -> Choice:
        """The head, the pronoun, and the antecedent, or without one the first candidate."""
        return case_choice(self.record, self.case, self.head)

    @property
    def chosen(self) -> DirectionScores:
        """The scores of the direction shown first."""
        return self.scores[DIRECTIONS.index(self.direction)]

    @property
    def figure(self) -> Figure:
        """Arcs of the chosen head above the map of all heads, as a plain Plotly figure."""
        from plotly.subplots import make_subplots

        layers = self.record.num_layers
        figure = make_subplots(
            rows=2, cols=1, row_heights=[240, 60 + 34 * layers], vertical_spacing=0.16
        )
        for trace in self.arc_traces():
            figure.add_scatter(**trace, row=1, col=1)
        words = self.words()
        figure.add_heatmap(**self.map_trace(), row=2, col=1)
        figure.update_layout(
            template="plotly_white",
            title=f"{self.head}, {self.direction.replace('_', ' ')}",
            showlegend=False,
            width=_width(len(words)),
            height=380 + 34 * layers,
            font={"color": INK},
        )
        figure.update_xaxes(
            row=1,
            col=1,
            range=[-0.5, len(words) - 0.5],
            zeroline=False,
            tickvals=list(range(len(words))),
            ticktext=[plotly_text(word["label"]) for word in words],
            showgrid=False,
        )
        figure.update_yaxes(row=1, col=1, visible=False, rangemode="tozero")
        figure.update_xaxes(row=2, col=1, title="head", dtick=1, side="bottom")
        figure.update_yaxes(row=2, col=1, title="layer", autorange="reversed", type="category")
        return figure

    def words(self) -> list[dict[str, Any]]:
        """Return the words of the text, each with its label, token pieces and role."""
        sequence = self.record.queries
        roles = roles_of(self.record, self.case)
        words = []
        for pieces in sequence.pieces():
            if sequence.special_tokens_mask[pieces[0]] or sequence.sequence_ids[pieces[0]] != 0:
                continue
            start, end = sequence.offsets[pieces[0]][0], sequence.offsets[pieces[-1]][1]
            label = sequence.texts[0][start:end] or sequence.tokens[pieces[0]]
            role = next((roles[i] for i in pieces if i in roles), None)
            # A mention may be part of a word (animal in animal's); only its own pieces are scored.
            counted = [i for i in pieces if roles.get(i) == role]
            words.append({"label": visible(label), "pieces": counted, "role": role})
        return words

    def arc_traces(self) -> list[dict[str, Any]]:
        """Build an arc from the pronoun to each word; width and opacity grow with the weight."""
        words = self.words()
        weights = self._word_weights(words)
        origins = [i for i, word in enumerate(words) if word["role"] == "pronoun"]
        origin = sum(origins) / len(origins)
        farthest = max(max(origin, len(words) - 1 - origin), 1)
        return [
            _arc(origin, index, farthest, weight, _role_color(word["role"]))
            for index, (word, weight) in enumerate(zip(words, weights, strict=True))
            if word["role"] != "pronoun" and ARC_THRESHOLD <= weight < math.inf
        ]

    def map_trace(self) -> dict[str, Any]:
        """Build the layer × head map of the antecedent's margin over the best distractor."""
        preference = self.chosen.preference.masked_fill(
            ~self.chosen.observable[:, None], float("nan")
        )
        write = signed if self._is_choice else decimal
        return {
            "z": preference.numpy(),
            "text": [
                [f"{Head(layer, head)}: {write(value)}" for head, value in enumerate(line)]
                for layer, line in zip(self.record.layers, preference.tolist(), strict=True)
            ],
            "hovertemplate": "%{text}<extra></extra>",
            "x": list(range(self.record.num_heads)),
            "y": [f"L{layer}" for layer in self.record.layers],
            "zmin": -1 if self._is_choice else 0,
            "zmax": 1,
            "colorscale": DIVERGING if self._is_choice else SEQUENTIAL,
            "colorbar": {"thickness": 12, "len": 0.5, "y": 0.22} | NUMBER_TICKS,
        }

    def sections(self, *, with_detail: bool = True) -> tuple[Section, ...]:
        """Return the section of the page and the head view that it opens.

        Args:
            with_detail: include a head view; leave it out if the page already has one.
        """
        own = Section(
            kind="coreference",
            title=self.title,
            lead=" ".join(filter(None, self._lead())),
            state=self._state(),
            record=self.record,
        )
        return (own, *hidden_head_view(self.record)) if with_detail else (own,)

    def _lead(self) -> tuple[str, ...]:
        spans = [self.case.pronoun, *(candidate.span for candidate in self.case.candidates)]
        has_phrases = any(len(segment_words(self.case.phrase(span))) > 1 for span in spans)
        of_map = _MAP_OF_TWO if self._is_choice else _MAP_OF_ONE
        return of_map, _PER_WORD if has_phrases else "", _CHOOSE

    @property
    def _is_choice(self) -> bool:
        return self.case.is_forced_choice

    def _state(self) -> dict[str, Any]:
        words = self.words()
        return {
            "words": words,
            "candidates": [self._last_word(words, c.span) for c in self.case.candidates],
            "pronoun": visible(self.case.phrase(self.case.pronoun)),
            "antecedent": self._phrases([c.span for c in self.case.antecedents]),
            "distractor": self._phrases([c.span for c in self.case.distractors]),
            "head": {"row": self.record.layers.index(self.head.layer), "head": self.head.head},
            "direction": self.direction,
            "directions": {
                scores.direction: _direction_json(scores) | {"given": self._given(scores.direction)}
                for scores in self.scores
            },
            "arcThreshold": ARC_THRESHOLD,
            "scale": themed(DIVERGING if self._is_choice else SEQUENTIAL),
            "range": [-1 if self._is_choice else 0, 1],
        }

    def _word_weights(self, words: list[dict[str, Any]]) -> list[float]:
        """Compute the chosen head's weight from the pronoun to each word, or the reverse."""
        pattern = self.record.attentions[layer_row(self.record, self.head.layer), self.head.head]
        pronoun = [i for word in words if word["role"] == "pronoun" for i in word["pieces"]]
        if self.direction == DIRECTIONS[0]:
            row = pattern[pronoun].double().mean(0)
            return [float(row[word["pieces"]].sum()) for word in words]
        column = pattern[:, pronoun].double().sum(1)
        return [float(column[word["pieces"]].mean()) for word in words]

    def _given(self, direction: str) -> dict[str, list[list[float | None]]]:
        """Return the share that goes to or comes from antecedents and distractors together."""
        sides = {"antecedent": self.case.antecedents, "distractor": self.case.distractors}
        return {
            side: _numbers(self._share(direction, [c.span for c in candidates]))
            for side, candidates in sides.items()
            if candidates
        }

    def _share(self, direction: str, spans: list[Span]) -> torch.Tensor:
        record = self.record
        pronoun = mention_pieces(record.queries, self.case.pronoun)
        mention = [word for span in spans for word in mention_pieces(record.queries, span)]
        words, target = (pronoun, mention) if direction == DIRECTIONS[0] else (mention, pronoun)
        pieces = sorted({piece for word in target for piece in word})
        return mention_shares(record.attentions, words, pieces).mean(-1)

    def _last_word(self, words: list[dict[str, Any]], span: Span) -> int:
        """Return the index in ``words`` of a mention's last word, which shows its weight."""
        last = mention_pieces(self.record.queries, span)[-1][-1]
        return next(i for i, word in enumerate(words) if last in word["pieces"])

    def _phrases(self, spans: list[Span]) -> str:
        return " or ".join(f"“{visible(self.case.phrase(span))}”" for span in spans)


def roles_of(record: AttentionRecord, case: CorefCase) -> dict[int, str]:
    """Return the role of each token that belongs to a mention of a case."""
    roles: dict[int, str] = {}
    mentions: list[tuple[Span, str]] = [
        (c.span, "antecedent" if c.antecedent else "distractor") for c in case.candidates
    ]
    for span, role in [*mentions, (case.pronoun, "pronoun")]:
        for word in mention_pieces(record.queries, span, role=role):
            roles |= dict.fromkeys(word, role)
    return roles


def case_choice(
    record: AttentionRecord, case: CorefCase, head: Head | None, measures: Sequence[Measure] = ()
) -> Choice:
    """Return what is chosen first of a case: pronoun and antecedent, and a head if one is given.

    Of a mention of several words it is the last; without an antecedent the first candidate.

    Args:
        record: the attention over the case's text.
        case: the case.
        head: the head chosen first.
        measures: numbers that the heads can be colored by.
    """
    pronoun = mention_pieces(record.queries, case.pronoun)[-1][0]
    mentions = [*case.antecedents, *case.distractors]
    key = mention_pieces(record.keys, mentions[0].span)[-1][0] if mentions else None
    return Choice(
        layer=None if head is None else head.layer,
        head=None if head is None else head.head,
        query=pronoun,
        key=None if key == pronoun else key,
        roles=roles_of(record, case),
        measures=measures,
    )


@checked_call
def coreference_view(
    record: AttentionRecord,
    case: CorefCase,
    *,
    head: HeadLike | None = None,
    direction: Direction = DIRECTIONS[0],
    scores: Sequence[DirectionScores] = (),
) -> CoreferenceView:
    """Build the coreference view of a case.

    Args:
        record: the attention over the case's text, at token level.
        case: the pronoun and its candidates.
        head: the head to show first, such as ``"L3H1"``; by default, the one that gives the
            antecedent most.
        direction: ``pronoun_to_candidate`` or ``candidate_to_pronoun``.
        scores: the scores of the case, where they are known already.

    Raises:
        MentionError: the record has a different text, or a mention was truncated.
        SelectionError: the head or direction does not exist.
    """
    record = shown_record(record, view="coreference_view")
    if direction not in DIRECTIONS:
        raise SelectionError(
            f"Expected `direction` as {' or '.join(DIRECTIONS)}, got {direction!r}."
        )
    forward, backward = scores or score_case(record, case)
    if head is None:
        strongest = (forward, backward)[DIRECTIONS.index(direction)].strongest()
        head = strongest[0][0] if strongest else Head(record.layers[0], 0)
    return CoreferenceView(
        record=record,
        case=case,
        scores=(forward, backward),
        head=as_head(head, dict.fromkeys(record.layers, record.num_heads)),
        direction=direction,
    )


def _direction_json(scores: DirectionScores) -> dict[str, Any]:
    return {
        "observable": scores.observable.tolist(),
        "candidates": [_numbers(weights) for weights in scores.weights],
        "antecedent": _numbers(scores.antecedent_weight),
        "distractor": _numbers(scores.distractor_weight),
        "preference": _numbers(scores.preference),
        "credit": _numbers(scores.credit),
        "ranked": [[scores.row(head), head.head] for head in scores.ranked()],
    }


def _numbers(values: torch.Tensor) -> list[list[float | None]]:
    """Convert values for JSON, which has numbers only for what is finite."""
    return [
        [round(value, _DECIMALS) if math.isfinite(value) else None for value in row]
        for row in values.tolist()
    ]


def _arc(origin: float, end: float, farthest: float, weight: float, color: str) -> dict[str, Any]:
    """Draw half an ellipse between two words; the farther apart they are, the higher it is."""
    angles = torch.linspace(0, torch.pi, _ARC_POINTS, dtype=torch.float64)
    middle, radius = (origin + end) / 2, (end - origin) / 2
    top = 0.12 + 0.8 * (abs(end - origin) / farthest) ** 0.5
    return {
        "mode": "lines",
        "x": (middle - radius * angles.cos()).tolist(),
        "y": (top * angles.sin()).tolist(),
        "line": {"color": color, "width": 1 + 7 * weight, "simplify": False},
        "opacity": 0.3 + 0.7 * weight,
        "hoverinfo": "skip",
    }


def _width(words: int) -> int:
    """Return the width of the figure: on a sheet while the words fit there, turned if need be."""
    return max(640, min(70 * words, _SHEET), _NARROWEST * words)


def _role_color(role: str | None) -> str:
    return {"antecedent": ACCENT, "distractor": RIVAL}.get(role or "", MUTED)
