using System.Buffers.Binary;
using System.IO.Compression;
using Whatsit.Inference.Imaging;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>
/// The picture that a bundle proves itself with where its maker has none: three shaded balls on a table before a window, drawn here, so that it is
/// nobody's and the same on every machine.
/// </summary>
internal static class SamplePicture
{
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

    /// <summary>A PNG file. https://www.w3.org/TR/png-3/</summary>
    public static byte[] ToPng(RgbImage image)
    {
        using var file = new MemoryStream();
        file.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A]);
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, image.Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), image.Height);
        header[8] = 8; // bits per sample
        header[9] = 2; // red, green, blue
        WriteChunk(file, "IHDR"u8, header);

        using var data = new MemoryStream();
        using (var zlib = new ZLibStream(data, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            var stride = image.Width * 3;
            var line = new byte[stride + 1];
            line[0] = 1; // filter "Sub": each byte less the one a pixel before it
            for (var row = 0; row < image.Height; row++)
            {
                ReadOnlySpan<byte> pixels = image.Pixels.Slice(row * stride, stride);
                for (var i = 0; i < stride; i++)
                {
                    line[i + 1] = (byte)(pixels[i] - (i < 3 ? 0 : pixels[i - 3]));
                }

                zlib.Write(line);
            }
        }

        WriteChunk(file, "IDAT"u8, data.ToArray());
        WriteChunk(file, "IEND"u8, []);
        return file.ToArray();
    }

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

        var shadow = 1 - Balls.Max(ball => 0.45 * Math.Exp(-12 * (Math.Pow((x - ball.X - 0.05) / (1.6 * ball.Radius), 2) + Math.Pow((y - ball.Y - ball.Radius) / (0.5 * ball.Radius), 2))));
        var grainOfWood = 0.04 * Math.Sin((40 * y) + (3 * Math.Sin(9 * x)));
        return y > 0.58
            ? ((0.62 + grainOfWood) * shadow, (0.44 + grainOfWood) * shadow, (0.28 + grainOfWood) * shadow)
            : (0.66 + (0.25 * (0.58 - y)), 0.76 + (0.2 * (0.58 - y)), 0.84 + (0.12 * x));
    }

    private static void WriteChunk(Stream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        file.Write(number);
        file.Write(type);
        file.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(number, ~Crc(Crc(uint.MaxValue, type), data));
        file.Write(number);
    }

    private static uint Crc(uint crc, ReadOnlySpan<byte> bytes)
    {
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
            }
        }

        return crc;
    }
}
