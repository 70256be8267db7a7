"""Sends what a run logs to TensorBoard, Weights & Biases, MLflow and trackio."""

from resdet.engine.loggers.hook import LoggerHook, logger_hook

__all__ = ["LoggerHook", "logger_hook"]
