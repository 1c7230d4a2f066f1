"""Pages of the report."""

import pytest

from hintseg.apps.report.page import require_page
from hintseg.errors import RunError


def test_a_page_of_somebody_else_is_not_written_over(tmp_path):
    page = tmp_path / "report.html"
    require_page(page)
    page.write_text("<html><title>my field notes</title></html>")
    with pytest.raises(RunError, match=r"report\.html: was not made by hintseg"):
        require_page(page)
    page.write_text('<!doctype html><html><head><meta name="generator" content="hintseg">')
    require_page(page)
