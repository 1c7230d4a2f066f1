"""Images of strangers: what they name is never opened, what they claim is held against what they hold."""

import lzma
import struct
import threading
import tracemalloc
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image
from rasterio.transform import from_origin

from hintseg.errors import InputError
from hintseg.io.georeference import pixel_area, write_georeferenced
from hintseg.io.images import decode_image, read_image, read_image_size, read_label_map, read_labels
from hintseg.io.rasters import read_raster

OWN, OTHER = "urn:uuid:aaaaaaaa-0000-0000-0000-000000000000", "urn:uuid:bbbbbbbb-0000-0000-0000-000000000000"
OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{own}">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="64" SizeY="48" SizeC="2" '
    'SizeZ="1" SizeT="1"><Channel ID="C:0" SamplesPerPixel="1"/><Channel ID="C:1" SamplesPerPixel="1"/>'
    '<TiffData IFD="0" PlaneCount="1" FirstC="0"><UUID FileName="a.ome.tif">{own}</UUID></TiffData>'
    '<TiffData IFD="0" PlaneCount="1" FirstC="1"><UUID FileName="{file}">{other}</UUID></TiffData>'
    "</Pixels></Image></OME>"
)


@pytest.fixture
def asked():
    """The address of a server, and what it was asked for."""
    paths = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_error(404)

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    server.server_close()
    thread.join()


def virtual(address, name):
    """A raster of GDAL that is warped from a file elsewhere; it asks for each name once."""
    return (
        '<VRTDataset rasterXSize="64" rasterYSize="48" subClass="VRTWarpedDataset"><SRS>EPSG:32632</SRS>'
        '<GeoTransform>0,1,0,0,0,-1</GeoTransform><VRTRasterBand dataType="Byte" band="1" '
        'subClass="VRTWarpedRasterBand"/><BlockXSize>64</BlockXSize><BlockYSize>48</BlockYSize><GDALWarpOptions>'
        f'<SourceDataset relativeToVRT="0">/vsicurl/{address}/{name}</SourceDataset><BandList><BandMapping src="1" '
        'dst="1"/></BandList></GDALWarpOptions></VRTDataset>'
    )


def test_files_of_other_kinds_under_the_names_of_images_reach_no_network(tmp_path, asked):
    address, paths = asked
    service = f"<GDAL_WMTS><GetCapabilitiesUrl>{address}/wmts</GetCapabilitiesUrl><Layer>x</Layer></GDAL_WMTS>"
    with pytest.raises(rasterio.errors.RasterioError):
        rasterio.open(virtual(address, "first.tif"))
    assert paths, "GDAL itself no longer asks: this test shows nothing"
    paths.clear()
    for text in (virtual(address, "second.tif"), service):
        path = tmp_path / "a.tif"
        path.write_text(text)
        assert pixel_area(path) is None
        with pytest.raises(InputError):
            read_raster(path)
    photograph = tmp_path / "a.jpg"
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(photograph)
    plain, comment = photograph.read_bytes(), virtual(address, "third.tif").ljust(0x2FF).encode()
    photograph.write_bytes(plain[:2] + b"\xff\xfe\x03\x01" + comment + plain[2:])
    assert read_image(photograph).shape == (48, 64, 3)
    assert pixel_area(photograph) is None
    with pytest.raises(InputError, match="carries no georeference"):
        write_georeferenced(tmp_path / "out.tif", np.zeros((48, 64), np.uint8), photograph)
    assert not paths


@pytest.mark.parametrize("named", ["absolute", "../private.tif", "beside.ome.tif"])
def test_an_image_of_a_microscope_shows_its_own_file_alone(tmp_path, named):
    folder, private = tmp_path / "images", tmp_path / "private.tif"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 60_000, (48, 64)).astype(np.uint16)
    for path in (private, folder / "beside.ome.tif"):
        tifffile.imwrite(path, np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    file = str(private) if named == "absolute" else named
    tifffile.imwrite(
        folder / "a.ome.tif", noise, description=OME.format(own=OWN, other=OTHER, file=file), metadata=None
    )
    tifffile.imwrite(folder / "plain.tif", noise)
    assert (read_image(folder / "a.ome.tif") == read_image(folder / "plain.tif")).all()


def masked(path, valid, bands, **options):
    profile = {"height": 48, "width": 64, "count": bands, "transform": from_origin(500_000, 5_400_000, 1, 1)}
    with rasterio.Env(**options), rasterio.open(path, "w", driver="GTiff", dtype="uint8", **profile) as target:
        target.write(np.full((bands, 48, 64), 1, np.uint8) * valid)
        target.write_mask(valid)


@pytest.mark.parametrize("inside", [True, False])
def test_masks_of_gdal_say_where_there_is_no_data(tmp_path, inside):
    valid = np.ones((48, 64), bool)
    valid[:16] = False
    masked(tmp_path / "a.tif", valid, 3, GDAL_TIFF_INTERNAL_MASK=inside)
    masked(tmp_path / "b.tif", valid, 1, GDAL_TIFF_INTERNAL_MASK=inside)
    assert (tmp_path / "a.tif.msk").exists() != inside
    assert (decode_image(tmp_path / "a.tif").valid == valid).all()
    assert (read_labels(tmp_path / "b.tif", (0, 1)) == np.where(valid, 1, 255)).all()


def test_a_mask_of_another_size_is_named(tmp_path):
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "a.tif")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "msk.tif")
    (tmp_path / "msk.tif").rename(tmp_path / "a.tif.msk")
    with pytest.raises(InputError, match=r"a\.tif\.msk: is a mask of another size than a\.tif"):
        read_label_map(tmp_path / "a.tif")


