using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Whatsit.Inference;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>
/// Photos in IDX files, as MNIST and its successors are handed out: <c>train-images-idx3-ubyte</c>, <c>train-labels-idx1-ubyte</c> and the same with
/// <c>t10k</c> to judge by, each also with <c>.gz</c>. http://yann.lecun.com/exdb/mnist/, "FILE FORMATS FOR THE MNIST DATABASE": two zero bytes, the element
/// type, the number of sides, each side as a big-endian 32-bit integer, the elements.
/// </summary>
internal static class IdxFiles
{
    // Elements are unsigned bytes in all of these.
    private const byte UnsignedByte = 8;

    // A gigabyte of photos: 18 times what MNIST has.
    private const long Largest = 1 << 30;

    /// <summary>The photos to learn from in a folder with such files; none where it has no such files.</summary>
    /// <exception cref="ModelFormatException">They are damaged.</exception>
    public static IReadOnlyList<LabelledPhoto>? ToLearnFrom(string folder) => Of(folder, "train");

    /// <summary>The photos to judge by in such a folder, where there are any.</summary>
    /// <exception cref="ModelFormatException">They are damaged.</exception>
    public static IReadOnlyList<LabelledPhoto>? ToJudgeBy(string folder) => Of(folder, "t10k");

    private static IReadOnlyList<LabelledPhoto>? Of(string folder, string part)
    {
        if (!Directory.Exists(folder) || FileOf(folder, $"{part}-images-idx3-ubyte") is not { } images)
        {
            return null;
        }

        var labels = FileOf(folder, $"{part}-labels-idx1-ubyte")
            ?? throw new ModelFormatException($"'{Path.GetFileName(images)}' has no '{part}-labels-idx1-ubyte' beside it.");
        var (sides, pixels) = Read(images, 3);
        var (counts, classes) = Read(labels, 1);
        if (counts[0] != sides[0])
        {
            throw new ModelFormatException(
                $"'{Path.GetFileName(images)}' has {Counted.Of(sides[0], "photo")}, but '{Path.GetFileName(labels)}' {Counted.Of(counts[0], "label")}.");
        }

        var (height, width) = (sides[1], sides[2]);

        // A picture of Netpbm is a line of text before the pixels: https://netpbm.sourceforge.net/doc/pgm.html
        var header = Encoding.ASCII.GetBytes($"P5 {width} {height} 255\n");
        return [.. Enumerable.Range(0, sides[0]).Select(photo => new LabelledPhoto($"{images}#{photo}", $"{part}-{photo}", classes[photo],
            () => [.. header, .. pixels.AsSpan(photo * width * height, width * height)]))];
    }

    private static string? FileOf(string folder, string name) =>
        ((string[])[name, name + ".gz"]).Select(file => Path.Combine(folder, file)).FirstOrDefault(File.Exists);

    private static (int[] Sides, byte[] Elements) Read(string path, int rank)
    {
        try
        {
            using var file = File.OpenRead(path);
            using Stream stream = path.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionMode.Decompress) : file;
            var header = new byte[4 * (rank + 1)];
            stream.ReadExactly(header);
            if (header[0] != 0 || header[1] != 0 || header[2] != UnsignedByte || header[3] != rank)
            {
                throw new ModelFormatException($"'{Path.GetFileName(path)}' is no IDX file of bytes with {Counted.Of(rank, "side")}.");
            }

            int[] sides = [.. Enumerable.Range(1, rank).Select(side => BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(4 * side)))];
            var length = sides.Aggregate(1L, (product, side) => side > 0 && product is > 0 and <= Largest ? product * side : -1);
            if (length is <= 0 or > Largest)
            {
                throw new ModelFormatException($"'{Path.GetFileName(path)}' has the sides {string.Join(" × ", sides)}; up to {Largest:N0} bytes are read.");
            }

            var elements = new byte[length];
            stream.ReadExactly(elements);
            return (sides, elements);
        }
        catch (Exception exception) when (exception is EndOfStreamException or InvalidDataException)
        {
            throw new ModelFormatException($"'{Path.GetFileName(path)}' is damaged: {exception.Message}", exception);
        }
    }
}
