using System.Runtime.InteropServices;
using Whatsit.Inference;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Training;
using static TorchSharp.torch;

namespace Whatsit.Training;

/// <summary>Some photos as the network takes them, and their classes.</summary>
/// <param name="Input">The network's input, one photo behind the other; bytes, or the bytes of floats.</param>
/// <param name="Labels">Their classes.</param>
/// <param name="Spec">What each of them is.</param>
internal sealed record Photos(byte[] Input, long[] Labels, InputSpec Spec)
{
    /// <summary>The tensor's shape.</summary>
    public long[] Shape => [Labels.Length, .. Spec.Shape.Skip(1)];
}

/// <summary>Decodes and prepares photos as the server does, a few batches ahead, on threads of its own.</summary>
internal sealed class PhotoLoader
{
    // Enough that the network never waits, few enough that nobody waits long for an end.
    private const int Ahead = 3;

    private readonly FineTuningJob _job;
    private readonly IImageDecoder _decoder = ImageDecoders.Create(new DecodingOptions());
    private readonly Preprocessor _judged;
    private readonly int _threads;

    public PhotoLoader(FineTuningJob job, int threads)
    {
        (_job, _threads) = (job, threads);
        _judged = new Preprocessor(job.Preprocessing, job.Input);
    }

    /// <summary>The photos of an epoch in their order, changed by chance: the same for the same seed, wherever it begins.</summary>
    /// <param name="epoch">Which epoch.</param>
    /// <param name="first">The step to begin with.</param>
    /// <param name="cancellationToken">Nobody waits for it any more.</param>
    public IEnumerable<Photos> Learn(int epoch, int first, CancellationToken cancellationToken)
    {
        var recipe = _job.Recipe;
        var parts = new Parts(_job.Preprocessing, Growth.Of(recipe, _job.Input, epoch).Input);
        int[] order = [.. Enumerable.Range(0, _job.Training.Count)];
        new Random(Seeds.Of(recipe.Seed, epoch)).Shuffle(order);
        return Batches(order.Chunk(Math.Min(recipe.Batch, order.Length)).Where(chunk => chunk.Length == Math.Min(recipe.Batch, order.Length)).Skip(first),
            parts.Input, photo => Change(_job.Training[photo], parts, new Random(Seeds.Of(recipe.Seed, epoch, photo))),
            photo => _job.Training[photo].Label, cancellationToken);
    }

    /// <summary>The photos that judge, in their order.</summary>
    public IEnumerable<Photos> Judge(CancellationToken cancellationToken) => Batches(
        Enumerable.Range(0, _job.Validation.Count).Chunk(_job.Recipe.Batch), _job.Input,
        photo => Prepare(_job.Validation[photo], _job.Input, _judged.ShrinkTo, _judged.Process), photo => _job.Validation[photo].Label, cancellationToken);

    /// <summary>Photos as a tensor of floats: what the network begins with is a cast, or takes floats.</summary>
    public static Tensor ToTensor(Photos photos)
    {
        if (photos.Spec.ElementType == InputElementType.Float32)
        {
            return tensor(MemoryMarshal.Cast<byte, float>(photos.Input).ToArray(), photos.Shape);
        }

        using var bytes = tensor(photos.Input, photos.Shape);
        return bytes.to_type(ScalarType.Float32);
    }

    private IEnumerable<Photos> Batches(IEnumerable<int[]> chunks, InputSpec spec, Func<int, byte[]> load, Func<int, long> label,
        CancellationToken cancellationToken)
    {
        var waiting = new Queue<Task<Photos>>();
        foreach (var chunk in chunks)
        {
            waiting.Enqueue(Task.Run(() => Load(chunk), cancellationToken));
            if (waiting.Count >= Ahead)
            {
                yield return waiting.Dequeue().GetAwaiter().GetResult();
            }
        }

        while (waiting.TryDequeue(out var next))
        {
            yield return next.GetAwaiter().GetResult();
        }

        Photos Load(int[] chunk)
        {
            var size = spec.ByteLength;
            var input = new byte[chunk.Length * size];
            try
            {
                Parallel.For(0, chunk.Length, new ParallelOptions { MaxDegreeOfParallelism = _threads, CancellationToken = cancellationToken },
                    place => load(chunk[place]).CopyTo(input, place * size));
            }
            catch (AggregateException exception) when (exception.InnerExceptions[0] is ModelFormatException first)
            {
                throw first;
            }

            return new Photos(input, Array.ConvertAll(chunk, photo => label(photo)), spec);
        }
    }

