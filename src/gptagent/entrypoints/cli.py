"""The command line. Each command is described in docs/reference/cli.md."""

import asyncio
import subprocess
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gptagent.kernel.errors import AppError
from gptagent.kernel.i18n import translate
from gptagent.kernel.settings import Settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="GPT Agent Platform"
)
jobs_app = typer.Typer(no_args_is_help=True, help="Look at jobs and bring dead ones back")
user_app = typer.Typer(no_args_is_help=True, help="People of this installation")
secrets_app = typer.Typer(no_args_is_help=True, help="Keys that seal stored secrets")
scenarios_app = typer.Typer(no_args_is_help=True, help="What agents must and must not do")
knowledge_app = typer.Typer(no_args_is_help=True, help="What agents answer from")
audit_app = typer.Typer(no_args_is_help=True, help="The record of privileged actions")
sandbox_app = typer.Typer(no_args_is_help=True, help="Emulators of the CRM and of a language model")
app.add_typer(jobs_app, name="jobs")
app.add_typer(user_app, name="user")
app.add_typer(secrets_app, name="secrets")
app.add_typer(knowledge_app, name="knowledge")
app.add_typer(scenarios_app, name="scenarios")
app.add_typer(audit_app, name="audit")
app.add_typer(sandbox_app, name="sandbox")


class Transport(StrEnum):
    """The ways of a reply that a demonstration can go."""

    TALK = "talk"
    SALESBOT = "salesbot"
    WIDGET = "widget"


EXIT_CODES = {401: 77, 403: 77, 404: 66, 409: 73, 422: 65, 429: 75, 503: 75, 500: 78}  # sysexits.h


def main() -> None:
    """Run a command; an error the caller can mend becomes one sentence and an exit code."""
    try:
        app()
    except AppError as error:
        print(f"gptagent: {translate('en', error.message, **error.params)}", file=sys.stderr)
        for fault in error.fields:
            print(
                f"  {fault.pointer}: {translate('en', fault.message, **(fault.params or {}))}",
                file=sys.stderr,
            )
        sys.exit(EXIT_CODES.get(error.status, 70))


Reload = Annotated[bool, typer.Option(help="Start the web process again when a source file changes")]
Supervisor = Annotated[int | None, typer.Option(hidden=True, help="End when this parent process is gone")]


@app.command()
def up(*, reload: Reload = False) -> None:
    """Start everything on this machine: PostgreSQL, web and worker."""
    from gptagent.entrypoints.up import Up

    sys.exit(Up(Settings.load(), reload).run())


@app.command()
def web(*, reload: Reload = False, supervisor: Supervisor = None) -> None:
    """Serve pages, REST and webhooks."""
    from gptagent.entrypoints import serving

    serving.serve_web(Settings.load(), reload=reload, supervisor=supervisor)


@app.command()
def worker(*, supervisor: Supervisor = None) -> None:
    """Do the jobs."""
    from gptagent.entrypoints import serving

    serving.serve_worker(Settings.load(), supervisor=supervisor)


@app.command()
def migrate() -> None:
    """Bring the database to this release's schema."""
    from gptagent.entrypoints import operations

    changed = operations.migrate_database(Settings.load())
    print("migrated" if changed else "nothing to do")


@app.command()
def upgrade(
    *,
    check: Annotated[bool, typer.Option(help="Change nothing: prove what the search finds")] = False,
) -> None:
    """Bring the database to this release's schema, or show what this release would find."""
    from gptagent.entrypoints import operations

    if check:
        sys.exit(0 if asyncio.run(_prove()) else 1)
    changed = operations.migrate_database(Settings.load())
    print("migrated" if changed else "nothing to do")


async def _prove() -> bool:
    from gptagent.entrypoints import operations

    kept = True
    async for number, proof in operations.prove_knowledge(Settings.load()):
        print("\n".join(operations.proof_lines(number, proof)), flush=True)
        kept = kept and proof.is_kept
    return kept


@app.command()
def doctor() -> None:
    """Check database, migrations, disk, model and CRM, and say how to mend each."""
    from gptagent.entrypoints.doctor import examine

    findings = asyncio.run(examine(Settings.load()))
    for finding in findings:
        print(finding.line())
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


@app.command()
def demo(
    *,
    transport: Annotated[Transport, typer.Option(help="The way of replies into the chat")] = Transport.TALK,
) -> None:
    """Show the main job once, from webhook to reply, with nothing but this machine."""
    from gptagent.entrypoints.demo import run_demo

    sys.exit(run_demo(Settings.load(), transport.value))


