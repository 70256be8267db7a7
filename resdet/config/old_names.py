"""Options of ``model`` that were called otherwise in earlier releases: what says the old names is still understood.

That holds for run files, for arguments in place of their options, and for the cards of model files. What is written says the
new names.
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
        values: nested mappings; options of a network stand in ``values["model"]``, sections that are no mapping stay.

    Returns:
        The values, and for each old name among them a note: "'model.test.nms_iou' is now called 'nms_thresh'". An old name
        stays where the new one is given too, so that it is found when the values are checked.
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
    """The values of a run file or an argument with the new names; a warning says which were old, and where: in ``origin``."""
    renamed, notes = with_new_names(values)
    if notes:
        warnings.warn(f"{origin}: {', '.join(notes)}", stacklevel=4)
    return renamed


def new_name(name: str, options: Collection[str]) -> str:
    """What an option is called now, if ``name`` is the old name of one of ``options``; else ""."""
    return next((names[name] for names in NEW_NAMES.values() if names.get(name) in options), "")


def under_both_names(keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """Of the options ``keys``, dotted names of a run file, those that are given by their old and by their new name."""
    for section, names in NEW_NAMES.items():
        for old, new in names.items():
            pair = (f"model.{section}.{old}", f"model.{section}.{new}")
            if all(key in keys for key in pair):
                yield pair
