"""What is measured of answers, trials and arms: scorers, the collector that runs them, and what is derived."""

from smallenough.metrics.collector import MetricsCollector
from smallenough.metrics.derive import (
    AttemptFacts,
    TrialFacts,
    arm_metrics,
    derive_trial,
    mean_by_time,
    total,
    total_usage,
    trial_metrics,
)
from smallenough.metrics.efficiency import EfficiencyWeights, efficiency
from smallenough.metrics.names import ARM_KEYS, ARM_METRICS, LABEL_METRICS, TRIAL_METRICS, Metric

__all__ = [
    "ARM_KEYS",
    "ARM_METRICS",
    "LABEL_METRICS",
    "TRIAL_METRICS",
    "AttemptFacts",
    "EfficiencyWeights",
    "Metric",
    "MetricsCollector",
    "TrialFacts",
    "arm_metrics",
    "derive_trial",
    "efficiency",
    "mean_by_time",
    "total",
    "total_usage",
    "trial_metrics",
]
