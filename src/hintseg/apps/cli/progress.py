"""One progress bar for the stages of a command, drawn by the first of its processes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hintseg.distributed import first_process

# Names of classes and images are data: "[red]" and ":smile:" are shown as they stand.
console = Console(stderr=True, markup=False, emoji=False, highlight=False)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int, dict[str, float]], None]]:
    """A function (stage, done, total, values) that draws bars on standard error."""
    columns = (
        TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not first_process()) as bars:
        tasks: dict[str, object] = {}

        def show(stage: str, done: int, total: int, values: dict[str, float]) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, note="")
            note = f"loss {values['total']:.3f}" if "total" in values else ""
            bars.update(tasks[stage], completed=done, total=total, note=note)  # type: ignore[arg-type]

        yield show
