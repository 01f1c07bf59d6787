"""The report of a comparison: a page that needs nothing but itself, and CSV files beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from safetensors import SafetensorError

from models.words import count_words
from training.compare.csv_files import write_csv_files
from training.compare.differences import ablations, against_baseline
from training.compare.markdown import markdown_tables
from training.compare.methods import Comparison, make_comparison
from training.compare.page import Page, Section
from training.compare.qualitative import photo_rows, run_with_weights
from training.compare.record import RunResult
from training.compare.sections import (
    ablation_section,
    confusions_section,
    cost_section,
    data_section,
    groups_section,
    losses_section,
    overall_section,
    provenance_section,
    species_section,
)
from training.compare.winners import answers
from training.data.prepared import Dataset

PAGE = "index.html"
_UNREADABLE = (OSError, ValueError, RuntimeError, SafetensorError)
"""What photos and weights that are gone, changed or cut off raise; the last two torch's and safetensors' own."""

_TEMPLATES = Path(__file__).parents[2] / "templates"


def write_report(
    dataset: Dataset,
    results: Sequence[RunResult],
    out: Path,
    *,
    baseline: str,
    failures: Mapping[str, str],
    commands: Sequence[str],
    runs: Path,
    tables: Path,
    ablation: str | None,
) -> None:
    """Write ``index.html`` and the CSV files into ``out``, and its tables as Markdown into the file ``tables``.

    ``failures``: a sentence for each run that failed, by its key. ``runs`` holds run folders by key, for photos with
    heatmaps where weights are left. ``ablation``: the recipe whose removals are shown, else those of all.
    Raises ValueError for no results and for results of other photos than ``dataset`` has.
    """
    comparison = make_comparison(results, dataset, baseline)
    versuses, removals = against_baseline(comparison), ablations(comparison, ablation)
    sections = (
        data_section(comparison),
        overall_section(comparison, versuses),
        groups_section(comparison),
        losses_section(comparison),
        species_section(comparison),
        confusions_section(comparison),
        ablation_section(comparison, removals),
        photos_section(comparison, runs),
        cost_section(comparison),
        provenance_section(comparison, failures, commands),
    )
    num_runs = count_words(len(results), "run")
    page = Page(
        title=f"Comparison of {count_words(len(comparison.methods), 'method')}",
        lede=f"{num_runs} on {count_words(len(dataset.labels), 'species', 'species')}, judged on "
        f"{comparison.num_test_images:,} test photos",
        answers=answers(comparison, versuses),
        sections=sections,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_csv_files(comparison, versuses, removals, out)
    part = out / f"{PAGE}.part"
    part.write_text(render(page), encoding="utf-8")
    part.replace(out / PAGE)
    tables.write_text(markdown_tables(comparison, versuses, removals), encoding="utf-8")


def photos_section(comparison: Comparison, runs: Path) -> Section:
    """Photos of the tail with heatmaps, or why there are none: a photo that is gone must not cost the report."""
    best, heading = comparison.best, "Photos of the tail"
    result = run_with_weights(best, runs)
    if result is None:
        text = f"No weights of {best.name} are left under {runs}, so no photos are shown with heatmaps."
        return Section("photos", heading, (text,))
    try:
        rows = photo_rows(result, comparison.dataset, runs)
    except _UNREADABLE as error:
        return Section("photos", heading, (f"No photos are shown: {error}",))
    if not rows:
        return Section("photos", heading, ("The tail has no test photos.",))
    text = (
        f"Test photos of tail species, named by {best.name}, seed {result.seed}. The map beside each is a "
        "class activation map (Zhou et al., 2016): gold is what spoke for the name that was given. "
        "Thumbnails are in this page only."
    )
    return Section("photos", heading, (text,), photo_rows=rows)


def render(page: Page) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report/index.html").render(page=page)
