"""studio, label-studio: the local page, and the service that Label Studio calls."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hintseg.apps.cli.options import Settings, Weights
from hintseg.errors import ConfigError
from hintseg.io.storage.addresses import local_path


def studio(
    data: Annotated[
        Path,
        typer.Argument(
            parser=local_path,
            metavar="DATA",
            help="Data set folder, or a folder of images, in which images/ and studio/ are made.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback, requests need the printed token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8801,
    weights: Weights = "auto",
    set_: Settings = None,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser, where there is a desktop.")
    ] = True,
) -> None:
    """Open a page to draw hints, train and see masks.

    Example: hintseg studio plants/
    """
    try:
        from hintseg.apps.studio.server import serve
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed; pip install 'hintseg[studio]'.") from error
    serve(data, host, port, weights, tuple(set_ or ()), open_)


def label_studio(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=local_path, metavar="WORK", help="Folder for images, data sets and runs.", show_default=False
        ),
    ],
    token: Annotated[str, typer.Option(envvar="LABEL_STUDIO_TOKEN", help="Access token of your Label Studio account.")],
    url: Annotated[str, typer.Option(help="Address of Label Studio.")] = "http://localhost:8080",
    run: Annotated[
        Path | None,
        typer.Option(parser=local_path, metavar="FOLDER", help="Run that predicts until the first training ends."),
    ] = None,
    background: Annotated[str | None, typer.Option(help="Class of everything outside annotated regions.")] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback, requests need the password.")
    ] = "127.0.0.1",
    password: Annotated[
        str | None,
        typer.Option(envvar="HINTSEG_PASSWORD", help="Password that Label Studio sends; default: a new one."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="With --host: host or host:port of a private network to fetch images from; repeatable."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 9090,
    weights: Weights = "auto",
    effort: Annotated[Literal["quick", "normal", "thorough"], typer.Option(help="Length of a training.")] = "normal",
    set_: Settings = None,
) -> None:
    """Serve predictions and training to Label Studio.

    Example: hintseg label-studio WORK --token TOKEN
    """
    try:
        from hintseg.apps.studio.backend import Backend, create_backend
        from hintseg.apps.studio.guard import new_token
        from hintseg.apps.studio.label_studio import LabelStudio
        from hintseg.apps.studio.listen import listen, require_port
        from hintseg.apps.studio.lock import locked_folder
        from hintseg.inference.run_config import RunConfig
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed; pip install 'hintseg[studio]'.") from error
    generated = new_token(host)  # none on loopback
    studio = LabelStudio(url, token, tuple(allow or ()), private=generated is None)
    backend = Backend(folder, studio, run, background, weights, effort, tuple(set_ or ()))
    require_port(host, port)
    if run is not None:
        RunConfig.load(run / "run.json")
    password = password or generated
    with locked_folder(folder, f"http://{host}:{port}"):  # a second server would write over its images/
        print(f"hintseg for Label Studio: http://{host}:{port}   (Ctrl+C ends it)", flush=True)
        if password:
            named = "the one you chose" if password != generated else password
            print(f"In Label Studio's form choose basic authentication, user hintseg, password: {named}", flush=True)
        listen(create_backend(backend, password), host, port)