    private byte[] Change(FineTuningPhoto photo, Parts parts, Random random)
    {
        // A small part, too, has as many pixels as the network sees.
        var sides = parts.Resized.ShrinkTo is var (width, height) ? ((int, int)?)(Larger(width), Larger(height)) : null;
        var pixels = Prepare(photo, parts.Pixels, sides, (image, target) =>
        {
            using var part = Augmentation.Part(image, _job.Recipe.SmallestCrop, random);
            parts.Resized.Process(part, target);
        });
        Augmentation.Colour(pixels, _job.Recipe, random);
        if (parts.Input.ElementType == InputElementType.UInt8 && parts.Input.Layout == TensorLayout.Nhwc)
        {
            return pixels;
        }

        var input = new byte[parts.Input.ByteLength];
        using var image = new RgbImage(parts.Input.Width, parts.Input.Height)
        {
            OriginalWidth = parts.Input.Width,
            OriginalHeight = parts.Input.Height,
            Format = "",
        };
        pixels.CopyTo(image.Pixels);
        parts.Whole.Process(image, input);
        return input;

        int Larger(int side) => (int)(side / Math.Sqrt(_job.Recipe.SmallestCrop));
    }

    private delegate void Process(RgbImage image, Span<byte> target);

    private byte[] Prepare(FineTuningPhoto photo, InputSpec input, (int, int)? shrinkTo, Process process)
    {
        try
        {
            using var image = _decoder.Decode(File.ReadAllBytes(photo.Path), shrinkTo);
            var target = new byte[input.ByteLength];
            process(image, target);
            return target;
        }
        catch (Exception exception) when (exception is InferenceException or IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException($"'{photo.Path}' can no longer be read: {exception.Message}", exception);
        }
    }
}

/// <summary>How parts of photos become what a network takes: first resized, then, once their colours are changed, in its numbers.</summary>
internal sealed class Parts
{
    public Parts(PreprocessingSpec preprocessing, InputSpec input)
    {
        Input = input;
        Pixels = input with { ElementType = InputElementType.UInt8, Layout = TensorLayout.Nhwc };
        var whole = preprocessing with { Crop = Crop.None, ResizeShortest = null };
        Resized = new Preprocessor(whole with { RescaleFactor = 1, ImageMean = [0, 0, 0], ImageStd = [1, 1, 1], ChannelOrder = ChannelOrder.Rgb }, Pixels);
        Whole = new Preprocessor(whole, input);
    }

    /// <summary>What the network takes.</summary>
    public InputSpec Input { get; }

    /// <summary>The same as bytes, red first.</summary>
    public InputSpec Pixels { get; }

    public Preprocessor Resized { get; }

    public Preprocessor Whole { get; }
}

/// <summary>Seeds of seeds: each of an epoch, a step or a photo is its own, and the same each time.</summary>
internal static class Seeds
{
    /// <summary>Mixes numbers. SplitMix64, Steele, Lea and Flood 2014 (https://doi.org/10.1145/2660193.2660195).</summary>
    public static int Of(params ReadOnlySpan<int> numbers)
    {
        ulong state = 0;
        foreach (var number in numbers)
        {
            state += unchecked((uint)number) + 0x9E3779B97F4A7C15;
            state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
            state = (state ^ (state >> 27)) * 0x94D049BB133111EB;
            state ^= state >> 31;
        }

        return (int)(state >> 33);
    }
}
