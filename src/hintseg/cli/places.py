"""studio: the local page."""

from pathlib import Path
from typing import Annotated

import typer

from hintseg.errors import ConfigError


def studio(
    data: Annotated[Path, typer.Argument(help="data set folder, or a folder of photographs", show_default=False)],
    host: Annotated[str, typer.Option(help="address; others than loopback need the token it prints")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8801,
    weights: Annotated[str, typer.Option(help="of the backbone: timm, none, or a file")] = "timm",
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, for training")] = None,
) -> None:
    """Open a page to draw hints, train, look at masks and export them."""
    try:
        from hintseg.studio.server import serve
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed; pip install 'hintseg[studio]'.") from error
    serve(data, host, port, weights, tuple(set_ or ()))