@app.command()
def bench(
    *, only: Annotated[list[str] | None, typer.Option(help="Run this benchmark; may be repeated")] = None
) -> None:
    """Measure speed and cost on this machine: one `name label value` per line."""
    script = Path(__file__).resolve().parents[3] / "benchmarks" / "run.py"
    if not script.is_file():
        print("gptagent: the benchmarks come with the source, not with the package", file=sys.stderr)
        sys.exit(69)
    _run([sys.executable, str(script), *(option for name in only or [] for option in ("--only", name))])


@app.command("setup-link")
def setup_link() -> None:
    """Print a fresh one-time link for the first account, if there is none yet."""
    from gptagent.entrypoints import operations

    link = asyncio.run(operations.setup_link(Settings.load()))
    if link:
        print(link)


@jobs_app.command("list")
def jobs_list() -> None:
    """Jobs that wait or run."""
    _print_jobs(dead=False)


@jobs_app.command("dead")
def jobs_dead() -> None:
    """Jobs that were given up, with the reason."""
    _print_jobs(dead=True)


def _print_jobs(*, dead: bool) -> None:
    from gptagent.entrypoints import operations

    for job in asyncio.run(operations.list_jobs(Settings.load(), dead=dead)):
        print("  ".join(str(value) for value in asdict(job).values() if value is not None))


@jobs_app.command("replay")
def jobs_replay(job_id: int) -> None:
    """Queue a dead job again."""
    from gptagent.entrypoints import operations

    if not asyncio.run(operations.replay_job(Settings.load(), job_id)):
        print(f"gptagent: there is no dead job {job_id}", file=sys.stderr)
        sys.exit(66)
    print(f"job {job_id} is queued again")


@user_app.command("create")
def user_create(
    email: str,
    name: Annotated[str, typer.Option(help="First name")],
    workspace: Annotated[str, typer.Option(help="Name of the workspace to create for them")],
    *,
    family_name: Annotated[str, typer.Option(help="Last name")] = "",
    admin: Annotated[bool, typer.Option(help="Make them an administrator of the platform")] = False,
) -> None:
    """Create a person with a workspace. The password is asked for, or read from standard input."""
    from gptagent.entrypoints import operations

    password = (
        typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\n")
    )
    made = asyncio.run(
        operations.create_user(
            Settings.load(), email, (name, family_name), workspace, password=password, admin=admin
        )
    )
    print(f"{email} owns {made.path}")


@secrets_app.command("status")
def secrets_status() -> None:
    """Which keys have sealed how many stored secrets."""
    from gptagent.entrypoints import operations

    for use in operations.secret_use(Settings.load()):
        kind = "not given: what it sealed cannot be opened" if use.place is None else "older"
        print(f"{use.key_id}  {use.values:>8}  {'seals' if use.place == 0 else kind}")


@secrets_app.command("rotate")
def secrets_rotate() -> None:
    """Seal every stored secret anew with the first of the keys; then the others can be dropped."""
    from gptagent.entrypoints import operations

    result = operations.rotate_secrets(Settings.load())
    print(f"{result.rewritten} sealed anew")
    if result.unreadable:
        print(
            f"gptagent: {result.unreadable} did not open and stayed as they are. Keep the older keys.",
            file=sys.stderr,
        )
        sys.exit(65)


@user_app.command("reset-link")
def user_reset_link(email: str) -> None:
    """Print a link with which somebody sets a new password: once, within an hour."""
    from gptagent.entrypoints import operations

    print(asyncio.run(operations.reset_link(Settings.load(), email)))


@user_app.command("forget-factors")
def user_forget_factors(email: str) -> None:
    """Take second step and passkeys from somebody who has lost them. Make sure first who asks."""
    from gptagent.entrypoints import operations

    asyncio.run(operations.forget_factors(Settings.load(), email))
    print(f"{email} logs in with the password alone, and can set up a second step again")


@knowledge_app.command("rebuild")
def knowledge_rebuild(
    *, workspace: Annotated[int | None, typer.Option(help="Number of a workspace; all without it")] = None
) -> None:
    """Make what the search is kept in anew from the texts, and prove that it finds what it found before."""
    sys.exit(0 if asyncio.run(_rebuild(workspace)) else 1)


