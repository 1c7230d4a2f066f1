"""Which of several processes this one is."""

import os


def first_process() -> bool:
    """Whether this process speaks for all that train one network together."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0
