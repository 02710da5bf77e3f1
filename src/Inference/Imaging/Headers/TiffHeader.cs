namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// TIFF 6.0 and its supplements. What may stand in a TIFF is without end; read is what photos and scans use, the rest is refused by its name.
/// </summary>
internal static class TiffHeader
{
    private const string Instead = "save it with 8 or 16 bits per channel and an ordinary compression (LZW, Deflate), or as PNG";

    // A chain of directories may be a circle.
    private const int MaxDirectories = 1_000_001;

    internal enum Tag : ushort
    {
        Width = 256,
        Height = 257,
        BitsPerSample = 258,
        Compression = 259,
        Photometric = 262,
        FillOrder = 266,
        StripOffsets = 273,
        Orientation = 274,
        SamplesPerPixel = 277,
        RowsPerStrip = 278,
        StripByteCounts = 279,
        MaxSampleValue = 281,
        PlanarConfiguration = 284,
        Predictor = 317,
        TileWidth = 322,
        TileHeight = 323,
        TileOffsets = 324,
        TileByteCounts = 325,
        ExtraSamples = 338,
        SampleFormat = 339,
        JpegTables = 347,
        YCbCrSubSampling = 530,
    }

    public static ImageHeader Read(ReadOnlySpan<byte> file)
    {
        var directory = TiffDirectory.Open(file);
        if (!directory.IsWhole || directory.Value((ushort)Tag.Width) is not { } width || directory.Value((ushort)Tag.Height) is not { } height
            || width < 1 || height < 1)
        {
            throw ImageHeader.Damaged("tiff");
        }

        var bands = directory.Value((ushort)Tag.SamplesPerPixel) ?? 1;
        var bits = directory.Value((ushort)Tag.BitsPerSample) ?? 1;
        var colors = ColorsOf(directory.Value((ushort)Tag.Photometric) ?? 1);
        var alpha = bands == colors + 1 && directory.Value((ushort)Tag.ExtraSamples) is null or 1 or 2;
        var tiled = directory.Count((ushort)Tag.TileOffsets) > 0 || directory.Value((ushort)Tag.TileWidth) is not null;
        var planar = directory.Value((ushort)Tag.PlanarConfiguration) == 2;
        if (Problem(directory, bands, bits, colors, tiled && planar) is { } problem)
        {
            throw ImageHeader.Unsupported("tiff", problem, Instead);
        }

        (var pieceWidth, var pieceHeight) = tiled
            ? (directory.Value((ushort)Tag.TileWidth) ?? 0, directory.Value((ushort)Tag.TileHeight) ?? 0)
            : (width, Math.Min(directory.Value((ushort)Tag.RowsPerStrip) ?? height, height));
        if (pieceWidth < 1 || pieceHeight < 1)
        {
            throw ImageHeader.Damaged("tiff");
        }

        // The numbers fill 32 bits each, or 63 in BigTIFF: what overflows here is too large for any limit.
        long piece;
        try
        {
            checked
            {
                var across = tiled ? (width + pieceWidth - 1) / pieceWidth : 1;
                piece = across * pieceWidth * pieceHeight * bands * (bits > 8 ? 2 : 1);
            }
        }
        catch (OverflowException)
        {
            piece = long.MaxValue;
        }

        // What is added to it later shall not overflow either.
        piece = Math.Min(piece, long.MaxValue / 16);

        return new ImageHeader
        {
            Format = "tiff",
            Width = width,
            Height = height,
            Orientation = new((int)Math.Min(directory.Value((ushort)Tag.Orientation) ?? 1, int.MaxValue)),
            Bands = (int)bands,
            Bits = bits > 8 ? 16 : 8,
            HasAlpha = alpha,
            HasUnknown = bands == colors + 1 && !alpha,
            OnlyLibvips = OnlyLibvips(directory, bands == colors + 1 && !alpha, colors, tiled, planar),
            Tiled = tiled,
            PieceBytes = piece,
            Packing = directory.Value((ushort)Tag.Compression) ?? 1,
            Frames = CountDirectories(file, directory.Next),
            IsComplete = new TiffPieces(file).AreThere,
        };
    }

