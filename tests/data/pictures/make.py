#!/usr/bin/env python3
"""Writes the pictures that people send, good and bad, with what is expected of each: make.py FOLDER. The standard library alone, in some seconds.

FOLDER/cases.json lists them; FOLDER/NAME.expected.ppm is what a decoder of ours in double precision makes of NAME, or the very pixels that went into a
lossless form. Where that has fewer pixels than the picture, it is its average over squares. The files in encoded/ are the few that no script writes in a
moment (encode.sh); they show the same scene.
"""
import json
import os
import random
import struct
import sys
import zlib

from writers import (PALETTE, avif, bgr, bmp, chunk, gif, grid, icon, icon_bmp, indices, items_of, jpeg, large_jpeg, lzw, netpbm, of_palette, packbits, png,
                     read_png, riff, tiff, tiles_of, vp8l)

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = sys.argv[1]
SIDE = 128
CASES = []


def case(name, file, status=200, code=None, sentence=None, warning=None, pixels=None, on_average=0.0, at_most=0, squares=1, imagesharp=None, kind=None):
    """`imagesharp`: what differs under that decoder. `squares`: how many pixels of the picture each expected one stands for, in a row."""
    with open(os.path.join(OUT, name), "wb") as out:
        out.write(file)
    entry = {"name": name, "kind": kind or KIND, "status": status}
    entry |= {key: value for key, value in (("code", code), ("sentence", sentence), ("warning", warning), ("imagesharp", imagesharp)) if value is not None}
    if pixels is not None:
        with open(os.path.join(OUT, name + ".expected.ppm"), "wb") as out:
            out.write(b"P6\n%d %d\n255\n" % (len(pixels[0]) // 3, len(pixels)) + b"".join(pixels))
        entry |= {"pixels": name + ".expected.ppm", "onAverage": on_average, "atMost": at_most, "squares": squares}
    CASES.append(entry)


def damaged(name, file, sentence=None, imagesharp=None):
    case(name, file, 422, "invalid-image", sentence, imagesharp=imagesharp)


def refused(name, file, sentence):
    case(name, file, 415, "unsupported-image", sentence)


def unread(what):
    """Of the decoder without native code."""
    return {"status": 415, "code": "unsupported-image", "sentence": what + " ImageSharp, this server's decoder"}


def never(width, height, name):
    """Alone more than Decoding:MaxMemory, 192 MB in the tests."""
    return {"status": 413, "code": "image-too-large", "sentence": f"Decoding the {name} picture of {width} × {height} pixels would take about"}


# The scene: the bundled sample, an apple, at half its size. ---------------------------------------------------------------------------------------

full, _, sample = read_png(open(os.path.join(HERE, "../../../models/grocery/sample.png"), "rb").read())
STEP = full // SIDE
SCENE = [bytes(sum(sample[y + dy][x + dx * 3] for dy in range(STEP) for dx in range(STEP)) // STEP ** 2
               for x0 in range(0, full * 3, STEP * 3) for x in (x0, x0 + 1, x0 + 2)) for y in range(0, full, STEP)]
RAW = b"".join(SCENE)
GREY = [bytes((299 * r + 587 * g + 114 * b) // 1000 for r, g, b in zip(row[0::3], row[1::3], row[2::3])) for row in SCENE]
GREY_PIXELS = [bytes(value for sample in row for value in (sample,) * 3) for row in GREY]
INDICES = indices(SCENE)
PALETTED = of_palette(INDICES)
WHITE, BLACK = bytes([255] * 3), bytes(3)


def wide(rows):
    return [bytes(value for sample in row for value in (sample, sample)) for row in rows]


def with_alpha(rows):
    """The upper half transparent."""
    return [b"".join(row[x:x + 3] + bytes([0 if y < SIDE // 2 else 255]) for x in range(0, len(row), 3)) for y, row in enumerate(rows)]


def hole(rows):
    return [WHITE * SIDE if y < SIDE // 2 else row for y, row in enumerate(rows)]


# JPEG: ends, middles, sizes ----------------------------------------------------------------------------------------------------------------------

KIND = "ordinary"
BASELINE, BASELINE_PIXELS = jpeg(SIDE, SIDE, SCENE)
PROGRESSIVE, _ = jpeg(SIDE, SIDE, SCENE, progressive=True)
RESTARTS, _ = jpeg(SIDE, SIDE, SCENE, restarts=True)
HALVED, _ = jpeg(SIDE, SIDE, SCENE, halved=True)
near = {"pixels": BASELINE_PIXELS, "on_average": 1.0, "at_most": 12}
case("baseline.jpg", BASELINE, **near)
case("progressive.jpg", PROGRESSIVE, **near)
case("restarts.jpg", RESTARTS, **near)
case("halved.jpg", HALVED, pixels=SCENE, on_average=4, at_most=90)

KIND = "jpeg that lacks its end"
TALL = SCENE * 7
TALL_JPEG, TALL_PIXELS = jpeg(SIDE, SIDE * 7, TALL, restarts=True)
TALL_PROGRESSIVE, _ = jpeg(SIDE, SIDE * 7, TALL, progressive=True)
case("no-end-marker.jpg", BASELINE[:-2], warning="image-end-missing", **near)
case("no-end-marker-progressive.jpg", PROGRESSIVE[:-2], warning="image-end-missing", imagesharp={"status": 422, "code": "invalid-image"}, **near)
case("half-end-marker.jpg", BASELINE[:-1], warning="image-end-missing", **near)
case("zeros-for-end-marker.jpg", BASELINE[:-2] + bytes(2), warning="image-end-missing", **near)
case("end-marker-and-more.jpg", BASELINE + bytes(5000), **near)
# Each row of units is an interval of its own: eight rows, then sixteen, then twenty-four are missing of 896.
ENDS = [i for i in range(len(TALL_JPEG) - 1) if TALL_JPEG[i] == 0xFF and 0xD0 <= TALL_JPEG[i + 1] <= 0xD7]
last = {"pixels": TALL_PIXELS[:-16], "on_average": 1.0, "at_most": 12}
case("lacks-8-rows.jpg", TALL_JPEG[:ENDS[-1]], warning="image-truncated", **last)
case("lacks-16-rows.jpg", TALL_JPEG[:ENDS[-2]], warning="image-truncated", **last)
damaged("lacks-24-rows.jpg", TALL_JPEG[:ENDS[-3]])
damaged("lacks-a-tenth.jpg", TALL_JPEG[:len(TALL_JPEG) * 9 // 10])
damaged("lacks-8-rows-of-128.jpg", RESTARTS[:[i for i in range(len(RESTARTS) - 1) if RESTARTS[i] == 0xFF and 0xD0 <= RESTARTS[i + 1] <= 0xD7][-1]])

# Between two passes nothing looks cut: what never comes is a zero to every decoder.
APART, _ = jpeg(SIDE, SIDE, SCENE, progressive="apart")
case("progressive-apart.jpg", APART, **near)
for name, file, passes in (("together", PROGRESSIVE, 4), ("apart", APART, 6)):
    begins = [i for i in range(len(file) - 1) if file[i:i + 2] == b"\xff\xda"]
    assert len(begins) == passes
    for at, begin in enumerate(begins[1:], start=1):
        cut = f"{at}-of-{passes}-passes-{name}.jpg"
        if name == "apart" and at < 3:
            damaged(cut, file[:begin] + b"\xff\xd9", "The JPEG picture is truncated or damaged from row 0")
        else:
            case(cut, file[:begin] + b"\xff\xd9", warning="image-passes-missing")
    case(f"last-pass-and-end-missing-{name}.jpg", file[:begins[-1]], warning="image-passes-missing", imagesharp={"status": 422, "code": "invalid-image"})

# Whose a scan is, a file does not say whose components have one name; libjpeg takes them in their order.
one_name = bytearray(PROGRESSIVE[:PROGRESSIVE.index(b"\xff\xda", PROGRESSIVE.index(b"\xff\xda") + 2)] + b"\xff\xd9")
frame, scan = one_name.index(b"\xff\xc2"), one_name.index(b"\xff\xda")
for component in range(3):
    one_name[frame + 10 + component * 3] = one_name[scan + 5 + component * 2] = 1
case("components-of-one-name.jpg", bytes(one_name))

KIND = "jpeg damaged in its middle"
for name, file in (("baseline", TALL_JPEG), ("progressive", TALL_PROGRESSIVE), ("one-interval", jpeg(SIDE, SIDE * 7, TALL)[0])):
    middle = len(file) // 2
    # README.md, "Without native code": of a progressive JPEG that decoder does not notice.
    damaged(f"half-ended-{name}.jpg", file[:middle] + b"\xff\xd9", imagesharp={"status": 200, "warning": "image-passes-missing"} if name == "progressive" else None)
    damaged(f"half-{name}.jpg", file[:middle])
    damaged(f"zeros-in-the-middle-{name}.jpg", file[:middle] + bytes(len(file) // 8) + file[middle + len(file) // 8:])
    damaged(f"ones-in-the-middle-{name}.jpg", file[:middle] + b"\xff" * (len(file) // 8) + file[middle + len(file) // 8:])
    damaged(f"wrong-marker-{name}.jpg", file[:middle] + b"\xff\xd3" + file[middle + 2:])
# Codes that are valid, though not where they belong: libjpeg takes them without a word.
ONE_INTERVAL = jpeg(SIDE, SIDE * 7, TALL)[0]
at = len(ONE_INTERVAL) // 2
damaged("part-twice.jpg", ONE_INTERVAL[:at] + ONE_INTERVAL[at - len(ONE_INTERVAL) // 20:])
damaged("part-missing.jpg", ONE_INTERVAL[:at] + ONE_INTERVAL[at + len(ONE_INTERVAL) // 20:])
FOUR, _ = jpeg(SIDE, SIDE, SCENE, fourth=True)
case("four-colours.jpg", FOUR)
damaged("half-ended-four-colours.jpg", FOUR[:len(FOUR) // 2] + b"\xff\xd9")
case("few-data-left-small.jpg", BASELINE[:-2] + bytes(range(100)) + BASELINE[-2:], warning="image-data-left", **near)
damaged("interval-missing.jpg", TALL_JPEG[:ENDS[50]] + TALL_JPEG[ENDS[70]:])
damaged("interval-twice.jpg", TALL_JPEG[:ENDS[70]] + TALL_JPEG[ENDS[50]:])
dice = random.Random(13)
noise = bytearray(TALL_JPEG)
for at in dice.sample(range(len(noise) // 3, len(noise) * 2 // 3), 400):
    noise[at] = dice.randrange(255)
damaged("noise-in-the-middle.jpg", bytes(noise))
at = BASELINE.index(b"\xff\xdb")
damaged("no-quantization.jpg", BASELINE[:at] + BASELINE[at + 2 + struct.unpack_from(">H", BASELINE, at + 2)[0]:])
# What is 896 pixels wide is decoded smaller, by us: it tells what libjpeg does not.
WIDE = [row * 7 for row in SCENE]
WIDE_TALL, WIDE_PIXELS = jpeg(SIDE * 7, SIDE * 7, WIDE * 7)
at = WIDE_TALL.index(b"\xff\xc0") + 5
damaged("shorter.jpg", WIDE_TALL[:at] + struct.pack(">H", SIDE * 7 - 64) + WIDE_TALL[at + 2:])
damaged("narrower.jpg", WIDE_TALL[:at + 2] + struct.pack(">H", SIDE * 7 - 64) + WIDE_TALL[at + 4:])
case("few-data-left.jpg", WIDE_TALL[:-2] + bytes(range(200)) + WIDE_TALL[-2:], warning="image-data-left")
case("filled-up.jpg", WIDE_TALL[:-2] + bytes(2000) + WIDE_TALL[-2:])

KIND = "phone's large jpeg"
for side, times in ((10_240, 80), (14_336, 112)):
    megapixels = side * side // 1_000_000
    case(f"{megapixels}-megapixels.jpg", large_jpeg(SCENE, times), pixels=SCENE, on_average=1.5, at_most=16, squares=times)
    case(f"{megapixels}-megapixels-progressive.jpg", large_jpeg(SCENE, times, progressive=True), 413, "image-too-large",
         f"The picture of {side} × {side} pixels is progressive: {side * side * 3:,} bytes would have to be kept until its last pass")
case("104-megapixels-of-30-MB.jpg", large_jpeg(SCENE, 80, padding=30_000_000), pixels=SCENE, on_average=1.5, at_most=16, squares=80)
case("37-megapixels-progressive.jpg", large_jpeg(SCENE, 48, progressive=True), warning="image-passes-missing", imagesharp=never(6144, 6144, "JPEG"), pixels=SCENE, on_average=1.5, at_most=16, squares=48)

KIND = "jpeg of another kind"


def odd_jpeg(frame, bits, components=3):
    body = b"".join(bytes([i + 1, 0x11, 0]) for i in range(components))
    return (b"\xff\xd8" + bytes([0xFF, frame]) + struct.pack(">HBHHB", 8 + len(body), bits, 16, 16, components) + body
            + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\0\xff\xd9")


for name, frame, bits, sentence in (
        ("12-bit", 0xC1, 12, "The JPEG picture has 12 bits per sample, which is not supported"),
        ("16-bit", 0xC1, 16, "The JPEG picture has 16 bits per sample"), ("lossless-16-bit", 0xC3, 16, "The JPEG picture is losslessly coded"),
        ("arithmetic", 0xC9, 8, "The JPEG picture is arithmetically coded"), ("hierarchical", 0xC5, 8, "The JPEG picture is coded in a hierarchy")):
    refused(f"{name}.jpg", odd_jpeg(frame, bits), sentence)

# PNG ---------------------------------------------------------------------------------------------------------------------------------------------

KIND = "ordinary"
exact = {"pixels": SCENE}
PLAIN = png(SIDE, SIDE, SCENE)
case("plain.png", PLAIN, **exact)
case("interlaced.png", png(SIDE, SIDE, SCENE, interlaced=True), **exact)
case("16-bit.png", png(SIDE, SIDE, wide(SCENE), depth=16), **exact)
case("grey.png", png(SIDE, SIDE, GREY, color=0), pixels=GREY_PIXELS)
case("palette.png", png(SIDE, SIDE, INDICES, color=3, before=chunk(b"PLTE", PALETTE)), pixels=PALETTED)
case("hole.png", png(SIDE, SIDE, with_alpha(SCENE), color=6), pixels=hole(SCENE))
case("hole-16-bit-interlaced.png", png(SIDE, SIDE, wide(with_alpha(SCENE)), color=6, depth=16, interlaced=True), pixels=hole(SCENE))
# A palette may be shorter than what the picture names of it (PNG, 3rd edition, 11.2.2, calls it an error): browsers, libpng and Pillow show black.
SHORT = 64
BEYOND = {"pixels": of_palette(INDICES, PALETTE[:SHORT * 3].ljust(len(PALETTE), b"\0"))}
case("beyond-its-palette.png", png(SIDE, SIDE, INDICES, color=3, before=chunk(b"PLTE", PALETTE[:SHORT * 3])), **BEYOND)
case("beyond-its-palette-interlaced.png", png(SIDE, SIDE, INDICES, color=3, before=chunk(b"PLTE", PALETTE[:SHORT * 3]), interlaced=True), **BEYOND)
# Software of all ages wrote these; Pillow, with which models are trained, takes no notice.
for name, gamma in (("1.0", 100_000), ("0.2", 20_000), ("of-sRGB", 45_455)):
    case(f"gamma-{name}.png", png(SIDE, SIDE, SCENE, before=chunk(b"gAMA", struct.pack(">I", gamma))), **exact)
case("more-behind.png", PLAIN + b"trailing", **exact)

KIND = "damaged png"
damaged("half.png", PLAIN[:len(PLAIN) // 2])
damaged("no-end.png", PLAIN[:-500])
broken = bytearray(PLAIN)
broken[len(broken) // 2] ^= 0x55
damaged("flipped.png", bytes(broken))
case("no-end-chunk.png", PLAIN[:-12], warning="image-end-missing", **exact)


def png_of(data, header=(SIDE, SIDE, 8, 2, 0, 0, 0), between=b""):
    half = len(data) // 2
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + chunk(b"IDAT", data[:half]) + between + chunk(b"IDAT", data[half:])
            + chunk(b"IEND", b""))


FILTERED = b"".join(b"\0" + row for row in SCENE)
DEFLATED = zlib.compress(FILTERED)
case("two-chunks.png", png_of(DEFLATED), **exact)
damaged("half-of-its-rows.png", png_of(zlib.compress(FILTERED[:len(FILTERED) // 2])))
damaged("lacks-a-row.png", png_of(zlib.compress(FILTERED[:-SIDE * 3 - 1])))
damaged("half-of-its-data.png", png_of(DEFLATED[:len(DEFLATED) // 2]))
damaged("wrong-sum.png", png_of(DEFLATED[:-1] + bytes([DEFLATED[-1] ^ 1])))
damaged("flipped-before-its-sum.png", png_of(DEFLATED[:9000] + bytes([DEFLATED[9000] ^ 8]) + DEFLATED[9001:]))
damaged("text-between.png", png_of(DEFLATED, between=chunk(b"tEXt", b"Title\0between")))
damaged("no-palette.png", png_of(zlib.compress(b"".join(b"\0" + row for row in INDICES)), (SIDE, SIDE, 8, 3, 0, 0, 0)))
interlaced = png(SIDE, SIDE, SCENE, interlaced=True)
damaged("half-interlaced.png", interlaced[:len(interlaced) // 2])

KIND = "12 bits in 16"
dim = [bytes(byte for sample in row for byte in struct.pack(">H", sample << 4)) for row in GREY]
dim_sentence = "has 16 bits per sample but uses only the lowest 12 of them"
refused("12-bits-in-16.png", png(SIDE, SIDE, dim, color=0, depth=16), "The PNG picture " + dim_sentence)
refused("12-bits-in-16.tif", tiff(SIDE, SIDE, b"".join(dim), {258: [16], 262: [1], 277: [1]}, big_endian=True), "The TIFF picture " + dim_sentence)
refused("12-bits-in-16-colours.tif", tiff(SIDE, SIDE, b"".join(struct.pack("<H", value << 4) for value in RAW), {258: [16] * 3}),
        "The TIFF picture " + dim_sentence)

# TIFF --------------------------------------------------------------------------------------------------------------------------------------------

KIND = "ordinary"
case("plain.tif", tiff(SIDE, SIDE, RAW), **exact)
case("big-endian.tif", tiff(SIDE, SIDE, RAW, big_endian=True), **exact)
case("deflate.tif", tiff(SIDE, SIDE, zlib.compress(RAW), {259: [8]}), **exact)
predicted = b"".join(bytes((row[i] - (row[i - 3] if i > 2 else 0)) & 255 for i in range(len(row))) for row in SCENE)
case("predictor.tif", tiff(SIDE, SIDE, zlib.compress(predicted), {259: [8], 317: [2]}), **exact)
STRIPS = [zlib.compress(b"".join(SCENE[y:y + 16])) for y in range(0, SIDE, 16)]
case("strips.tif", tiff(SIDE, SIDE, STRIPS, {259: [8], 278: [16]}), **exact)
case("no-byte-counts.tif", tiff(SIDE, SIDE, RAW, {279: []}), imagesharp=unread("The TIFF picture does not say how long its strips are, which"), **exact)
case("white-is-zero.tif", tiff(SIDE, SIDE, b"".join(bytes(255 - value for value in row) for row in GREY), {258: [8], 262: [0], 277: [1]}),
     pixels=GREY_PIXELS)
unknown = b"".join(RAW[i:i + 3] + bytes([i & 255]) for i in range(0, len(RAW), 3))
case("unknown-sample.tif", tiff(SIDE, SIDE, unknown, {258: [8] * 4, 277: [4], 338: [0]}),
     imagesharp=unread("The TIFF picture has a sample per pixel of which it does not say what it is, which"), **exact)
PLANES = [[row[channel::3] for row in SCENE] for channel in range(3)]
case("planar.tif", tiff(SIDE, SIDE, [zlib.compress(b"".join(plane)) for plane in PLANES], {259: [8], 284: [2]}), **exact)
differences = [b"".join(bytes((row[x] - (row[x - 1] if x else 0)) & 255 for x in range(SIDE)) for row in plane) for plane in PLANES]
case("planar-predictor.tif", tiff(SIDE, SIDE, [zlib.compress(plane) for plane in differences], {259: [8], 284: [2], 317: [2]}),
     imagesharp=unread("The TIFF picture keeps its channels apart, as differences, which"), **exact)
TILES = tiles_of(SCENE, SIDE, 64)
TILED = {259: [8], 322: [64], 323: [64]}
tiled_unread = unread("The TIFF picture keeps its pixels in tiles, which")
case("tiled.tif", tiff(SIDE, SIDE, TILES, TILED), imagesharp=tiled_unread, **exact)

KIND = "damaged tiff"
broken_tile = TILES[:2] + [TILES[2][:20] + b"\x55" * (len(TILES[2]) - 20)] + TILES[3:]
damaged("tiled-broken.tif", tiff(SIDE, SIDE, broken_tile, TILED), imagesharp=tiled_unread)
damaged("tiled-empty.tif", tiff(SIDE, SIDE, TILES[:3] + [b""], TILED), imagesharp=tiled_unread)
damaged("tiled-all-broken.tif", tiff(SIDE, SIDE, [b"\x55" * 500] * 4, TILED), imagesharp=tiled_unread)
damaged("strips-broken.tif", tiff(SIDE, SIDE, STRIPS[:5] + [b"\x55" * 700] + STRIPS[6:], {259: [8], 278: [16]}))
damaged("strips-cut.tif", tiff(SIDE, SIDE, RAW)[:8 + len(RAW) // 2])
short = tiff(SIDE, SIDE, RAW, {279: [len(RAW) // 2]})
# A strip that says that it is shorter than its rows: readers go by the rows.
case("strip-too-short.tif", short, imagesharp={"status": 422, "code": "invalid-image"}, **exact)
damaged("deflated-strip-too-short.tif", tiff(SIDE, SIDE, STRIPS[:5] + [zlib.compress(b"".join(SCENE[80:84]))] + STRIPS[6:], {259: [8], 278: [16]}))
damaged("deflated-strip-cut.tif", tiff(SIDE, SIDE, STRIPS[:5] + [STRIPS[5][:400]] + STRIPS[6:], {259: [8], 278: [16]}))
damaged("deflated-strip-wrong-sum.tif", tiff(SIDE, SIDE, STRIPS[:5] + [STRIPS[5][:-1] + bytes([STRIPS[5][-1] ^ 1])] + STRIPS[6:], {259: [8], 278: [16]}))
damaged("deflated-strip-empty.tif", tiff(SIDE, SIDE, STRIPS[:5] + [b""] + STRIPS[6:], {259: [8], 278: [16]}))
damaged("strips-too-few.tif", tiff(SIDE, SIDE, STRIPS[:7], {259: [8], 278: [16]}))
damaged("strip-outside.tif", tiff(SIDE, SIDE, RAW, {273: [900_000]}))
for name, number, pack in (("packbits", 32773, packbits), ("lzw", 5, lzw)):
    packed = [pack(b"".join(SCENE[y:y + 16])) for y in range(0, SIDE, 16)]
    case(f"{name}.tif", tiff(SIDE, SIDE, packed, {259: [number], 278: [16]}), kind="ordinary", **exact)
    damaged(f"{name}-strip-cut.tif", tiff(SIDE, SIDE, packed[:5] + [packed[5][:800]] + packed[6:], {259: [number], 278: [16]}))
    damaged(f"{name}-strip-empty.tif", tiff(SIDE, SIDE, packed[:5] + [b""] + packed[6:], {259: [number], 278: [16]}))
fax = {258: [1], 259: [4], 262: [0], 277: [1]}
case("fax.tif", tiff(512, 512, b"\xff" * 64 + b"\x00\x10\x01", fax), kind="ordinary", pixels=[WHITE * 8] * 8, squares=64)
damaged("fax-cut.tif", tiff(512, 512, b"\xff" * 20, fax))
damaged("fax-ends-early.tif", tiff(512, 512, b"\xff" * 20 + b"\x00\x10\x01", fax), imagesharp={"status": 415, "code": "unsupported-image"})
in_tiff = {259: [7], 262: [6], 530: [1, 1]}
for name, tags in (("jpeg", in_tiff), ("jpeg-unsaid-sampling", {259: [7], 262: [6]})):
    case(f"{name}.tif", tiff(SIDE, SIDE, BASELINE, tags), kind="ordinary", pixels=SCENE, on_average=2, at_most=40)
half_jpeg = BASELINE[:len(BASELINE) // 2]
damaged("jpeg-half.tif", tiff(SIDE, SIDE, half_jpeg, in_tiff))
damaged("jpeg-half-ended.tif", tiff(SIDE, SIDE, half_jpeg + b"\xff\xd9", in_tiff))
damaged("jpeg-zeros-in-the-middle.tif", tiff(SIDE, SIDE, half_jpeg + bytes(500) + BASELINE[len(half_jpeg) + 500:], in_tiff))
damaged("jpeg-strip-half.tif", tiff(SIDE, SIDE * 2, [BASELINE, half_jpeg + b"\xff\xd9"], in_tiff | {278: [SIDE]}))
damaged("jpeg-tile-half.tif", tiff(SIDE * 2, SIDE, [BASELINE, half_jpeg + b"\xff\xd9"], in_tiff | {322: [SIDE], 323: [SIDE]}), imagesharp=tiled_unread)

KIND = "tiff of another kind"
FLOATS = b"".join(struct.pack("<f", value / 255) for value in RAW)
for name, file, sentence in (
        ("float", tiff(SIDE, SIDE, FLOATS, {258: [32] * 3, 339: [3] * 3}), "has floating-point samples"),
        ("half-float", tiff(SIDE, SIDE, bytes(len(RAW) * 2), {258: [16] * 3, 339: [3] * 3}), "has floating-point samples"),
        ("double", tiff(SIDE, SIDE, bytes(len(RAW) * 8), {258: [64] * 3, 339: [3] * 3}), "has floating-point samples"),
        ("signed-8", tiff(SIDE, SIDE, bytes((value - 128) & 255 for value in RAW), {339: [2] * 3}), "has signed samples"),
        ("signed-16", tiff(SIDE, SIDE, bytes(len(RAW) * 2), {258: [16] * 3, 339: [2] * 3}), "has signed samples"),
        ("packed-12", tiff(SIDE, SIDE, bytes(len(RAW) * 3 // 2), {258: [12] * 3}), "has 12 bits per sample"),
        ("32-bit", tiff(SIDE, SIDE, bytes(len(RAW) * 4), {258: [32] * 3}), "has 32 bits per sample"),
        ("old-jpeg", tiff(SIDE, SIDE, BASELINE, {259: [6], 262: [6]}), "is compressed with old-style JPEG"),
        ("tiled-planar", tiff(SIDE, SIDE, [bytes(64 * 64)] * 12, {284: [2], 322: [64], 323: [64]}), "keeps its channels apart and in tiles"),
        ("lab", tiff(SIDE, SIDE, RAW, {262: [8]}), "is in the colour space L*a*b*"),
        ("icc-lab", tiff(SIDE, SIDE, RAW, {262: [9]}), "is in the colour space L*a*b*"),
        ("ycbcr", tiff(SIDE, SIDE, zlib.compress(RAW), {259: [8], 262: [6]}), "is in YCbCr and does not say how its colours are sampled"),
        ("zstd", tiff(SIDE, SIDE, b"\x28\xb5\x2f\xfd" + bytes(500), {259: [50000]}), "is compressed with Zstandard"),
        ("lzma", tiff(SIDE, SIDE, b"\xfd7zXZ" + bytes(500), {259: [34925]}), "is compressed with LZMA"),
        ("webp", tiff(SIDE, SIDE, bytes(500), {259: [50001]}), "is compressed with WebP")):
    refused(f"{name}.tif", file, f"The TIFF picture {sentence}, which is not supported: save it with 8 or 16 bits per channel")

# GIF ---------------------------------------------------------------------------------------------------------------------------------------------

KIND = "ordinary"
case("plain.gif", gif(SIDE, SIDE, INDICES), pixels=PALETTED)
whole = gif(SIDE, SIDE, INDICES)
case("beyond-its-palette.gif", whole[:10] + b"\xf5" + whole[11:13 + SHORT * 3] + whole[13 + len(PALETTE):], **BEYOND)
case("interlaced.gif", gif(SIDE, SIDE, INDICES, interlaced=True), pixels=PALETTED)
case("animated.gif", gif(SIDE, SIDE, INDICES, frames=3), pixels=PALETTED)

KIND = "first frame smaller than its canvas"
AROUND = [bytes([255] * 3 * (SIDE + 60))] * 20 + [WHITE * 40 + row + WHITE * 20 for row in PALETTED] + [bytes([255] * 3 * (SIDE + 60))] * 10
case("small-frame.gif", gif(SIDE + 60, SIDE + 30, INDICES, left=40, top=20), pixels=AROUND)
case("small-frames.gif", gif(SIDE + 60, SIDE + 30, INDICES, left=40, top=20, frames=2), pixels=AROUND)

KIND = "damaged gif"
damaged("half.gif", gif(SIDE, SIDE, INDICES)[:9000])
damaged("ends-early.gif", whole[:9000] + b"\0;")
damaged("zeros-in-the-middle.gif", whole[:9000] + bytes(600) + whole[9600:], "The GIF picture is truncated or damaged from row")
damaged("interlaced-ends-early.gif", gif(SIDE, SIDE, INDICES, interlaced=True)[:9000] + b"\0;")
dice = random.Random(14)
damaged("no-colours.gif", whole[:10] + bytes([whole[10] & 0x7F]) + whole[11:13] + whole[13 + len(PALETTE):])
more = bytearray(gif(SIDE, SIDE, INDICES + INDICES[:2]))
struct.pack_into("<H", more, 13 + len(PALETTE) + 7, SIDE)
case("more-pixels-than-rows.gif", bytes(more), warning="image-data-left", pixels=PALETTED)
damaged("noise-in-the-middle.gif", whole[:5000] + bytes(dice.randrange(1, 255) for _ in range(600)) + whole[5600:])

# WebP --------------------------------------------------------------------------------------------------------------------------------------------

KIND = "ordinary"
LOSSLESS = vp8l(SIDE, SIDE, SCENE)
case("lossless.webp", riff([(b"VP8L", LOSSLESS)]), **exact)
TURNED = [b"".join(SCENE[SIDE - 1 - x][y * 3:y * 3 + 3] for x in range(SIDE)) for y in range(SIDE)]
exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
case("turned.webp", riff([(b"VP8X", b"\x08\0\0\0" + struct.pack("<I", SIDE - 1)[:3] * 2), (b"VP8L", LOSSLESS), (b"EXIF", exif)]), pixels=TURNED)
damaged("half.webp", riff([(b"VP8L", LOSSLESS)])[:20_000])
padded_sentence = "The WEBP picture is damaged: from byte "
damaged("half-padded.webp", riff([(b"VP8L", LOSSLESS[:20_000] + bytes(len(LOSSLESS) - 20_000))]), padded_sentence)
lossy = open(os.path.join(HERE, "encoded/scene.webp"), "rb").read()
LOSSY = lossy[20:20 + struct.unpack_from("<I", lossy, 16)[0]]
for percent in (30, 60, 90, 97):
    damaged(f"{percent}-percent.webp", riff([(b"VP8 ", LOSSY[:len(LOSSY) * percent // 100])]))
    damaged(f"{percent}-percent-lossless.webp", riff([(b"VP8L", LOSSLESS[:len(LOSSLESS) * percent // 100])]))
canvas = struct.pack("<I", SIDE - 1)[:3] * 2
damaged("canvas-lies.webp", riff([(b"VP8X", bytes(4) + struct.pack("<I", 2 * SIDE - 1)[:3] * 2), (b"VP8 ", LOSSY)]))
damaged("transparency-short.webp", riff([(b"VP8X", b"\x10\0\0\0" + canvas), (b"ALPH", b"\0" + bytes(SIDE * SIDE // 2)), (b"VP8 ", LOSSY)]))


def frame(data):
    return bytes(6) + canvas + b"\x64\0\0\0" + b"VP8 " + struct.pack("<I", len(data)) + data + bytes(len(data) & 1)


animated = [(b"VP8X", b"\x02\0\0\0" + canvas), (b"ANIM", bytes(6))]
case("animated.webp", riff(animated + [(b"ANMF", frame(LOSSY))] * 2), kind="ordinary", pixels=SCENE, on_average=4, at_most=90)
damaged("first-frame-cut.webp", riff(animated + [(b"ANMF", frame(LOSSY[:len(LOSSY) // 2])), (b"ANMF", frame(LOSSY))]))
damaged("half-padded-lossy.webp", lossy[:len(lossy) // 2] + bytes(len(lossy) - len(lossy) // 2), padded_sentence)

# AVIF, around the data of the scene that lie in encoded/ -------------------------------------------------------------------------------------------

KIND = "damaged avif"
avif_unread = unread("The AVIF picture is not read by")
ONE, = items_of(open(os.path.join(HERE, "encoded/scene.avif"), "rb").read())
_, *QUARTERS = items_of(open(os.path.join(HERE, "encoded/scene-grid.avif"), "rb").read())
OF_TILES = [(b"dimg", 1, [2, 3, 4, 5])]


def whole(data=ONE, side=SIDE, alpha=False):
    return b"av01", data, side, alpha


def tiles(third=QUARTERS[2], rows=2, columns=2, side=SIDE, alpha=False):
    quarters = QUARTERS[:2] + [third] + QUARTERS[3:]
    return [(b"grid", grid(rows, columns, side, side), side, alpha)] + [whole(quarter, SIDE // 2, alpha) for quarter in quarters]


def flipped(data):
    return data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]


close = {"pixels": SCENE, "on_average": 2, "at_most": 40, "imagesharp": avif_unread}
case("one-item.avif", avif([whole()]), kind="ordinary", **close)
case("grid.avif", avif(tiles(), OF_TILES), kind="ordinary", **close)
case("grid-with-alpha.avif", avif(tiles() + tiles(alpha=True), OF_TILES + [(b"auxl", 6, [1]), (b"dimg", 6, [7, 8, 9, 10])]), kind="ordinary",
     imagesharp=avif_unread)
for name, file in (
        ("flipped", avif([whole(flipped(ONE))])), ("half", avif([whole(ONE[:len(ONE) // 2])])), ("empty", avif([whole(b"")])),
        ("half-padded", avif([whole(ONE[:len(ONE) // 2] + bytes(len(ONE) // 2))])), ("cut", avif([whole()])[:-3000]),
        ("place-outside", avif([whole()], places={1: (400_000, 5000)})), ("place-too-long", avif([whole()], places={1: (300, 400_000)})),
        ("size-lies", avif([whole(side=200)])), ("alpha-flipped", avif([whole(), whole(flipped(ONE), alpha=True)], [(b"auxl", 2, [1])])),
        ("tile-flipped", avif(tiles(flipped(QUARTERS[2])), OF_TILES)), ("tile-empty", avif(tiles(b""), OF_TILES)),
        ("tile-half", avif(tiles(QUARTERS[2][:1000]), OF_TILES)), ("tile-zeros", avif(tiles(bytes(2000)), OF_TILES)),
        ("tile-outside", avif(tiles(), OF_TILES, {4: (400_000, 2000)})), ("tile-too-long", avif(tiles(), OF_TILES, {4: (3000, 400_000)})),
        ("tiles-cut", avif(tiles(), OF_TILES)[:-1500]), ("tile-unnamed", avif(tiles(), [(b"dimg", 1, [2, 3, 4])])),
        ("tile-missing", avif(tiles(), [(b"dimg", 1, [2, 3, 4, 9])])), ("tiles-too-few", avif(tiles(side=140), OF_TILES)),
        ("tiles-too-many", avif(tiles(side=64), OF_TILES)), ("tiles-too-large", avif(tiles(rows=1, columns=4), OF_TILES)),
        ("alpha-tile-flipped", avif(tiles() + tiles(flipped(QUARTERS[2]), alpha=True),
                                    OF_TILES + [(b"auxl", 6, [1]), (b"dimg", 6, [7, 8, 9, 10])]))):
    damaged(f"{name}.avif", file, imagesharp=avif_unread)

# BMP, icons, Netpbm: small and common ------------------------------------------------------------------------------------------------------------

KIND = "bmp"
case("24.bmp", bmp(SIDE, SIDE, bgr(SCENE)), **exact)
case("core.bmp", bmp(SIDE, SIDE, bgr(SCENE), core=True), **exact)
case("top-down.bmp", bmp(SIDE, SIDE, bgr(SCENE), top_down=True), **exact)
padded = [b"".join(row[x:x + 3][::-1] + b"\0" for x in range(0, len(row), 3)) for row in SCENE]
case("32.bmp", bmp(SIDE, SIDE, padded, 32), **exact)
unused = [b"".join(row[x:x + 3][::-1] + bytes([y]) for x in range(0, len(row), 3)) for y, row in enumerate(SCENE)]
case("32-unused-byte.bmp", bmp(SIDE, SIDE, unused, 32), **exact)
COLORS = b"".join(PALETTE[i:i + 3][::-1] + b"\0" for i in range(0, 768, 3))
case("8.bmp", bmp(SIDE, SIDE, INDICES, 8, COLORS), pixels=PALETTED)
case("beyond-its-palette.bmp", bmp(SIDE, SIDE, INDICES, 8, COLORS[:SHORT * 4], named=SHORT), **BEYOND)
# Nothing is beyond it here: most pictures of few colours are such.
FEW = [bytes(value & SHORT - 1 for value in line) for line in INDICES]
case("few-colours.bmp", bmp(SIDE, SIDE, FEW, 8, COLORS[:SHORT * 4], named=SHORT), pixels=of_palette(FEW))
case("few-colours-old-header.bmp", bmp(SIDE, SIDE, FEW, 8, b"".join(COLORS[i:i + 3] for i in range(0, SHORT * 4, 4)), core=True), pixels=of_palette(FEW))
runs = b"".join(b"".join(bytes([1, index]) for index in row) + b"\0\0" for row in INDICES[::-1]) + b"\0\x01"
case("run-length.bmp", bmp(SIDE, SIDE, None, 8, COLORS, compression=1, data=runs), pixels=PALETTED)
five = [[(r >> 3, g >> 3, b >> 3) for r, g, b in zip(row[0::3], row[1::3], row[2::3])] for row in SCENE]
case("555.bmp", bmp(SIDE, SIDE, [b"".join(struct.pack("<H", r << 10 | g << 5 | b) for r, g, b in row) for row in five], 16),
     pixels=[bytes(value * 255 // 31 for pixel in row for value in pixel) for row in five], on_average=1, at_most=2)
for widths, name in (((4, 4, 4, 4), "4444.bmp"), ((2, 3, 1), "231.bmp"), ((6, 6, 4), "664.bmp"), ((10, 10, 10, 2), "1010102.bmp"), ((11, 11, 10), "111110.bmp"),
                     ((5, 6, 5), "565.bmp"), ((8, 8, 8, 8), "8888.bmp")):
    # Red lies highest, opacity above all; the upper half is opaque, the lower one as much as its largest number but one allows.
    size = 16 if sum(widths) <= 16 else 32
    shifts = [sum(widths[i + 1:3]) for i in range(3)] + [sum(widths[:3])]
    rows, pixels = [], []
    for y, row in enumerate(SCENE):
        packed, shown = b"", b""
        for x in range(0, len(row), 3):
            values = [(value * ((1 << width) - 1) + 127) // 255 for value, width in zip(row[x:x + 3], widths)]
            opaque = 1.0
            if len(widths) == 4:
                most = (1 << widths[3]) - 1
                values.append(most if y < SIDE // 2 else most - 1)
                opaque = values[3] / most
            packed += sum(value << shift for value, shift in zip(values, shifts)).to_bytes(size // 8, "little")
            shown += bytes(round(255 + (value * 255 / ((1 << width) - 1) - 255) * opaque) for value, width in zip(values[:3], widths))
        rows.append(packed)
        pixels.append(shown)
    masks = b"".join(struct.pack("<I", ((1 << width) - 1) << shift) for width, shift in zip(widths, shifts))
    case(name, bmp(SIDE, SIDE, rows, size, compression=3, masks=masks), pixels=pixels, on_average=0.5, at_most=2)
apart = b"".join(struct.pack("<I", mask) for mask in (0xA000, 0x0F0, 0x00F))
refused("masks-apart.bmp", bmp(SIDE, SIDE, [bytes(2 * SIDE)] * SIDE, 16, compression=3, masks=apart), "The BMP picture has colours whose bits lie apart or are shared")
damaged("masks-of-nothing.bmp", bmp(SIDE, SIDE, [bytes(2 * SIDE)] * SIDE, 16, compression=3, masks=bytes(12)))
bits = [bytes(sum((row[x + i] > 127) << 7 - i for i in range(8)) for x in range(0, SIDE, 8)) for row in GREY]
BITMAP = [b"".join(WHITE if sample > 127 else BLACK for sample in row) for row in GREY]
case("1.bmp", bmp(SIDE, SIDE, bits, 1, b"\0\0\0\0\xff\xff\xff\0"), pixels=BITMAP)
turned = [bytes(int(f"{byte:08b}"[::-1], 2) for byte in row) for row in bits]
case("bits-reversed.tif", tiff(SIDE, SIDE, b"".join(turned), {258: [1], 262: [1], 266: [2], 277: [1]}), kind="ordinary",
     imagesharp=unread("The TIFF picture has its bits the other way round, which"), pixels=BITMAP)
case("bits-reversed-deflate.tif", tiff(SIDE, SIDE, bytes(int(f"{byte:08b}"[::-1], 2) for byte in zlib.compress(RAW)), {259: [8], 266: [2]}), kind="ordinary",
     imagesharp=unread("The TIFF picture has its bits the other way round, which"), **exact)
# ImageMagick codes rows as they lie in a file without runs, up to three pixels longer.
ODD = [row[:SIDE - 3] for row in INDICES]
beyond = b"".join(b"".join(bytes([1, index]) for index in row + bytes(3)) + b"\0\0" for row in ODD[::-1]) + b"\0\x01"
case("run-length-beyond-its-row.bmp", bmp(SIDE - 3, SIDE, None, 8, COLORS, compression=1, data=beyond), pixels=of_palette(ODD))
plain_runs = b"".join(b"\0" + bytes([SIDE]) + row + b"\0\0" for row in INDICES[::-1]) + b"\0\x01"
case("run-length-as-they-are.bmp", bmp(SIDE, SIDE, None, 8, COLORS, compression=1, data=plain_runs), pixels=PALETTED)
SIXTEEN = [bytes(value >> 4 for value in row) for row in GREY]
greys = b"".join(bytes([value * 17] * 3 + [0]) for value in range(16))
pairs = b"".join(b"".join(bytes([2, row[x] << 4 | row[x + 1]]) for x in range(0, SIDE, 2)) + b"\0\0" for row in SIXTEEN[::-1]) + b"\0\x01"
case("run-length-4.bmp", bmp(SIDE, SIDE, None, 4, greys, compression=2, data=pairs), pixels=[bytes(value * 17 for value in row for _ in range(3)) for row in SIXTEEN])
damaged("run-length-rows-end-early.bmp", bmp(SIDE, SIDE, None, 8, COLORS, compression=1,
                                             data=runs[:len(runs) // 2] + bytes(60) + runs[len(runs) // 2 + 60:]))
damaged("run-length-part-twice.bmp", bmp(SIDE, SIDE, None, 8, COLORS, compression=1, data=runs[:9000] + runs[8800:]))
damaged("run-length-half.bmp", bmp(SIDE, SIDE, None, 8, COLORS, compression=1, data=runs[:len(runs) // 2] + b"\0\x01"))
damaged("colours-short.bmp", bmp(SIDE, SIDE, INDICES, 8, COLORS[:64]))
damaged("place-outside.bmp", bmp(SIDE, SIDE, bgr(SCENE))[:10] + struct.pack("<I", 40_000) + bmp(SIDE, SIDE, bgr(SCENE))[14:])
plain = bmp(SIDE, SIDE, bgr(SCENE))
refused("13-bits.bmp", plain[:28] + struct.pack("<H", 13) + plain[30:], "The BMP picture has 13 bits per pixel, which is not supported")
damaged("half.bmp", bmp(SIDE, SIDE, bgr(SCENE))[:20_000])

KIND = "icon"
no_mask = [bytes(SIDE // 8)] * SIDE
case("24.ico", icon([(SIDE, 24, icon_bmp(SIDE, bgr(SCENE), 24, no_mask))]), **exact)
opaque = [b"".join(row[x:x + 3][::-1] + b"\xff" for x in range(0, len(row), 3)) for row in SCENE]
case("32.ico", icon([(SIDE, 32, icon_bmp(SIDE, opaque, 32, no_mask))]), **exact)
half_mask = [b"\xff" * (SIDE // 8)] * (SIDE // 2) + [bytes(SIDE // 8)] * (SIDE // 2)
case("masked.ico", icon([(SIDE, 24, icon_bmp(SIDE, bgr(SCENE), 24, half_mask))]), pixels=hole(SCENE))
case("png.ico", icon([(16, 24, icon_bmp(16, [bytes(48)] * 16, 24, [bytes(2)] * 16)), (SIDE, 32, PLAIN)]), **exact)
damaged("cut-with-a-smaller-one.ico", icon([(16, 24, icon_bmp(16, [bytes(48)] * 16, 24, [bytes(2)] * 16)), (SIDE, 32, PLAIN)])[:-2000])
damaged("half-a-mask.ico", icon([(SIDE, 24, icon_bmp(SIDE, bgr(SCENE), 24, half_mask)[:-1000])]))
damaged("place-outside.ico", icon([(SIDE, 32, PLAIN)])[:18] + struct.pack("<I", 999_999) + icon([(SIDE, 32, PLAIN)])[22:])
damaged("png-cut.ico", icon([(SIDE, 32, PLAIN[:12_000])]))
damaged("half.ico", icon([(SIDE, 24, icon_bmp(SIDE, bgr(SCENE), 24, no_mask))])[:9000])

KIND = "netpbm"
case("6.ppm", netpbm(6, SIDE, SIDE, RAW), **exact)
case("3.ppm", netpbm(3, SIDE, SIDE, " ".join(map(str, RAW)).encode()), **exact)
case("16-bit.ppm", netpbm(6, SIDE, SIDE, b"".join(wide(SCENE)), 65_535), **exact)
case("5.pgm", netpbm(5, SIDE, SIDE, b"".join(GREY)), pixels=GREY_PIXELS)
case("2.pgm", netpbm(2, SIDE, SIDE, " ".join(str(value) for row in GREY for value in row).encode()), pixels=GREY_PIXELS)
case("4.pbm", netpbm(4, SIDE, SIDE, b"".join(bytes(255 - value for value in row) for row in bits)), pixels=BITMAP)
case("1.pbm", netpbm(1, SIDE, SIDE, " ".join("01"[sample <= 127] for row in GREY for sample in row).encode()), pixels=BITMAP)
for most in (15, 100, 1023, 4095):
    one_of = [value * most // 255 for value in RAW]
    shown = [bytes((one_of[y * SIDE * 3 + x] * 255 + most // 2) // most for x in range(SIDE * 3)) for y in range(SIDE)]
    samples = bytes(one_of) if most < 256 else b"".join(struct.pack(">H", value) for value in one_of)
    case(f"{most}.ppm", netpbm(6, SIDE, SIDE, samples, most), pixels=shown)
    case(f"{most}-text.ppm", netpbm(3, SIDE, SIDE, " ".join(map(str, one_of)).encode(), most), pixels=shown)
case("1-without-blanks.pbm", netpbm(1, SIDE, SIDE, "".join("01"[sample <= 127] for row in GREY for sample in row).encode()), pixels=BITMAP)
damaged("more-than-the-most.ppm", netpbm(3, SIDE, SIDE, b"200 " * len(RAW), 100))
damaged("lacks-a-byte.ppm", netpbm(6, SIDE, SIDE, RAW[:-1]))
damaged("lacks-numbers.pgm", netpbm(2, SIDE, SIDE, " ".join(map(str, b"".join(GREY)[:-2])).encode()))
damaged("lacks-bytes.pbm", netpbm(4, SIDE, SIDE, bytes(SIDE * SIDE // 8 - 5)))
damaged("letters.ppm", netpbm(3, SIDE, SIDE, (" ".join(map(str, RAW[:30_000])) + " x12 " + " ".join(map(str, RAW[30_001:]))).encode()))
damaged("half.ppm", netpbm(6, SIDE, SIDE, RAW)[:20_000])

# Other containers --------------------------------------------------------------------------------------------------------------------------------

KIND = "of another kind"
for name, file, sentence in (
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"), ("scan.pdf", b"%PDF-1.7\n", "a PDF document"),
        ("page.html", b"<!doctype html><title>404</title>", "a web page"), ("photo.jxl", b"\xff\x0a" + bytes(50), "a JPEG XL picture"),
        ("scan.pcx", b"\x0a\x05\x01\x08" + bytes(200), "a PCX picture"), ("arrow.cur", b"\0\0\x02\0\x01\0" + bytes(200), "a cursor"),
        ("photo.cr3", struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + bytes(200), "the raw data of a camera's sensor"),
        ("plot.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript document"), ("scan.dcm", bytes(128) + b"DICM" + bytes(50), "a DICOM picture"),
        ("icon.icns", b"icns" + bytes(200), "an ICNS icon"), ("texture.dds", b"DDS |" + bytes(200), "a DDS texture"),
        ("scan.pam", b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\n\1\2\3", "a PAM picture"), ("depth.pfm", b"PF\n1 1\n-1.0\n" + bytes(12), "a PFM picture"), ("note.txt", b"some words\n", "text")):
    refused(name, file, sentence)

# What takes memory -------------------------------------------------------------------------------------------------------------------------------

KIND = "large"


flat = bytes([170, 60, 40])
one = {"pixels": [flat * 8] * 8, "on_average": 0.5, "at_most": 1}
case("25-megapixels-interlaced.png", png(5000, 5000, [bytes([120]) * 5000] * 5000, color=0, interlaced=True), pixels=[bytes([120] * 24)] * 8, squares=625)
case("25-megapixels-interlaced-colour.png", png(5000, 5000, [flat * 5000] * 5000, interlaced=True), squares=625, **one)
case("18-megapixels-interlaced-16-bit.png", png(4500, 4000, [bytes([1, 2, 3, 4, 5, 6, 255, 255]) * 4500] * 4000, color=6, depth=16, interlaced=True),
     imagesharp={"status": 200}, **never(4500, 4000, "PNG"))
case("48-megapixels.png", png(8000, 6000, [flat * 8000] * 6000), squares=1000, pixels=[flat * 8] * 6, imagesharp=never(8000, 6000, "PNG"))
# Group 4: a row that is as the one above, or all white, is one bit.
case("15-megapixels-fax.tif", tiff(4000, 3750, b"\xff" * 468 + b"\xfc\x00\x10\x01", {258: [1], 259: [4], 262: [0], 277: [1]}),
     pixels=[WHITE * 16] * 15, squares=250)
case("25-megapixels-one-strip.tif", tiff(5000, 5000, zlib.compress(flat * 25_000_000, 1), {259: [8]}), **never(5000, 5000, "TIFF"))
case("25-megapixels-strips.tif", tiff(5000, 5000, [zlib.compress(flat * 5000 * 50, 1)] * 100, {259: [8], 278: [50]}), squares=625,
     **one)
case("one-row-of-tiles.tif", tiff(65_535, 762, [bytes(7000)], {258: [16] * 4, 277: [4], 338: [2], 322: [65_536], 323: [768]}),
     **never(65_535, 762, "TIFF"))
case("41-megapixels.webp", riff([(b"VP8L", vp8l(7400, 5600, color=(170, 60, 40)))]), squares=200, pixels=[flat * 37] * 28, on_average=0.5, at_most=1,
     imagesharp=never(7400, 5600, "WEBP"))
case("16-megapixels.webp", riff([(b"VP8L", vp8l(4000, 4000, color=(170, 60, 40)))]), squares=500, imagesharp=never(4000, 4000, "WEBP"), **one)
case("16-megapixels.gif", gif(4000, 4000, [bytes(4000)] * 16, left=0, top=1992), squares=500,
     pixels=[WHITE * 8] * 8, on_average=1.1, at_most=5)
row = b"".join(bytes([250, 7]) for _ in range(32)) + b"\0\0"
case("48-megapixels.bmp", bmp(8000, 6000, None, 8, COLORS, compression=1, data=row * 6000 + b"\0\1"), **never(8000, 6000, "BMP"))
case("12-megapixels.bmp", bmp(4000, 3000, None, 8, COLORS, compression=1, data=(row[:32] + b"\0\0") * 3000 + b"\0\1"),
     pixels=of_palette([bytes([7]) * 8] * 6), squares=500)

# Encoded ahead -----------------------------------------------------------------------------------------------------------------------------------

for name, expected in json.load(open(os.path.join(HERE, "encoded/expected.json"))).items():
    KIND = expected.pop("kind")
    with open(os.path.join(HERE, "encoded", name), "rb") as encoded:
        shown = {"pixels": SCENE} if expected.pop("scene", False) else {}
        case(name, encoded.read(), **shown, **expected)

with open(os.path.join(OUT, "cases.json"), "w") as out:
    json.dump(CASES, out, indent=1)
