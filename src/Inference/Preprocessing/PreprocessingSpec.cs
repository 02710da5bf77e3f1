namespace Whatsit.Inference.Preprocessing;

/// <summary>Which part of the picture the model sees.</summary>
public enum Crop
{
    /// <summary>All of it, squashed to the input size.</summary>
    None,

    /// <summary>The largest centred square, resized to the input size.</summary>
    CenterSquare,

    /// <summary>The shorter side is resized to <see cref="PreprocessingSpec.ResizeShortest"/>, then the centre of the input size is cut out.</summary>
    ResizeThenCenter,
}

/// <summary>The order of the three colour channels that the model was trained on.</summary>
public enum ChannelOrder
{
    /// <summary>Red, green, blue.</summary>
    Rgb,

    /// <summary>Blue, green, red (Caffe, OpenCV).</summary>
    Bgr,
}

/// <summary>Whether a large picture may be decoded smaller than it is before it is resized.</summary>
public enum Fidelity
{
    /// <summary>
    /// JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves enough: less than half the cost, at most one other top-1 answer in a hundred behind an
    /// antialiased resizer. Behind one that only looks at the nearest pixels it is more, and also another picture: smoother.
    /// </summary>
    Fast,

    /// <summary>Decoded in full: the model sees exactly what it saw in training.</summary>
    Exact,
}

/// <summary>
/// How a picture becomes the model's input, in the words of Hugging Face's <c>preprocessor_config.json</c>: crop and resize, then
/// <c>(pixel × rescale_factor − image_mean) ÷ image_std</c> per channel. A model whose input is uint8 does the arithmetic (and the channel
/// order) inside its graph, and the numbers here only document it.
/// </summary>
public sealed record PreprocessingSpec
{
    /// <summary>Which part of the picture the model sees.</summary>
    public Crop Crop { get; init; }

    /// <summary>Pixels of the shorter side before cropping; only with <see cref="Crop.ResizeThenCenter"/>.</summary>
    public int? ResizeShortest { get; init; }

    /// <summary>The name of the resizer, exact to its reference: see <c>Resizers</c>.</summary>
    public string Resample { get; init; } = "pil-bilinear";

    /// <summary>Multiplied with each 0–255 pixel value first.</summary>
    public double RescaleFactor { get; init; } = 1;

    /// <summary>Subtracted per channel after rescaling, in the model's channel order.</summary>
    public IReadOnlyList<double> ImageMean { get; init; } = [0, 0, 0];

    /// <summary>Divided by per channel, in the model's channel order.</summary>
    public IReadOnlyList<double> ImageStd { get; init; } = [1, 1, 1];

    /// <summary>The order of the colour channels that the model was trained on.</summary>
    public ChannelOrder ChannelOrder { get; init; }

    /// <summary>
    /// Whether a large picture may be decoded smaller than it is. The default is <see cref="Fidelity.Fast"/> with the antialiased resizers
    /// (<c>pil-bilinear</c>, <c>pil-bicubic</c>, <c>pil-lanczos</c>) and <see cref="Fidelity.Exact"/> with the others.
    /// </summary>
    public Fidelity? Fidelity { get; init; }

    /// <summary>Where all this comes from, as the import found it.</summary>
    public PreprocessingEvidence? Evidence { get; init; }
}

/// <summary>How sure the preprocessing of a model is.</summary>
public enum PreprocessingCertainty
{
    /// <summary>The file says it, the network does it itself, or its owner said so.</summary>
    Known,

    /// <summary>It is what the network's records of its training fit.</summary>
    ShownByTheNetwork,

    /// <summary>It is what gave the best answers to photos, and other scalings gave clearly worse ones.</summary>
    ShownByPhotos,

    /// <summary>Nothing tells; it is what most networks of the kind were trained with.</summary>
    Assumed,
}

/// <summary>Where a model's preprocessing comes from.</summary>
/// <param name="Certainty">How sure it is.</param>
/// <param name="Reason">What tells, as a sentence.</param>
/// <param name="Photos">How many photos were asked.</param>
/// <param name="Labelled">Whether they had labels; without, they are weaker evidence.</param>
/// <param name="Tried">What was tried on them, the best first.</param>
/// <param name="Tie">Whether others were as good as what was taken, within what so many photos can tell.</param>
public sealed record PreprocessingEvidence(PreprocessingCertainty Certainty, string Reason, int? Photos = null, bool? Labelled = null,
    IReadOnlyList<PreprocessingTrial>? Tried = null, bool? Tie = null)
{
    /// <summary>Whether the part of the picture and the resizer were assumed, however sure the scaling is.</summary>
    public bool? CropAssumed { get; init; }
}

/// <summary>One way to prepare pictures, and what the model made of them.</summary>
/// <param name="Scaling">How pixels became numbers: the name of a preset, <c>imagenet</c> or <c>caffe</c>, or <c>own</c> for other numbers.</param>
/// <param name="ChannelOrder">The order of the colours.</param>
/// <param name="Crop">Which part of the picture it saw.</param>
/// <param name="ResizeShortest">The shorter side before the centre was cut out.</param>
/// <param name="Resample">The resizer.</param>
/// <param name="Top1">The share of right answers, of photos with labels.</param>
/// <param name="Confidence">The mean probability of the labels; without labels, of the answers.</param>
/// <param name="Distance">
/// How far the first layer's results are from mean and variance that training recorded, in deviations, where that was compared.
/// </param>
/// <param name="Behind">By how much it is behind the best.</param>
/// <param name="Error">The standard error of that; within two of them it is a tie.</param>
/// <param name="Tie">Whether it is as good as the best, within what so many photos can tell.</param>
public sealed record PreprocessingTrial(string Scaling, ChannelOrder ChannelOrder, Crop Crop, int? ResizeShortest, string Resample, double? Top1,
    double? Confidence, double? Distance, double Behind, double? Error, bool Tie);
