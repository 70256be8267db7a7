"""Translates options of ``model`` that had other names in earlier releases, so that the old names still work.

This holds for run files, for arguments that replace their options, and for the cards of model files. Files are written with
the new names.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

_SAMPLING = {"batch": "batch_size_per_image", "fg_iou": "fg_iou_thresh", "bg_iou": "bg_iou_thresh"}
# the sections of ``model``, and in each the old names with the new ones
NEW_NAMES: dict[str, dict[str, str]] = {
    "rpn": {
        **_SAMPLING,
        "pre_nms_train": "pre_nms_top_n_train",
        "post_nms_train": "post_nms_top_n_train",
        "pre_nms_test": "pre_nms_top_n_test",
        "post_nms_test": "post_nms_top_n_test",
        "nms_iou": "nms_thresh",
    },
    "roi": _SAMPLING,
    "rcnn": {"fg_iou": "fg_iou_thresh"},
    "test": {"nms_iou": "nms_thresh"},
}


def with_new_names(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values of a run file with the new names in place of the old ones.

    Args:
        values: nested mappings with the options of a network in ``values["model"]``; sections that are not mappings stay.

    Returns:
        The values, and a note for each old name among them: "'model.test.nms_iou' is now called 'nms_thresh'". An old name
        stays when the new one is given too, so that the check of the values finds it.
    """
    model = values.get("model")
    if not isinstance(model, Mapping):
        return dict(values), []
    sections, notes = dict(model), []
    for section, names in NEW_NAMES.items():
        options = sections.get(section)
        if not isinstance(options, Mapping):
            continue
        renamed = {old: new for old, new in names.items() if old in options and new not in options}
        sections[section] = {renamed.get(name, name): value for name, value in options.items()}
        notes += [f"'model.{section}.{old}' is now called '{new}'" for old, new in renamed.items()]
    return {**values, "model": sections}, notes


def understood(values: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """The values of a run file or an argument with the new names; a warning lists the old names and their ``origin``."""
    renamed, notes = with_new_names(values)
    if notes:
        warnings.warn(f"{origin}: {', '.join(notes)}", stacklevel=4)
    return renamed


def new_name(name: str, options: Collection[str]) -> str:
    """The current name of an option if ``name`` is the old name of one of ``options``, else ""."""
    return next((names[name] for names in NEW_NAMES.values() if names.get(name) in options), "")


def under_both_names(keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """The options among ``keys``, dotted names of a run file, that are given by both their old and their new name."""
    for section, names in NEW_NAMES.items():
        for old, new in names.items():
            pair = (f"model.{section}.{old}", f"model.{section}.{new}")
            if all(key in keys for key in pair):
                yield pair
