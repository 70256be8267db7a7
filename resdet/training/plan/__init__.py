"""Plans a training run for data of one's own: what the options should be, from the data, the machine and the time there is."""

from resdet.training.plan.budget import parse_budget
from resdet.training.plan.classification import plan_classification
from resdet.training.plan.detection import plan_detection
from resdet.training.plan.planned import planned_run
from resdet.training.plan.run import Plan

__all__ = ["Plan", "parse_budget", "plan_classification", "plan_detection", "planned_run"]
