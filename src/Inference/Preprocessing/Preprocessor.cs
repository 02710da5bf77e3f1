using System.Globalization;
using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Preprocessing;

/// <summary>
/// Crop · resize · rescale · normalise · channel order · layout in one walk over the rows, straight into the model's input tensor.
/// One per model, for any number of requests at once.
/// </summary>
public sealed class Preprocessor
{
    private readonly PreprocessingSpec _spec;
    private readonly InputSpec _input;
    private readonly Resizer _resizer;
    private readonly TensorWriter _writer;

    /// <param name="spec">How the model was trained to see pictures.</param>
    /// <param name="input">What its input looks like.</param>
    /// <exception cref="ArgumentException">The specification is incomplete or contradicts itself; the message names the entry.</exception>
    public Preprocessor(PreprocessingSpec spec, InputSpec input)
        : this(spec, input, Resizers.WidestVector)
    {
    }

    internal Preprocessor(PreprocessingSpec spec, InputSpec input, int vectorBits)
    {
        if (ProblemOf(spec, input) is { } problem)
        {
            throw new ArgumentException(problem, nameof(spec));
        }

        _spec = spec;
        _input = input;
        _resizer = Resizers.Get(spec.Resample, vectorBits);
        _writer = new TensorWriter(spec, input, vectorBits);
    }

    /// <summary>What is missing in a specification or contradicts itself, naming the entry; <see langword="null"/> where it is whole.</summary>
    public static string? ProblemOf(PreprocessingSpec spec, InputSpec input) =>
        input.Width < 1 || input.Height < 1
            ? $"The input '{input.Name}' is {input.Width} × {input.Height} pixels large; both must be at least 1."
        : spec.Crop == Crop.ResizeThenCenter && !(spec.ResizeShortest >= Math.Max(input.Width, input.Height))
            ? $"resize_shortest is {spec.ResizeShortest?.ToString(CultureInfo.InvariantCulture) ?? "missing"}; the crop 'resize-then-center' needs at least " +
                $"the input's {Math.Max(input.Width, input.Height)}."
        // A manifest that leaves an entry out leaves it empty here.
        : spec.ImageMean is not { Count: 3 } || spec.ImageStd is not { Count: 3 } || spec.ImageStd.Contains(0)
            ? "image_mean and image_std must have three numbers each, and image_std none that is 0."
        : spec.RescaleFactor == 0 ? "rescale_factor is missing or 0; the pixels are multiplied by it."
        : spec.Resample is null ? $"resample is missing; there is {string.Join(", ", Resizers.Names)}."
        : null;

    /// <summary>
    /// The size that a decoder may shrink to (see <see cref="IImageDecoder.Decode"/>), or <see langword="null"/> with <see cref="Fidelity.Exact"/>.
    /// </summary>
    public (int Width, int Height)? ShrinkTo => Fidelity == Fidelity.Exact ? null : _spec.Crop switch
    {
        Crop.None => (WithMargin(_input.Width), WithMargin(_input.Height)),
        Crop.CenterSquare => Square(Math.Max(_input.Width, _input.Height)),
        _ => Square(_spec.ResizeShortest!.Value),
    };

    /// <summary>Fills the tensor of one picture.</summary>
    /// <param name="image">Any picture; the pixels are only read.</param>
    /// <param name="tensor">The bytes of the input tensor, <see cref="InputSpec.ByteLength"/> of them, whatever the element type.</param>
    public void Process(RgbImage image, Span<byte> tensor)
    {
        if (tensor.Length != _input.ByteLength)
        {
            throw new ArgumentException(
                $"The tensor has {Counted.Of(tensor.Length, "byte")}; the input '{_input.Name}' takes {_input.ByteLength:N0}.", nameof(tensor));
        }

        _resizer.Resize(image.Pixels, image.Width, Geometry.Of(image.Width, image.Height, _spec, _input), _writer, tensor);
    }

    private Fidelity Fidelity => _spec.Fidelity ?? (_resizer.Antialiases ? Fidelity.Fast : Fidelity.Exact);

    private (int Width, int Height) Square(int side) => (WithMargin(side), WithMargin(side));

    // A network on 32 pixels sees a photo through few of them, and each is the mean of many: of 100 photos 5 to 10 got another answer from an eighth of the
    // pixels. Small networks get what one on 224 pixels does; decoding costs them no more.
    private const double UsualSide = 224;

    // The resizer still sees about twice as many pixels as it makes, so that its own filter decides what the model sees; and a 12-megapixel photo is decoded
    // at an eighth for a side of 256. Of the answers to 296 enlarged photos as many change as with twice the side, namely 1, and 3 with no margin.
    private int WithMargin(int side) => (int)(side * 1.4 * Math.Max(1, UsualSide / Math.Max(_input.Width, _input.Height)));
}
