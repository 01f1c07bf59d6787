"""The command line: one function a command, which reads arguments and prints; the work is elsewhere."""

import errno
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from models import bundle
from models.target_prior import UNLISTED
from training.checklist_prior import evaluate_with_checklist
from training.checkpoint import CHECKPOINT
from training.compare.command import compare
from training.crossval import cross_validate
from training.crossval_result import cross_validation_of
from training.data.cifar_lt import unpack_cifar
from training.data.imbalance import Profile, cut_test_to_profile, cut_to_profile
from training.data.index import Index, Sample, read_index
from training.data.left_out import leave_species_out, write_left_out
from training.data.prepared import make_dataset, read_dataset, write_dataset
from training.data.profile import plot_profile, profile
from training.data.split import fold_validation, mark_leaks, split_by_folds, split_samples
from training.evaluate import table
from training.export import BundleText, check_exports
from training.export import export as export_run
from training.judge_added import judge_added
from training.judge_unknown import judge_unknown
from training.judged import evaluate_models
from training.options import WantedViews, read_views
from training.overrides import apply_overrides
from training.protocols import apply_protocol
from training.recipes import make_recipe
from training.refit import refit
from training.refusals import sentence
from training.run_folder import begin_run, command_line, is_first_process, read_run
from training.target_prior import read_target
from training.trainer import train as train_run
from training.verify import verdicts

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

