"""``scripts/worlds``: many worlds, one closing line, and a non-zero exit if any promise was broken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dynamiccluster.testing.faults import parse_faults
from dynamiccluster.testing.world import WorldReport, run_world


@click.command()
@click.argument("count", type=click.IntRange(min=1), default=50)
@click.option("--first", default=1, show_default=True, help="The first seed; the others follow it.")
@click.option("--jobs", default=1, show_default=True, help="Worlds that are simulated at the same time.")
@click.option("--hours", default=24.0, show_default=True, help="Length of a day with arrivals and faults.")
@click.option("--schedule", type=click.Path(exists=True, path_type=Path), help="Faults from this file, not the seed.")
@click.option("--until-red", is_flag=True, help="Stop at the first world that breaks a promise.")
@click.option("--verbose", is_flag=True, help="A line per world, and the schedule of each that failed.")
def main(
    count: int, first: int, jobs: int, hours: float, schedule: Path | None, until_red: bool, verbose: bool
) -> None:
    """Simulate COUNT days from consecutive seeds and check every promise throughout."""
    console = Console(highlight=False, soft_wrap=True)
    reports: list[WorldReport] = []
    bar = Progress(
        TextColumn("worlds"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[red]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    faults = schedule.read_text(encoding="utf-8") if schedule else None
    with bar, ExitStack() as stack:
        task = bar.add_task("", total=count, red="")
        for report in _run(stack, range(first, first + count), jobs, hours, faults):
            reports.append(report)
            red = sum(not each.ok for each in reports)
            bar.update(task, advance=1, red=f"[red]{red} red[/red]" if red else "")
            if verbose or not report.ok:
                console.print(_story(report, verbose), markup=False)
            if until_red and not report.ok:
                break
    console.print(_closing_line(reports), markup=False)
    sys.exit(0 if all(report.ok for report in reports) else 1)


def _run(stack: ExitStack, seeds: range, jobs: int, hours: float, faults: str | None) -> Iterator[WorldReport]:
    if jobs <= 1:
        for seed in seeds:
            yield _one(seed, hours, faults)
        return
    pool = ProcessPoolExecutor(jobs)
    stack.callback(pool.shutdown, wait=True, cancel_futures=True)
    for future in as_completed([pool.submit(_one, seed, hours, faults) for seed in seeds]):
        yield future.result()


def _one(seed: int, hours: float, faults: str | None) -> WorldReport:
    return run_world(seed, hours, parse_faults(faults.splitlines()) if faults is not None else None)


def _story(report: WorldReport, verbose: bool) -> str:
    head = (
        f"seed {report.seed}: {report.hours:.1f} h, {report.jobs} jobs, {report.machines} machines, "
        f"{report.commits} commits, {report.crashes} crashes, {report.strikes} faults struck, {report.cpu_s:.1f} s"
    )
    if report.ok:
        return head
    lines = [head, *(f"  {breach}" for breach in report.breaches), "  what happened last:"]
    lines += [f"    {line}" for line in report.tail]
    if verbose:
        lines += ["  schedule:", *(f"    {fault}" for fault in report.schedule)]
    return "\n".join(lines)


def _closing_line(reports: list[WorldReport]) -> str:
    red = [report for report in reports if not report.ok]
    broken = sorted({breach.promise for report in red for breach in report.breaches})
    text = (
        f"{len(reports)} worlds: {len(reports) - len(red)} kept every promise, {len(red)} did not; "
        f"{sum(r.hours for r in reports):.0f} hours, {sum(r.jobs for r in reports)} jobs, "
        f"{sum(r.machines for r in reports)} machines, {sum(r.crashes for r in reports)} crashes, "
        f"{sum(r.strikes for r in reports)} faults, {sum(r.cpu_s for r in reports):.0f} s"
    )
    if red:
        seeds = ", ".join(str(report.seed) for report in red)
        text += f"; seeds {seeds} broke promise(s) {', '.join(map(str, broken))}"
    return text


if __name__ == "__main__":
    main(prog_name="scripts/worlds")
