using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging;

/// <summary>The limits of <see cref="DecodingOptions"/>, checked after the header and before the first pixel.</summary>
internal static class DecodingLimits
{
    // As many as JPEG can hold, the largest of the formats of cameras. The tables for resizing grow with the longer side.
    private const int MaxSide = 65_535;

    /// <param name="header">As the file says.</param>
    /// <param name="options">The limits.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ImageTooLarge"/></exception>
    public static void Check(ImageHeader header, DecodingOptions options)
    {
        if (header.Width < 1 || header.Height < 1)
        {
            throw ImageHeader.Damaged(header.Format);
        }

        if (Math.Max(header.Width, header.Height) > MaxSide)
        {
            throw new InferenceException(
                InferenceError.ImageTooLarge, $"The picture is {header.Width} × {header.Height} pixels large; a side may have at most {MaxSide} pixels.");
        }

        var pixels = header.Width * header.Height;
        if (pixels > options.MaxPixels)
        {
            throw TooLarge("The picture", options.MaxPixels);
        }

        if (header.Interlaced && pixels > options.MaxProgressivePixels)
        {
            throw TooLarge("The picture is progressive, which takes far more memory to decode; it", options.MaxProgressivePixels);
        }

        InferenceException TooLarge(string what, long limit) => new(
            InferenceError.ImageTooLarge,
            FormattableString.Invariant($"{what} has {header.Width} × {header.Height} = {pixels:N0} pixels; the limit is {limit:N0}."));
    }
}
