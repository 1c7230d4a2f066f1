"""The page's own files: modules that a browser takes, and nothing else of the machine."""

import mimetypes
import re

import pytest

from hintseg.apps.studio.page_files import PAGE


def test_modules_have_a_type_that_browsers_take_whatever_the_system_calls_them(client, monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *given, **named: ("text/plain", None))
    for name, kind in (("", "text/html"), ("page/studio.css", "text/css"), ("page/js/studio.js", "text/javascript")):
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].split(";")[0] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["../server.py", "js/../../server.py", "%2e%2e/server.py", "js", "", "js/other.js"])
def test_nothing_but_the_pages_files_is_served(client, name):
    assert client.get(f"/page/{name}").status_code == 404


def test_every_module_imports_what_exists():
    """No build step finds a misspelt name; a browser refuses the whole page for it."""
    exports = {}
    for path in (PAGE / "js").glob("*.js"):
        text = path.read_text("utf-8")
        exports[path.name] = set(
            re.findall(r"^export (?:async )?(?:function\*?|const|let|class) ([\w$]+)", text, re.MULTILINE)
        )
        assert len(text.splitlines()) <= 150, f"{path.name}: one idea a file"
        assert text.startswith("// "), f"{path.name}: says first what it is"
    for path in (PAGE / "js").glob("*.js"):
        for names, source in re.findall(
            r"^import \{([^}]+)\} from \"\./([\w-]+\.js)\"", path.read_text("utf-8"), re.MULTILINE
        ):
            assert {name.strip() for name in names.split(",")} <= exports[source], f"{path.name}: {names} from {source}"


def test_the_page_uses_the_words_of_the_field():
    for path in PAGE.rglob("*.*"):
        assert not re.search(r"photograph|doubt|least sure|over-segment", path.read_text("utf-8"), re.IGNORECASE), path
