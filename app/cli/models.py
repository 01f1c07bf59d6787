"""``python -m app model``: what is there, which version is deployed, and what the gate says."""

import json
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.session import AsJson, command_settings, operator, with_session
from app.db.repositories import bundles
from app.db.tables import PromotionKind, PromotionRow
from app.services import gate, papers, promotion, registry, shadow
from app.services.history import history_csv, verdict_word
from app.services.judge import Verdict
from app.services.promotion import Wanted

model = typer.Typer(help="Models: what is there, and which version is deployed.", no_args_is_help=True)
Reason = Annotated[str, typer.Option(help="Why, for those who come later.")]
Override = Annotated[
    str | None,
    typer.Option(help="Why it is right all the same, where the gate refuses. Kept in the history."),
]
Epoch = Annotated[
    int | None, typer.Option(help="Only if the model is still at this epoch. Default: the one it is at now.")
]
Label = Annotated[str, typer.Argument(help="Label of a species, as `/species` and the card have it.")]


@model.command("list", epilog="Example: python -m app model list --json")
def model_list(as_json: AsJson = False) -> None:
    """Every version of every model; * marks what is deployed."""
    summaries = with_session(registry.list_models)
    rows = [_version_line(summary, row.version) for summary in summaries for row in summary.versions]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        mark = f"* epoch {row['epoch']}" if row["deployed"] else ""
        typer.echo(f"{row['model']:<28} {row['version']:<10} {row['sha256'][:12]}  {mark}".rstrip())


def _version_line(summary: registry.ModelSummary, version: str) -> dict[str, Any]:
    row = next(row for row in summary.versions if row.version == version)
    deployed = summary.deployed is not None and summary.deployed.version == version
    epoch = summary.deployed.epoch if summary.deployed and deployed else None
    return {
        "model": row.model,
        "version": version,
        "sha256": row.sha256,
        "deployed": deployed,
        "epoch": epoch,
    }


@model.command("judge", epilog="Example: python -m app model judge european-moths-lt 1.1.0")
def model_judge(model_name: str, version: str, as_json: AsJson = False) -> None:
    """Say what the gate would say of a version, were it to replace the deployed one. Exit code 1: it refuses."""
    settings = command_settings()

    async def act(session: AsyncSession) -> Verdict | None:
        return (await gate.assess(session, settings, model_name, version)).verdict

    verdict = with_session(act)
    if as_json:
        typer.echo("null" if verdict is None else verdict.model_dump_json(indent=1))
    elif verdict is None:
        typer.echo("The deployed version cannot be read, so nothing can be compared with it.")
    else:
        _show(verdict)
    if verdict is None or verdict.refused:
        raise typer.Exit(1)


def _show(verdict: Verdict) -> None:
    word = "refuses" if verdict.refused else "lets through"
    typer.echo(f"The gate {word} {verdict.candidate} in place of {verdict.deployed}.")
    for kind, findings in (("refused", verdict.refusals), ("warning", verdict.warnings)):
        for finding in findings:
            typer.echo(f"{kind}: {finding.message}")
    for note in verdict.notes:
        typer.echo(f"note: {note}")


@model.command(
    "promote", epilog='Example: python -m app model promote european-moths-lt 1.1.0 --reason "better tail"'
)
def model_promote(
    model_name: str, version: str, reason: Reason, override: Override = None, expected_epoch: Epoch = None
) -> None:
    """Deploy a version, if the gate lets it through. Running services follow within seconds."""
    _promote(model_name, version, reason, expected_epoch, override)


@model.command(
    "rollback", epilog='Example: python -m app model rollback european-moths-lt --reason "wrong names"'
)
def model_rollback(model_name: str, reason: Reason, expected_epoch: Epoch = None) -> None:
    """Take the last promotion back: deploy the version before it. The gate refuses no rollback."""
    _promote(model_name, None, reason, expected_epoch, None)


def _promote(
    model_name: str, version: str | None, reason: str, expected_epoch: int | None, override: str | None
) -> None:
    settings = command_settings()

    async def act(session: AsyncSession) -> str:
        deployed = (await registry.get_model(session, model_name)).deployed
        wanted = Wanted(
            model=model_name,
            version=version or await promotion.rollback_target(session, model_name, expected_epoch),
            expected_epoch=expected_epoch or (deployed.epoch if deployed else 0),
            actor=operator(),
            reason=reason,
            kind=PromotionKind.PROMOTION if version else PromotionKind.ROLLBACK,
            override=override,
        )
        await papers.verify(settings.store, await promotion.check_promotion(session, wanted))
        row = await promotion.promote(session, wanted, await promotion.pass_gate(session, settings, wanted))
        was = row.from_version or "none"
        return f"{row.model} {row.to_version} is deployed, at epoch {row.epoch} (was {was})."

    typer.echo(with_session(act))


@model.command("history", epilog="Example: python -m app model history european-moths-lt --csv")
def model_history(
    model_name: str, as_csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets.")] = False
) -> None:
    """Who deployed what, when and why, newest first."""
    rows: list[PromotionRow] = with_session(lambda session: promotion.history_of(session, model_name))
    if as_csv:
        events = with_session(lambda session: shadow.events_of(session, model_name))
        added = with_session(lambda session: bundles.additions(session, model_name))
        typer.echo(history_csv(rows, events, added), nl=False)
        return
    for row in rows:
        typer.echo(
            f"{row.epoch:>4}  {row.created_at:%Y-%m-%d %H:%M}  {row.kind.value:<9}  {row.to_version:<10}"
            f"{verdict_word(row):<11}{row.actor}: {row.reason}"
        )


@model.command(
    "stop-shadow", epilog='Example: python -m app model stop-shadow european-moths-lt --reason "seen enough"'
)
def model_stop_shadow(model_name: str, reason: Reason) -> None:
    """Let no candidate answer beside the deployed version any more, in every replica."""
    event = with_session(lambda session: shadow.stop(session, model_name, operator(), reason))
    typer.echo(f"{event.version} answers in the shadow of {model_name} no more.")


@model.command("protected", epilog="Example: python -m app model protected european-moths")
def model_protected(model_name: str) -> None:
    """Species that no promotion may make worse."""
    for row in with_session(lambda session: gate.protected_species(session, model_name)):
        typer.echo(f"{row.label}  by {row.added_by}, {row.added_at:%Y-%m-%d}")


@model.command("protect", epilog="Example: python -m app model protect european-moths achlya_flavicornis")
def model_protect(model_name: str, label: Label) -> None:
    """Let no promotion make a species worse."""
    settings = command_settings()
    with_session(lambda session: gate.protect(session, settings, model_name, label, operator()))
    typer.echo(f"{label} is protected.")


@model.command("unprotect", epilog="Example: python -m app model unprotect european-moths achlya_flavicornis")
def model_unprotect(model_name: str, label: Label) -> None:
    """Protect a species no more."""
    with_session(lambda session: gate.unprotect(session, model_name, label))
    typer.echo(f"{label} is not protected any more.")
