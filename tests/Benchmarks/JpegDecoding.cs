using System.Diagnostics;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.ModelTools.Evaluation;
using Whatsit.Vips;

namespace Whatsit.Benchmarks;

/// <summary>Our JPEG decoder beside libjpeg-turbo, in this process, from the same bytes to the same pixels.</summary>
/// <param name="Size">The picture.</param>
/// <param name="Shrink">The scale is one of this.</param>
/// <param name="OursMs">The median.</param>
/// <param name="LibraryMs">The median.</param>
internal sealed record JpegDecoding(string Size, int Shrink, double OursMs, double LibraryMs)
{
    private const int Rounds = 21;

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(1.5);

    /// <summary>They take turns, so that a busy moment of the machine meets both.</summary>
    public static IEnumerable<JpegDecoding> Measure(IEnumerable<Photo> photos)
    {
        foreach (var photo in photos)
        {
            foreach (var shrink in (int[])[1, 2, 4, 8])
            {
                var pixels = new byte[photo.Width / shrink * (photo.Height / shrink) * 3];
                List<double> ours = [], library = [];
                // Optimised code comes in the background, after a moment.
                for (var started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < WarmUp;)
                {
                    Decode(photo.Files[0], shrink, pixels);
                }

                for (var round = 0; round < Rounds; round++)
                {
                    var file = photo.Files[round % photo.Files.Count];
                    var started = Stopwatch.GetTimestamp();
                    Decode(file, shrink, pixels);
                    var between = Stopwatch.GetTimestamp();
                    DecodeByLibrary(file, shrink, pixels);
                    ours.Add(Stopwatch.GetElapsedTime(started, between).TotalMilliseconds);
                    library.Add(Stopwatch.GetElapsedTime(between).TotalMilliseconds);
                }

                yield return new(photo.Name, shrink, Percentiles.Median(ours), Percentiles.Median(library));
            }
        }
    }

    private static void Decode(byte[] file, int shrink, Span<byte> pixels)
    {
        if (JpegReducedDecoder.TryOpen(file, shrink)?.Decode(new Orientation(1), pixels) is { } damage)
        {
            throw new InvalidDataException($"{damage}");
        }
    }

    private static void DecodeByLibrary(byte[] file, int shrink, Span<byte> pixels)
    {
        const int Sequential = 1;
        using var load = new VipsOperation("jpegload_buffer");
        load.Set("buffer", (ReadOnlyMemory<byte>)file).Set("access", Sequential).Set("fail-on", (int)VipsFailOn.Error).Set("shrink", shrink);
        using var image = load.Build();
        image.CopyTo(pixels);
    }
}
