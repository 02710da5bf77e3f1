using System.Security.Cryptography;
using System.Text.Json;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>What a network said to a photo.</summary>
/// <param name="Photo">The photo.</param>
/// <param name="Copy">0 for the photo itself, from 1 for a changed copy.</param>
/// <param name="Outputs">One array for each output that was asked for.</param>
internal sealed record Seen(LabelledPhoto Photo, int Copy, float[][] Outputs);

/// <summary>How far a piece of work is.</summary>
/// <param name="What">Which work, for people.</param>
/// <param name="Done">How much is done.</param>
/// <param name="Total">Of how much; 0 where nobody knows.</param>
internal sealed record TrainingStep(string What, int Done = 0, int Total = 0)
{
    /// <summary>What the training program says, while every layer is trained.</summary>
    public FineTuningStep? FineTuning { get; init; }
}

/// <summary>Runs a bundle's network on many photos, prepared as the server prepares them, on all processors, and remembers what it answered.</summary>
internal sealed class Embedder : IDisposable
{
    private readonly InputSpec _input;
    private readonly Preprocessor _preprocessor;
    private readonly IImageDecoder _decoder = ImageDecoders.Create(new DecodingOptions());
    private readonly OnnxRunner _runner;
    private readonly string[] _outputs;
    private readonly int[] _lengths;
    private readonly EmbeddingCache? _cache;

    /// <summary>Loads the network.</summary>
    /// <param name="manifest">The bundle.</param>
    /// <param name="folder">Its folder.</param>
    /// <param name="variant">Which of its weights.</param>
    /// <param name="outputs">Which of its outputs.</param>
    /// <param name="cache">The folder in which to remember, or nothing.</param>
    public Embedder(ModelManifest manifest, string folder, string variant, string[] outputs, string? cache)
    {
        (_input, _outputs) = (manifest.Input, outputs);
        _preprocessor = new Preprocessor(manifest.Preprocessing, manifest.Input);
        _runner = new OnnxRunner(Bundle.PathOf(folder, manifest.Files[variant].File), threads: 1);
        _lengths = [.. outputs.Select(output => _runner.Outputs.First(value => value.Name == output).Shape[^1])];
        if (cache is not null)
        {
            var preparation = JsonSerializer.Serialize(manifest.Preprocessing with { Evidence = null }, ManifestJson.Default.PreprocessingSpec);
            _cache = new EmbeddingCache(cache, $"1 {manifest.Files[variant].Sha256} {preparation} {string.Join(' ', outputs)}", _lengths.Sum());
        }
    }

    /// <summary>Asks the network.</summary>
    /// <param name="photos">The photos.</param>
    /// <param name="copies">How many changed copies of each to ask for, too.</param>
    /// <param name="what">The work, for people.</param>
    /// <param name="progress">Told after each photo.</param>
    /// <param name="cancellationToken">Nobody waits for it any more.</param>
    /// <returns>What was said to each photo that could be read, in their order, its copies behind it; and why the others could not.</returns>
    /// <exception cref="ModelFormatException">None of them could be read.</exception>
    public async Task<(IReadOnlyList<Seen> Photos, IReadOnlyList<(LabelledPhoto Photo, string Problem)> Failures)> RunAsync(
        IReadOnlyList<LabelledPhoto> photos, int copies, string what, Action<TrainingStep> progress, CancellationToken cancellationToken)
    {
        var seen = new Seen[]?[photos.Count];
        progress(new TrainingStep(what, 0, photos.Count));
        var problems = await Task.Run(
            () => EachPhoto.Run(photos, photo => seen[photo] = Ask(photos[photo], copies), done => progress(new TrainingStep(what, done, photos.Count)),
                cancellationToken), cancellationToken);
        return ([.. seen.Where(answers => answers is not null).SelectMany(answers => answers!)],
            [.. problems.Select((problem, photo) => (photos[photo], problem!)).Where(failure => failure.Item2 is not null)]);
    }

    public void Dispose()
    {
        _runner.Dispose();
        _cache?.Dispose();
    }

    private Seen[] Ask(LabelledPhoto photo, int copies)
    {
        var file = photo.Read();
        var hash = SHA256.HashData(file);
        var seen = new Seen[copies + 1];
        RgbImage? image = null;
        try
        {
            for (var copy = 0; copy <= copies; copy++)
            {
                var key = copy == 0 ? hash : SHA256.HashData([.. hash, .. BitConverter.GetBytes(copy)]);
                var numbers = _cache?.Find(key);
                if (numbers is null)
                {
                    image ??= _decoder.Decode(file, _preprocessor.ShrinkTo);
                    using var changed = copy == 0 ? null : Change(image, new Random(BitConverter.ToInt32(key)));
                    numbers = Run(changed ?? image);
                    _cache?.Add(key, numbers);
                }

                seen[copy] = new Seen(photo, copy, Divide(numbers));
            }
        }
        finally
        {
            image?.Dispose();
        }

        return seen;
    }

    private float[] Run(RgbImage image)
    {
        var answers = _runner.Run(new Dictionary<string, Tensor> { [_input.Name] = Evaluator.Prepare(_input, _preprocessor, image) }, _outputs);
        return [.. _outputs.SelectMany(output => answers[output].ToFloats())];
    }

    private float[][] Divide(float[] numbers)
    {
        var place = 0;
        return Array.ConvertAll(_lengths, length => numbers[place..(place += length)]);
    }

    /// <summary>A part of the picture, at least half of its area, and every other time its mirror image.</summary>
    private static RgbImage Change(RgbImage image, Random random)
    {
        var share = Math.Sqrt(0.5 + (0.5 * random.NextDouble()));
        var (width, height) = (Math.Max(1, (int)(image.Width * share)), Math.Max(1, (int)(image.Height * share)));
        return PicturePart.Cut(image, width, height, random);
    }
}
