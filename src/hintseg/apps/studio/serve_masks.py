"""Masks, rasters and uncertainty of images, as PNGs; nearest training segments; accepting masks."""

import io
from typing import Any, Literal

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from numpy.typing import NDArray
from PIL import Image

from hintseg.apps.measure import areas, mask_pixel_area
from hintseg.apps.studio.accepted import accept, accepted, accepted_tag, edit, require, withdraw
from hintseg.apps.studio.conflict import IfMatch, required_version
from hintseg.apps.studio.lanes import Lane
from hintseg.apps.studio.predicted import predicted
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Model
from hintseg.apps.studio.uncertainty import heat
from hintseg.errors import InputError
from hintseg.io.images import resize_nearest
from hintseg.io.palette import parse_color

LONGEST_SHOWN = 2048  # larger images are shown reduced; hints keep the image's own pixels


def serve_masks(app: FastAPI, project: Project, model: Model, lane: Lane) -> None:
    """What hints and networks say of an image."""

    @app.get("/api/mask/{key:path}")
    async def mask(request: Request, key: str, source: Literal["model", "accepted"] = "model") -> Response:
        def found() -> Response:
            if source == "model":
                tag = model.tag(key)
                return image_response(colored(model.mask(key), project), tag)
            tag = accepted_tag(project, key)
            try:
                labels = accepted(project, key)
            except InputError as error:  # the version lets pages withdraw what they cannot show
                path = project.dataset.label_path("masks", key)
                advice = " Or withdraw the mask: a copy stays in studio/kept." if path and path.is_file() else ""
                told = f"{error}{advice}"
                raise HTTPException(422, told, {"ETag": f'"{tag}"'}) from error
            if labels is None:
                raise HTTPException(404, "no mask was accepted for this image")
            return image_response(colored(labels, project), tag)

        return await lane.run(request, found)

    @app.get("/api/uncertainty/{key:path}")
    async def uncertainty(request: Request, key: str) -> Response:
        def found() -> Response:
            return image_response(heat(model.uncertainty(key)[0]))

        return await lane.run(request, found)

    @app.get("/api/areas/{key:path}")
    async def measured(request: Request, key: str) -> dict[str, Any]:
        def found() -> dict[str, Any]:
            labels = accepted(project, key)
            taken = labels is not None
            labels = predicted(project, model, key) if labels is None else labels
            dataset = project.dataset
            rows = areas(key, labels, dataset.classes, mask_pixel_area(labels, dataset.path(key)))
            return {"accepted": taken, "model": model.name, "areas": [row._asdict() for row in rows]}

        return await lane.run(request, found)

    @app.get("/api/raster/{key:path}")
    def raster(key: str) -> Response:
        found = project.dataset.hints(key, ("scribbles",)).scribble_map
        if found is None:
            raise HTTPException(404, "this image has no scribble map")
        return image_response(colored(found.labels, project))

    @app.get("/api/nearest/{key:path}")
    async def nearest(request: Request, key: str, x: float, y: float) -> dict[str, Any]:
        found = await lane.run(request, lambda: model.nearest(key, (x, y)))
        if found is None:
            raise HTTPException(422, "train first: there are no training segments to compare with yet")
        segment, neighbors = found
        outline = cv2.findContours(segment.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        return {"outline": [part[:, 0].tolist() for part in outline], "neighbors": neighbors}


def serve_acceptance(app: FastAPI, project: Project, model: Model, lane: Lane) -> None:
    """Accepting the mask that is shown, withdrawing it, and making regions of it."""

    @app.post("/api/accept/{key:path}")
    async def take_mask(request: Request, key: str, if_match: IfMatch = None) -> dict[str, bool]:
        seen = required_version(if_match)

        def take() -> None:
            require(lambda: model.tag(key) == seen)  # before anything is computed
            accept(project, key, model.mask(key), lambda: model.tag(key) == seen)

        await lane.run(request, take)
        return {"accepted": True}

    @app.delete("/api/accept/{key:path}")
    def withdraw_mask(key: str, if_match: IfMatch = None) -> dict[str, bool]:
        seen = required_version(if_match)
        return {"accepted": withdraw(project, key, lambda: accepted_tag(project, key) == seen)}

    @app.post("/api/edit/{key:path}")
    async def edit_mask(request: Request, key: str, if_match: IfMatch = None) -> dict[str, bool | int]:
        seen = required_version(if_match)
        ignored = await lane.run(request, lambda: edit(project, key, lambda: accepted_tag(project, key) == seen))
        return {"accepted": project.dataset.has_mask(key), "ignored": ignored}


def colored(labels: NDArray[np.uint8], project: Project) -> NDArray[np.uint8]:
    """(H, W) labels → (h, w, 4), transparent where there is none."""
    scale = min(1.0, LONGEST_SHOWN / max(labels.shape))
    small = resize_nearest(labels, (max(round(labels.shape[0] * scale), 1), max(round(labels.shape[1] * scale), 1)))
    table = np.zeros((256, 4), np.uint8)
    for label, color in enumerate(project.appearance.colors_of(project.identifiers)):
        table[label] = (*parse_color(color), 255)
    return table[small]


def image_response(pixels: NDArray[np.uint8], tag: str = "") -> Response:
    """A PNG that nobody keeps, with the version of what it shows."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return Response(
        content.getvalue(), media_type="image/png", headers={"Cache-Control": "no-store", "ETag": f'"{tag}"'}
    )
