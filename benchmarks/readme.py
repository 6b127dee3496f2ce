"""Fills the README's figures from benchmarks/records: no number in it is typed.

python benchmarks/readme.py            rewrites README.md
python benchmarks/readme.py --check    exit code 1 if README.md is not what the records say
"""

import re
import sys

import record

README = record.ROOT / "README.md"


def main_job_output() -> str:
    r = record.load("main_job-digits")
    return "\n".join(["```", *r["search_output"], "```"])


def main_job_training() -> str:
    r = record.load("main_job-digits")
    return "\n".join(["```", *r["train_output"], "```"])


def main_job_table() -> str:
    rows = [
        "| images | space | wall | supernet | search | peak memory | hypervolume |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, space in (("digits", "digits"), ("cifar10", "digits")):
        if not (record.RECORDS / f"main_job-{name}.json").exists():
            continue
        r = record.load(f"main_job-{name}")
        m, n = r["median"], r["runs"][0]["evaluations"]
        search = f"{m['search_seconds']:.0f} s, {n:,} evaluations"
        rows.append(
            f"| {name} | {space} | {m['wall_seconds']:.0f} s | {m['supernet_seconds']:.0f} s | "
            f"{search} | {m['peak_memory_mib']:.0f} MiB | {m['hypervolume']:.3f} |"
        )
    r = record.load("main_job-digits")
    machine, versions = r["machine"], r["versions"]
    rows.append("")
    rows.append(
        f"{machine['cpu']}, {machine['cores']} cores, no GPU; Python {versions['python']}, torch {versions['torch']}; "
        f"{r['date']}, commit {r['commit']}; median of {len(r['runs'])} runs (digits)."
    )
    return "\n".join(rows)


PARTS = {
    "main-job-output": main_job_output,
    "main-job-training": main_job_training,
    "main-job-table": main_job_table,
}


def fill(text: str) -> str:
    """The README with every part between its two marks made afresh."""
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        text = pattern.sub(lambda _, make=make, b=begin, e=end: f"{b}\n{make()}\n{e}", text)
    return text


if __name__ == "__main__":
    old = README.read_text()
    if "--check" in sys.argv:
        sys.exit("README.md is not what the records say: run python benchmarks/readme.py" if fill(old) != old else 0)
    README.write_text(fill(old))
