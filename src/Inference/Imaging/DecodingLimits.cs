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
            throw new InferenceException(
                InferenceError.ImageTooLarge, $"The picture is {header.Width} × {header.Height} pixels large; a side may have at most {MaxSide} pixels.");
        }

        var pixels = header.Width * header.Height;
        if (header.KeptBytes > options.MaxProgressiveBytes)
        {
            throw new InferenceException(
                InferenceError.ImageTooLarge,
                FormattableString.Invariant($"The picture of {header.Width} × {header.Height} pixels is progressive: {header.KeptBytes:N0} bytes would ") +
                FormattableString.Invariant($"have to be kept until its last pass; the limit is {options.MaxProgressiveBytes:N0}. Save it without."));
        }

        if (pixels / (shrink * shrink) > options.MaxPixels)
        {
            throw new InferenceException(
                InferenceError.ImageTooLarge,
                FormattableString.Invariant($"The picture has {header.Width} × {header.Height} = {pixels:N0} pixels; the limit is {options.MaxPixels:N0}."));
        }

        if (header.Frames > options.MaxFrames)
        {
            throw new InferenceException(
                InferenceError.ImageTooLarge,
                    FormattableString.Invariant($"The picture has {header.Frames:N0} frames or pages; at most {options.MaxFrames:N0} are allowed."));
        }

        var scans = Math.Min(options.MaxScans, Math.Max(ScansOfLargePictures, ScansOfLargePictures * FewScansAtPixels / pixels));
        if (header.Scans > scans)
        {
            throw new InferenceException(
                InferenceError.ImageTooLarge,
                    FormattableString.Invariant($"The JPEG picture has {header.Scans:N0} scans; at its size at most {scans:N0} are allowed."));
        }
    }
}
