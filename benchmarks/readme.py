"""Fills the figures of README.md and docs/ from benchmarks/records: no number in them is typed.

python benchmarks/readme.py            rewrites them
python benchmarks/readme.py --check    exit code 1 if one is not what the records say
"""

import re
import sys
from collections.abc import Callable
from functools import partial

import record
from ranking import BENCHES, SCALES
from tables import cluster, darts, picks, ranking, ranking_short, reliability, search, speed, text

DOCUMENTS = (record.ROOT / "README.md", *sorted((record.ROOT / "docs").glob("*.md")))
PARTS: dict[str, Callable[[], str]] = {
    "main-job-output": lambda: text.quoted(record.load("main_job-digits")["search_output"]),
    "main-job-training": lambda: text.quoted(record.load("main_job-digits")["train_output"]),
    "cifar10-training": lambda: text.quoted(record.load("main_job-cifar10")["train_output"]),
    "main-job-table": speed.main_job,
    "fair-step-table": lambda: speed.fair_step(record.load("fair_step-cpu-32")),
    "darts-methods": darts.darts_methods,
    "darts-search": darts.darts_search,
    "oracle-table": lambda: speed.oracle(record.load("oracle-cpu")),
    "oracle-memory": speed.oracle_memory,
    "gpu-tables": speed.gpu,
    "picks-table": picks.picks,
    "picks-published": picks.published,
    "report-table": speed.report,
    **{f"ranking-{space}-{scale}": partial(ranking.ranking, space, scale) for space in BENCHES for scale in SCALES},
    "ranking-short": ranking_short.table_of_spaces,
    "ranking-trust": ranking.trust,
    "deeper-insights": ranking.deeper_insights,
    "ranking-changes": ranking.changes,
    "ranking-score-images": ranking.score_images,
    "ranking-corrected": ranking.corrected,
    "ranking-size-weight": partial(ranking.by_weight, "size"),
    "ranking-naswot-weight": partial(ranking.by_weight, "naswot"),
    "ranking-untrained": ranking.untrained,
    "ranking-az-nas-weight": ranking.untrained_by_weight,
    **{f"fronts-{space}": partial(ranking.fronts, space) for space in ("nas_bench_macro", "nas_bench_201")},
    "reliability": reliability.reliability,
    "soak": reliability.soak,
    "search-efficiency": search.search_efficiency,
    "search-ablation": search.search_ablation,
    "search-overhead": search.search_overhead,
    "scaling-step": cluster.scaling_step,
    "imagenet": cluster.imagenet,
    "scaling-evaluations": cluster.scaling_evaluations,
    "cluster-table": cluster.cluster,
    "cluster-kills": cluster.cluster_kills,
}


def fill(content: str) -> str:
    """The document with every part between its two marks made afresh."""
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        content = pattern.sub(lambda _, make=make, b=begin, e=end: f"{b}\n{make()}\n{e}", content)
    return content


if __name__ == "__main__":
    for path in DOCUMENTS:
        old = path.read_text()
        if "--check" in sys.argv and fill(old) != old:
            sys.exit(f"{path.name} is not what the records say: run python benchmarks/readme.py")
        path.write_text(fill(old))
