"""Scores detections and classifications, from memory or from files: COCO, VOC, top-k, calibration."""

from resdet.evaluation.classification import evaluate_predictions
from resdet.evaluation.coco import DetectionMetrics, evaluate_coco
from resdet.evaluation.detections import DetectionColumns
from resdet.evaluation.evaluator import CocoEvaluator, Evaluator
from resdet.evaluation.files import read_detections, read_ground_truth
from resdet.evaluation.ground_truth import GroundTruth
from resdet.evaluation.predictions import Predictions, average_predictions, read_predictions, write_predictions
from resdet.evaluation.score import score_detections, score_files
from resdet.evaluation.topk import TopK
from resdet.evaluation.voc import VocMetrics, evaluate_voc
from resdet.evaluation.voc_files import read_voc_results, write_voc_results

__all__ = [
    "CocoEvaluator",
    "DetectionColumns",
    "DetectionMetrics",
    "Evaluator",
    "GroundTruth",
    "Predictions",
    "TopK",
    "VocMetrics",
    "average_predictions",
    "evaluate_coco",
    "evaluate_predictions",
    "evaluate_voc",
    "read_detections",
    "read_ground_truth",
    "read_predictions",
    "read_voc_results",
    "score_detections",
    "score_files",
    "write_predictions",
    "write_voc_results",
]
