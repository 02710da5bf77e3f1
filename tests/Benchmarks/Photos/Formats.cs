using NetVips;

namespace Whatsit.Benchmarks.Photos;

/// <summary>What else people send: a photo of 12 megapixels in other formats, a smaller one, and what a phone shows on its screen.</summary>
internal static class Formats
{
    /// <summary>As the tables call them.</summary>
    public const string Jpeg = "JPEG, 12 megapixels", SmallJpeg = "JPEG, 2 megapixels", ProgressiveJpeg = "progressive JPEG, 12 megapixels",
        Webp = "WebP, 12 megapixels", Avif = "AVIF, 12 megapixels", Screenshot = "phone screenshot, PNG";

    private const int Width = 4000, Height = 3000;

    /// <summary>Draws and encodes them. AVIF takes some seconds.</summary>
    public static IReadOnlyList<Photo> Create()
    {
        List<Photo> photos = [];
        using (var photo = Draw(Width, Height, noise: 8.5f))
        {
            photos.Add(Of(Jpeg, photo, photo.JpegsaveBuffer(q: 90)));
            photos.Add(Of(ProgressiveJpeg, photo, photo.JpegsaveBuffer(q: 90, interlace: true)));
            photos.Add(Of(Webp, photo, photo.WebpsaveBuffer(q: 85, effort: 2)));
            photos.Add(Of(Avif, photo, photo.HeifsaveBuffer(q: 60, compression: Enums.ForeignHeifCompression.Av1, effort: 0)));
        }

        using (var photo = Draw(1632, 1224, noise: 5f))
        {
            photos.Add(Of(SmallJpeg, photo, photo.JpegsaveBuffer(q: 75)));
        }

        using var screen = Screen();
        photos.Add(Of(Screenshot, screen, screen.PngsaveBuffer()));
        return photos;

        static Photo Of(string name, Image image, byte[] file) => new(name, image.Width, image.Height, [file]);
    }

    private static Image Draw(int width, int height, float noise) =>
        Image.NewFromMemoryCopy(Photo.Draw(width, height, noise, seed: 0), width, height, 3, Enums.BandFormat.Uchar);

    /// <summary>A page of messages: even colours, lines of text, round pictures, and a photo.</summary>
    private static Image Screen()
    {
        const int Width = 1170, Height = 2532, Row = 168;
        var rgb = new byte[Width * Height * 3];
        var random = new Random(0);
        Fill(0, 0, Width, Height, 0xFAFAFA);
        Fill(0, 0, Width, 220, 0x2D6CDF);
        for (var top = 260; top + Row < 1500; top += Row)
        {
            var color = random.Next(0x1000000);
            for (var y = 0; y < 120; y++)
            {
                var half = (int)Math.Sqrt((60 * 60) - ((y - 60) * (y - 60)));
                Fill(100 - half, top + y, 2 * half, 1, color);
            }

            Text(200, top + 10, 300 + random.Next(300), 0x202020, random);
            Text(200, top + 70, 500 + random.Next(400), 0x808080, random);
            Fill(200, top + Row - 20, Width - 200, 2, 0xE0E0E0);
        }

        const int Left = 60, Top = 1560, PhotoWidth = Width - (2 * Left), PhotoHeight = 800;
        var photo = Photo.Draw(PhotoWidth, PhotoHeight, noise: 1f, seed: 1);
        for (var y = 0; y < PhotoHeight; y++)
        {
            photo.AsSpan(y * PhotoWidth * 3, PhotoWidth * 3).CopyTo(rgb.AsSpan((((Top + y) * Width) + Left) * 3));
        }

        return Image.NewFromMemoryCopy(rgb, Width, Height, 3, Enums.BandFormat.Uchar);

        void Fill(int left, int top, int width, int height, int color)
        {
            for (var y = top; y < top + height; y++)
            {
                for (var x = left; x < left + width; x++)
                {
                    var at = ((y * Width) + x) * 3;
                    (rgb[at], rgb[at + 1], rgb[at + 2]) = ((byte)(color >> 16), (byte)(color >> 8), (byte)color);
                }
            }
        }

        // Letters are strokes of a few pixels, upright and level, with gaps between words.
        void Text(int left, int top, int width, int color, Random random)
        {
            for (var x = left; x < left + width; x += random.Next(6) == 0 ? 40 : 22)
            {
                Fill(x, top, 4, 36, color);
                Fill(x, top + (random.Next(3) * 16), 14, 4, color);
                Fill(x + 12, top + random.Next(16), 4, 20, color);
            }
        }
    }
}
