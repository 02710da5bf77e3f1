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
internal sealed record Photos(byte[] Input, long[] Labels);

/// <summary>Decodes and prepares photos as the server does, a few batches ahead, on threads of its own.</summary>
internal sealed class PhotoLoader
{
    // Enough that the network never waits, few enough that nobody waits long for an end.
    private const int Ahead = 3;

    private readonly FineTuningJob _job;
    private readonly IImageDecoder _decoder = ImageDecoders.Create(new DecodingOptions());
    private readonly Preprocessor _judged;
    private readonly Preprocessor _resized;
    private readonly Preprocessor _whole;
    private readonly InputSpec _pixels;
    private readonly int _threads;

    public PhotoLoader(FineTuningJob job, int threads)
    {
        (_job, _threads) = (job, threads);
        _judged = new Preprocessor(job.Preprocessing, job.Input);
        var whole = job.Preprocessing with { Crop = Crop.None, ResizeShortest = null };
        _pixels = job.Input with { ElementType = InputElementType.UInt8, Layout = TensorLayout.Nhwc };
        _resized = new Preprocessor(whole with { RescaleFactor = 1, ImageMean = [0, 0, 0], ImageStd = [1, 1, 1], ChannelOrder = ChannelOrder.Rgb }, _pixels);
        _whole = new Preprocessor(whole, job.Input);
    }

    /// <summary>The photos of an epoch in their order, changed by chance: the same for the same seed, wherever it begins.</summary>
    /// <param name="epoch">Which epoch.</param>
    /// <param name="first">The step to begin with.</param>
    /// <param name="cancellationToken">Nobody waits for it any more.</param>
    public IEnumerable<Photos> Learn(int epoch, int first, CancellationToken cancellationToken)
    {
        var recipe = _job.Recipe;
        int[] order = [.. Enumerable.Range(0, _job.Training.Count)];
        new Random(Seeds.Of(recipe.Seed, epoch)).Shuffle(order);
        return Batches(order.Chunk(Math.Min(recipe.Batch, order.Length)).Where(chunk => chunk.Length == Math.Min(recipe.Batch, order.Length)).Skip(first),
            photo => Change(_job.Training[photo], new Random(Seeds.Of(recipe.Seed, epoch, photo))), photo => _job.Training[photo].Label, cancellationToken);
    }

    /// <summary>The photos that judge, in their order.</summary>
    public IEnumerable<Photos> Judge(CancellationToken cancellationToken) => Batches(
        Enumerable.Range(0, _job.Validation.Count).Chunk(_job.Recipe.Batch),
        photo => Prepare(_job.Validation[photo], _judged.ShrinkTo, _judged.Process), photo => _job.Validation[photo].Label, cancellationToken);

    /// <summary>Photos as a tensor of floats: what the network begins with is a cast, or takes floats.</summary>
    public Tensor ToTensor(Photos photos)
    {
        long[] shape = [photos.Labels.Length, .. _job.Input.Shape.Skip(1)];
        if (_job.Input.ElementType == InputElementType.Float32)
        {
            return tensor(MemoryMarshal.Cast<byte, float>(photos.Input).ToArray(), shape);
        }

        using var bytes = tensor(photos.Input, shape);
        return bytes.to_type(ScalarType.Float32);
    }

    private IEnumerable<Photos> Batches(IEnumerable<int[]> chunks, Func<int, byte[]> load, Func<int, long> label, CancellationToken cancellationToken)
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
            var size = _job.Input.ByteLength;
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

            return new Photos(input, Array.ConvertAll(chunk, photo => label(photo)));
        }
    }

    private byte[] Change(FineTuningPhoto photo, Random random)
    {
        // A small part, too, has as many pixels as the network sees.
        var sides = _resized.ShrinkTo is var (width, height) ? ((int, int)?)(Larger(width), Larger(height)) : null;
        var pixels = Prepare(photo, sides, (image, target) =>
        {
            using var part = Augmentation.Part(image, _job.Recipe.SmallestCrop, random);
            _resized.Process(part, target);
        }, _pixels);
        Augmentation.Colour(pixels, _job.Recipe, random);
        if (_job.Input.ElementType == InputElementType.UInt8 && _job.Input.Layout == TensorLayout.Nhwc)
        {
            return pixels;
        }

        var input = new byte[_job.Input.ByteLength];
        using var image = new RgbImage(_job.Input.Width, _job.Input.Height)
        {
            OriginalWidth = _job.Input.Width,
            OriginalHeight = _job.Input.Height,
            Format = "",
        };
        pixels.CopyTo(image.Pixels);
        _whole.Process(image, input);
        return input;

        int Larger(int side) => (int)(side / Math.Sqrt(_job.Recipe.SmallestCrop));
    }

    private delegate void Process(RgbImage image, Span<byte> target);

    private byte[] Prepare(FineTuningPhoto photo, (int, int)? shrinkTo, Process process, InputSpec? input = null)
    {
        try
        {
            using var image = _decoder.Decode(File.ReadAllBytes(photo.Path), shrinkTo);
            var target = new byte[(input ?? _job.Input).ByteLength];
            process(image, target);
            return target;
        }
        catch (Exception exception) when (exception is InferenceException or IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException($"'{photo.Path}' can no longer be read: {exception.Message}", exception);
        }
    }
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
