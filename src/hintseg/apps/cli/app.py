"""The command `hintseg`: each command parses, calls one public function and prints."""

import logging
import os
import sys
from typing import Annotated

import typer

from hintseg.apps.cli.data import check, demo, import_, prepare, recipe, simulate
from hintseg.apps.cli.predict import complete, evaluate, predict
from hintseg.apps.cli.results import export, measure, report, retrieve, suggest
from hintseg.apps.cli.serve import label_studio, studio
from hintseg.apps.cli.terminal import PlainFormatter, say, tolerate
from hintseg.apps.cli.train import compare, train
from hintseg.distributed import first_process
from hintseg.errors import HintsegError
from hintseg.memory_errors import is_exhausted
from hintseg.version import __version__

app = typer.Typer(
    name="hintseg",
    help="Segment images from a few hints: tags, boxes, points, scribbles or masks.\n\n"
    "Example: hintseg train DATA --out runs/a, then hintseg predict runs/a images/ --out masks",
    rich_markup_mode=None,  # brackets in a help text are text
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
EARLIER_OPTIONS = {  # each works for one release
    "--photographs": "--images", "--unlabelled": "--unlabeled", "--neighbours": "--neighbors",
}  # fmt: skip
COMMANDS = (
    check, import_, train, compare, complete, predict, evaluate, retrieve, suggest, report, export, measure, simulate,
    prepare, recipe, demo, studio, label_studio,
)  # fmt: skip


def _show_version(asked: bool) -> None:
    if asked:
        say(f"hintseg {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands before any command."""


for command in COMMANDS:
    app.command(command.__name__.rstrip("_").replace("_", "-"))(command)


def _current(argument: str) -> str:
    """An argument with an option's present name; an earlier one gives a warning."""
    option, equals, value = argument.partition("=")
    if option not in EARLIER_OPTIONS:
        return argument
    name = EARLIER_OPTIONS[option]
    logging.getLogger("hintseg").warning("%s is now called %s; the old name works for one more release.", option, name)
    return f"{name}{equals}{value}"


def main() -> None:
    """Run the command line; what the user can mend becomes one sentence and exit code 2."""
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.WARNING if first_process() else logging.ERROR)  # the run's log.txt takes more
    screen.setFormatter(PlainFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[screen])
    tolerate(sys.stdout)
    tolerate(sys.stderr)
    # Idle threads of GNU OpenMP spin for long and starve a second process; after this many turns they sleep.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "500")
    try:
        sys.argv[1:] = map(_current, sys.argv[1:])
        app()
    except HintsegError as error:
        say(f"hintseg: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("hintseg: interrupted; everything up to the last checkpoint is kept.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        say(f"hintseg: {error.filename}: cannot be used ({error.strerror}).", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not is_exhausted(error):
            raise
        print("hintseg: Memory is exhausted; give smaller images, or close other programs.", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
