"""Writers of picture formats in the standard library alone: enough of each for what make.py wants, and no more.

A picture is a list of rows, each `bytes` of R G B.
"""
import math
import struct
import zlib


def bits_of(pairs):
    """Bits, the first one highest in its byte: (value, count) …; the last byte is filled with ones, as JPEG wants it."""
    accumulator, held, out = 0, 0, bytearray()
    for value, count in pairs:
        accumulator = (accumulator << count) | value
        held += count
        while held >= 8:
            held -= 8
            out.append((accumulator >> held) & 255)
        accumulator &= (1 << held) - 1
    if held:
        out.append(((accumulator << (8 - held)) | ((1 << (8 - held)) - 1)) & 255)
    return bytes(out)


# PNG, ISO/IEC 15948 ------------------------------------------------------------------------------------------------------------------------------

def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, rows, color=2, depth=8, interlaced=False, before=b"", behind=b""):
    """Rows as the colour type has them, 8 or 16 bits; Adam7 where it is interlaced."""
    size = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color] * depth // 8
    compressor = zlib.compressobj(6 if width * height < 1_000_000 else 1)
    data = []

    def passes():
        if not interlaced:
            yield 0, 0, 1, 1
            return
        yield from [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]

    for left, top, across, down in passes():
        if left >= width:
            continue
        for row in rows[top::down]:
            part = row
            if across > 1:
                columns = [row[i + left * size::across * size] for i in range(size)]
                part = bytearray(len(columns[-1]) * size)
                for i, column in enumerate(columns):
                    part[i::size] = column[:len(columns[-1])]
            data.append(compressor.compress(b"\0" + bytes(part)))
    data.append(compressor.flush())
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", b"".join(data)) + behind + chunk(b"IEND", b""))