DataFolder = Annotated[Path, typer.Option("--data", help="Folder that `prepare` made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="Folder with one sub-folder a species, or a CSV.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    root: Annotated[Path | None, typer.Option(help="Folder that a CSV's paths start from.")] = None,
    val_fraction: Annotated[float, typer.Option(min=0, max=0.9)] = 0.15,
    test_fraction: Annotated[float, typer.Option(min=0, max=0.9)] = 0.15,
    test_folds: Annotated[str, typer.Option(help="Folds to judge on, such as 1,2.")] = "",
    val_folds: Annotated[
        int,
        typer.Option(min=0, help="Cut validation photos into folds, for `crossval` to learn from them too."),
    ] = 0,
    long_tail_factor: Annotated[float, typer.Option(help="Cut training photos to a long tail.")] = 0,
    max_count: Annotated[int, typer.Option(help="Training photos of the most frequent species.")] = 8,
    long_tail_profile: Annotated[Profile, typer.Option(help="Shape of both tails.")] = "exponential",
    test_long_tail_factor: Annotated[float, typer.Option(help="Cut test photos to a long tail too.")] = 0,
    test_max_count: Annotated[int, typer.Option(help="Test photos of the species that has most.")] = 8,
    test_from_tail: Annotated[bool, typer.Option(help="Most test photos for the rarest species.")] = False,
    leave_out: Annotated[
        int, typer.Option(min=0, help="Species to leave out, drawn by lot; their photos go to left_out.csv.")
    ] = 0,
    seed: int = 0,
) -> None:
    """Read photos, split them without leaks and profile the tail.

    Example: python -m training prepare photos --out data/mine
    """
    index, left_out = leave_species_out(read_index(source, root), leave_out, seed=seed)
    samples: tuple[Sample, ...]
    if long_tail_factor and test_folds:
        raise ValueError("--long-tail-factor and --test-folds each choose what is judged: give one of them")
    if long_tail_factor:
        samples = cut_to_profile(
            index.samples,
            profile=long_tail_profile,
            max_count=max_count,
            factor=long_tail_factor,
            val_fraction=val_fraction,
            seed=seed,
        )
    elif test_folds:
        samples = split_by_folds(index.samples, test_folds.split(","), val_fraction=val_fraction, seed=seed)
    else:
        samples = mark_leaks(
            split_samples(index.samples, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
        )
    if test_long_tail_factor:
        samples = cut_test_to_profile(
            samples,
            profile=long_tail_profile,
            max_count=test_max_count,
            factor=test_long_tail_factor,
            from_tail=test_from_tail,
            seed=seed,
        )
    if val_folds:
        samples = fold_validation(samples, val_folds, seed=seed)
    _write(index, samples, out)
    if left_out:
        write_left_out(out, index.root, left_out)
        typer.echo(f"left out: {', '.join(sorted({sample.label for sample in left_out}))}")


def _write(index: Index, samples: tuple[Sample, ...], out: Path) -> None:
    dataset = make_dataset(
        out, index.root, samples, index.taxa, command=command_line(), num_problems=len(index.problems)
    )
    out.mkdir(parents=True, exist_ok=True)
    numbers = profile(dataset.info.training_counts, dataset.info.group_rule)
    (out / "profile.json").write_text(json.dumps(numbers, indent=1) + "\n")
    plot_profile(dataset.info.training_counts, dataset.info.group_rule, out / "profile.png")
    write_dataset(dataset, index.problems)
    for problem in index.problems:
        typer.echo(f"row {problem.row}: {problem.path}: {problem.fault} ({problem.handling})", err=True)
    for key, value in numbers.items():
        typer.echo(f"{key:<17} {value}")
    for split in ("train", "val", "test"):
        typer.echo(f"{split:<17} {len(dataset.split(split))} photos")
    if leaky := sum(sample.leaky for sample in samples):
        typer.echo(
            f"{leaky} judged photos share a session with training photos; figures are given without them too"
        )


@app.command()
def cifar(
    archive: Annotated[Path, typer.Argument(help="Zip of CIFAR-10 as JPEG: train/<i>_<class>/, test/.")],
    out: Annotated[Path, typer.Option(help="Folder for the photos and the prepared data.")],
    factor: Annotated[float, typer.Option(min=1, help="Imbalance factor of the training photos.")] = 100,
    num_val: Annotated[int, typer.Option(min=1, help="Validation photos of each class.")] = 100,
    again_quality: Annotated[
        int | None,
        typer.Option(
            min=1, max=95, help="Encode every photo once more as JPEG of this quality: what does it cost?"
        ),
    ] = None,
) -> None:
    """Unpack CIFAR-10-JPEG-LT and prepare it.

    Example: python -m training cifar cifar10_lt.zip --out data/cifar
    """
    index = read_index(unpack_cifar(archive, out, factor, num_val, again_quality), out)
    _write(index, split_samples(index.samples, val_fraction=0, test_fraction=0, seed=0), out)


@app.command()
def train(
    data: DataFolder,
    out: Annotated[Path, typer.Option(help="Run folder; an unfinished run in it goes on.")],
    recipe: str = "baseline",
    protocol: Annotated[str, typer.Option(help="What a benchmark holds fixed, such as cifar.")] = "",
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Train a classifier, or go on with an interrupted run.

    Example: python -m training train --recipe logit_adjusted --data data/mine --out runs/mine
    """
    config = apply_overrides(apply_protocol(make_recipe(recipe), protocol), overrides or [])
    dataset = read_dataset(data)
    if is_first_process():
        if not (out / CHECKPOINT).exists():
            check_exports(config, len(dataset.labels))
        begin_run(out, config, data, dataset.info.content_sha256, command_line())
    train_run(config, dataset, out)
    if is_first_process():
        typer.echo(f"finished: {out}")


@app.command()
def evaluate(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Run folders, or one bundle folder.")
    ],
    data: DataFolder,
    split: str = "test",
    target_prior: Annotated[
        str, typer.Option(help="Answer for this class prior: uniform, or a JSON file of label to share.")
    ] = "",
    views: WantedViews = "",
    prior: Annotated[
        Path | None, typer.Option(help="Answer for the species of this list: a CSV as the service takes it.")
    ] = None,
    week: Annotated[
        int | None, typer.Option(min=1, max=53, help="ISO week of the photos, for a list with weeks.")
    ] = None,
    unlisted_weight: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of what the list leaves out; 0: never.")
    ] = UNLISTED,
    as_json: AsJson = False,
) -> None:
    """Judge a run or a bundle on one split: a table, and for a run its evaluation-SPLIT.json; several runs are judged
    by the mean of their logits.

    Example: python -m training evaluate runs/mine --data data/mine --split test
    """
    dataset = read_dataset(data)
    if prior is not None:
        if target_prior:
            raise ValueError("--prior and --target-prior are two answers to one question: give one of them")
        judged = evaluate_with_checklist(models, dataset, split, prior, week=week, unlisted=unlisted_weight)
        told = "\n".join([table(judged.evaluation), *judged.lines])
        typer.echo(judged.evaluation.model_dump_json(indent=1) if as_json else told)
        return
    if week is not None:
        raise ValueError("--week goes with --prior: give the list that it is a week of")
    log_target_C = read_target(target_prior, dataset.labels) if target_prior else None
    evaluation = evaluate_models(models, dataset, split, log_target_C, read_views(views) if views else None)
    one_run = len(models) == 1 and not (models[0] / bundle.CARD).exists()
    as_trained = not target_prior and views != "mirrored"
    if one_run and as_trained:  # a bundle never changes: its sums would no longer hold
        (models[0] / f"evaluation-{split}.json").write_text(evaluation.model_dump_json(indent=1) + "\n")
    typer.echo(evaluation.model_dump_json(indent=1) if as_json else table(evaluation))


@app.command()
def crossval(
    data: DataFolder,
    out: Annotated[Path, typer.Option(help="Folder for one run a fold and the result.")],
    recipe: str = "baseline",
    views: WantedViews = "one",
    mean: Annotated[
        bool, typer.Option("--mean", help="Make OUT a run too: the mean of the folds' networks, to export.")
    ] = False,
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
) -> None:
    """Train without each fold in turn and judge on it; goes on where it was interrupted.

    Example: python -m training crossval --recipe baseline --data data/mine --out runs/mine-crossval
    """
    config = apply_overrides(make_recipe(recipe), overrides or [])
    dataset = read_dataset(data)
    if mean and not out.exists():
        check_exports(config, len(dataset.labels))
    result = cross_validate(config, dataset, out, command_line(), read_views(views), mean=mean)
    if result.post_hoc_tau is not None:
        typer.echo(f"post_hoc.tau={result.post_hoc_tau}, chosen on the photos that were judged")
    typer.echo(table(result.evaluation))


app.command()(compare)
app.command()(judge_unknown)
app.command()(judge_added)
app.command()(refit)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    name: Annotated[str, typer.Option(help="Model's name, such as my-moths.")],
    version: Annotated[str, typer.Option(help="Version, such as 1.0.0.")],
    data: Annotated[Path | None, typer.Option(help="Prepared data, where it has moved.")] = None,
    out: Annotated[Path, typer.Option(help="Store of bundles.")] = Path("models/store"),
    crossval: Annotated[Path | None, typer.Option(help="Judge by this cross-validation instead.")] = None,
    text: Annotated[Path | None, typer.Option(help="JSON with title, description, citation, limits.")] = None,
    views: WantedViews = "one",
) -> None:
    """Write a bundle: calibrated on val, judged on test, checked against torch.

    Example: python -m training export runs/mine --name my-moths --version 1.0.0
    """
    record = read_run(run)
    dataset = read_dataset(data or record.data)
    if dataset.info.content_sha256 != record.data_sha256:
        raise ValueError(f"{dataset.folder}: is not the data that {run} was trained on")
    words = BundleText.model_validate_json(text.read_bytes()) if text else BundleText()
    judged = cross_validation_of(run, crossval)
    written = export_run(
        run,
        dataset,
        name=name,
        version=version,
        out=out,
        text=words,
        crossval=judged,
        views=read_views(views),
    )
    typer.echo(f"{written.path}  sha256 {written.sha256}")


@app.command()
def verify() -> None:
    """Check that every method is what its name says: one line an identity, in seconds on the CPU; 1 where one fails.

    Example: python -m training verify
    """
    failed = 0
    for _, holds, line in verdicts():
        typer.echo(line)
        failed += not holds
    if failed:
        raise ValueError(f"{failed} identities do not hold")


def main() -> None:
    """Run the command line: 2 for a usage error, 1 and one sentence for what a user got wrong."""
    try:
        app()
    except (ValueError, OSError) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        hint = "; the disk is full: make room, then start the same command again" if full else ""
        typer.echo(f"error: {sentence(error)}{hint}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