async def _rebuild(workspace: int | None) -> bool:
    from gptagent.entrypoints import operations

    kept = True
    async for number, passages, proof in operations.rebuild_knowledge(Settings.load(), workspace):
        print(f"{number}  {passages} passages", *operations.proof_lines(number, proof), sep="\n", flush=True)
        kept = kept and proof.is_kept
    return kept


@knowledge_app.command("measure")
def knowledge_measure(
    *,
    workspace: Annotated[int | None, typer.Option(help="Number of a workspace; all without it")] = None,
    at_least: Annotated[float, typer.Option(min=0, max=1, help="Recall@5 below it is an error")] = 0.0,
) -> None:
    """Ask each base its questions as a turn does and print how it answers. Exit code 1 if one is worse, or a
    model that a turn asks does not answer.
    """
    sys.exit(0 if asyncio.run(_measure(workspace, at_least)) else 1)


async def _measure(workspace: int | None, at_least: float) -> bool:
    from gptagent.entrypoints import operations

    good = True
    async for number, run in operations.measure_knowledge(Settings.load(), workspace):
        if run.state == "failed":
            good = False
            print(f"{number}  FAILED: {run.error_code}: {run.failure}")
            continue
        is_worse = bool(run.questions) and run.figures.recall_5 < at_least
        good = good and not is_worse
        print(
            f"{number}  {run.questions:>4} questions  recall@1 {run.figures.recall_1:.3f}"
            f"  recall@5 {run.figures.recall_5:.3f}  mrr {run.figures.mrr:.3f}"
            f"  answered {run.figures.answered:.3f}  false {run.figures.false_answers:.3f}"
            f"  by {'+'.join(run.legs)}{'  WORSE' if is_worse else ''}"
        )
        for one in run.failing:
            print(f"    not answered: {one.question}")
    return good


@scenarios_app.command("run")
def scenarios_run(
    agent: Annotated[str, typer.Argument(help="Name or id of the agent")],
    *,
    k: Annotated[int, typer.Option("--k", min=1, max=10, help="How often each scenario must pass")] = 1,
    published: Annotated[
        bool, typer.Option("--published", help="Run what is published instead of the draft")
    ] = False,
    workspace: Annotated[int | None, typer.Option(help="Number of a workspace; all without it")] = None,
    budget: Annotated[float, typer.Option(min=0.000001, max=100, help="US dollars at most")] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document")] = False,
) -> None:
    """Play an agent's scenarios and print what failed. Exit code 1 unless every one passed every time."""
    from gptagent.entrypoints import rehearsals

    asked = rehearsals.Asked(agent, workspace, k, "published" if published else "draft", budget)
    report = asyncio.run(rehearsals.run_scenarios(Settings.load(), asked, None if as_json else print))
    print(rehearsals.as_json(report) if as_json else rehearsals.summary(report))
    sys.exit(0 if report.run.is_passed else 1)


@audit_app.command("verify")
def audit_verify(
    *,
    expect: Annotated[
        list[str] | None, typer.Option(help="CHAIN=HASH noted earlier must be in the chain; may be repeated")
    ] = None,
) -> None:
    """Compute every chain anew and print its rows and its last hash. Exit code 1 if one was tampered with."""
    from gptagent.entrypoints import operations

    expected = dict(operations.read_head(text) for text in expect or [])
    reports = asyncio.run(operations.verify_audit(Settings.load(), expected))
    for report in reports:
        print("\n".join(operations.report_lines(report)))
    sys.exit(1 if any(report.faults for report in reports) else 0)


@sandbox_app.command("kommo")
def sandbox_kommo(
    port: int = 8100, account: Annotated[list[str] | None, typer.Option(help="Account to open")] = None
) -> None:
    """Run the emulator of Kommo. Let the platform use it with KOMMO_SANDBOX_URL."""
    options = [option for name in account or [] for option in ("--account", name)]
    _exec("gptagent.sandbox.kommo", "--port", str(port), *options)


@sandbox_app.command("llm")
def sandbox_llm(port: int = 8200) -> None:
    """Run the emulator of an OpenAI-compatible model. Let the platform use it with LLM_BASE_URL."""
    _exec("gptagent.sandbox.llm", "--port", str(port))


def _exec(module: str, *arguments: str) -> None:
    """Run an emulator as a process of its own: the product never imports it."""
    _run([sys.executable, "-m", module, *arguments])


def _run(command: list[str]) -> None:
    with subprocess.Popen(command) as process:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            process.terminate()
            sys.exit(process.wait())
