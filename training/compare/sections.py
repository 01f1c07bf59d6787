"""Comparison -> the sections of the report. Words, tables and plots; photos and files are elsewhere."""

from collections import Counter
from collections.abc import Mapping, Sequence

from models.groups import GROUPS
from models.words import count_words
from training.choices import EqualWeights
from training.compare.caveats import ablation_caveats, baseline_caveats
from training.compare.confusions import confusions_table, family_tables
from training.compare.differences import Versuses, factor_of
from training.compare.methods import Comparison, Method
from training.compare.page import Section, Table, headings, number_cell, text_cell
from training.compare.plots import counts_plot, differences_plot, groups_plot, species_plot, trade_off_plot
from training.compare.svg import ACCENT, INK_SOFT
from training.compare.tables import (
    ablation_table,
    cost_table,
    groups_table,
    overall_table,
    species_table,
    versus_table,
)
from training.compare.winners import winners_table
from training.data.profile import profile

REFERENCE_LOSS = "cross_entropy"


def data_section(comparison: Comparison) -> Section:
    """What is learnt from and judged on."""
    dataset = comparison.dataset
    support = Counter(comparison.methods[0].runs[0].test.labels)
    numbers = profile(dataset.info.training_counts, dataset.info.group_rule)
    rows = []
    for group in GROUPS:
        members = [place for place, name in enumerate(dataset.groups) if name == group]
        counts = [dataset.info.training_counts[place] for place in members]
        tested = [support[place] for place in members if support[place]]
        span = f"{min(counts)}–{max(counts)}" if counts else "–"
        rows.append(
            (
                text_cell(group),
                number_cell(f"{len(members):,}"),
                number_cell(span),
                *(number_cell(f"{num:,}") for num in (sum(counts), len(tested), sum(tested))),
            )
        )
    names = "species|training photos of a species|in all|species tested|test photos"
    table = Table("Groups", headings("group", names), tuple(rows))
    facts = (
        ("species", f"{numbers['num_classes']:,}"),
        ("training photos", f"{numbers['num_images']:,}"),
        ("validation photos", f"{len(dataset.split('val')):,}"),
        ("test photos", f"{comparison.num_test_images:,}"),
        (
            "imbalance factor",
            f"{numbers['imbalance_factor']:g} (most photographed to least photographed species)",
        ),
        ("Gini coefficient", f"{numbers['gini']:.3f} (0: every species has equally many)"),
        ("groups", str(numbers["group_rule"])),
    )
    plot = counts_plot(dataset.info.training_counts, dataset.info.group_rule)
    return Section("data", "Data", plots=(plot,), beside=(table,), facts=facts)


def overall_section(comparison: Comparison, versuses: Versuses) -> Section:
    """Every method's figures, and what each is worth against the baseline."""
    text = [
        "Sorted by the validation score: the mean of head, middle and tail recall on validation photos, averaged over "
        "the seeds. Methods are chosen by it alone; no choice was made on test photos.",
    ]
    tables = [overall_table(comparison), winners_table(comparison)]
    if versuses.rows:
        text += baseline_caveats(comparison, versuses)
        caption = f"Difference to {comparison.baseline} in percentage points, 95% interval"
        tables.append(versus_table(comparison, versuses.rows, caption, "comparisons.csv"))
    else:
        text.append(f"No method could be compared with the baseline {comparison.baseline}.")
    return Section("overall", "All methods", tuple(text), tables=tuple(tables))


def groups_section(comparison: Comparison) -> Section:
    """Head, middle and tail of every method, and what the tail costs the head."""
    methods = comparison.methods
    numbered = [f"{number} {method.name}" for number, method in enumerate(methods, 1)]
    caption = "Mean recall of head, middle and tail, best on validation first."
    plots = [groups_plot(methods, numbered, "groups", caption)]
    text = ["Bars are 95% intervals over test photos, with the seeds averaged."]
    if {"head", "tail"} <= set(comparison.design.figures):
        named = [
            method for method in methods if method is comparison.best or method.recipe == comparison.baseline
        ]
        plots.append(trade_off_plot(methods, named))
        text.append(
            "The second plot shows what is paid at one end for what is won at the other: up and right is better."
        )
    else:
        text.append("There is no trade-off to show: head or tail has no species with test photos.")
    return Section(
        "groups", "Head, middle and tail", tuple(text), tuple(plots), (groups_table(comparison, methods),)
    )


