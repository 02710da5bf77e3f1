using Whatsit.Inference.Imaging;
using Whatsit.Tests;

namespace Whatsit.Inference.Tests.Imaging;

/// <summary>The pictures that people send, good and bad (tests/data/pictures), before each decoder.</summary>
public sealed class PictureCasesTests
{
    [Theory]
    [InlineData(ImageDecoders.Libvips)]
    [InlineData(ImageDecoders.ImageSharp)]
    public void Every_picture_is_right_or_refused_in_words_that_help(string library)
    {
        var decoder = ImageDecoders.Create(new DecodingOptions { Library = library, MaxMemory = 192_000_000 });
        var problems = new List<string>();
        foreach (var picture in PictureCases.All().Select(picture => library == ImageDecoders.ImageSharp ? picture.UnderImageSharp : picture))
        {
            if (ProblemOf(decoder, picture) is { } problem)
            {
                problems.Add($"{picture.Name}: {problem}");
            }
        }

        Assert.True(problems.Count == 0, string.Join(Environment.NewLine, problems));
    }

    private static string? ProblemOf(IImageDecoder decoder, PictureCase expected)
    {
        // Smaller than all of them: what is large and JPEG is decoded smaller, and nothing else.
        const int Side = 100;
        try
        {
            using var image = decoder.Decode(PictureCases.Read(expected.Name), (Side, Side));
            string[] wanted = expected.Warning is { } warning ? [warning] : [];
            return expected.Status != 200 ? $"decoded, where {expected.Status} is due"
                : !image.Warnings.Select(entry => entry.Code).SequenceEqual(wanted) ? $"warnings {string.Join(", ", image.Warnings)}"
                : expected.Pixels is { } pixels ? DifferenceOf(image, PictureCases.Read(pixels), expected) : null;
        }
        catch (InferenceException refusal)
        {
            var status = refusal.Error switch
            {
                InferenceError.InvalidImage => 422,
                InferenceError.UnsupportedImage => 415,
                InferenceError.ImageTooLarge => 413,
                _ => 500,
            };
            return status == expected.Status && refusal.Message.Contains(expected.Sentence ?? "", StringComparison.Ordinal)
                ? null
                : $"{status}, {refusal.Message}";
        }
    }

    /// <summary>Each expected pixel stands for a square of the picture; their means are compared.</summary>
    private static string? DifferenceOf(RgbImage image, ReadOnlySpan<byte> ppm, PictureCase expected)
    {
        var (width, height, at) = ReadHeader(ppm);
        var side = image.Width / width;
        if (image.OriginalWidth != width * expected.Squares || image.Height < height * side)
        {
            return $"{image.OriginalWidth} × {image.OriginalHeight} pixels";
        }

        var (sum, largest) = (0.0, 0.0);
        for (var i = 0; i < width * height * 3; i++)
        {
            var (x, y, channel) = (i / 3 % width, i / 3 / width, i % 3);
            long mean = 0;
            for (var row = y * side; row < (y + 1) * side; row++)
            {
                for (var column = x * side; column < (x + 1) * side; column++)
                {
                    mean += image.Pixels[(((row * image.Width) + column) * 3) + channel];
                }
            }

            var difference = Math.Abs(((double)mean / (side * side)) - ppm[at + i]);
            sum += difference;
            largest = Math.Max(largest, difference);
        }

        var average = sum / (width * height * 3);
        return average <= expected.OnAverage && largest <= expected.AtMost ? null : $"differs by {average:0.000} on average and by {largest:0} at most";
    }

    private static (int Width, int Height, int At) ReadHeader(ReadOnlySpan<byte> ppm)
    {
        // As make.py writes it: P6, both sides, 255, a line each.
        var lines = System.Text.Encoding.ASCII.GetString(ppm[..Math.Min(40, ppm.Length)]).Split('\n');
        var sides = lines[1].Split(' ');
        return (int.Parse(sides[0], null), int.Parse(sides[1], null), lines[0].Length + lines[1].Length + lines[2].Length + 3);
    }
}
