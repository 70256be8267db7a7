"""Images of a folder that its one file of annotations does not mention."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from resdet.config.schema import DetectionSourceConfig
from resdet.data.dataset import ClassificationDataset, DetectionDataset
from resdet.data.described import Source
from resdet.data.formats.file_names import is_image_name
from resdet.data.formats.nearest import files_below
from resdet.data.found.kinds import kind_of


def unmentioned(
    source: Source, dataset: DetectionDataset | ClassificationDataset, sources: Collection[Source]
) -> tuple[int, str]:
    """How many images below a source's folder its file of annotations does not mention, and the path of the first.

    (0, "") also where another of the ``sources`` has the folder, or other annotations lie beside the file: those may mention
    them; and of formats without such a file: YOLO's yaml mentions no image.
    """
    if not isinstance(source, DetectionSourceConfig) or source.format == "yolo" or not source.annotations or source.images:
        return 0, ""
    root, file = Path(source.root).expanduser(), Path(source.annotations).expanduser()
    beside = (entry for entry in file.parent.iterdir() if entry.is_file() and not entry.samefile(file))
    if sum(other.root == source.root for other in sources) > 1 or any(map(kind_of, beside)):
        return 0, ""
    known = {os.path.realpath(dataset.path(index)) for index in range(len(dataset))}
    left = [path for path in files_below(root) if is_image_name(os.path.basename(path))]  # noqa: PTH119
    left = [path for path in left if os.path.realpath(root / path) not in known]
    return len(left), left[0] if left else ""
