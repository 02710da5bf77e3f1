using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Benchmarks.Photos;

/// <summary>
/// Enlarges photos to what a phone takes, for measuring what decoding them at a reduced scale changes. An enlarged photo has no detail that the original had
/// not, but the decoder's and the resizer's work on it is that of a large one.
/// </summary>
internal static class Enlarge
{
    private const int Quality = 90;

    /// <summary>Writes the photos of a list, and a <c>list.csv</c> with their labels.</summary>
    /// <param name="list">Lines 'path,label', the paths relative to the list.</param>
    /// <param name="folder">Where to.</param>
    /// <param name="side">Pixels of the longer side.</param>
    /// <returns>0, or 1 where the list names no photo.</returns>
    public static int Run(string list, string folder, int side)
    {
        var decoder = ImageDecoders.Create(new DecodingOptions());
        var encoder = ImageDecoders.CreateEncoder(new DecodingOptions());
        var root = Path.GetDirectoryName(Path.GetFullPath(list))!;
        Directory.CreateDirectory(folder);
        var written = new List<string>();
        foreach (var fields in File.ReadLines(list).Select(line => line.Split(',', StringSplitOptions.TrimEntries)).Where(fields => fields.Length > 1))
        {
            var path = Path.Combine(root, fields[0]);
            if (!File.Exists(path))
            {
                continue;
            }

            using var photo = decoder.Decode(File.ReadAllBytes(path), null);
            var (width, height) = (Enlarged(photo.Width), Enlarged(photo.Height));
            var pixels = new byte[width * height * 3];
            new Preprocessor(new PreprocessingSpec { Resample = "pil-bicubic" }, new InputSpec("", InputElementType.UInt8, TensorLayout.Nhwc, width, height))
                .Process(photo, pixels);
            var name = $"{written.Count:0000}.jpg";
            File.WriteAllBytes(Path.Combine(folder, name), encoder.ToJpeg(pixels, width, height, Quality));
            written.Add($"{name},{fields[1]}");

            int Enlarged(int length) => (int)Math.Round((double)length * side / Math.Max(photo.Width, photo.Height));
        }

        File.WriteAllLines(Path.Combine(folder, "list.csv"), written);
        Console.WriteLine($"{written.Count} photos in {folder}");
        return written.Count > 0 ? 0 : 1;
    }
}
