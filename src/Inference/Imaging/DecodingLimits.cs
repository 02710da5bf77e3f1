using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging;

/// <summary>The limits of <see cref="DecodingOptions"/>, checked after the header and before the first pixel.</summary>
internal static class DecodingLimits
{
    // Each scan is a pass over all blocks, however few bytes it has: so many at so many pixels, in proportion more of smaller pictures.
    private const int ScansOfLargePictures = 20;
    private const long FewScansAtPixels = 25_000_000;

    // As many as JPEG can hold, the largest of the formats of cameras. The tables for resizing grow with the longer side.
    private const int MaxSide = 65_535;

    /// <param name="header">As the file says.</param>
    /// <param name="shrink">By how much both sides are divided while it is decoded: what counts is what is held, and phones take 200 megapixels.</param>
    /// <param name="options">The limits.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ImageTooLarge"/></exception>
    public static void Check(ImageHeader header, int shrink, DecodingOptions options)
    {
        if (header.Width < 1 || header.Height < 1)
        {
            throw ImageHeader.Damaged(header.Format);
        }

        if (Math.Max(header.Width, header.Height) > MaxSide)
        {
            throw TooLarge(header, "side", Math.Max(header.Width, header.Height), MaxSide,
                $"The picture is {header.Width} × {header.Height} pixels large; a side may have at most {MaxSide} pixels.");
        }

        var pixels = header.Width * header.Height;
        if (header.KeptBytes > options.MaxProgressiveBytes)
        {
            throw TooLarge(header, "bytes", header.KeptBytes, options.MaxProgressiveBytes,
                FormattableString.Invariant(
                    $"The picture of {header.Width} × {header.Height} pixels is progressive: {Counted.Of(header.KeptBytes, "byte")} would ") +
                FormattableString.Invariant($"have to be kept until its last pass; the limit is {options.MaxProgressiveBytes:N0}. Save it without."));
        }

        if (pixels / (shrink * shrink) > options.MaxPixels)
        {
            throw TooLarge(header, "pixels", pixels / (shrink * shrink), options.MaxPixels,
                FormattableString.Invariant($"The picture has {header.Width} × {header.Height} = {pixels:N0} pixels; the limit is {options.MaxPixels:N0}."));
        }

        if (header.Frames > options.MaxFrames)
        {
            throw TooLarge(header, "frames", header.Frames, options.MaxFrames,
                FormattableString.Invariant($"The picture has {Counted.Of(header.Frames, "frame")} or pages; at most {options.MaxFrames:N0} are allowed."));
        }

        var scans = Math.Min(options.MaxScans, Math.Max(ScansOfLargePictures, ScansOfLargePictures * FewScansAtPixels / pixels));
        if (header.Scans > scans)
        {
            throw TooLarge(header, "scans", header.Scans, scans,
                FormattableString.Invariant($"The JPEG picture has {Counted.Of(header.Scans, "scan")}; at its size at most {scans:N0} are allowed."));
        }
    }

    /// <summary>The refusal of a picture of which there is too much.</summary>
    /// <param name="header">As the file says.</param>
    /// <param name="what">What there is too much of: <c>side</c>, <c>pixels</c>, <c>bytes</c>, <c>frames</c>, <c>scans</c> or <c>memory</c> in bytes.</param>
    /// <param name="value">How much of it.</param>
    /// <param name="limit">How much there may be.</param>
    /// <param name="message">The sentence.</param>
    public static InferenceException TooLarge(ImageHeader header, string what, long value, long limit, string message) => new(
        InferenceError.ImageTooLarge, "image-too-large", message,
        ("format", header.Format), ("width", header.Width), ("height", header.Height), ("what", what), ("value", value), ("limit", limit));
}
