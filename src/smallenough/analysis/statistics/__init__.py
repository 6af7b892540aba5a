"""The statistics that comparisons stand on, each a pure function of numbers that knows nothing of arms or frames.

`proportions`: shares with Wilson intervals, design effects; `paired`: differences and ratios, with BCa and score
intervals; `resampling`: the bootstrap under them; `passes`: pass@k and pass^k; `significance`: McNemar, Wilcoxon, Holm;
`effects`: sizes of effects; `noninferiority`: Tango's test, `score` under it; `power`: how many pairs an answer needs.
None means that the data say nothing (no trials, or no spread to resample), never that the answer is 0. Tasks are the
independent units throughout: repeats of a task are drawn together, averaged, or counted by their design effect.
"""

from __future__ import annotations

from smallenough.analysis.statistics.effects import (
    OddsRatio,
    cohens_dz,
    cohens_h,
    matched_odds_ratio,
    rank_biserial,
)
from smallenough.analysis.statistics.noninferiority import NonInferiority, noninferiority
from smallenough.analysis.statistics.paired import (
    Difference,
    Ratio,
    paired_difference,
    paired_ratio,
    success_difference,
)
from smallenough.analysis.statistics.passes import (
    PassRate,
    pass_at_k,
    pass_hat_k,
    pass_rates,
)
from smallenough.analysis.statistics.power import (
    design_effect,
    difference_power,
    pairs_for_difference,
    pairs_for_noninferiority,
    tasks_needed,
)
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
    "NonInferiority",
    "OddsRatio",
    "PassRate",
    "Proportion",
    "Ratio",
    "bca_interval",
    "cluster_means",
    "clustered_proportion",
    "cohens_dz",
    "cohens_h",
    "design_effect",
    "difference_power",
    "holm",
    "intraclass_correlation",
    "kish_design_effect",
    "matched_odds_ratio",
    "mcnemar",
    "mean_intervals",
    "noninferiority",
    "paired_difference",
    "paired_ratio",
    "pairs_for_difference",
    "pairs_for_noninferiority",
    "pass_at_k",
    "pass_hat_k",
    "pass_rates",
    "proportion",
    "rank_biserial",
    "ratio_intervals",
    "resampled_means",
    "resampled_ratios",
    "success_difference",
    "tasks_needed",
    "wilcoxon",
    "wilson",
]
