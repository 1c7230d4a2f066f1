"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hintseg.io.storage.addresses import local_path

Run = Annotated[str, typer.Argument(help="run folder or its URL", show_default=False)]
Data = Annotated[
    str | None, typer.Option(help="the training data or its URL; default the local folder that the run names")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what hintseg made there before")]
OutFile = Annotated[Path | None, typer.Option(parser=local_path, metavar="FILE", help="JSON file; default in RUN")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps")]
Method = Annotated[str | None, typer.Option(help="softmax, knn or softmax+knn; default the recipe's")]
Scales = Annotated[str | None, typer.Option(help="e.g. 0.75,1,1.25; default the recipe's")]
Flip = Annotated[bool | None, typer.Option("--flip/--no-flip", help="average with the mirrored image")]
Crf = Annotated[bool | None, typer.Option("--crf/--no-crf", help="refine with a dense CRF")]
LongestSide = Annotated[
    int | None, typer.Option(min=0, help="reduce larger images to this first; default as in training; 0: not at all")
]
Engine = Annotated[Literal["torch", "onnx"], typer.Option(help="who runs the network; onnx: pip install hintseg[onnx]")]
