using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>GIF89a, 17 to 27: a screen, colour tables, extensions and images, each of which ends with an empty block.</summary>
internal static class GifHeader
{
    public static ImageHeader Read(ReadOnlySpan<byte> file) => Walk(file, out _, out _);

    /// <summary>The file up to the end of its first image: what follows costs time and shows nothing.</summary>
    public static ReadOnlyMemory<byte> FirstFrame(ReadOnlyMemory<byte> file)
    {
        Walk(file.Span, out _, out var end);
        if (end == 0 || end + 1 >= file.Length)
        {
            return file;
        }

        const byte Trailer = 0x3B;
        var first = new byte[end + 1];
        file.Span[..end].CopyTo(first);
        first[end] = Trailer;
        return first;
    }

    /// <summary>The file with a screen that holds its first image, as <see cref="Read"/> says it: ImageSharp refuses a smaller one.</summary>
    public static ReadOnlyMemory<byte> WithWholeScreen(ReadOnlyMemory<byte> file, ImageHeader header)
    {
        if ((Number(file.Span, 6), Number(file.Span, 8)) == (header.Width, header.Height) || Math.Max(header.Width, header.Height) > ushort.MaxValue)
        {
            return file;
        }

        var larger = file.ToArray();
        BinaryPrimitives.WriteUInt16LittleEndian(larger.AsSpan(6), (ushort)header.Width);
        BinaryPrimitives.WriteUInt16LittleEndian(larger.AsSpan(8), (ushort)header.Height);
        return larger;
    }

    /// <summary>The file with as many colours as its first image's codes can name, black for those that it lacks, as browsers have it.</summary>
    public static ReadOnlyMemory<byte> WithWholeTable(ReadOnlyMemory<byte> file)
    {
        var from = file.Span;
        Walk(from, out var image, out _);
        var (flags, begin) = ColorTable(from[image + 9]) > 0 ? (image + 9, image + 10) : (10, 13);
        var codeBits = image + 10 + ColorTable(from[image + 9]);
        var (colors, bits) = (ColorTable(from[flags]), codeBits < from.Length ? Math.Clamp((int)from[codeBits], 1, 8) : 1);
        if (colors >= 3 << bits)
        {
            return file;
        }

        var longer = new byte[from.Length + (3 << bits) - colors];
        from[..(begin + colors)].CopyTo(longer);
        from[(begin + colors)..].CopyTo(longer.AsSpan(begin + (3 << bits)));
        longer[flags] = (byte)((longer[flags] & ~7) | (bits - 1));
        return longer;
    }

    /// <summary>
    /// Rows of the first image that its data do not hold, all of them where an interlaced image lacks some, which lie anywhere; and whether they hold more.
    /// </summary>
    public static (long Missing, bool GoesOn) MissingRows(ReadOnlySpan<byte> file)
    {
        Walk(file, out var at, out _);
        const int Interlaced = 0x40;
        long width = Number(file, at + 5), height = Number(file, at + 7);
        var (pixels, goesOn) = GifData.CountPixels(file[Math.Min(at + 10 + ColorTable(file[at + 9]), file.Length)..], width * height);
        return (pixels >= width * height ? 0 : (file[at + 9] & Interlaced) != 0 ? height : height - (pixels / width), goesOn);
    }

    private static ImageHeader Walk(ReadOnlySpan<byte> file, out int firstBegins, out int firstEnds)
    {
        (firstBegins, firstEnds) = (0, 0);
        if (file.Length < 13)
        {
            throw ImageHeader.Damaged("gif");
        }

        long width = BinaryPrimitives.ReadUInt16LittleEndian(file[6..]), height = BinaryPrimitives.ReadUInt16LittleEndian(file[8..]);
        Patch? first = null;
        var frames = 0;
        for (var at = 13 + ColorTable(file[10]); at + 10 <= file.Length;)
        {
            var image = file[at] == 0x2C;
            if (!image && file[at] != 0x21)
            {
                break;
            }

            if (image && frames++ == 0)
            {
                // Colours that nobody names are the decoder's own, if it has some.
                if (ColorTable(file[10]) == 0 && ColorTable(file[at + 9]) == 0)
                {
                    throw ImageHeader.Damaged("gif");
                }

                firstBegins = at;
                first = new(Number(file, at + 1), Number(file, at + 3), Number(file, at + 5), Number(file, at + 7));
            }

            at += image ? 10 + ColorTable(file[at + 9]) + 1 : 2;
            while (at < file.Length && file[at] != 0)
            {
                at += 1 + file[at];
            }

            at++;
            if (image && firstEnds == 0 && at <= file.Length)
            {
                firstEnds = at;
            }
        }

        if (first is not { } patch)
        {
            throw ImageHeader.Damaged("gif");
        }

        // As decoders do, a frame that is larger than its screen enlarges it.
        (width, height) = (Math.Max(width, patch.Left + patch.Width), Math.Max(height, patch.Top + patch.Height));
        return new ImageHeader
        {
            Format = "gif",
            Width = width,
            Height = height,
            Bands = 4,
            HasAlpha = true,
            Frames = frames,
            FirstFrame = patch == new Patch(0, 0, width, height) ? null : patch,
            IsComplete = firstEnds > 0,
        };
    }

    private static long Number(ReadOnlySpan<byte> file, int at) => BinaryPrimitives.ReadUInt16LittleEndian(file[at..]);

    private static int ColorTable(byte flags) => (flags & 0x80) != 0 ? 3 << ((flags & 7) + 1) : 0;
}
