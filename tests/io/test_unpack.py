"""Archives of strangers."""

import stat
import zipfile

import pytest

from hintseg.errors import InputError
from hintseg.io.unpack import path_inside, unpack


def packed(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_files_are_unpacked_and_hidden_ones_passed_over(tmp_path):
    members = [("a/b.txt", "b"), ("c.txt", "c"), (".hidden", "h"), ("__MACOSX/._c.txt", "m"), ("d/", "")]
    unpack(packed(tmp_path / "a.zip", members), tmp_path / "out", 100)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"a/b.txt", "c.txt"}
    assert (tmp_path / "out" / "a" / "b.txt").read_text() == "b"


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "C:/out.txt", "a\\..\\..\\out.txt"])
def test_no_file_leaves_the_folder(tmp_path, name):
    with pytest.raises(InputError, match="is no name that a file in this folder can have"):
        unpack(packed(tmp_path / "a.zip", [(name, "x")]), tmp_path / "in" / "out", 100)
    assert not list(tmp_path.rglob("out.txt"))


def test_a_file_without_a_name_is_refused(tmp_path):
    nameless = zipfile.ZipInfo("x")
    nameless.filename = ""
    with pytest.raises(InputError, match="a file without a name"):
        unpack(packed(tmp_path / "a.zip", [(nameless, "x")]), tmp_path / "out", 100)


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(InputError, match="is a link or a device"):
        unpack(packed(tmp_path / "a.zip", [(link, "/etc/passwd")]), tmp_path / "out", 100)


def test_what_grows_too_large_is_refused_before_it_is_unpacked(tmp_path):
    archive = packed(tmp_path / "a.zip", [("a.txt", b"0" * 10_000_000)])
    assert archive.stat().st_size < 100_000
    with pytest.raises(InputError, match="more than"):
        unpack(archive, tmp_path / "out", 1_000_000)
    assert not list((tmp_path / "out").rglob("*.txt"))


def test_more_content_than_the_list_says_is_refused(tmp_path):
    archive = packed(tmp_path / "a.zip", [("a.txt", b"0" * 1000)])
    content = bytearray(archive.read_bytes())
    for start in (content.find(b"PK\x01\x02") + 24, content.find(b"PK\x03\x04") + 22):
        content[start : start + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.zip: "):
        unpack(archive, tmp_path / "out", 100)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 and no more"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="is no zip archive that can be read"):
        unpack(tmp_path / "a.zip", tmp_path / "out", 100)


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = packed(tmp_path / "a.zip", [("a.txt", "1"), ("a.txt", "2")])
    with pytest.raises(InputError, match="two files of one name"):
        unpack(archive, tmp_path / "out", 100)


def test_names_of_windows_become_paths(tmp_path):
    assert path_inside(tmp_path, "a\\b.txt") == tmp_path / "a" / "b.txt"
