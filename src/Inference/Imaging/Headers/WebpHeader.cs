using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>WebP, RFC 9649, 2: RIFF chunks of name, length and data.</summary>
internal static class WebpHeader
{
    private const int Animated = 0x02, Alpha = 0x10;

    // Coded data look random. So many zeros are a hole, of which the decoders make a picture all the same: the file was to be filled and was not.
    private static readonly byte[] Hole = new byte[256];

    public static ImageHeader Read(ReadOnlySpan<byte> file)
    {
        if (file.Length < 30)
        {
            throw ImageHeader.Damaged("webp");
        }

        var complete = BinaryPrimitives.ReadUInt32LittleEndian(file[4..]) + 8L <= file.Length;
        (ImageHeader? header, Patch? first) = (null, null);
        var (frames, orientation, lossless) = (0, 1, false);
        foreach (var chunk in new Chunks(file[12..]))
        {
            if ((chunk.Is("VP8 "u8) || chunk.Is("VP8L"u8)) && chunk.Data.IndexOf(Hole) is >= 0 and var hole)
            {
                throw new InferenceException(InferenceError.InvalidImage, "invalid-image",
                    $"The WEBP picture is damaged: from byte {hole} of its coded data on there are zeros, as after an interrupted transfer.",
                    ("format", "webp"));
            }

            if (chunk.Is("VP8X"u8) && chunk.Data.Length >= 10)
            {
                header = Picture(UInt24(chunk.Data[4..]) + 1, UInt24(chunk.Data[7..]) + 1, (chunk.Data[0] & Alpha) != 0);
            }
            else if (chunk.Is("VP8 "u8) && chunk.Data.Length >= 10)
            {
                // RFC 6386, 9.1: three bytes of tag, three of start code, two numbers of 14 bits
                header = OfSize(header, Picture(BinaryPrimitives.ReadUInt16LittleEndian(chunk.Data[6..]) & 0x3FFF,
                    BinaryPrimitives.ReadUInt16LittleEndian(chunk.Data[8..]) & 0x3FFF, false));
                frames++;
            }
            else if (chunk.Is("VP8L"u8) && chunk.Data.Length >= 5)
            {
                // RFC 9649, 3.4: one byte of signature, two numbers of 14 bits less one, one bit of alpha
                var bits = BinaryPrimitives.ReadUInt32LittleEndian(chunk.Data[1..]);
                header = OfSize(header, Picture((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1, (bits & (1 << 28)) != 0));
                lossless = true;
                frames++;
            }
            else if (chunk.Is("ANMF"u8) && chunk.Data.Length >= 16)
            {
                first ??= PatchOf(chunk.Data);
                frames++;
            }
            else if (chunk.Is("EXIF"u8))
            {
                orientation = Exif.Orientation(chunk.Data.StartsWith("Exif\0\0"u8) ? chunk.Data[6..] : chunk.Data) ?? orientation;
            }
        }

        return header is null ? throw ImageHeader.Damaged("webp") : header with
        {
            // What is lossless is decoded as a whole, and so is transparency.
            PieceBytes = header.Width * header.Height * (lossless ? 4 : header.HasAlpha ? 1 : 0),
            Frames = Math.Max(frames, 1),
            FirstFrame = first,
            Orientation = new(orientation),
            IsComplete = complete && frames > 0,
        };

        // What is no animation fills its canvas.
        static ImageHeader OfSize(ImageHeader? canvas, ImageHeader picture) => canvas is null ? picture
            : (canvas.Width, canvas.Height) == (picture.Width, picture.Height) ? canvas : throw ImageHeader.Damaged("webp");

        static ImageHeader Picture(long width, long height, bool alpha) =>
            new() { Format = "webp", Width = width, Height = height, Bands = alpha ? 4 : 3, HasAlpha = alpha };
    }

    /// <summary>
    /// An animation's first frame as a file of its own. Decoders read the others, too, or lay each on the canvas anew, which costs the square of their number;
    /// or they know no animations at all.
    /// </summary>
    public static byte[] FirstFrame(ReadOnlySpan<byte> file)
    {
        foreach (var chunk in new Chunks(file[12..]))
        {
            if (!chunk.Is("ANMF"u8) || chunk.Data.Length < 16)
            {
                continue;
            }

            // 2.7.1.1: after the frame's place come an optional alpha chunk and the picture, as in a file of one picture with this header before them.
            var parts = chunk.Data[16..];
            var patch = PatchOf(chunk.Data);
            using var still = new MemoryStream(parts.Length + 30);
            still.Write("RIFF\0\0\0\0WEBP"u8);
            if (parts.StartsWith("ALPH"u8))
            {
                Span<byte> extended = [.. "VP8X"u8, 10, 0, 0, 0, Alpha, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                WriteUInt24(extended[12..], patch.Width - 1);
                WriteUInt24(extended[15..], patch.Height - 1);
                still.Write(extended);
            }

            still.Write(parts);
            var bytes = still.ToArray();
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), bytes.Length - 8);
            return bytes;
        }

        throw ImageHeader.Damaged("webp");
    }

    /// <summary>A file of one picture, with more bytes behind its coded data.</summary>
    public static byte[] WithMore(ReadOnlySpan<byte> file, byte value)
    {
        const int More = 64;
        using var longer = new MemoryStream(file.Length + More);
        longer.Write(file[..12]);
        foreach (var chunk in new Chunks(file[12..]))
        {
            var isPicture = chunk.Is("VP8 "u8) || chunk.Is("VP8L"u8);
            longer.Write(chunk.Name);
            longer.Write(BitConverter.GetBytes(chunk.Data.Length + (isPicture ? More : 0)));
            longer.Write(chunk.Data);
            longer.Write(Enumerable.Repeat(value, isPicture ? More : 0).ToArray());
            longer.Write(new byte[chunk.Data.Length & 1]);
        }

        var bytes = longer.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), bytes.Length - 8);
        return bytes;
    }

    // 2.7.1.1: offsets are halved, sides are less one.
    private static Patch PatchOf(ReadOnlySpan<byte> frame) => new(UInt24(frame) * 2, UInt24(frame[3..]) * 2, UInt24(frame[6..]) + 1, UInt24(frame[9..]) + 1);

    private static long UInt24(ReadOnlySpan<byte> bytes) => bytes[0] | (bytes[1] << 8) | (bytes[2] << 16);

    private static void WriteUInt24(Span<byte> bytes, long value) => (bytes[0], bytes[1], bytes[2]) = ((byte)value, (byte)(value >> 8), (byte)(value >> 16));

    /// <summary>The chunks of a RIFF file, as far as there are whole ones.</summary>
    private ref struct Chunks(ReadOnlySpan<byte> rest)
    {
        private ReadOnlySpan<byte> _rest = rest;

        public Chunk Current { get; private set; }

        public readonly Chunks GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_rest.Length < 8 || BinaryPrimitives.ReadUInt32LittleEndian(_rest[4..]) is var length && length > _rest.Length - 8)
            {
                return false;
            }

            Current = new(_rest[..4], _rest.Slice(8, (int)length));
            // Data of odd length is padded.
            _rest = _rest[(int)Math.Min(_rest.Length, 8L + length + (length & 1))..];
            return true;
        }
    }

    private readonly ref struct Chunk(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        public ReadOnlySpan<byte> Name { get; } = name;

        public ReadOnlySpan<byte> Data { get; } = data;

        public bool Is(ReadOnlySpan<byte> name) => Name.SequenceEqual(name);
    }
}
