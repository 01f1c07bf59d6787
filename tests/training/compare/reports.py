"""Reports of finished runs that nobody trained, and how to read what they say."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

from tests.training.compare.synthetic import synthetic_result
from training.compare.record import RunResult
from training.compare.report import write_report
from training.data.prepared import Dataset

WEAK = {"head": 0.9, "middle": 0.6, "tail": 0.2}
STRONG = {"head": 0.88, "middle": 0.8, "tail": 0.75}
FAILED = "ran out of memory <at epoch 3>: use a smaller batch"


class Reader(HTMLParser):
    """Text, identifiers and addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("src", "href", "xlink:href"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


def some_results(dataset: Dataset) -> list[RunResult]:
    return [
        *(synthetic_result(dataset, "baseline", seed=seed, recalls=WEAK) for seed in range(3)),
        synthetic_result(dataset, "cross_entropy", recalls=WEAK),
        synthetic_result(dataset, "logit_adjusted", recalls=STRONG),
        synthetic_result(dataset, "focal", recalls=WEAK),
        synthetic_result(dataset, "logit_adjusted-without-loss", recalls=WEAK),
    ]


def written(dataset: Dataset, results: list[RunResult], out: Path, **more: str | None) -> Reader:
    write_report(
        dataset,
        results,
        out,
        baseline=more.get("baseline") or "baseline",
        failures={"ride-mobilenetv2_100-0": FAILED},
        commands=["python -m training compare --data data/drawn --out report"],
        runs=out / "runs",
        tables=out / "tables.md",
        ablation=more.get("ablation"),
    )
    return Reader((out / "index.html").read_text(encoding="utf-8"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
