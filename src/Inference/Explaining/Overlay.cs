using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Explaining;

/// <summary>Draws a map over its picture, as the page does: where the evidence lies the picture stays as it is, the rest goes darker.</summary>
public sealed class Overlay(IImageDecoder decoder, IImageEncoder encoder, DecodePermits permits, SchedulingOptions scheduling, TimeProvider? time = null)
{
    /// <summary>No side of what is drawn is longer; what is smaller keeps its size.</summary>
    public const int MaxSide = 1024;

    // libpng's own choice; the smallest that there is takes several times as long and saves some percent.
    private const int Compression = 6;

    /// <summary>Decodes the picture anew and draws.</summary>
    /// <param name="model">What was asked: it may have seen only a part of the picture.</param>
    /// <param name="file">The picture's file, whole.</param>
    /// <param name="map">The map of one label.</param>
    /// <param name="cancellationToken">The caller left.</param>
    /// <returns>A PNG file, upright.</returns>
    /// <exception cref="InferenceException">Every failure that is not the caller's leaving.</exception>
    public async Task<byte[]> DrawAsync(Model model, ReadOnlyMemory<byte> file, float[][] map, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(time ?? TimeProvider.System, TimeSpan.FromSeconds(scheduling.TimeoutSeconds), cancellationToken);
        try
        {
            var picture = decoder.Open(file, (MaxSide, MaxSide));
            using var permit = await permits.AcquireAsync(picture.Cost, deadline.Token).ConfigureAwait(false);
            using var image = picture.Decode(deadline.Token);
            var (width, height) = SizeOf(image);
            var pixels = new byte[width * height * 3];
            if ((width, height) == (image.Width, image.Height))
            {
                image.Pixels.CopyTo(pixels);
            }
            else
            {
                new Preprocessor(new PreprocessingSpec(), new InputSpec("overlay", InputElementType.UInt8, TensorLayout.Nhwc, width, height))
                    .Process(image, pixels);
            }

            Shade(pixels, width, height, map, model.Manifest);
            return encoder.ToPng(pixels, width, height, Compression);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw deadline.Passed();
        }
    }

    private static (int Width, int Height) SizeOf(RgbImage image)
    {
        var scale = Math.Min(1, (double)MaxSide / Math.Max(image.Width, image.Height));
        return (Math.Max(1, (int)Math.Round(image.Width * scale)), Math.Max(1, (int)Math.Round(image.Height * scale)));
    }

    private static void Shade(Span<byte> pixels, int width, int height, float[][] map, ModelManifest manifest)
    {
        var geometry = Geometry.Of(width, height, manifest.Preprocessing, manifest.Input);
        var columns = CellsOf(geometry.X, width, map[0].Length);
        var rows = CellsOf(geometry.Y, height, map.Length);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var value = rows[y] is var row && columns[x] is var column && row.Seen && column.Seen
                    ? Between(
                        Between(map[row.First][column.First], map[row.First][column.Second], column.Share),
                        Between(map[row.Second][column.First], map[row.Second][column.Second], column.Share),
                        row.Share)
                    : 0;
                var pixel = pixels.Slice(((y * width) + x) * 3, 3);
                for (var channel = 0; channel < 3; channel++)
                {
                    pixel[channel] = (byte)MathF.Round(Between(pixel[channel], Shadow[channel], Darkest * (1 - value)));
                }
            }
        }

        static float Between(float first, float second, float share) => first + ((second - first) * share);
    }

    private const float Darkest = 170 / 255f;

    private static ReadOnlySpan<byte> Shadow => [8, 14, 10];

    /// <summary>For each pixel the two nearest cells, and how much of the second it is. What the model did not see is in no cell.</summary>
    private static (int First, int Second, float Share, bool Seen)[] CellsOf(AxisGeometry axis, int length, int cells)
    {
        var scale = (double)axis.SourceLength / axis.ResizedLength;
        var (start, seen) = (axis.SourceStart + (axis.Start * scale), axis.Length * scale);
        var places = new (int, int, float, bool)[length];
        for (var pixel = 0; pixel < length; pixel++)
        {
            var place = (pixel + 0.5 - start) / seen;
            var cell = Math.Clamp((place * cells) - 0.5, 0, cells - 1);
            places[pixel] = ((int)cell, Math.Min((int)cell + 1, cells - 1), (float)(cell - (int)cell), place is >= 0 and <= 1);
        }

        return places;
    }
}
