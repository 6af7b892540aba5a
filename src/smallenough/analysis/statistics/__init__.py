"""The statistics that comparisons stand on, each a pure function of numbers that knows nothing of arms or frames.

`proportions`: shares with Wilson intervals, design effects; `paired`: differences and ratios with BCa intervals;
`resampling`: the bootstrap under them; `significance`: McNemar, Wilcoxon, Holm. None means that the data say nothing
(no trials, or no spread to resample), never that the answer is 0. Tasks are the independent units throughout: repeats
of a task are drawn together, averaged, or counted by their design effect.
"""

from __future__ import annotations

from smallenough.analysis.statistics.paired import Difference, Ratio, paired_difference, paired_ratio
from smallenough.analysis.statistics.proportions import (
    Proportion,
    clustered_proportion,
    intraclass_correlation,
    kish_design_effect,
    proportion,
    wilson,
)
from smallenough.analysis.statistics.resampling import (
    RESAMPLES,
    bca_interval,
    mean_intervals,
    ratio_intervals,
    resampled_means,
    resampled_ratios,
)
from smallenough.analysis.statistics.significance import cluster_means, holm, mcnemar, wilcoxon
from smallenough.analysis.statistics.values import Clusters, Floats, Indices, Interval

__all__ = [
    "RESAMPLES",
    "Clusters",
    "Difference",
    "Floats",
    "Indices",
    "Interval",
    "Proportion",
    "Ratio",
    "bca_interval",
    "cluster_means",
    "clustered_proportion",
    "holm",
    "intraclass_correlation",
    "kish_design_effect",
    "mcnemar",
    "mean_intervals",
    "paired_difference",
    "paired_ratio",
    "proportion",
    "ratio_intervals",
    "resampled_means",
    "resampled_ratios",
    "wilcoxon",
    "wilson",
]
