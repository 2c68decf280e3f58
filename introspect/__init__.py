"""See what a pretrained Transformer attends to, and whether it matters.

    >>> import introspect as ix
    >>> model = ix.load("minilm")                                    # doctest: +SKIP
    >>> record = model.capture("The cat ate because it was hungry.")  # doctest: +SKIP
    >>> ix.head_view(record, layer=3, heads=[1])                     # doctest: +SKIP

Names are resolved on first use, so that importing the package loads neither torch nor Plotly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from introspect.errors import IntrospectError
    from introspect.hooks import Captured, capture
    from introspect.hooks.edits.edits import Edit
    from introspect.interventions import (
        Intervention,
        ablate,
        edges_between,
        intervene,
        knock_out,
        patch,
        scale,
    )
    from introspect.models import Model, VisionModel, load
    from introspect.models.objectives import logit_of, similarity_to
    from introspect.records import (
        AttentionRecord,
        Certificate,
        Head,
        TokenSequence,
        alti,
        contributions,
        flow,
        gradient_attention,
        integrated_gradients,
        relevance,
        residual_norms,
        rollout,
    )
    from introspect.records.weights import norms
    from introspect.reporting import (
        Report,
        causal_report,
        head_report,
        lens_report,
        report,
        report_index,
    )
    from introspect.runs import ProbeRun, SavedAttention, probe
    from introspect.studies.causal import causal_effects, causal_study, mediation
    from introspect.studies.coreference import (
        CoreferenceStudy,
        Options,
        Scores,
        coreference_study,
        score,
    )
    from introspect.studies.heads import detect_heads, head_importance, head_patterns, head_study
    from introspect.studies.lens import (
        LensStudy,
        direct_logit_attribution,
        lens_study,
        logit_lens,
    )
    from introspect.text.mentions import Candidate, CorefCase
    from introspect.views.base import View
    from introspect.views.causal import causal_view
    from introspect.views.compare import compare_view
    from introspect.views.coreference import coreference_view
    from introspect.views.evolution import evolution_view
    from introspect.views.focal import neuron_view, steps_view
    from introspect.views.head import head_view
    from introspect.views.heatmap import heatmap_view
    from introspect.views.image import image_view
    from introspect.views.layer import layer_view
    from introspect.views.lens import lens_view, logit_view
    from introspect.views.model import model_view

__version__ = "0.1.0"

__all__ = [
    "AttentionRecord",
    "Candidate",
    "Captured",
    "Certificate",
    "CorefCase",
    "CoreferenceStudy",
    "Edit",
    "Head",
    "Intervention",
    "IntrospectError",
    "LensStudy",
    "Model",
    "Options",
    "ProbeRun",
    "Report",
    "SavedAttention",
    "Scores",
    "TokenSequence",
    "View",
    "VisionModel",
    "ablate",
    "alti",
    "capture",
    "causal_effects",
    "causal_report",
    "causal_study",
    "causal_view",
    "compare_view",
    "contributions",
    "coreference_study",
    "coreference_view",
    "detect_heads",
    "direct_logit_attribution",
    "edges_between",
    "evolution_view",
    "flow",
    "gradient_attention",
    "head_importance",
    "head_patterns",
    "head_report",
    "head_study",
    "head_view",
    "heatmap_view",
    "image_view",
    "integrated_gradients",
    "intervene",
    "knock_out",
    "layer_view",
    "lens_report",
    "lens_study",
    "lens_view",
    "load",
    "logit_lens",
    "logit_of",
    "logit_view",
    "mediation",
    "model_view",
    "neuron_view",
    "norms",
    "patch",
    "probe",
    "relevance",
    "report",
    "report_index",
    "residual_norms",
    "rollout",
    "scale",
    "score",
    "similarity_to",
    "steps_view",
]

_HOMES = {
    "AttentionRecord": "records",
    "Candidate": "text.mentions",
    "Captured": "hooks",
    "Certificate": "records",
    "CorefCase": "text.mentions",
    "CoreferenceStudy": "studies.coreference",
    "Edit": "hooks.edits.edits",
    "Head": "records",
    "Intervention": "interventions",
    "IntrospectError": "errors",
    "LensStudy": "studies.lens",
    "Model": "models",
    "Options": "studies.coreference",
    "ProbeRun": "runs",
    "Report": "reporting",
    "SavedAttention": "runs",
    "Scores": "studies.coreference",
    "TokenSequence": "records",
    "View": "views.base",
    "VisionModel": "models",
    "ablate": "interventions",
    "alti": "records",
    "capture": "hooks",
    "causal_effects": "studies.causal",
    "causal_report": "reporting",
    "causal_study": "studies.causal",
    "causal_view": "views.causal",
    "compare_view": "views.compare",
    "contributions": "records",
    "coreference_study": "studies.coreference",
    "coreference_view": "views.coreference",
    "detect_heads": "studies.heads",
    "direct_logit_attribution": "studies.lens",
    "edges_between": "interventions",
    "evolution_view": "views.evolution",
    "flow": "records",
    "gradient_attention": "records",
    "head_importance": "studies.heads",
    "head_patterns": "studies.heads",
    "head_report": "reporting",
    "head_study": "studies.heads",
    "head_view": "views.head",
    "heatmap_view": "views.heatmap",
    "image_view": "views.image",
    "integrated_gradients": "records",
    "intervene": "interventions",
    "knock_out": "interventions",
    "layer_view": "views.layer",
    "lens_report": "reporting",
    "lens_study": "studies.lens",
    "lens_view": "views.lens",
    "load": "models",
    "logit_lens": "studies.lens",
    "logit_of": "models.objectives",
    "logit_view": "views.lens",
    "mediation": "studies.causal",
    "model_view": "views.model",
    "neuron_view": "views.focal",
    "norms": "records.weights",
    "patch": "interventions",
    "probe": "runs",
    "relevance": "records",
    "report": "reporting",
    "report_index": "reporting",
    "residual_norms": "records",
    "rollout": "records",
    "scale": "interventions",
    "score": "studies.coreference",
    "similarity_to": "models.objectives",
    "steps_view": "views.focal",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
