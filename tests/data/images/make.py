#!/usr/bin/python3
"""Paints one picture and writes it in every form that a client may send it.

Last run with Pillow 9.4.0, and avifenc 0.11.1 (Debian: libavif-bin) for AVIF. What Pillow cannot write (16-bit and interlaced PNG, 16-bit TIFF,
YCCK JPEG, a wide-gamut profile) is written here by hand.

picture.u8 holds the pixels: rows from top to bottom, R G B. FILE.u8 beside a file holds what Pillow decodes from it.
"""
import io
import os
import struct
import subprocess
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageCms

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 144, 108


def path(name):
    return os.path.join(HERE, name)


def paint():
    """A shaded red ball and a green one on a wooden table before a wall: no symmetry, no flat area, all tones."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    wall = np.stack([205 - y * 0.4 - x * 0.2, 200 - y * 0.2 - x * 0.25, 180 + y * 0.3 - x * 0.1], axis=2)
    grain = 18 * np.sin(x * 0.12 + 3 * np.sin(y * 0.35)) + 9 * np.sin(y * 1.7)
    table = np.stack([150 + grain, 104 + grain * 0.8, 62 + grain * 0.5], axis=2)
    rgb = np.where((y > HEIGHT * 0.58)[..., None], table, wall)

    def ball(cx, cy, radius, color):
        dx, dy = (x - cx) / radius, (y - cy) / radius
        inside = dx * dx + dy * dy < 1
        dz = np.sqrt(np.maximum(1 - dx * dx - dy * dy, 0))
        light = np.clip(-0.45 * dx - 0.6 * dy + 0.66 * dz, 0, 1)
        shaded = np.array(color)[None, None, :] * (0.25 + 0.75 * light[..., None]) + 190 * light[..., None] ** 24
        shadow = ((x - cx - radius * 0.35) / (radius * 1.15)) ** 2 + ((y - cy - radius * 0.95) / (radius * 0.28)) ** 2 < 1
        return inside, shaded, shadow & (y > HEIGHT * 0.5)

    for cx, cy, radius, color in [(52, 58, 33, (205, 32, 28)), (104, 70, 23, (120, 190, 40))]:
        inside, shaded, shadow = ball(cx, cy, radius, color)
        rgb = np.where(shadow[..., None], rgb * 0.55, rgb)
        rgb = np.where(inside[..., None], shaded, rgb)
    rgb += random.normal(0, 2, rgb.shape)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


# PNG (ISO/IEC 15948) by hand -------------------------------------------------------------------------------------------------------------------

def png(name, width, height, depth, color_type, rows, interlaced=False):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    with open(path(name), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def adam7(pixels):
    for x, y, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        for row in pixels[y::dy, x::dx]:
            yield row.tobytes()


# TIFF 6.0 by hand: one deflated strip, 16 bits per sample --------------------------------------------------------------------------------------

def tiff16(name, pixels):
    height, width, bands = pixels.shape
    data = zlib.compress((pixels.astype("<u2") * 257).tobytes(), 9)
    bits = struct.pack("<" + "H" * bands, *[16] * bands)
    at = 8 + len(data) + len(data) % 2
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, at if bands > 2 else 16), (259, 3, 1, 8), (262, 3, 1, 2 if bands == 3 else 1),
        (273, 4, 1, 8), (277, 3, 1, bands), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    directory = at + (len(bits) + 7) // 8 * 8
    with open(path(name), "wb") as file:
        file.write(b"II*\0" + struct.pack("<I", directory) + data + b"\0" * (len(data) % 2) + bits.ljust(directory - at, b"\0"))
        file.write(struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + b"\0\0\0\0")


# Display P3 as an ICC.1 matrix profile by hand -------------------------------------------------------------------------------------------------

P3_TO_XYZ = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])  # adapted to D50
SRGB_TO_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])


def display_p3_profile():
    def fixed(*values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    def text(value):
        encoded = value.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(encoded), 28) + encoded

    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {b"desc": text("Display P3"), b"cprt": text("CC0"), b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249)}
    for i, name in enumerate([b"rXYZ", b"gXYZ", b"bXYZ"]):
        tags[name] = b"XYZ \0\0\0\0" + fixed(*P3_TO_XYZ[:, i])
    for name in [b"rTRC", b"gTRC", b"bTRC"]:
        tags[name] = curve
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data = data.ljust((len(data) + 3) // 4 * 4, b"\0")
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x04000000, b"mntr", b"RGB ", b"XYZ ") + struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    header += b"acsp" + b"\0" * 28 + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def srgb_to_p3(pixels):
    encoded = pixels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ (np.linalg.inv(P3_TO_XYZ) @ SRGB_TO_XYZ).T, 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255).astype(np.uint8)


# CMYK -------------------------------------------------------------------------------------------------------------------------------------------

def cmyk(pixels):
    """The inks whose plain conversion, (255 - ink) * (255 - black) / 255, gives the pixels back."""
    ink = 255 - pixels.astype(float)
    black = np.minimum(ink.min(axis=2, keepdims=True), 254) * 0.8
    ink = (ink - black) * 255 / (255 - black)
    return np.rint(np.concatenate([ink, black], axis=2)).astype(np.uint8)


def ycck_jpeg(name, pixels):
    """Adobe's form: the colours as YCbCr, all inverted, and an APP14 marker that says so (transform 2). libjpeg: jccolor.c, cmyk_ycck_convert."""
    inks = cmyk(pixels)
    ycc = np.asarray(Image.fromarray(inks[:, :, :3]).convert("YCbCr"))
    stored = np.concatenate([ycc, 255 - inks[:, :, 3:]], axis=2)
    buffer = io.BytesIO()
    # Pillow inverts what it is given and leaves the channels of CMYK as they are.
    Image.fromarray(255 - stored, "CMYK").save(buffer, "JPEG", quality=95)
    data = bytearray(buffer.getvalue())
    data[data.index(b"Adobe") + 11] = 2
    with open(path(name), "wb") as file:
        file.write(data)


