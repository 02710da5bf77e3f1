using Whatsit.Inference.Imaging;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>
/// The picture that a bundle proves itself with where its maker has none: three shaded balls on a table before a window, drawn here, so that it is
/// nobody's and the same on every machine.
/// </summary>
internal static class SamplePicture
{
    /// <summary>Its name in a bundle.</summary>
    public const string FileName = "sample.png";

    private const int Side = 256;

    // Centre, radius (in parts of the side) and colour of each ball; the one in front first.
    private static readonly (double X, double Y, double Radius, double Red, double Green, double Blue)[] Balls =
        [(0.53, 0.78, 0.12, 0.42, 0.66, 0.16), (0.68, 0.66, 0.17, 0.95, 0.62, 0.10), (0.36, 0.62, 0.21, 0.86, 0.18, 0.12)];

    /// <summary>Draws it.</summary>
    public static RgbImage Draw()
    {
        var image = new RgbImage(Side, Side) { OriginalWidth = Side, OriginalHeight = Side, Format = "png" };
        var pixels = image.Pixels;
        uint grain = 1;
        for (var row = 0; row < Side; row++)
        {
            for (var column = 0; column < Side; column++)
            {
                (var x, var y) = ((column + 0.5) / Side, (row + 0.5) / Side);
                (var red, var green, var blue) = Shade(x, y);
                grain = (grain * 1664525) + 1013904223; // Numerical Recipes' generator: the same grain everywhere
                var noise = ((grain >> 16) / 65536d * 0.03) - 0.015;
                var at = ((row * Side) + column) * 3;
                pixels[at] = Byte(red + noise);
                pixels[at + 1] = Byte(green + noise);
                pixels[at + 2] = Byte(blue + noise);
            }
        }

        return image;

        static byte Byte(double value) => (byte)Math.Clamp(Math.Round(value * 255), 0, 255);
    }

    /// <summary>Writes it beside the network.</summary>
    public static void Write(RgbImage picture, string folder) => File.WriteAllBytes(Path.Combine(folder, FileName),
        ImageDecoders.CreateEncoder(new DecodingOptions()).ToPng(picture.Pixels.ToArray(), picture.Width, picture.Height));

    private static (double Red, double Green, double Blue) Shade(double x, double y)
    {
        foreach ((var centreX, var centreY, var radius, var red, var green, var blue) in Balls)
        {
            (var dx, var dy) = ((x - centreX) / radius, (y - centreY) / radius);
            var squared = (dx * dx) + (dy * dy);
            if (squared < 1)
            {
                // Lambert's law with light from the upper left, and a small highlight.
                var dz = Math.Sqrt(1 - squared);
                var light = Math.Max(0, (-0.5 * dx) + (-0.62 * dy) + (0.6 * dz));
                var shine = Math.Pow(Math.Max(0, light), 40) * 0.6;
                var shade = 0.25 + (0.8 * light);
                return ((red * shade) + shine, (green * shade) + shine, (blue * shade) + shine);
            }
        }

        var shadow = 1 - Balls.Max(ball => 0.45
            * Math.Exp(-12 * (Math.Pow((x - ball.X - 0.05) / (1.6 * ball.Radius), 2) + Math.Pow((y - ball.Y - ball.Radius) / (0.5 * ball.Radius), 2))));
        var grainOfWood = 0.04 * Math.Sin((40 * y) + (3 * Math.Sin(9 * x)));
        return y > 0.58
            ? ((0.62 + grainOfWood) * shadow, (0.44 + grainOfWood) * shadow, (0.28 + grainOfWood) * shadow)
            : (0.66 + (0.25 * (0.58 - y)), 0.76 + (0.2 * (0.58 - y)), 0.84 + (0.12 * x));
    }
}
