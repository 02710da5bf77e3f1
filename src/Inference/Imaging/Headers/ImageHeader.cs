namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// What a file says about itself, read by us before any library sees it: everything that decides what decoding will cost. The readers beside this file follow
/// the formats' specifications just far enough for that, allocate nothing that the file names, and work in 64 bits.
/// </summary>
internal sealed record ImageHeader
{
    /// <summary>As <see cref="RgbImage.Format"/> gives it.</summary>
    public required string Format { get; init; }

    /// <summary>What decodes the picture: another format where this one is only a frame around it.</summary>
    public string Coding
    {
        get => field ?? Format;
        init;
    }

    /// <summary>Pixels per stored row.</summary>
    public required long Width { get; init; }

    /// <summary>Stored rows.</summary>
    public required long Height { get; init; }

    /// <summary>How the stored picture has to be turned.</summary>
    public Orientation Orientation { get; init; } = new(1);

    /// <summary>Samples per pixel, transparency included.</summary>
    public int Bands { get; init; } = 3;

    /// <summary>Bits per sample.</summary>
    public int Bits { get; init; } = 8;

    /// <summary>Whether all of the file must be read before any row is finished: progressive JPEG, interlaced PNG.</summary>
    public bool Interlaced { get; init; }

    /// <summary>Pictures in the file: frames of an animation, directories of a TIFF.</summary>
    public int Frames { get; init; } = 1;

    /// <summary>Bytes of text in a PNG, packed or not.</summary>
    public long TextBytes { get; init; }

    /// <summary>Passes over the picture that a JPEG asks for.</summary>
    public int Scans { get; init; } = 1;

    /// <summary>Whether a progressive JPEG ends before all bits of all coefficients have come.</summary>
    public bool LacksPasses { get; init; }

    /// <summary>Rows that a JPEG codes together: 8, or 16 where colours have half the height.</summary>
    public int UnitRows { get; init; } = 8;

    /// <summary>Bytes of a JPEG's coefficients.</summary>
    public long CoefficientBytes { get; init; }

    /// <summary>Bytes that are kept until the last pass, where no row is finished before: coefficients of JPEG, samples of PNG.</summary>
    public long KeptBytes => !Interlaced ? 0 : CoefficientBytes > 0 ? CoefficientBytes : Width * Height * Bands * (Bits / 8);

    /// <summary>Whether the pixels lie in tiles.</summary>
    public bool Tiled { get; init; }

    /// <summary>Bytes of samples of the largest piece that is decoded at once: a strip of a TIFF, or a row of tiles.</summary>
    public long PieceBytes { get; init; }

    /// <summary>How a TIFF's pixels are packed, by its number (<see cref="TiffPieces"/>).</summary>
    public long Packing { get; init; }

    /// <summary>Whether there is transparency.</summary>
    public bool HasAlpha { get; init; }

    /// <summary>Whether each pixel of a TIFF has one more sample, of which nothing says what it is: it belongs to no colour.</summary>
    public bool HasUnknown { get; init; }

    /// <summary>Samples per pixel without transparency: 1 grey, 3 RGB, 4 CMYK.</summary>
    public int Colors => Bands - (HasAlpha || HasUnknown ? 1 : 0);

    /// <summary>What ImageSharp cannot read of a TIFF, or reads as another picture: as a sentence about the picture goes on.</summary>
    public string? OnlyLibvips { get; init; }

    /// <summary>Of a JPEG: whether its colours are sRGB, by its profile or for want of one.</summary>
    public bool IsSrgb { get; init; } = true;

    /// <summary>Whether the file goes on to its end marker, or as long as it says.</summary>
    public bool IsComplete { get; init; } = true;

    /// <summary>Where an animation's first frame lies on its canvas, if it does not cover it.</summary>
    public Patch? FirstFrame { get; init; }

    /// <summary>Reads the header of a file of any format that we know.</summary>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.InvalidImage"/> or <see cref="InferenceError.UnsupportedImage"/>, as <see cref="ImageFormat.Detect"/>, and where the header is
    /// damaged or names a kind that nobody here reads.
    /// </exception>
    public static ImageHeader Read(ReadOnlySpan<byte> file) => ImageFormat.Detect(file) switch
    {
        "jpeg" => JpegHeader.Read(file),
        "png" => PngHeader.Read(file),
        "webp" => WebpHeader.Read(file),
        "gif" => GifHeader.Read(file),
        "tiff" => TiffHeader.Read(file),
        "bmp" => BmpHeader.Read(file),
        "pnm" => PnmHeader.Read(file),
        "ico" => IcoHeader.Read(file),
        var format => AvifHeader.Read(file, format),
    };

    /// <summary>The header is cut off or contradicts itself.</summary>
    public static InferenceException Damaged(string format) => new(
        InferenceError.InvalidImage, "invalid-image", $"The {format.ToUpperInvariant()} picture is truncated or damaged: its header cannot be read.",
        ("format", format));

    /// <summary>A kind that nobody here reads, by its name.</summary>
    public static InferenceException Unsupported(string format, string what, string instead) => new(
        InferenceError.UnsupportedImage, "unsupported-image", $"The {format.ToUpperInvariant()} picture {what}, which is not supported: {instead}.",
        ("format", format));
}

/// <summary>A frame's place on the canvas of an animation, in pixels.</summary>
internal readonly record struct Patch(long Left, long Top, long Width, long Height);
