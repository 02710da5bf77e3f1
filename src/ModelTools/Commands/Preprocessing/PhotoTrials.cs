using Whatsit.Inference;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Preprocessing;

/// <summary>Asks a network about photos that were prepared in several ways, with the server's decoder and preprocessor, on all processors.</summary>
internal sealed class PhotoTrials(TrialNetwork network, Fidelity? fidelity)
{
    private static readonly (int Width, int Height) Full = (int.MaxValue, int.MaxValue);

    private readonly IImageDecoder _decoder = ImageDecoders.Create(new DecodingOptions());

    /// <summary>Asks about each photo in each way. A photo is decoded once for all ways that want it in the same size.</summary>
    /// <returns>For each way what was said to the photos that could be read, and how many these are.</returns>
    /// <exception cref="ModelFormatException">None can.</exception>
    public (IReadOnlyList<Tally> Tallies, int Photos) Run(IReadOnlyList<LabelledPhoto> photos, IReadOnlyList<PicturePreparation> ways, string what,
        Action<string> progress, CancellationToken cancellationToken)
    {
        var scores = new PhotoScore[photos.Count][];
        Each(photos, what, progress, photo => scores[photo] = Ask(photos[photo], ways, cancellationToken), cancellationToken);
        PhotoScore[][] read = [.. scores.Where(ofPhoto => ofPhoto is not null)];
        return ([.. ways.Select((way, place) => new Tally(way, [.. read.Select(ofPhoto => ofPhoto[place])]))], read.Length);
    }

    /// <summary>The pixels of each photo that can be read, prepared in one way.</summary>
    /// <exception cref="ModelFormatException">None can.</exception>
    public static IReadOnlyList<byte[]> Pixels(IReadOnlyList<LabelledPhoto> photos, Preprocessor preprocessor, int bytes, Action<string> progress,
        CancellationToken cancellationToken)
    {
        var decoder = ImageDecoders.Create(new DecodingOptions());
        var pixels = new byte[photos.Count][];
        Each(photos, "Decoding", progress, photo =>
        {
            using var image = decoder.Decode(photos[photo].Read(), preprocessor.ShrinkTo, cancellationToken);
            var tensor = new byte[bytes];
            preprocessor.Process(image, tensor);
            pixels[photo] = tensor;
        }, cancellationToken);
        return [.. pixels.Where(tensor => tensor is not null)];
    }

    private static void Each(IReadOnlyList<LabelledPhoto> photos, string what, Action<string> progress, Action<int> work,
        CancellationToken cancellationToken) =>
        EachPhoto.Run(photos, work, done => progress($"{what}: {done} of {Counted.Of(photos.Count, "photo")}"), cancellationToken);

    private PhotoScore[] Ask(LabelledPhoto photo, IReadOnlyList<PicturePreparation> ways, CancellationToken cancellationToken)
    {
        var file = photo.Read();
        var scores = new PhotoScore[ways.Count];
        var decoded = new Dictionary<(int Width, int Height), RgbImage>();
        var tensor = new byte[network.Pixels.ByteLength];
        try
        {
            foreach (var geometry in ways.Select((way, place) => (way, place)).GroupBy(each => each.way.Geometry))
            {
                // The pixels as they are: the network scales them.
                var first = geometry.First().way;
                var preprocessor = new Preprocessor(
                    new PreprocessingSpec { Crop = first.Crop, ResizeShortest = first.ResizeShortest, Resample = first.Resample, Fidelity = fidelity },
                    network.Pixels);
                preprocessor.Process(Decode(preprocessor.ShrinkTo ?? Full), tensor);
                foreach (var (way, place) in geometry)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    scores[place] = PhotoScore.Of(network.Run(tensor, way.Numbers), photo.Label);
                }
            }
        }
        finally
        {
            foreach (var image in decoded.Values.Distinct())
            {
                image.Dispose();
            }
        }

        return scores;

        RgbImage Decode((int Width, int Height) size)
        {
            if (!decoded.TryGetValue(size, out var image))
            {
                // What was not made smaller for a smaller size is not for a larger one.
                image = decoded.FirstOrDefault(other => other.Value.Width == other.Value.OriginalWidth && other.Key.Width <= size.Width
                    && other.Key.Height <= size.Height).Value ?? _decoder.Decode(file, size == Full ? null : size, cancellationToken);
                decoded.Add(size, image);
            }

            return image;
        }
    }
}
