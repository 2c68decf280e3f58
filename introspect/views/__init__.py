"""Views that turn a record into a Plotly figure and an interactive section of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from introspect.lazy import attributes

if TYPE_CHECKING:
    from introspect.views.base import View, head_number, layer_row
    from introspect.views.by_name import ViewName, parts_of_view, view_by_name
    from introspect.views.causal import CausalView, causal_view
    from introspect.views.compare import CompareView, compare_view
    from introspect.views.coreference import coreference_view
    from introspect.views.evolution import evolution_view
    from introspect.views.focal import neuron_view, steps_view
    from introspect.views.forest import forest_section
    from introspect.views.head import head_view
    from introspect.views.head_maps import (
        known_roles_section,
        role_map_section,
        role_title,
        score_map_section,
        unit_of,
    )
    from introspect.views.heatmap import heatmap_view
    from introspect.views.image import image_view
    from introspect.views.layer import layer_view
    from introspect.views.lens import lens_view, logit_view
    from introspect.views.model import model_view
    from introspect.views.palette import SEQUENTIAL

__all__ = [
    "SEQUENTIAL",
    "CausalView",
    "CompareView",
    "View",
    "ViewName",
    "causal_view",
    "compare_view",
    "coreference_view",
    "evolution_view",
    "forest_section",
    "head_number",
    "head_view",
    "heatmap_view",
    "image_view",
    "known_roles_section",
    "layer_row",
    "layer_view",
    "lens_view",
    "logit_view",
    "model_view",
    "neuron_view",
    "parts_of_view",
    "role_map_section",
    "role_title",
    "score_map_section",
    "steps_view",
    "unit_of",
    "view_by_name",
]

if not TYPE_CHECKING:
    __getattr__ = attributes(
        __name__,
        {
            "base": ("View", "head_number", "layer_row"),
            "by_name": ("ViewName", "parts_of_view", "view_by_name"),
            "causal": ("CausalView", "causal_view"),
            "compare": ("CompareView", "compare_view"),
            "coreference": ("coreference_view",),
            "evolution": ("evolution_view",),
            "focal": ("neuron_view", "steps_view"),
            "forest": ("forest_section",),
            "head": ("head_view",),
            "head_maps": (
                "known_roles_section",
                "role_map_section",
                "role_title",
                "score_map_section",
                "unit_of",
            ),
            "heatmap": ("heatmap_view",),
            "image": ("image_view",),
            "layer": ("layer_view",),
            "lens": ("lens_view", "logit_view"),
            "model": ("model_view",),
            "palette": ("SEQUENTIAL",),
        },
    )
