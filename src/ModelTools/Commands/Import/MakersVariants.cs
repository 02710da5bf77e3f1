using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands.Quantize;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>
/// A network in fewer bits, as repositories have it beside the one in full precision: a variant of the bundle where it answers as that does, else left out.
/// </summary>
internal static class MakersVariants
{
    private const int Pictures = 24;

    /// <summary>Adds them to a bundle that was imported.</summary>
    /// <returns>What became of each, as a sentence.</returns>
    public static async Task<IReadOnlyList<string>> AddAsync(ImportRequest request, string folder, Action<string> progress, CancellationToken cancellationToken)
    {
        var sentences = new List<string>();
        foreach (var (variant, file) in request.File is null && !request.DryRun ? HubFolder.FewerBits(request.Path) : [])
        {
            try
            {
                var manifest = Bundle.ReadManifest(folder);
                var report = await VariantBuilder.BuildAsync(Judged(request, manifest, folder, new QuantizeRequest(request.Name, request.Models, variant)
                {
                    Made = Convert(request with { File = file, Preprocessing = manifest.Preprocessing }, manifest.Output, progress),
                }), progress, cancellationToken);
                sentences.Add(report.Problem is { } problem ? $"'{file}' was left out: {problem}"
                    : $"'{file}' is the variant {variant}: it answers {report.JudgedBy} as fp32 does (confidences differ by " +
                        $"{report.Agreement.LargestDifference:0.####} at most).");
            }
            catch (Exception exception) when (exception is ModelFormatException or InferenceException)
            {
                sentences.Add($"'{file}' was left out: {exception.Message}");
            }
        }

        if (sentences.Count > 0)
        {
            await File.AppendAllLinesAsync(Path.Combine(folder, "README.md"), sentences.Select(sentence => $"- {sentence}"), cancellationToken);
        }

        return sentences;
    }

    private static Graph Convert(ImportRequest request, OutputSpec output, Action<string> progress)
    {
        var temporary = Directory.CreateTempSubdirectory("whatsit-").FullName;
        try
        {
            using var sample = SamplePicture.Draw();
            var model = ModelConverter.Convert(request, sample, temporary, progress);
            var graph = new OnnxReader().Read(Bundle.PathOf(temporary, model.Files["fp32"].File)).Graph;
            return ((string?[])[output.Name, output.Embedding, output.Features]).OfType<string>().Except(graph.Outputs.Select(value => value.Name))
                .FirstOrDefault() is { } missing
                ? throw new ModelFormatException($"it has no output '{missing}', as the network in full precision has.") : graph;
        }
        finally
        {
            Directory.Delete(temporary, recursive: true);
        }
    }

    /// <summary>Photos judge where there are enough of them, else random pictures.</summary>
    private static QuantizeRequest Judged(ImportRequest request, ModelManifest manifest, string folder, QuantizeRequest variant)
    {
        var photos = request.Images is null ? [] : LabelledPhotos.Read(request.Images, Labels.Read(Bundle.PathOf(folder, manifest.Labels)));
        return photos.Count >= VariantBuilder.FewestPhotos ? variant with { Images = request.Images, Judges = photos }
            : variant with { Judges = [.. Enumerable.Range(0, Pictures).Select(number => Picture(number, manifest.Input.Width, manifest.Input.Height))] };
    }

    /// <summary>Squares of random colours, from one pixel to half of the picture.</summary>
    private static LabelledPhoto Picture(int number, int width, int height) => new($"random {number}", $"random {number}", null, () =>
    {
        var random = new Random(number);
        var square = Math.Max(1, Math.Max(width, height) >> ((number % 8) + 1));
        var columns = (width + square - 1) / square;
        var colours = new byte[columns * ((height + square - 1) / square) * 3];
        random.NextBytes(colours);
        var pixels = new byte[width * height * 3];
        for (var at = 0; at < pixels.Length; at++)
        {
            var (x, y) = (at / 3 % width, at / 3 / width);
            pixels[at] = colours[(((y / square * columns) + (x / square)) * 3) + (at % 3)];
        }

        return ImageDecoders.CreateEncoder(new DecodingOptions()).ToPng(pixels, width, height);
    });
}