def single_strip(path, compression, content):
    """A TIFF of 64 × 48 samples of 16 bits, in one strip that holds anything."""
    tags = [(256, 4, 64), (257, 4, 48), (258, 3, 16), (259, 3, compression), (262, 3, 1), (273, 4, 134)]
    tags += [(277, 3, 1), (278, 4, 48), (279, 4, len(content)), (339, 3, 1)]
    entries = b"".join(struct.pack("<HHII", number, kind, 1, value) for number, kind, value in tags)
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + content)


def packed(compressor, amount):
    zeros = bytes(1 << 20)
    return b"".join([*(compressor.compress(zeros) for _ in range(amount)), compressor.flush()])


@pytest.mark.parametrize(("compression", "compressor"), [(8, zlib.compressobj), (34925, lzma.LZMACompressor)])
def test_a_strip_that_unpacks_to_far_more_is_damaged(tmp_path, compression, compressor):
    single_strip(tmp_path / "a.tif", compression, packed(compressor(), 200))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a\.tif: unpacks to far more than its pixels"):
        read_image(tmp_path / "a.tif")
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()
    samples = np.random.default_rng(0).integers(0, 60_000, (48, 64)).astype("<u2")
    own = compressor()
    single_strip(tmp_path / "b.tif", compression, own.compress(samples.tobytes()) + own.flush())
    tifffile.imwrite(tmp_path / "plain.tif", samples)
    assert (read_image(tmp_path / "b.tif") == read_image(tmp_path / "plain.tif")).all()


@pytest.mark.parametrize("claim", ["planes", "modulo", "entities"])
def test_planes_that_a_microscope_claims_and_does_not_have_cost_nothing(tmp_path, claim):
    xml = OME.format(own=OWN, other=OTHER, file="b.ome.tif")
    if claim == "planes":
        xml = xml.replace('PlaneCount="1"', 'PlaneCount="&#51;00000000"')
    elif claim == "modulo":
        xml = xml.replace("</OME>", '<Modulo><ModuloAlongC Start="0" End="300000000" Step="1"/></Modulo></OME>')
    else:
        xml = xml.replace("<OME", '<!DOCTYPE OME [<!ENTITY a "aaaa">]><OME', 1)
    samples = np.random.default_rng(0).integers(0, 60_000, (48, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", samples, description=xml, metadata=None)
    tifffile.imwrite(tmp_path / "plain.tif", samples)
    tracemalloc.start()
    assert (read_image(tmp_path / "a.ome.tif") == read_image(tmp_path / "plain.tif")).all()
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


def test_tiles_far_larger_than_their_image_are_refused(tmp_path):
    tags = [(256, 4, 16), (257, 4, 16), (258, 3, 16), (259, 3, 8), (262, 3, 1), (277, 3, 1), (322, 4, 20_000)]
    tags += [(323, 4, 20_000), (324, 4, 200), (325, 4, 4), (339, 3, 1)]
    entries = b"".join(struct.pack("<HHII", number, kind, 1, value) for number, kind, value in tags)
    path = tmp_path / "a.tif"
    path.write_bytes((struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries).ljust(200, b"\0") + bytes(8))
    for read in (read_image, read_labels):
        with pytest.raises(InputError, match="its tiles are far larger than it is"):
            read(path)


def test_images_of_too_many_pixels_are_refused_from_their_header(tmp_path):
    single_strip(tmp_path / "a.tif", 8, bytes(64))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[18:22] = content[30:34] = content[102:106] = struct.pack("<I", 25_000)
    (tmp_path / "a.tif").write_bytes(content)
    for read in (read_image_size, read_image, read_labels):
        with pytest.raises(InputError, match="25000×25000 is more than the 400,000,000 pixels allowed"):
            read(tmp_path / "a.tif")


def test_an_image_without_pixels_is_refused(tmp_path):
    single_strip(tmp_path / "a.tif", 1, bytes(48 * 64 * 2))
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[18:22] = bytes(4)
    (tmp_path / "a.tif").write_bytes(content)
    for read in (read_image_size, read_image, read_labels):
        with pytest.raises(InputError, match=r"a\.tif: (has no pixels|cannot be decoded)"):
            read(tmp_path / "a.tif")
