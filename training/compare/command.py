"""The command `compare`: reads its arguments, has the missing runs made, and has the report written."""

import os
import signal
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Annotated

import torch
import typer

from training.backbones import check_backbone
from training.compare.ahead import decode_photos, refused_networks
from training.compare.methods import WITHOUT
from training.compare.plan import Asked, Plan, make_plan, parse_backbones, parse_recipes, run_key
from training.compare.progress import result_line, standing_line
from training.compare.record import RunResult
from training.compare.report import write_report
from training.compare.runner import Place, Runner, missing_runs, read_results
from training.compare.selection import validation_standings
from training.config import RunConfig
from training.data.prepared import Dataset, read_dataset
from training.run_folder import command_line

BASELINES = ("cross_entropy", "baseline")
"""What the others are compared with, where the command does not say: the first of these that was run."""

TABLES = "tables.md"
"""The report's tables as Markdown, beside the results that they are computed from."""

_INTERRUPTED = 130


def compare(
    data: Annotated[Path, typer.Option("--data", help="Folder that `prepare` made.")],
    out: Annotated[Path, typer.Option(help="Folder for the report, and for the runs in runs/.")],
    recipes: Annotated[str, typer.Option(help="Recipes; b:3 gives b a number of seeds of its own.")] = "",
    backbones: Annotated[
        str, typer.Option(help="Backbones, each =weights where they begin from any; else the recipe's.")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each recipe, with seeds from 0.")] = 1,
    protocol: Annotated[str, typer.Option(help="What a benchmark holds fixed, such as cifar.")] = "",
    ablate: Annotated[str, typer.Option(help="Recipe to run without each of its factors in turn.")] = "",
    baseline: Annotated[str, typer.Option(help="Recipe that the others are compared with.")] = "",
    results: Annotated[Path | None, typer.Option(help="Folder of results, else OUT/results.")] = None,
    only_report: Annotated[
        bool,
        typer.Option(
            help="Train nothing: report on the results there are, of --recipes where these are given."
        ),
    ] = False,
    parallel: Annotated[int, typer.Option(min=0, help="Runs at once; 0: several on a GPU, else one.")] = 0,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Train recipes on backbones with several seeds, whatever is missing of it, and report which is best for what.

    Example: python -m training compare --data data/mine --recipes cross_entropy:3,crt --seeds 1 --out report
    """
    dataset = _checked(data)
    place = Place(
        runs=out / "runs",
        results=results or out / "results",
        data=data,
        data_sha256=dataset.info.content_sha256,
        command=command_line(),
    )
    failures: dict[str, str] = {}
    if not only_report:
        plan = _plan(recipes, backbones, ablate, seeds, overrides or [], protocol)
        _check_baseline(
            baseline, _recipes_of([*plan.configs, *read_results(place)]), "is asked for or has a result"
        )
        failures = _run(plan, place, dataset, parallel or _parallel())
    everything = found = read_results(place)
    if only_report:
        found = _named(everything, recipes, backbones, {ablate.partition(":")[0], baseline})
    if not found:
        raise ValueError(f"{place.results}: no run has a result{_first_of(failures)}")
    for standing in validation_standings(found, dataset.groups):
        typer.echo(standing_line(standing))
    # Tables beside the results are of all of them: those of a few must not stand in their place.
    tables = (place.results if len(found) == len(everything) else out) / TABLES
    _report(dataset, found, out, baseline, failures, place, tables, ablate.partition(":")[0] or None)
    if failures:
        raise ValueError(
            f"{len(failures)} runs failed{_first_of(failures)}; the same command tries them again"
        )


def _checked(data: Path) -> Dataset:
    dataset = read_dataset(data)
    for split, use in (("val", "choices are made"), ("test", "methods are judged")):
        if not dataset.split(split):
            raise ValueError(f"{data}: no photo is in split {split!r}, on which {use}; `prepare` makes one")
    return dataset


def _named(
    results: Sequence[RunResult], recipes: str, backbones: str, beside: Set[str]
) -> tuple[RunResult, ...]:
    """The results of these recipes, with their removals, on these backbones; all where none are named.

    ``beside``: recipes that are shown with whichever are named. Raises ValueError for an unknown recipe, and where
    there are results and none of them is of these.
    """
    names = {one.recipe for one in parse_recipes(recipes, num_seeds=1)}
    places = {one.name for one in parse_backbones(backbones) if one.name}
    found = tuple(
        result
        for result in results
        if (not names or {result.recipe, result.recipe.partition(WITHOUT)[0]} & (names | beside))
        and (not places or result.backbone in places)
    )
    if results and not found:
        there = dict.fromkeys(f"{result.recipe} on {result.backbone}" for result in results)
        raise ValueError(f"no run that --only-report is asked for has a result; there are {', '.join(there)}")
    return found


def _plan(
    recipes: str, backbones: str, ablate: str, seeds: int, overrides: Sequence[str], protocol: str
) -> Plan:
    asked = parse_recipes(recipes, num_seeds=seeds)
    ablated = parse_recipes(ablate, num_seeds=seeds)
    if len(ablated) > 1:
        raise ValueError(f"--ablate {ablate}: takes one recipe at a time")
    asked += tuple(Asked(one.recipe, one.num_seeds, ablate=True) for one in ablated)
    if not asked:
        raise ValueError("nothing to compare: give --recipes, --ablate or --only-report")
    chosen = parse_backbones(backbones)
    for backbone in chosen:
        if backbone.name:
            check_backbone(backbone.name)
    return make_plan(asked, chosen, overrides, protocol)


def _run(plan: Plan, place: Place, dataset: Dataset, parallel: int) -> dict[str, str]:
    for folder in (place.runs, place.results):
        _make_writable(folder)
    missing = missing_runs(plan.configs, place)
    typer.echo(f"{len(plan.configs)} runs, {len(plan.configs) - len(missing)} of them finished", err=True)
    refused = plan.refused | refused_networks(missing, len(dataset.labels))
    for key, reason in refused.items():
        typer.echo(f"{key} cannot be run: {reason}", err=True)
    possible = [config for config in missing if run_key(config) not in refused]
    runner = Runner(
        place,
        parallel,
        say=lambda line: typer.echo(line, err=True),
        describe=lambda result: result_line(result, dataset.groups),
    )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # else its processes would outlive it
    try:
        if min(parallel, len(possible)) > 1:
            decode_photos(possible, dataset)
        return refused | runner.run(possible)
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command goes on where it was", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot be written to ({error.strerror}); choose another --out or --results"
        ) from error


def _parallel() -> int:
    """On a GPU as many as cores can feed, four to a run; on a processor one run uses all of it."""
    return max(1, (os.cpu_count() or 1) // 4) if torch.cuda.is_available() else 1


def _report(
    dataset: Dataset,
    results: Sequence[RunResult],
    out: Path,
    baseline: str,
    failures: Mapping[str, str],
    place: Place,
    tables: Path,
    ablation: str | None,
) -> None:
    names = _recipes_of(results)
    _check_baseline(baseline, names, "has a result")
    against = baseline or next((name for name in BASELINES if name in names), names[0])
    write_report(
        dataset,
        results,
        out,
        baseline=against,
        failures=failures,
        commands=tuple(dict.fromkeys([*(result.command for result in results), place.command])),
        runs=place.runs,
        tables=tables,
        ablation=ablation,
    )
    typer.echo(f"report: {out / 'index.html'}")


def _recipes_of(runs: Iterable[RunConfig | RunResult]) -> list[str]:
    return list(dict.fromkeys(run.recipe for run in runs))


def _check_baseline(baseline: str, names: Sequence[str], has: str) -> None:
    if baseline and baseline not in names:
        raise ValueError(f"--baseline {baseline}: no run of it {has}; choose from {', '.join(names)}")


def _first_of(failures: Mapping[str, str]) -> str:
    return "".join(f" ({key}: {reason})" for key, reason in list(failures.items())[:1])
