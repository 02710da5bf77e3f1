namespace Whatsit.Inference.Preprocessing;

/// <summary>
/// One side of the way from picture to input: <paramref name="SourceLength"/> pixels from <paramref name="SourceStart"/> on are resized to
/// <paramref name="ResizedLength"/>, and of these <paramref name="Length"/> from <paramref name="Start"/> on are the input.
/// </summary>
internal readonly record struct AxisGeometry(int SourceStart, int SourceLength, int ResizedLength, int Start, int Length);

/// <summary>Both sides of the way from picture to input.</summary>
internal readonly record struct Geometry(AxisGeometry X, AxisGeometry Y)
{
    /// <summary>Where the crop takes its pixels from, for a picture of the given size.</summary>
    public static Geometry Of(int width, int height, PreprocessingSpec spec, InputSpec input)
    {
        switch (spec.Crop)
        {
            case Crop.CenterSquare:
                var side = Math.Min(width, height);
                return new Geometry(
                    new AxisGeometry((width - side) / 2, side, input.Width, 0, input.Width),
                    new AxisGeometry((height - side) / 2, side, input.Height, 0, input.Height));

            case Crop.ResizeThenCenter:
                // torchvision, Resize: the longer side is cut to whole pixels, int (size * long / short).
                var shortest = spec.ResizeShortest!.Value;
                (var resizedWidth, var resizedHeight) = width <= height
                    ? (shortest, (int)((double)shortest * height / width))
                    : ((int)((double)shortest * width / height), shortest);
                return new Geometry(
                    new AxisGeometry(0, width, resizedWidth, CenterStart(resizedWidth, input.Width), input.Width),
                    new AxisGeometry(0, height, resizedHeight, CenterStart(resizedHeight, input.Height), input.Height));

            default:
                return new Geometry(
                    new AxisGeometry(0, width, input.Width, 0, input.Width),
                    new AxisGeometry(0, height, input.Height, 0, input.Height));
        }

        // torchvision, CenterCrop: int (round ((size - crop) / 2.0)), and Python rounds halves to even.
        static int CenterStart(int resized, int length) => (int)Math.Round((resized - length) / 2.0, MidpointRounding.ToEven);
    }
}
