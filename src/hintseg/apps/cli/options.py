"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hintseg.io.storage.addresses import local_path

DataSet = Annotated[str, typer.Argument(metavar="DATA", help="Data set folder or its URL.", show_default=False)]
NewFolder = Annotated[
    Path, typer.Option(parser=local_path, metavar="FOLDER", help="New data set folder; images are linked.")
]
Hints = Annotated[str | None, typer.Option(help="Hint types, e.g. points,scribbles; default all.")]
Weights = Annotated[str, typer.Option(help="Backbone weights: auto, timm, none, a file or its URL.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Setting, section.key=value; repeatable.")]
Precision = Annotated[str, typer.Option(help="32-true, bf16-mixed or 16-mixed.")]
Resume = Annotated[bool, typer.Option("--resume", help="Keep the masks that an interrupted call wrote.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Run folder or its URL.", show_default=False)]
Data = Annotated[str | None, typer.Option(help="Training data or its URL; default the local folder named in the run.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier output of hintseg.")]
OutFile = Annotated[Path | None, typer.Option(parser=local_path, metavar="FILE", help="JSON file; default in RUN.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Method = Annotated[str | None, typer.Option(help="softmax, knn or softmax+knn; default: the recipe's.")]
Scales = Annotated[str | None, typer.Option(help="Test-time scales, e.g. 0.75,1,1.25; default: the recipe's.")]
Flip = Annotated[bool | None, typer.Option("--flip/--no-flip", help="Average with the horizontally flipped image.")]
Crf = Annotated[bool | None, typer.Option("--crf/--no-crf", help="Refine by a dense CRF.")]
LongestSide = Annotated[
    int | None, typer.Option(min=0, help="Resize larger images to this longest side; default as in training, 0 never.")
]
Engine = Annotated[Literal["torch", "onnx"], typer.Option(help="Inference engine; onnx needs hintseg[onnx].")]
