using Microsoft.Extensions.Options;
using Whatsit.Inference;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.Inference.Tests.Imaging.Jpeg;
using Whatsit.Vips;

namespace Whatsit.Fuzz;

/// <summary>Pictures: our header readers, our JPEG decoder beside libjpeg-turbo, and both decoders.</summary>
internal static class PictureTargets
{
    private static readonly string[] Endings = [".jpg", ".png", ".gif", ".webp", ".tif", ".avif", ".bmp", ".ico", ".ppm"];

    // Small: what is allowed is decoded soon, and what is not is refused by the same lines as ever.
    private static readonly DecodingOptions Limits = new() { MaxPixels = 500_000, MaxProgressiveBytes = 1_500_000, MaxMemory = 64 << 20, MaxFrames = 100 };

    // Those that libvips reads at once, and a row of MCUs that libjpeg-turbo reads ahead.
    private const int Rows = 8 + 16;

    private static readonly VipsImageDecoder Vips = new(Options.Create(Limits));

    private static readonly ImageSharpDecoder ImageSharp = new(Options.Create(Limits));

    public static Target[] All =>
    [
        new("header", 6000, file => Vips.Open(file, (64, 64)), Pictures),
        new("jpeg", 3000, ReadReduced, Jpegs),
        new("libvips", 1200, file => Decode(Vips, file), Pictures),
        new("imagesharp", 1200, file => Decode(ImageSharp, file), Pictures),
    ];

    private static void Decode(IImageDecoder decoder, byte[] file)
    {
        var opened = decoder.Open(file);
        using var whole = opened.Decode();
        if (whole.Width < 1 || whole.Height < 1 || whole.Pixels.Length != whole.Width * whole.Height * 3)
        {
            throw new ViolationException($"A picture of {whole.Width} × {whole.Height} has {whole.Pixels.Length} bytes of pixels.");
        }

        using var small = decoder.Open(file, (32, 32)).Decode();
        if ((small.OriginalWidth, small.OriginalHeight) != (whole.OriginalWidth, whole.OriginalHeight))
        {
            throw new ViolationException(
                $"{small.OriginalWidth} × {small.OriginalHeight} when decoded smaller, else {whole.OriginalWidth} × {whole.OriginalHeight}.");
        }
    }

    /// <summary>What we take without a word, libjpeg-turbo takes without a word; what we find damaged, it warns of.</summary>
    private static void ReadReduced(byte[] file)
    {
        foreach (var shrink in (ReadOnlySpan<int>)[1, 2, 4, 8])
        {
            if (JpegReducedDecoder.TryOpen(file, shrink) is not { } decoder)
            {
                throw new InferenceException(InferenceError.UnsupportedImage, "It is left to the library.");
            }

            if ((long)decoder.Width * decoder.Height > Limits.MaxPixels)
            {
                throw new InferenceException(InferenceError.ImageTooLarge, "It is larger than the limit.");
            }

            var damage = decoder.Decode(new Orientation(1), new byte[decoder.Width * decoder.Height * 3]);
            var taken = JpegReference.Decode(file, shrink, VipsFailOn.Warning) is not null;
            if (damage is { } found && (found.Row < 0 || found.Row > decoder.FullHeight))
            {
                throw new ViolationException($"1/{shrink}: damaged from row {found.Row} of {decoder.FullHeight}.");
            }

            if (damage is null && !taken)
            {
                throw new ViolationException($"1/{shrink}: taken, and libjpeg-turbo warns.");
            }

            // libvips hears of a warning with the next eight rows, so of none within the last. libjpeg-turbo passes over coefficients outside of their block,
            // and over codes that are none as long as much of the file is left (HUFF_DECODE_FAST in its jdhuff.h), without a word. Of means that no picture
            // has, and of data behind the last block, which libvips does not read, it says nothing either.
            var heard = decoder.FullHeight - (Rows * shrink);
            if (taken && damage is { Row: var row, Kind: var kind } && row < heard && kind is not (JpegDamageKind.CoefficientOutOfRange
                or JpegDamageKind.BadCode or JpegDamageKind.MeanOutOfRange or JpegDamageKind.DataLeft))
            {
                throw new ViolationException($"1/{shrink}: {kind} from row {row}, and libjpeg-turbo has nothing to say.");
            }
        }
    }

    private static IEnumerable<(string Name, byte[] Bytes)> Pictures() => Target.Files("images", Endings).Concat(Jpegs());

    private static IEnumerable<(string Name, byte[] Bytes)> Jpegs()
    {
        foreach (var (name, file) in Target.Files("images", ".jpg"))
        {
            yield return (name, file);
        }

        (int, int)[][] samplings = [[(1, 1)], [(2, 2), (1, 1), (1, 1)], [(1, 2), (1, 1), (1, 1)], [(1, 1), (1, 1), (1, 1)]];
        foreach (var (index, sampling) in samplings.Index())
        {
            foreach (var restart in (int[])[0, 3])
            {
                foreach (var interleaved in (bool[])[true, false])
                {
                    var encoder = new JpegTestEncoder
                    {
                        Width = 40,
                        Height = index == 1 ? 400 : 56,
                        Samplings = sampling,
                        RestartInterval = restart,
                        Interleaved = interleaved,
                        Optimised = index % 2 == 0,
                    };
                    yield return ($"own-{index}-{restart}-{(interleaved ? "one" : "each")}.jpg", encoder.Encode());
                }
            }
        }
    }
}
