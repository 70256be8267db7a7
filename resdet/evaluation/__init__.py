"""How good detections and classifications are: COCO, VOC, top-k; from memory or from files."""

from resdet.evaluation.coco import DetectionMetrics, evaluate_coco
from resdet.evaluation.evaluator import CocoEvaluator, Evaluator
from resdet.evaluation.files import read_detections, read_ground_truth
from resdet.evaluation.score import score_detections, score_files
from resdet.evaluation.topk import TopK
from resdet.evaluation.voc import VocMetrics, evaluate_voc

__all__ = [
    "CocoEvaluator",
    "DetectionMetrics",
    "Evaluator",
    "TopK",
    "VocMetrics",
    "evaluate_coco",
    "evaluate_voc",
    "read_detections",
    "read_ground_truth",
    "score_detections",
    "score_files",
]