def losses_section(comparison: Comparison) -> Section:
    """The methods that differ from cross-entropy in the loss only."""
    chosen = loss_methods(comparison)
    if len(chosen) < 2:
        text = f"No two finished recipes differ from {REFERENCE_LOSS} in the loss alone."
        return Section("losses", "Losses side by side", (text,))
    text = (
        f"Recipes that are {REFERENCE_LOSS} but for the loss, its weights of species among it. LDAM brings the cosine "
        "head that its margins need."
    )
    caption = "Recall of head, middle and tail by loss, best on validation first."
    plot = groups_plot(chosen, [method.name for method in chosen], "losses", caption)
    return Section("losses", "Losses side by side", (text,), (plot,), (groups_table(comparison, chosen),))


def loss_methods(comparison: Comparison) -> tuple[Method, ...]:
    """Methods whose configuration is cross-entropy's but for loss, class weights and the head of LDAM."""
    chosen = []
    for method in comparison.methods:
        reference = comparison.method(REFERENCE_LOSS, method.backbone)
        if reference is None:
            continue
        ours, theirs = method.runs[0].config, reference.runs[0].config
        head = {"model": theirs.model} if ours.loss.name == "ldam" else {}
        plain = {"loss": theirs.loss, "weights": EqualWeights(), **head}
        same = {"recipe": theirs.recipe, "seed": theirs.seed, "workers": theirs.workers}
        if ours.model_copy(update={**plain, **same}) == theirs.model_copy(update={"weights": EqualWeights()}):
            chosen.append(method)
    return tuple(chosen)


def species_section(comparison: Comparison) -> Section:
    """Recall of each species against its training photos: the baseline and the best."""
    best, baseline = comparison.best, comparison.baseline_of(comparison.best)
    pair = tuple(dict.fromkeys(method for method in (baseline, best) if method is not None))
    looks = ((INK_SOFT, "s"), (ACCENT, "D"))[-len(pair) :]
    plot = species_plot(
        comparison.dataset.info.training_counts,
        [(method, *look) for method, look in zip(pair, looks, strict=True)],
    )
    return Section("species", "Species by species", (), (plot,), (species_table(comparison, pair),))


def confusions_section(comparison: Comparison) -> Section:
    """What the best takes for what."""
    best = comparison.best
    baseline = comparison.baseline_of(best)
    reference = None if baseline is best else baseline
    families = family_tables(comparison, best)
    text = [f"Of {best.name}, which validation chose."]
    if not families:
        text.append("The data names no families, so there are no matrices by family.")
    return Section(
        "confusions",
        "Confusions",
        tuple(text),
        tables=(confusions_table(comparison, best, reference),),
        matrices=families,
    )


def ablation_section(comparison: Comparison, ablations: Versuses) -> Section:
    """One factor removed at a time."""
    if not ablations.rows:
        return Section(
            "ablation", "Ablation", ("No run without one of a recipe's factors is among the results.",)
        )
    rows = [(f"without {factor_of(row.method)}", row.differences) for row in ablations.rows]
    plot = differences_plot(
        rows, "ablation", "Difference of head, middle and tail recall to the full recipe."
    )
    return Section(
        "ablation",
        "Ablation",
        ablation_caveats(ablations),
        (plot,),
        tables=(ablation_table(comparison, ablations.rows),),
    )


def cost_section(comparison: Comparison) -> Section:
    """What the runs took."""
    text = (
        "Minutes are a run's training, its teachers' included; finish minutes are what came after its epochs. Times "
        "and memory compare only within one machine, so a method has a line for each; memory is the peak of the "
        "process, or of the GPU where the run was made on one."
    )
    return Section("cost", "Cost", (text,), tables=(cost_table(comparison.methods + comparison.removals),))


def provenance_section(
    comparison: Comparison, failures: Mapping[str, str], commands: Sequence[str]
) -> Section:
    """How all of it was made, and what failed."""
    runs = [run for method in comparison.methods + comparison.removals for run in method.runs]
    seeds = sorted({run.seed for run in runs})
    versions = sorted({f"{name} {version}" for run in runs for name, version in run.environment.items()})
    facts = (
        ("runs", f"{len(runs)} finished, {len(failures)} failed"),
        ("seeds", ", ".join(map(str, seeds))),
        ("hardware", "; ".join(sorted({run.hardware for run in runs}))),
        ("versions", ", ".join(versions)),
        ("data sha256", comparison.dataset.info.content_sha256),
        ("data made by", comparison.dataset.info.command),
        ("commits", ", ".join(sorted({run.commit for run in runs}))),
    )
    text = (
        "Methods are selected by validation; the test split was read once per run, at its end, and nothing was chosen "
        "by it.",
        count_words(len(failures), "run") + " failed:" if failures else "No run failed.",
    )
    lines = tuple(f"{key}: {sentence}" for key, sentence in failures.items())
    return Section(
        "provenance", "How this was made", text, facts=facts, lines=lines, code=tuple(dict.fromkeys(commands))
    )
