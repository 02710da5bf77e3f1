using Whatsit.Inference.Imaging;

namespace Whatsit.Benchmarks.Photos;

/// <summary>A size of picture to measure, and the files that stand for it.</summary>
/// <param name="Name">As the tables say it.</param>
/// <param name="Width">Pixels per row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Files">The files, where they are small several, so that no cache learns one by heart.</param>
internal sealed record Photo(string Name, int Width, int Height, IReadOnlyList<byte[]> Files)
{
    /// <summary>What people send: a web picture, what a page's shrinking makes of a photo, and a photo as a phone takes it.</summary>
    public static readonly (string Name, int Width, int Height, int Quality, float Noise, int Count)[] Sizes =
    [
        // Quality and noise give the bits per pixel of real files: about 1.5 for web pictures, 2.7 for a phone's 12 megapixels in 4 MB.
        ("348 px", 348, 348, 75, 2.5f, 8),
        ("1024 px", 1024, 1024, 75, 8f, 4),
        ("4000×3000", 4000, 3000, 90, 8.5f, 2),
    ];

    /// <summary>Draws and encodes the pictures of one size, named as in <see cref="Sizes"/> or by the beginning of that.</summary>
    public static Photo Create(string name)
    {
        var (fullName, width, height, quality, noise, count) = Array.Find(Sizes, size => size.Name.StartsWith(name, StringComparison.Ordinal));
        var encoder = ImageDecoders.CreateEncoder(new DecodingOptions());
        return width > 0
            ? new(fullName, width, height,
                [.. Enumerable.Range(0, count).Select(seed => encoder.ToJpeg(Draw(width, height, noise, seed), width, height, quality))])
            : throw new ArgumentException($"There is no size '{name}'; there is {string.Join(", ", Sizes.Select(size => size.Name))}.");
    }

    /// <summary>
    /// "Dead leaves": discs that hide one another, their radii distributed as r⁻³, have the edges and the spectrum of photos
    /// (Lee, Mumford and Huang, Occlusion models for natural images, 2001). On top, texture on each leaf and the noise of a sensor.
    /// </summary>
    public static byte[] Draw(int width, int height, float noise, int seed)
    {
        var random = new Random(seed);
        var pixels = new float[width * height * 3];
        float smallest = width * 0.025f, largest = width * 0.35f;
        for (var leaf = 0; leaf < 600; leaf++)
        {
            // The inverse of the distribution function of r⁻³ between smallest and largest.
            var share = random.NextSingle() * (1 - MathF.Pow(smallest / largest, 2));
            var radius = smallest / MathF.Sqrt(1 - share);
            DrawLeaf(pixels, width, height, radius, random);
        }

        var rgb = new byte[pixels.Length];
        for (var i = 0; i < rgb.Length; i++)
        {
            // The sum of three uniform numbers is close enough to a normal one.
            var grain = (random.NextSingle() + random.NextSingle() + random.NextSingle() - 1.5f) * 2 * noise;
            rgb[i] = (byte)Math.Clamp(pixels[i] + grain, 0, 255);
        }

        return rgb;
    }

    private static void DrawLeaf(float[] pixels, int width, int height, float radius, Random random)
    {
        float x = random.NextSingle() * width, y = random.NextSingle() * height;
        float red = random.NextSingle() * 230, green = random.NextSingle() * 230, blue = random.NextSingle() * 200;
        var (sin, cos) = MathF.SinCos(random.NextSingle() * MathF.Tau);
        float shade = random.NextSingle() * 60 / radius, texture = random.NextSingle() * 12, period = 0.15f + (random.NextSingle() * 0.5f);
        for (var row = Math.Max(0, (int)(y - radius)); row < Math.Min(height, y + radius); row++)
        {
            var half = MathF.Sqrt(Math.Max(0, (radius * radius) - ((row - y) * (row - y))));
            for (var column = Math.Max(0, (int)(x - half)); column < Math.Min(width, x + half); column++)
            {
                var along = ((column - x) * cos) + ((row - y) * sin);
                var light = (along * shade) + (texture * MathF.Sin(along * period));
                // One pixel of soft rim: a lens draws no stairs.
                var cover = Math.Clamp(half - Math.Abs(column - x), 0, 1);
                var at = ((row * width) + column) * 3;
                pixels[at] += cover * (red + light - pixels[at]);
                pixels[at + 1] += cover * (green + light - pixels[at + 1]);
                pixels[at + 2] += cover * (blue + light - pixels[at + 2]);
            }
        }
    }
}
