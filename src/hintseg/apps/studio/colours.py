"""The colours of classes on the page."""

import colorsys

from hintseg.hints.labels import MAX_CLASSES


def _colours() -> tuple[str, ...]:
    """Okabe and Ito's colours, which colour-blind people tell apart; then hues a golden angle apart, light and dark."""
    chosen = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"]
    for number in range(MAX_CLASSES - len(chosen)):
        parts = colorsys.hls_to_rgb(0.618034 * number % 1, (0.35, 0.65, 0.5)[number % 3], (0.9, 0.6)[number % 2])
        chosen.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return tuple(chosen)


COLOURS = _colours()


def hexadecimal(colour: str) -> tuple[int, int, int]:
    """ "#rrggbb" → bytes."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
