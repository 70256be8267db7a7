"""Formats metrics as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resdet.console import plain

# the lines of the official tools' summary: metric, kind, IoU, area, detections for each image
_COCO_LINES = (
    ("AP", "Average Precision", "(AP)", "0.50:0.95", "all", 100),
    ("AP50", "Average Precision", "(AP)", "0.50", "all", 100),
    ("AP75", "Average Precision", "(AP)", "0.75", "all", 100),
    ("APs", "Average Precision", "(AP)", "0.50:0.95", "small", 100),
    ("APm", "Average Precision", "(AP)", "0.50:0.95", "medium", 100),
    ("APl", "Average Precision", "(AP)", "0.50:0.95", "large", 100),
    ("AR1", "Average Recall", "(AR)", "0.50:0.95", "all", 1),
    ("AR10", "Average Recall", "(AR)", "0.50:0.95", "all", 10),
    ("AR100", "Average Recall", "(AR)", "0.50:0.95", "all", 100),
    ("ARs", "Average Recall", "(AR)", "0.50:0.95", "small", 100),
    ("ARm", "Average Recall", "(AR)", "0.50:0.95", "medium", 100),
    ("ARl", "Average Recall", "(AR)", "0.50:0.95", "large", 100),
)


def metrics_table(metrics: Mapping[str, Any]) -> str:
    """The content of ``metrics.json`` as text, without a newline at the end.

    For a detector the text has COCO's twelve lines as the official tools print them (-1 when there is nothing to measure), the
    classes in columns, and VOC's AP by class. For a classifier it has the errors in percent, the classes with the greatest
    errors, and the commonest mistakes. For a localizer it has the errors in percent, their causes, and the worst classes.
    """
    parts = []
    if "bbox" in metrics:
        parts.append(coco_summary(metrics["bbox"]))
        parts.append(_per_class_coco(metrics.get("per_class", {})))
    if "voc" in metrics:
        parts.append(_voc(metrics["voc"]))
    if "gt_class_loc_error" in metrics:
        parts.append(_localization(metrics))
    elif "top1_error" in metrics:
        parts.append(_classification(metrics))
    return "\n\n".join(part for part in parts if part)


def coco_summary(bbox: Mapping[str, float | None]) -> str:
    """COCO's twelve numbers, as the official tools print them."""
    return "\n".join(
        f" {kind:<18} {short} @[ IoU={iou:<9} | area={area:>6} | maxDets={limit:>3} ] = {_or(bbox[name], -1.0):0.3f}"
        for name, kind, short, iou, area, limit in _COCO_LINES
    )


def _per_class_coco(per_class: Mapping[str, Mapping[str, float | None]]) -> str:
    cells = [[name, _fraction(values["AP"]), _fraction(values["AP50"])] for name, values in per_class.items()]
    return _side_by_side(["class", "AP", "AP50"], cells)


def _voc(voc: Mapping[str, Any]) -> str:
    cells = [[name, _fraction(ap)] for name, ap in voc["per_class"].items()]
    head = f"{voc['metric'].upper()} mAP at IoU >= {voc['iou']}: {_fraction(voc['mAP'])}"
    return "\n\n".join(part for part in (head, _side_by_side(["class", "AP"], cells)) if part)


def _classification(metrics: Mapping[str, Any]) -> str:
    head = f"top-1 error {_percent(metrics['top1_error'])}   top-5 error {_percent(metrics['top5_error'])}"
    if "ece" in metrics:
        head += f"   expected calibration error {_percent(metrics['ece'])}"
    seen = [(name, row) for name, row in metrics.get("per_class", {}).items() if row["top1_error"] is not None]
    worst = sorted(seen, key=lambda item: -item[1]["top1_error"])[:20]
    cells = [[name, _percent(row["top1_error"]), str(row["images"])] for name, row in worst]
    title = "class" if len(worst) == len(seen) else f"worst {len(worst)} of {len(seen)} classes"
    mistakes = [[f"{row['true']} -> {row['predicted']}", str(row["images"])] for row in metrics.get("confused", ())]
    tables = (_side_by_side([title, "top-1 error", "images"], cells), _side_by_side(["most confused", "images"], mistakes))
    return "\n\n".join(part for part in (head, *tables) if part)


def _localization(metrics: Mapping[str, Any]) -> str:
    head = f"GT-class localization error {_percent(metrics['gt_class_loc_error'])}   mean IoU {_fraction(metrics['mean_iou'])}"
    rows = [
        [
            f"top-{count}",
            *(_percent(metrics[f"top{count}_{kind}"]) for kind in ("loc_error", "error")),
            *(_percent(metrics["errors"][f"top{count}"][cause]) for cause in ("wrong_class", "wrong_box")),
        ]
        for count in (1, 5)
        if metrics[f"top{count}_loc_error"] is not None
    ]
    seen = [(name, row) for name, row in metrics["per_class"].items() if row["gt_class_loc_error"] is not None]
    worst = sorted(seen, key=lambda item: -item[1]["gt_class_loc_error"])[:20]
    cells = [[name, _percent(row["gt_class_loc_error"]), _fraction(row["mean_iou"]), str(row["images"])] for name, row in worst]
    title = "class" if len(worst) == len(seen) else f"worst {len(worst)} of {len(seen)} classes"
    tables = (
        _side_by_side(["", "localization error", "class error", "wrong class", "right class, wrong box"], rows),
        _side_by_side([title, "GT-class error", "mean IoU", "images"], cells),
    )
    return "\n\n".join(part for part in (head, *tables) if part)


def _side_by_side(header: Sequence[str], rows: Sequence[Sequence[str]], width: int = 110) -> str:
    """A table split into as many tables side by side as fit into ``width`` letters; first cells align left, others right."""
    if not rows:
        return ""
    rows = [list(map(plain, row)) for row in rows]  # names of classes come from files
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    across = max(1, min(-(-len(rows) // 10), (width + 4) // (sum(widths) + 2 * len(widths) + 2)))
    down = -(-len(rows) // across)
    lines = [[_line(header, widths)] * across, ["  ".join("-" * w for w in widths)] * across]
    lines += [[_line(row, widths) for row in rows[start::down]] for start in range(down)]
    return "\n".join("    ".join(line).rstrip() for line in lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])


def _or(value: float | None, missing: float) -> float:
    return missing if value is None else value


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