def read_png(file):
    """The rows of a picture of 8-bit RGB or RGBA that is not interlaced, laid on white."""
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", file[16:29])
    assert depth == 8 and color in (2, 6) and not interlaced
    at, data = 8, b""
    while at < len(file):
        length, name = struct.unpack(">I4s", file[at:at + 8])
        data += file[at + 8:at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    size = 3 if color == 2 else 4
    raw, above, rows = zlib.decompress(data), bytearray(width * size), []
    for y in range(height):
        kind, row = raw[y * (width * size + 1)], bytearray(raw[y * (width * size + 1) + 1:(y + 1) * (width * size + 1)])
        for i in range(len(row)):
            a, b, c = row[i - size] if i >= size else 0, above[i], above[i - size] if i >= size else 0
            p = a + b - c
            paeth = a if abs(p - a) <= abs(p - b) and abs(p - a) <= abs(p - c) else b if abs(p - b) <= abs(p - c) else c
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        above = row
        if color == 6:
            row = bytes((row[i + c] * row[i + 3] + 255 * (255 - row[i + 3]) + 127) // 255 for i in range(0, len(row), 4) for c in range(3))
        rows.append(bytes(row))
    return width, height, rows


# JPEG, ITU-T T.81 --------------------------------------------------------------------------------------------------------------------------------

ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i % 8 if (i // 8 + i % 8) % 2 == 0 else i // 8)))

# Annex K.3: codes per length, and their symbols.
DC_COUNTS, DC_SYMBOLS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]), bytes(range(12))
AC_COUNTS = bytes([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125])
AC_SYMBOLS = bytes.fromhex(
    "010203000411051221314106135161072271143281 91A1082342B1C11552D1F02433627282090A161718191A25262728292A3435363738393A434445464748494A53545556"
    "5758595A636465666768696A737475767778797A838485868788898A92939495969798999AA2A3A4A5A6A7A8A9AAB2B3B4B5B6B7B8B9BAC2C3C4C5C6C7C8C9CAD2D3D4D5"
    "D6D7D8D9DAE1E2E3E4E5E6E7E8E9EAF1F2F3F4F5F6F7F8F9FA".replace(" ", ""))


def codes_of(counts, symbols):
    code, at, codes = 0, 0, {}
    for length, count in enumerate(counts, 1):
        for symbol in symbols[at:at + count]:
            codes[symbol] = (code, length)
            code += 1
        at, code = at + count, code << 1
    return codes


DC, AC = codes_of(DC_COUNTS, DC_SYMBOLS), codes_of(AC_COUNTS, AC_SYMBOLS)
COSINES = [[math.cos((2 * x + 1) * u * math.pi / 16) * (math.sqrt(0.125) if u == 0 else 0.5) for x in range(8)] for u in range(8)]


def transform(block, inverse):
    """The discrete cosine transform of 64 numbers, in double precision."""
    table = list(zip(*COSINES)) if inverse else COSINES
    half = [sum(table[u][x] * block[y * 8 + x] for x in range(8)) for y in range(8) for u in range(8)]
    return [sum(table[v][y] * half[y * 8 + u] for y in range(8)) for v in range(8) for u in range(8)]


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def coefficient(value):
    size = abs(value).bit_length()
    return size, (value if value >= 0 else value + (1 << size) - 1, size)


def dc_of(block, before):
    size, extra = coefficient(block[0] - before)
    return [DC[size], extra] if size else [DC[0]]


def ac_of(block):
    pairs, run = [], 0
    for i in ZIGZAG[1:]:
        if block[i] == 0:
            run += 1
            continue
        while run > 15:
            pairs.append(AC[0xF0])
            run -= 16
        size, extra = coefficient(block[i])
        pairs += [AC[run << 4 | size], extra]
        run = 0
    return pairs + ([AC[0]] if run else [])


def stuffed(pairs):
    return bits_of(pairs).replace(b"\xff", b"\xff\0")


def jpeg(width, height, rows, quantum=4, halved=False, progressive=False, restarts=False, before=b"", fourth=False):
    """
    A JPEG of full units, and what a decoder in double precision makes of it (None with halved or four colours). Progressive: the means of all components in
    one scan, or each component's in one of its own ("apart"), then a scan for each component's other coefficients.
    """
    planes = [[], [], []]
    for row in rows:
        r, g, b = row[0::3], row[1::3], row[2::3]
        planes[0].append([0.299 * p + 0.587 * q + 0.114 * s for p, q, s in zip(r, g, b)])
        planes[1].append([128 - 0.168736 * p - 0.331264 * q + 0.5 * s for p, q, s in zip(r, g, b)])
        planes[2].append([128 + 0.5 * p - 0.418688 * q - 0.081312 * s for p, q, s in zip(r, g, b)])
    if fourth:
        planes.append(planes[0])
    if halved:
        for i in (1, 2):
            planes[i] = [[sum(planes[i][2 * y + dy][2 * x + dx] for dy in (0, 1) for dx in (0, 1)) / 4 for x in range(width // 2)]
                         for y in range(height // 2)]
    known, blocks = {}, []
    for plane in planes:
        grid = []
        for y in range(0, len(plane), 8):
            line = []
            for x in range(0, len(plane[0]), 8):
                key = tuple(value - 128 for row in plane[y:y + 8] for value in row[x:x + 8])
                if key not in known:
                    known[key] = [round(value / quantum) for value in transform(key, False)]
                line.append(known[key])
            grid.append(line)
        blocks.append(grid)

    factor = 2 if halved else 1
    others = range(1, len(planes))
    frame = struct.pack(">BHHB", 8, height, width, len(planes)) + bytes([1, 0x22 if halved else 0x11, 0]) + b"".join(bytes([i + 1, 0x11, 0]) for i in others)
    across = width // (8 * factor)
    head = (b"\xff\xd8" + before + segment(0xDB, b"\0" + bytes([quantum] * 64)) + segment(0xC2 if progressive else 0xC0, frame)
            + segment(0xC4, b"\x00" + DC_COUNTS + DC_SYMBOLS) + segment(0xC4, b"\x10" + AC_COUNTS + AC_SYMBOLS)
            + (segment(0xDD, struct.pack(">H", across)) if restarts else b""))

    def units(y):
        for x in range(across):
            yield from ((0, blocks[0][y * factor + dy][x * factor + dx]) for dy in range(factor) for dx in range(factor))
            yield from ((i, blocks[i][y][x]) for i in others)

    def scan(selector, parts, code):
        """Coded rows of units; each a restart interval of its own, or all of them one."""
        out, pairs, before, coded = [], [], [0] * len(planes), 0
        for y, row in enumerate(parts):
            for i, block in row:
                pairs += code(block, before[i])
                before[i] = block[0]
            if restarts and y + 1 < len(parts):
                out.append(stuffed(pairs) + bytes([0xFF, 0xD0 + coded % 8]))
                pairs, before, coded = [], [0] * len(planes), coded + 1
        return segment(0xDA, selector) + b"".join(out) + stuffed(pairs)

    down = height // (8 * factor)
    if progressive:
        apart = [[[(i, block) for block in line] for line in blocks[i]] for i in range(3)]
        if progressive == "apart":
            body = b"".join(scan(bytes([1, i + 1, 0, 0, 0, 0]), apart[i], lambda block, last: dc_of(block, last)) for i in range(3))
        else:
            body = scan(bytes([3, 1, 0, 2, 0, 3, 0, 0, 0, 0]), [list(units(y)) for y in range(down)], lambda block, last: dc_of(block, last))
        for i, lines in enumerate(apart):
            body += scan(bytes([1, i + 1, 0, 1, 63, 0]), lines, lambda block, last: ac_of(block))
    else:
        body = scan(bytes([len(planes), 1, 0, *(value for i in others for value in (i + 1, 0)), 0, 63, 0]), [list(units(y)) for y in range(down)],
                    lambda block, last: dc_of(block, last) + ac_of(block))
    file = head + body + b"\xff\xd9"
    if halved or fourth:
        return file, None
    pixels = {}
    decoded = []
    for y in range(height):
        line = bytearray()
        for x in range(width):
            samples = []
            for grid in blocks:
                block = grid[y // 8][x // 8]
                key = id(block)
                if key not in pixels:
                    pixels[key] = [min(255, max(0, round(value + 128))) for value in transform([value * quantum for value in block], True)]
                samples.append(pixels[key][y % 8 * 8 + x % 8])
            luma, cb, cr = samples[0], samples[1] - 128, samples[2] - 128
            line += bytes(min(255, max(0, round(value))) for value in (luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb))
        decoded.append(bytes(line))
    return file, decoded


def large_jpeg(rows, times, progressive=False, padding=0):
    """Each pixel of the picture becomes a square of `times` pixels (a multiple of 16), colours at half the size: a file of DC alone, in moments."""
    per, quantum = times // 16, 8
    width, height = len(rows[0]) // 3 * times, len(rows) * times
    code = {0: (0, 1)} | {size: (0x80 | size, 8) for size in range(1, 12)}
    dc_counts, dc_symbols = bytes([1, 0, 0, 0, 0, 0, 0, 11] + [0] * 8), bytes(range(12))
    comments = b"".join(segment(0xFE, bytes(65_000)) for _ in range(padding // 65_000))
    out = [b"\xff\xd8", comments, segment(0xDB, b"\0" + bytes([quantum] * 64)),
           segment(0xC2 if progressive else 0xC0, struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0])),
           segment(0xC4, b"\x00" + dc_counts + dc_symbols), segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0"),
           segment(0xDD, struct.pack(">H", width // 16)),
           segment(0xDA, bytes([3, 1, 0, 2, 0, 3, 0, 0, 0 if progressive else 63, 0]))]
    end = [] if progressive else [(0, 1)]
    # T.81, F.1.2.1: codes in their order; eleven of 8 bits after one of 1 bit begin at 10000000.
    code = {0: (0, 1)} | {size: (0x80 + size - 1, 8) for size in range(1, 12)}
    still = ([code[0]] + end) * 6
    interval = 0
    for y, row in enumerate(rows):
        pairs, before = [], [0, 0, 0]
        for x in range(0, len(row), 3):
            r, g, b = row[x:x + 3]
            samples = (0.299 * r + 0.587 * g + 0.114 * b - 128, -0.168736 * r - 0.331264 * g + 0.5 * b, 0.5 * r - 0.418688 * g - 0.081312 * b)
            for i, sample in enumerate(samples):
                value = round(sample * 8 / quantum)
                size, extra = coefficient(value - before[i])
                before[i] = value
                pairs += [code[size]] + ([extra] if size else []) + end + (([code[0]] + end) * 3 if i == 0 else [])
            pairs += still * (per - 1)
        coded = stuffed(pairs)
        for _ in range(per):
            out += [coded, bytes([0xFF, 0xD0 + interval % 8])]
            interval += 1
    out[-1] = b"\xff\xd9"
    return b"".join(out)


# TIFF 6.0 ----------------------------------------------------------------------------------------------------------------------------------------

def tiff(width, height, data, tags=(), big_endian=False):
    """One directory; RGB of 8 bits in one uncompressed strip unless the tags say otherwise. A tag without values is left out."""
    order = ">" if big_endian else "<"
    parts = data if isinstance(data, list) else [data]
    offsets, at = [], 8
    for part in parts:
        offsets.append(at)
        at += len(part) + (len(part) & 1)
    all_tags = {256: [width], 257: [height], 258: [8, 8, 8], 259: [1], 262: [2], 273: offsets, 277: [3], 278: [height],
                279: [len(part) for part in parts]} | dict(tags)
    if 322 in all_tags:
        all_tags |= {324: all_tags.pop(273), 325: all_tags.pop(279)}
        all_tags.pop(278)
    present = sorted((tag, values) for tag, values in all_tags.items() if values)
    outside_at, outside, entries = at + 2 + len(present) * 12 + 4, b"", b""
    for tag, values in present:
        short = tag in (258, 259, 262, 277, 284, 317, 338, 339, 274)
        packed = b"".join(struct.pack(order + ("H" if short else "I"), value) for value in values)
        if len(packed) > 4:
            entries += struct.pack(order + "HHII", tag, 3 if short else 4, len(values), outside_at + len(outside))
            outside += packed
        else:
            entries += struct.pack(order + "HHI", tag, 3 if short else 4, len(values)) + packed.ljust(4, b"\0")
    body = b"".join(part + bytes(len(part) & 1) for part in parts)
    return ((b"MM\0*" if big_endian else b"II*\0") + struct.pack(order + "I", at) + body + struct.pack(order + "H", len(present)) + entries
            + bytes(4) + outside)


def packbits(data):
    return b"".join(bytes([len(data[i:i + 128]) - 1]) + data[i:i + 128] for i in range(0, len(data), 128))


def lzw(data):
    """Codes of 9 to 12 bits, one wider before the table is full (TIFF 6.0, section 13)."""
    codes, bits, held = [(256, 9)], 9, b""
    table = {bytes([i]): i for i in range(256)}
    for i in range(len(data)):
        longer = held + data[i:i + 1]
        if longer in table:
            held = longer
            continue
        codes.append((table[held], bits))
        table[longer] = len(table) + 2
        bits = (len(table) + 2).bit_length()
        if len(table) + 2 == 4095:
            codes.append((256, bits))
            table, bits = {bytes([i]): i for i in range(256)}, 9
        held = data[i:i + 1]
    codes += [(table[held], bits), (257, bits)]
    return bits_of(codes)


def tiles_of(rows, width, side):
    return [zlib.compress(b"".join(row[x * 3:(x + side) * 3] for row in rows[y:y + side]))
            for y in range(0, len(rows), side) for x in range(0, width, side)]


# GIF89a ------------------------------------------------------------------------------------------------------------------------------------------

PALETTE = bytes(value for i in range(256) for value in ((i >> 5) * 255 // 7, (i >> 2 & 7) * 255 // 7, (i & 3) * 85))


def indices(rows):
    """Each pixel's place in the palette of 3, 3 and 2 bits."""
    return [bytes((r >> 5) << 5 | (g >> 5) << 2 | b >> 6 for r, g, b in zip(row[0::3], row[1::3], row[2::3])) for row in rows]


def of_palette(lines, palette=PALETTE):
    return [b"".join(palette[i * 3:i * 3 + 3] for i in line) for line in lines]


def gif(width, height, lines, left=0, top=0, transparent=None, interlaced=False, frames=1):
    if interlaced:
        lines = lines[0::8] + lines[4::8] + lines[2::4] + lines[1::2]
    data, accumulator, held = bytearray(), 0, 0
    pixels = b"".join(lines)
    # A clear code before every 254 pixels keeps all codes at nine bits.
    codes = []
    for at in range(0, len(pixels), 254):
        codes += [256, *pixels[at:at + 254]]
    for code in codes + [257]:
        accumulator |= code << held
        held += 9
        while held >= 8:
            data.append(accumulator & 255)
            accumulator, held = accumulator >> 8, held - 8
    data.append(accumulator)
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    control = b"" if transparent is None else bytes([0x21, 0xF9, 4, 1, 0, 0, transparent, 0])
    image = (control + struct.pack("<BHHHHB", 0x2C, left, top, len(lines[0]), len(lines), 0x40 if interlaced else 0) + b"\x08" + blocks + b"\0")
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + PALETTE + image * frames + b"\x3b"


# WebP, RFC 9649, lossless ------------------------------------------------------------------------------------------------------------------------

def riff(chunks):
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) & 1) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8l(width, height, rows=None, color=(0, 0, 0)):
    """The pixels as they are, each sample a code of eight bits; or one colour, which takes no bits at all."""
    out, accumulator, held = bytearray(b"\x2f"), 0, 0

    def put(value, count):
        nonlocal accumulator, held
        accumulator |= value << held
        held += count
        while held >= 8:
            out.append(accumulator & 255)
            accumulator, held = accumulator >> 8, held - 8

    def simple(symbol):
        put(0b101, 3)
        put(symbol, 8)

    put(width - 1, 14)
    put(height - 1, 14)
    put(0, 4)
    put(0, 3)
    if rows is None:
        for symbol in (color[1], color[0], color[2]):
            simple(symbol)
    else:
        for _ in range(3):
            # 3.7.2.1.2: lengths of codes of lengths up to that of 8; lengths 0 and 8 have one bit each; 256 of the latter follow.
            put(0, 1)
            put(12 - 4, 4)
            for length in (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8):
                put(1 if length in (0, 8) else 0, 3)
            put(1, 1)
            put(3, 3)
            put(256 - 2, 8)
            put((1 << 256) - 1, 256)
    simple(255)
    simple(0)
    reverse = [int(f"{value:08b}"[::-1], 2) for value in range(256)]
    for row in rows or ():
        for x in range(0, len(row), 3):
            put(reverse[row[x + 1]], 8)
            put(reverse[row[x]], 8)
            put(reverse[row[x + 2]], 8)
    out.append(accumulator & 255)
    return bytes(out)


# AVIF, ISO/IEC 14496-12 and 23008-12: items around AV1 data that are there already -------------------------------------------------------------------

def box(name, *parts):
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + name + body


def full_box(name, version, flags, *parts):
    return box(name, struct.pack(">I", version << 24 | flags), *parts)


def items_of(avif_file):
    """The data of each item, where their places have 4 bytes: as avifenc writes them."""
    at = avif_file.index(b"iloc") + 10
    count, = struct.unpack_from(">H", avif_file, at)
    places = [struct.unpack_from(">HHHII", avif_file, at + 2 + i * 14)[3:] for i in range(count)]
    return [avif_file[start:start + length] for start, length in places]


def grid(rows, columns, width, height):
    return bytes([0, 0, rows - 1, columns - 1]) + struct.pack(">HH", width, height)


def avif(items, references=(), places=None):
    """Items: (kind, data, side, of transparency), the first one the picture; references: (name, from, [to, …]). `places`: other places than the true ones."""
    properties = [full_box(b"ispe", 0, 0, struct.pack(">II", side, side)) for _, _, side, _ in items] + [
        box(b"av1C", b"\x81\x20\0\0"), full_box(b"auxC", 0, 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")]
    associations = b"".join(struct.pack(">HB", i, 2 + alpha) + bytes([i, 0x80 | len(items) + 1, 0x80 | len(items) + 2][:2 + alpha])
                            for i, (_, _, _, alpha) in enumerate(items, 1))
    kinds = b"".join(full_box(b"infe", 2, i > 1, struct.pack(">HH4sB", i, 0, kind, 0)) for i, (kind, *_) in enumerate(items, 1))

    def meta(start):
        located, at = b"", start
        for i, (_, data, *_) in enumerate(items, 1):
            located += struct.pack(">HHHII", i, 0, 1, *(places or {}).get(i, (at, len(data))))
            at += len(data)
        return full_box(
            b"meta", 0, 0, full_box(b"hdlr", 0, 0, bytes(4) + b"pict" + bytes(13)), full_box(b"pitm", 0, 0, b"\0\1"),
            full_box(b"iloc", 0, 0, struct.pack(">HH", 0x4400, len(items)), located), full_box(b"iinf", 0, 0, struct.pack(">H", len(items)), kinds),
            full_box(b"iref", 0, 0, *(box(name, struct.pack(f">{len(to) + 2}H", start, len(to), *to)) for name, start, to in references)),
            box(b"iprp", box(b"ipco", *properties), full_box(b"ipma", 0, 0, struct.pack(">I", len(items)), associations)))

    brands = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    return brands + meta(len(brands) + len(meta(0)) + 8) + box(b"mdat", *(data for _, data, *_ in items))


# BMP, icons, Netpbm ------------------------------------------------------------------------------------------------------------------------------

def bmp(width, height, rows, bits=24, colors=b"", compression=0, top_down=False, data=None, masks=b"", core=False, named=0):
    """Rows as they lie in the file, from the top; packed into words of 32 bits here. Four masks are a part of the header, three stand behind it.
    `named`: how many colours the header says there are; 0 is all that the bits can name."""
    if data is None:
        padded = [row + bytes(-len(row) % 4) for row in rows]
        data = b"".join(padded if top_down else padded[::-1])
    if core:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        header = struct.pack("<IiiHHIIiiII", 56 if len(masks) == 16 else 40, width, -height if top_down else height, 1, bits, compression, len(data), 2835, 2835, named, 0)
    offset = 14 + len(header) + len(masks) + len(colors)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + header + masks + colors + data


def bgr(rows):
    return [b"".join(row[x:x + 3][::-1] for x in range(0, len(row), 3)) for row in rows]


def icon(pictures):
    at, entries = 6 + len(pictures) * 16, b""
    for side, bits, picture in pictures:
        entries += struct.pack("<BBBBHHII", side & 255, side & 255, 0, 0, 1, bits, len(picture), at)
        at += len(picture)
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + b"".join(picture for _, _, picture in pictures)


def icon_bmp(side, rows, bits, mask):
    file = bytearray(bmp(side, side, rows, bits)[14:])
    struct.pack_into("<i", file, 8, side * 2)
    return bytes(file) + b"".join(row + bytes(-len(row) % 4) for row in mask[::-1])


def netpbm(kind, width, height, body, largest=255):
    return f"P{kind}\n# made by a script\n{width} {height}\n{'' if kind in (1, 4) else f'{largest}' + chr(10)}".encode() + body
