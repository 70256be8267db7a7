"""Presents results to people: files, tables, pictures and curves."""

from resdet.report.classification import write_classification
from resdet.report.curves import plot_log
from resdet.report.draw import Sample, contact_sheet, draw_target
from resdet.report.results import write_detections, write_metrics
from resdet.report.tables import metrics_table

__all__ = [
    "Sample",
    "contact_sheet",
    "draw_target",
    "metrics_table",
    "plot_log",
    "write_classification",
    "write_detections",
    "write_metrics",
]