    /// <summary>The file without its pages but the first: the library reads the directory of each, and they may share tables of megabytes.</summary>
    public static byte[] FirstPage(ReadOnlySpan<byte> file)
    {
        var first = file.ToArray();
        first.AsSpan(TiffDirectory.Open(file).Link).Clear();
        return first;
    }

    private static int CountDirectories(ReadOnlySpan<byte> file, long next)
    {
        var count = 1;
        for (; next > 0 && count < MaxDirectories; count++)
        {
            next = TiffDirectory.Open(file, next).Next;
        }

        return count;
    }

    private static string? OnlyLibvips(TiffDirectory directory, bool unknown, int colors, bool tiled, bool planar) =>
        tiled ? "keeps its pixels in tiles"
        : directory.Value((ushort)Tag.StripByteCounts) is null ? "does not say how long its strips are"
        : colors == 4 ? "is in CMYK"
        : unknown ? "has a sample per pixel of which it does not say what it is"
        : planar && directory.Value((ushort)Tag.Predictor) == 2 ? "keeps its channels apart, as differences"
        // Fax has codes of its own, which are read either way.
        : directory.Value((ushort)Tag.FillOrder) == 2 && directory.Value((ushort)Tag.Compression) is not (2 or 3 or 4) ? "has its bits the other way round"
        : null;

    // Page 37 and the supplements: grey, RGB, palette, CMYK, YCbCr. The rest, -1, is refused.
    private static int ColorsOf(long photometric) => photometric switch { 0 or 1 or 3 => 1, 2 or 6 => 3, 5 => 4, _ => -1 };

    private static string? Problem(TiffDirectory directory, long bands, long bits, int colors, bool tiledPlanes)
    {
        var photometric = directory.Value((ushort)Tag.Photometric);
        for (var band = 0; band < Math.Min(bands, 8); band++)
        {
            if (directory.Value((ushort)Tag.BitsPerSample, band) is { } other && other != bits)
            {
                return $"has channels of {bits} and {Counted.Of(other, "bit")}";
            }

            if (directory.Value((ushort)Tag.SampleFormat, band) is { } kind and not (1 or 4))
            {
                return kind switch { 2 => "has signed samples", 3 => "has floating-point samples", _ => "has complex samples" };
            }
        }

        if (colors < 0)
        {
            return photometric switch
            {
                4 => "is a transparency mask",
                8 or 9 or 10 => "is in the colour space L*a*b*",
                32803 or 34892 => "is the raw data of a camera's sensor",
                32844 or 32845 => "is in the colour space LogLuv",
                _ => $"has the photometric interpretation {photometric}",
            };
        }

        if (bands < colors || bands > colors + 1)
        {
            return $"has {Counted.Of(bands, "sample")} per pixel where {colors} and one for transparency are read";
        }

        if (bits is not (1 or 2 or 4 or 8 or 16) || (bits < 8 && bands > 1))
        {
            return $"has {Counted.Of(bits, "bit")} per sample";
        }

        if (directory.Value((ushort)Tag.MaxSampleValue) is > 0 and < 65_535 and var largest && bits == 16 && largest > 255)
        {
            return $"has samples from 0 to {largest} in 16 bits";
        }

        // Section 21 has colours at half the size where nothing is said, and programs leave it out that write them in full.
        if (photometric == 6 && directory.Value((ushort)Tag.Compression) is not (6 or 7) && directory.Count((ushort)Tag.YCbCrSubSampling) == 0)
        {
            return "is in YCbCr and does not say how its colours are sampled";
        }

        return (directory.Value((ushort)Tag.Compression) ?? 1) switch
        {
            1 or 2 or 3 or 4 or 5 or 7 or 8 or 32773 or 32946 when tiledPlanes => "keeps its channels apart and in tiles",
            1 or 2 or 3 or 4 or 5 or 7 or 8 or 32773 or 32946 => null,
            6 => "is compressed with old-style JPEG",
            34712 => "is compressed with JPEG 2000",
            34925 => "is compressed with LZMA",
            50000 => "is compressed with Zstandard",
            50001 => "is compressed with WebP",
            50002 => "is compressed with JPEG XL",
            34676 or 34677 => "is compressed with SGILog",
            34887 => "is compressed with LERC",
            var number => $"is compressed with method {number}",
        };
    }
}
