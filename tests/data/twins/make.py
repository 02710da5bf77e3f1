"""Makes one picture in every form that a camera, a scanner or a program may write it in.

The picture is the bundled model's own sample, so that its label is known. Every file must get the label of its RGB twin: `rgb.png`, or for the
grey forms `rgb-of-gray.png`. Run with Debian's python3-pil: python3 make.py
"""
import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
picture = Image.open(os.path.join(here, '../../../models/grocery/sample.png')).convert('RGB').resize((192, 192), Image.LANCZOS)
gray = picture.convert('L')


def save(image, name, **options):
    image.save(os.path.join(here, name), **options)


save(picture, 'rgb.png', optimize=True)
save(picture, 'rgb.jpg', quality=90)
save(picture, 'rgb.webp', quality=90)
save(picture, 'rgb.gif')
save(picture, 'rgb.tif', compression='tiff_adobe_deflate')
save(picture, 'progressive.jpg', quality=90, progressive=True)
save(picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG), 'palette.png', optimize=True)
save(gray.convert('RGB'), 'rgb-of-gray.png', optimize=True)
save(gray, 'gray.jpg', quality=90)
save(gray, 'gray.png', optimize=True)
save(Image.fromarray((np.asarray(gray).astype(np.uint32) * 257).astype(np.uint16)), 'gray16.png')
save(Image.merge('LA', (gray, Image.new('L', gray.size, 255))), 'gray-alpha.png')

# Opaque alpha, and a picture whose border is see-through: what shows there is for the decoder to say, the fruit is in the middle.
opaque = picture.copy()
opaque.putalpha(255)
save(opaque, 'alpha.png', optimize=True)
save(opaque, 'alpha.webp', quality=90)
mask = np.zeros((192, 192), np.uint8)
mask[4:-4, 4:-4] = 255
bordered = picture.copy()
bordered.putalpha(Image.fromarray(mask))
save(bordered, 'alpha-border.png', optimize=True)

# CMYK as Adobe's programs write it: inverted, marked by an APP14 segment. Without black: the plain complement of RGB.
cmyk = Image.merge('CMYK', [*(Image.fromarray(255 - np.asarray(band)) for band in picture.split()), Image.new('L', picture.size, 0)])
save(cmyk, 'cmyk.jpg', quality=92)

# YCCK: the inverted inks as YCbCr, and transform 2 in the APP14 segment (libjpeg, jccolor.c: cmyk_ycck_convert).
inks = np.asarray(cmyk)
ycc = np.asarray(Image.fromarray(inks[:, :, :3]).convert('YCbCr'))
buffer = io.BytesIO()
# Pillow inverts the four bands it is given and leaves them as they are otherwise.
Image.fromarray(255 - np.concatenate([ycc, 255 - inks[:, :, 3:]], axis=2), 'CMYK').save(buffer, 'JPEG', quality=92)
data = bytearray(buffer.getvalue())
data[data.index(b'Adobe') + 11] = 2
with open(os.path.join(here, 'ycck.jpg'), 'wb') as file:
    file.write(data)

# The eight EXIF orientations (tag 274): the stored pixels are turned so that a reader which obeys the tag sees the same picture.
undo = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}
tall = picture.crop((24, 0, 168, 192))
save(tall, 'tall.png', optimize=True)
for orientation, transpose in undo.items():
    stored = tall if transpose is None else tall.transpose(transpose)
    exif = Image.Exif()
    exif[274] = orientation
    save(stored, f'orientation-{orientation}.jpg', quality=90, exif=exif)

# 16 bits per channel: Pillow does not write it for RGB, so the PNG is put together here (https://www.w3.org/TR/png-3/).

samples = (np.asarray(picture).astype(np.uint16) * 257).astype('>u2')
rows = b''.join(b'\0' + row.tobytes() for row in samples)


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


with open(os.path.join(here, 'rgb16.png'), 'wb') as file:
    file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 192, 192, 16, 2, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(rows, 9)) + chunk(b'IEND', b''))
