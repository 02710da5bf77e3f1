using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>What a model said to one photo.</summary>
/// <param name="Photo">The photo.</param>
/// <param name="Probabilities">One per class.</param>
/// <param name="Abstained">The answer was "not sure".</param>
/// <param name="Timings">Where the time went.</param>
/// <param name="Certainty">How sure it was, where the model may abstain.</param>
internal sealed record PhotoAnswer(LabelledPhoto Photo, float[] Probabilities, bool Abstained, Timings Timings, float? Certainty = null)
{
    /// <summary>The class that the model named.</summary>
    public int Best { get; } = Array.IndexOf(Probabilities, Probabilities.Max());

    /// <summary>The probability of that class.</summary>
    public float Confidence => Probabilities[Best];

    /// <summary>Whether the named class is the labelled one.</summary>
    public bool IsRight => Best == Photo.Label;

    /// <summary>The place of the labelled class among all, from 1.</summary>
    public int Place => Photo.Label is { } label ? 1 + Probabilities.Where((probability, index) => probability > Probabilities[label]
        || (probability == Probabilities[label] && index < label)).Count() : 0;
}

/// <summary>The answers of one variant, and the photos that it could not answer.</summary>
internal sealed record Answers(string Variant, IReadOnlyList<PhotoAnswer> Photos, IReadOnlyList<(LabelledPhoto Photo, string Problem)> Failures);

/// <summary>Classifies photos as the server does: the same decoder, preprocessing, queue and backend, one photo after the other.</summary>
internal sealed class Evaluator : IDisposable
{
    // Nobody is kept waiting by many photos at once, nor gives up on one.
    private readonly SchedulingOptions _scheduling = new() { MaxQueueLength = 10_000, TimeoutSeconds = 3600 };
    private readonly DecodingOptions _decoding = new();
    private readonly InferenceMetrics _metrics = new();
    private readonly DecodePermits _permits;
    private readonly IImageDecoder _decoder;

    public Evaluator(ExplainOptions? explain = null)
    {
        _permits = new DecodePermits(_decoding, _scheduling);
        _decoder = ImageDecoders.Create(_decoding);
        Classifier = new ImageClassifier(_decoder, _permits, _metrics, _scheduling, explain: explain);
        Overlay = new Overlay(_decoder, ImageDecoders.CreateEncoder(_decoding), _permits, _scheduling);
    }

    /// <summary>Draws maps over their pictures, as the server does.</summary>
    public Overlay Overlay { get; }

    /// <summary>The server's own way from photo to labels.</summary>
    public ImageClassifier Classifier { get; }

    /// <summary>Loads a variant; dispose the lease to unload it.</summary>
    public ModelLease Load(ModelManifest manifest, string folder, string variant) =>
        new(Model.Load(manifest, folder, variant, new OnnxBackendOptions(), _scheduling));

    /// <summary>Whether a model gives its recorded answer, as the server asks before it is ready.</summary>
    /// <exception cref="InferenceException">It does not.</exception>
    public Task SelfTestAsync(Model model, CancellationToken cancellationToken) => SelfTest.RunAsync(model, Classifier, cancellationToken);

    /// <summary>Classifies the photos. One that cannot be read spoils only itself.</summary>
    public async Task<Answers> RunAsync(Model model, IReadOnlyList<LabelledPhoto> photos, Action<string> progress, CancellationToken cancellationToken)
    {
        var options = new ClassifyOptions(model.Classes.Count);
        var answers = new List<PhotoAnswer>(photos.Count);
        var failures = new List<(LabelledPhoto Photo, string Problem)>();
        var warm = false;
        for (var photo = 0; photo < photos.Count; photo++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            progress($"{model.Variant}: photo {photo + 1} of {photos.Count}");
            try
            {
                var file = photos[photo].Read();
                for (; !warm; warm = true)
                {
                    // The first run allocates; its time is nobody's.
                    await Classifier.ClassifyAsync(model, file, options, cancellationToken);
                }

                var answer = await Classifier.ClassifyAsync(model, file, options, cancellationToken);
                var probabilities = new float[model.Classes.Count];
                foreach (var prediction in answer.Predictions)
                {
                    probabilities[prediction.Index] = prediction.Confidence;
                }

                answers.Add(new PhotoAnswer(photos[photo], probabilities, answer.Abstained, answer.Timings, answer.Certainty));
            }
            catch (Exception exception) when (exception is InferenceException or IOException or UnauthorizedAccessException)
            {
                failures.Add((photos[photo], exception.Message));
            }
        }

        return new Answers(model.Variant, answers, failures);
    }

    /// <summary>A photo as the model's input tensor.</summary>
    public Tensor Prepare(ModelManifest manifest, LabelledPhoto photo)
    {
        var preprocessor = new Preprocessor(manifest.Preprocessing, manifest.Input);
        using var image = _decoder.Decode(photo.Read(), preprocessor.ShrinkTo);
        return Prepare(manifest.Input, preprocessor, image);
    }

    /// <summary>A picture as the model's input tensor.</summary>
    public static Tensor Prepare(InputSpec input, Preprocessor preprocessor, RgbImage image)
    {
        var tensor = new byte[input.ByteLength];
        preprocessor.Process(image, tensor);
        var type = input.ElementType == InputElementType.UInt8 ? ElementType.UInt8 : ElementType.Float32;
        return new Tensor(type, [.. input.Shape.Select(side => (int)side)], tensor);
    }

    /// <summary>A photo small enough for a report, as JPEG.</summary>
    public byte[] Thumbnail(LabelledPhoto photo, int side)
    {
        using var image = _decoder.Decode(photo.Read(), (2 * side, 2 * side));
        (var width, var height) = image.Width >= image.Height ? (side, Math.Max(1, side * image.Height / image.Width))
            : (Math.Max(1, side * image.Width / image.Height), side);
        var pixels = new byte[width * height * 3];
        new Preprocessor(new PreprocessingSpec(), new InputSpec("thumbnail", InputElementType.UInt8, TensorLayout.Nhwc, width, height)).Process(image, pixels);
        return ImageDecoders.CreateEncoder(_decoding).ToJpeg(pixels, width, height, quality: 70);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _permits.Dispose();
        _metrics.Dispose();
    }
}