def exif_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def stored_for(image, orientation):
    """The pixels as a camera would store them so that turning them by the orientation gives the picture."""
    t = Image.Transpose
    undo = {2: t.FLIP_LEFT_RIGHT, 3: t.ROTATE_180, 4: t.FLIP_TOP_BOTTOM, 5: t.TRANSPOSE, 6: t.ROTATE_90, 7: t.TRANSVERSE, 8: t.ROTATE_270}
    return image.transpose(undo[orientation]) if orientation in undo else image


def main():
    pixels = paint()
    pixels.tofile(path("picture.u8"))
    image = Image.fromarray(pixels)
    gray = image.convert("L")

    image.save(path("picture.png"), optimize=True)
    image.save(path("picture.webp"), lossless=True, quality=100)
    image.save(path("lossy.webp"), quality=90)
    image.save(path("picture.tif"), compression="tiff_lzw")
    image.save(path("picture.jpg"), quality=95, subsampling=0)
    image.save(path("subsampled.jpg"), quality=90, subsampling=2)
    image.save(path("progressive.jpg"), quality=90, progressive=True)
    with tempfile.TemporaryDirectory() as folder:
        image.save(os.path.join(folder, "picture.png"))
        subprocess.run(
            ["avifenc", "--min", "0", "--max", "8", "--yuv", "444", "--jobs", "1", os.path.join(folder, "picture.png"), path("picture.avif")],
            check=True, stdout=subprocess.DEVNULL)

    # Colour forms
    gray.save(path("gray.jpg"), quality=95)
    gray.save(path("gray.png"), optimize=True)
    gray.save(path("gray.tif"), compression="tiff_lzw")
    Image.fromarray(cmyk(pixels), "CMYK").save(path("cmyk.jpg"), quality=95)
    Image.fromarray(cmyk(pixels), "CMYK").save(path("cmyk.tif"), compression="tiff_lzw")
    ycck_jpeg("ycck.jpg", pixels)
    image.quantize(256, dither=Image.Dither.NONE).save(path("palette.png"), optimize=True)
    image.convert("1").save(path("one-bit.png"))
    image.convert("1").save(path("one-bit.tif"), compression="group4")
    rgb16 = pixels.astype(np.uint16) * 257
    png("rgb16.png", WIDTH, HEIGHT, 16, 2, [row.astype(">u2").tobytes() for row in rgb16])
    gray16 = np.asarray(gray).astype(np.uint16) * 257
    png("gray16.png", WIDTH, HEIGHT, 16, 0, [row.astype(">u2").tobytes() for row in gray16])
    tiff16("rgb16.tif", pixels)
    png("interlaced.png", WIDTH, HEIGHT, 8, 2, adam7(pixels), interlaced=True)

    # Transparency: opaque everywhere; a hole of transparent black in the upper left quarter; grey with the same hole
    opaque = np.dstack([pixels, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    hole = opaque.copy()
    hole[:HEIGHT // 2, :WIDTH // 2] = 0
    Image.fromarray(opaque).save(path("opaque.png"), optimize=True)
    Image.fromarray(hole).save(path("hole.png"), optimize=True)
    Image.fromarray(hole).save(path("hole.webp"), lossless=True, quality=100)
    Image.fromarray(hole).save(path("hole.tif"), compression="tiff_lzw")
    Image.fromarray(np.dstack([np.where(hole[:, :, 3] == 0, 0, np.asarray(gray)), hole[:, :, 3]]).astype(np.uint8)).save(path("gray-hole.png"), optimize=True)

    # Profiles: sRGB itself, and the same picture in wide-gamut numbers
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(path("srgb-profile.jpg"), quality=95, subsampling=0, icc_profile=srgb)
    Image.fromarray(srgb_to_p3(pixels)).save(path("display-p3.png"), optimize=True, icc_profile=display_p3_profile())
    gray.save(path("wrong-profile.png"), optimize=True, icc_profile=display_p3_profile())

    # First frame of several
    other = Image.fromarray(255 - pixels)
    image.quantize(256, dither=Image.Dither.NONE).save(path("picture.gif"))
    image.quantize(256, dither=Image.Dither.NONE).save(
        path("animated.gif"), save_all=True, append_images=[other.quantize(64)], duration=100, loop=0)
    image.save(path("animated.webp"), save_all=True, append_images=[other], duration=100, lossless=True, quality=100)

    # Orientation: smaller, for there are many
    small = image.resize((72, 54), Image.Resampling.BICUBIC)
    for orientation in range(1, 9):
        stored_for(small, orientation).save(path(f"orientation-{orientation}.jpg"), quality=95, subsampling=0, exif=exif_orientation(orientation))
    stored_for(small, 6).save(path("orientation-6.png"), optimize=True, exif=exif_orientation(6))
    stored_for(small, 6).save(path("orientation-6.webp"), lossless=True, exif=exif_orientation(6))
    stored_for(small, 6).save(path("orientation-6.tif"), compression="tiff_lzw", tiffinfo={0x0112: 6})

    # What Pillow makes of the lossy ones
    for name in ["picture.jpg", "subsampled.jpg", "progressive.jpg", "cmyk.jpg"]:
        np.asarray(Image.open(path(name)).convert("RGB")).tofile(path(f"{name}.u8"))


if __name__ == "__main__":
    main()
