namespace Whatsit.Inference.Imaging;

/// <summary>The limits of <see cref="DecodingOptions"/>, checked after the header and before the first pixel.</summary>
internal static class DecodingLimits
{
    // As many as JPEG can hold, the largest of the formats of cameras. The tables for resizing grow with the longer side.
    private const int MaxSide = 65_535;

    /// <param name="width">As the header says.</param>
    /// <param name="height">As the header says.</param>
    /// <param name="interlaced">Whether the format needs all of the picture in memory to finish any row: progressive JPEG, interlaced PNG.</param>
    /// <param name="options">The limits.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ImageTooLarge"/></exception>
    public static void Check(int width, int height, bool interlaced, DecodingOptions options)
    {
        var pixels = (long)width * height;
        if (pixels > options.MaxPixels)
        {
            throw TooLarge("The picture", options.MaxPixels);
        }

        if (Math.Max(width, height) > MaxSide)
        {
            throw new InferenceException(
                InferenceError.ImageTooLarge, $"The picture is {width} × {height} pixels large; a side may have at most {MaxSide} pixels.");
        }

        if (interlaced && pixels > options.MaxProgressivePixels)
        {
            throw TooLarge("The picture is progressive, which takes far more memory to decode; it", options.MaxProgressivePixels);
        }

        InferenceException TooLarge(string what, long limit) => new(
            InferenceError.ImageTooLarge,
            FormattableString.Invariant($"{what} has {width} × {height} = {pixels:N0} pixels; the limit is {limit:N0}."));
    }
}
