using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>One way to prepare pictures.</summary>
/// <param name="Scaling">The name of the scaling, without the order of the colours.</param>
/// <param name="Numbers">The scaling.</param>
/// <param name="Crop">Which part of the picture is seen.</param>
/// <param name="ResizeShortest">The shorter side before the centre is cut out.</param>
/// <param name="Resample">The resizer.</param>
internal sealed record PicturePreparation(string Scaling, Scaling Numbers, Crop Crop, int? ResizeShortest, string Resample)
{
    /// <summary>The name of a scaling that is none of the usual ones.</summary>
    public const string Own = "own";

    /// <summary>Everything but the numbers.</summary>
    public (Crop Crop, int? ResizeShortest, string Resample) Geometry => (Crop, ResizeShortest, Resample);

    /// <summary>The numbers: scaling and order.</summary>
    public (string Scaling, ChannelOrder Order) Values => (Scaling, Numbers.Order);

    /// <summary>In words.</summary>
    public string Words => $"{WordsOf(this)}, {CropWords}";

    /// <summary>Crop and resizer in words.</summary>
    public string CropWords => $"{WordsOf(Crop, ResizeShortest)}, {Resample}";

    /// <summary>What a specification says.</summary>
    public static PicturePreparation Of(PreprocessingSpec spec)
    {
        var known = Scalings.Tried(3).FirstOrDefault(scaling => scaling.Scaling.IsOf(spec));
        return new(known.Name ?? Own, known.Scaling ?? Preparation.Scaling.Of(spec), spec.Crop,
            spec.Crop == Crop.ResizeThenCenter ? spec.ResizeShortest : null, spec.Resample);
    }

    /// <summary>The ways to scale that photos can tell apart, this one first.</summary>
    /// <param name="channels">How many channels the network looks at.</param>
    /// <param name="scales">Whether it takes other numbers than the bytes of the pixels.</param>
    public IEnumerable<PicturePreparation> Scaled(int channels, bool scales)
    {
        PicturePreparation[] turned = channels == 3 ? [this with { Numbers = Numbers.Turned() }] : [];
        return turned.Prepend(this).Concat(!scales ? [] : Scalings.Tried(channels).Where(scaling => scaling.Name != Scaling)
            .Select(scaling => this with { Scaling = scaling.Name, Numbers = scaling.Scaling }));
    }

    /// <summary>This one with each part of the picture and each resizer, itself first.</summary>
    /// <param name="side">The longer side of the network's input.</param>
    /// <param name="resizers">The resizers; all of them, where they are not named.</param>
    public IEnumerable<PicturePreparation> Seen(int side, IReadOnlyList<string>? resizers = null)
    {
        // torchvision's 256 for 224.
        var shortest = (int)Math.Round(side * 8 / 7d);
        (Crop Crop, int? ResizeShortest)[] crops = [(Crop.None, null), (Crop.CenterSquare, null), (Crop.ResizeThenCenter, shortest)];
        return crops.Append((Crop, ResizeShortest)).Distinct()
            .SelectMany(crop => (resizers ?? Resizers.Names)
                .Select(resizer => this with { Crop = crop.Crop, ResizeShortest = crop.ResizeShortest, Resample = resizer }))
            .Where(way => way != this).Prepend(this);
    }

    /// <summary>As a specification; what it does not decide is another one's.</summary>
    public PreprocessingSpec With(PreprocessingSpec rest) => Numbers.With(rest) with { Crop = Crop, ResizeShortest = ResizeShortest, Resample = Resample };

    /// <summary>The scaling in words.</summary>
    public static string WordsOf(PicturePreparation way) => WordsOf(way.Scaling, way.Numbers.Order);

    /// <summary>A scaling in words.</summary>
    public static string WordsOf(string scaling, ChannelOrder order) => $"{scaling switch
    {
        "zero-to-one" => "0…1",
        "minus-one-to-one" => "−1…1",
        "none" => "0…255",
        "imagenet" => "ImageNet's mean and deviation",
        "caffe" => "0…255 less ImageNet's mean",
        "inverted" => "1…0",
        _ => "its own scaling",
    }}{(order == ChannelOrder.Bgr ? " with blue first" : "")}";

    /// <summary>A part of a picture in words.</summary>
    public static string WordsOf(Crop crop, int? resizeShortest) => crop switch
    {
        Crop.CenterSquare => "the centre square",
        Crop.ResizeThenCenter => $"the centre of a shorter side of {resizeShortest}",
        _ => "the whole picture",
    };

    /// <inheritdoc/>
    public bool Equals(PicturePreparation? other) => other is not null && Values == other.Values && Geometry == other.Geometry;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Values, Geometry);
}
