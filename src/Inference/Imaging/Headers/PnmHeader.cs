namespace Whatsit.Inference.Imaging.Headers;

/// <summary>Netpbm's PBM, PGM and PPM, as text and as bytes: https://netpbm.sourceforge.net/doc/pnm.html</summary>
internal static class PnmHeader
{
    public static ImageHeader Read(ReadOnlySpan<byte> file)
    {
        var (kind, largest, at, width, height) = ReadNumbers(file);
        if (width < 1 || height < 1 || largest is < 1 or > 65_535)
        {
            throw ImageHeader.Damaged("pnm");
        }

        var bands = kind is 3 or 6 ? 3 : 1;
        return new ImageHeader
        {
            Format = "pnm",
            Width = width,
            Height = height,
            Bands = bands,
            Bits = largest > 255 ? 16 : 8,
            // One blank after the last number, then rows of bits, bytes or pairs of bytes; or as many numbers as there are samples.
            IsComplete = kind switch
            {
                4 => (width + 7) / 8 * height < file.Length - at,
                5 or 6 => width * height * bands * (largest > 255 ? 2 : 1) < file.Length - at,
                1 => file[at..].Count((byte)'0') + file[at..].Count((byte)'1') >= width * height,
                _ => CountNumbers(file[at..]) >= width * height * bands,
            },
        };
    }

    /// <summary>The kind (1 to 6), the largest sample, and where the samples begin.</summary>
    public static (int Kind, int Largest, int At) ReadStart(ReadOnlySpan<byte> file)
    {
        var (kind, largest, at, _, _) = ReadNumbers(file);
        // One blank, before bytes that may look like blanks.
        return (kind, (int)largest, at + 1);
    }

    private static (int Kind, long Largest, int At, long Width, long Height) ReadNumbers(ReadOnlySpan<byte> file)
    {
        var (kind, at) = (file[1] - '0', 2);
        long width = Number(file, ref at), height = Number(file, ref at), largest = kind is 1 or 4 ? 1 : Number(file, ref at);
        return (kind, largest, at, width, height);
    }

    private static long CountNumbers(ReadOnlySpan<byte> text)
    {
        long count = 0;
        var inside = false;
        foreach (var character in text)
        {
            var digit = character is >= (byte)'0' and <= (byte)'9';
            count += digit && !inside ? 1 : 0;
            inside = digit;
        }

        return count;
    }

    /// <summary>Goes past blanks and comments, which begin with # and end with their line.</summary>
    public static void SkipBlanks(ReadOnlySpan<byte> file, ref int at)
    {
        var comment = false;
        for (; at < file.Length && (comment || file[at] is (byte)'#' or (byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r'); at++)
        {
            comment = file[at] == (byte)'#' || (comment && file[at] != (byte)'\n');
        }
    }

    /// <summary>The next number; -1 where there is none.</summary>
    public static long Number(ReadOnlySpan<byte> file, ref int at)
    {
        SkipBlanks(file, ref at);
        long number = -1;
        for (; at < file.Length && file[at] is >= (byte)'0' and <= (byte)'9' && number < int.MaxValue; at++)
        {
            number = (Math.Max(number, 0) * 10) + file[at] - '0';
        }

        return number;
    }
}
