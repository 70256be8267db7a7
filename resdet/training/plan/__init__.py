"""Plans a training run for data of one's own: what the options should be, from the data, the machine and the time there is."""

from resdet.training.plan.budget import parse_budget
from resdet.training.plan.detection import Plan, plan_detection, planned_detection

__all__ = ["Plan", "parse_budget", "plan_detection", "planned_detection"]
