using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>One component of the picture: luma, a colour difference, or a colour.</summary>
internal sealed class JpegComponent
{
    /// <summary>The name by which scans call it.</summary>
    public required byte Id { get; init; }

    /// <summary>Blocks per MCU of an interleaved scan, in a row of them and one above the other: 1 … 4.</summary>
    public required (int Horizontal, int Vertical) Sampling { get; init; }

    /// <summary>Which quantization table.</summary>
    public required int Quantization { get; init; }

    /// <summary>Samples per side of a reduced block: 1, 2, 4 or 8.</summary>
    public int Size { get; set; }

    /// <summary>What a coefficient of 1 adds to each sample; empty until the component's scan begins.</summary>
    public int[] Weights { get; set; } = [];

    /// <summary>What the DC coefficient of a picture can be, in either direction; set with the weights.</summary>
    public int LargestMean { get; set; }

    /// <summary>The scan's table of the means.</summary>
    public JpegHuffmanTable Dc { get; set; } = null!;

    /// <summary>The scan's table of all other coefficients.</summary>
    public JpegHuffmanTable Ac { get; set; } = null!;

    /// <summary>The DC coefficient of the block before.</summary>
    public int Prediction { get; set; }
}

/// <summary>How the components become RGB.</summary>
internal enum JpegColors
{
    Grey,
    YCbCr,
    Rgb,
    Cmyk,
}

/// <summary>
/// Reads the segments between the entropy-coded data: ITU-T T.81, annex B, and what libjpeg makes of files that stray from it (jdmarker.c).
/// </summary>
internal sealed class JpegMarkers
{
    private readonly ushort[]?[] _quantizations = new ushort[]?[4];
    private readonly JpegHuffmanTable?[] _dc = new JpegHuffmanTable?[4], _ac = new JpegHuffmanTable?[4];
    private bool _sawJfif;
    private byte? _adobeTransform;

    /// <summary>What <see cref="ReadToScan"/> found.</summary>
    public enum Found
    {
        /// <summary>A scan; its data begin at <see cref="Position"/>.</summary>
        Scan,

        /// <summary>The end marker.</summary>
        End,

        /// <summary>The end of the file.</summary>
        Nothing,

        /// <summary>A segment that is damaged or belongs to a kind of JPEG that is not ours.</summary>
        Unreadable,
    }

    /// <summary>Where the file goes on.</summary>
    public int Position { get; set; }

    /// <summary>Pixels per row of the whole picture.</summary>
    public int Width { get; private set; }

    /// <summary>Rows of the whole picture.</summary>
    public int Height { get; private set; }

    /// <summary>One, three or four.</summary>
    public JpegComponent[] Components { get; private set; } = [];

    /// <summary>The components of the scan.</summary>
    public JpegComponent[] Scan { get; private set; } = [];

    /// <summary>MCUs between two restart markers, or 0.</summary>
    public int RestartInterval { get; private set; }

    /// <summary>The header is read by guessing.</summary>
    public bool IsOdd { get; private set; }

    /// <summary>Bytes that belong to nothing stood before a marker.</summary>
    public bool HasExtraneousData { get; private set; }

    /// <summary>As libjpeg guesses it (default_decompress_parms): JFIF, then Adobe's marker, then the names of the components.</summary>
    public JpegColors Colors => Components switch
    {
        [_] => JpegColors.Grey,
        [_, _, _, _] => JpegColors.Cmyk,
        _ when _sawJfif => JpegColors.YCbCr,
        _ when _adobeTransform is { } transform => transform == 0 ? JpegColors.Rgb : JpegColors.YCbCr,
        [{ Id: (byte)'R' }, { Id: (byte)'G' }, { Id: (byte)'B' }] => JpegColors.Rgb,
        _ => JpegColors.YCbCr,
    };

    /// <summary>Reads up to the next scan, its header included.</summary>
    public Found ReadToScan(ReadOnlySpan<byte> file, byte marker = 0)
    {
        while (true)
        {
            if (marker == 0 && !TryReadMarker(file, out marker))
            {
                return Found.Nothing;
            }

            switch (marker)
            {
                case 0xD9:
                    return Found.End;
                case 0x01 or (>= 0xD0 and <= 0xD7):
                    // TEM and RSTn have no parameters.
                    marker = 0;
                    continue;
                // SOI again; kinds of frames that are not ours; segments that announce such (DHP, EXP), and reserved ones.
                case 0xD8 or (>= 0xC2 and <= 0xCF and not 0xC4 and not 0xCC) or 0xDE or 0xDF or (>= 0xF0 and <= 0xFD) or < 0xC0:
                    return Found.Unreadable;
            }

            if (!TryReadSegment(file, out var segment) || !TryRead(marker, segment))
            {
                return Found.Unreadable;
            }

            if (marker == 0xDA)
            {
                return Found.Scan;
            }

            marker = 0;
        }
    }

    private bool TryReadMarker(ReadOnlySpan<byte> file, out byte marker)
    {
        marker = 0;
        var start = Position;
        while (marker == 0)
        {
            var next = file[Position..].IndexOf((byte)0xFF);
            if (next < 0)
            {
                return false;
            }

            HasExtraneousData |= next > 0 || Position > start;
            Position += next;
            while (Position < file.Length && file[Position] == 0xFF)
            {
                Position++;
            }

            if (Position == file.Length)
            {
                return false;
            }

            marker = file[Position++];
        }

        return true;
    }

    private bool TryReadSegment(ReadOnlySpan<byte> file, out ReadOnlySpan<byte> segment)
    {
        segment = file[Position..];
        if (segment.Length < 2 || BinaryPrimitives.ReadUInt16BigEndian(segment) is var length && (length < 2 || length > segment.Length))
        {
            return false;
        }

        segment = segment[2..length];
        Position += length;
        return true;
    }

    private bool TryRead(byte marker, ReadOnlySpan<byte> segment)
    {
        switch (marker)
        {
            case 0xC0 or 0xC1:
                return TryReadFrame(segment);
            case 0xC4:
                return TryReadHuffmanTables(segment);
            case 0xDA:
                return TryReadScan(segment);
            case 0xDB:
                return TryReadQuantizations(segment);
            case 0xDD:
                RestartInterval = segment.Length == 2 ? BinaryPrimitives.ReadUInt16BigEndian(segment) : 0;
                return segment.Length == 2;
            case 0xE0 when segment.Length >= 14 && segment.StartsWith("JFIF\0"u8):
                _sawJfif = true;
                IsOdd |= segment[5] != 1;
                return true;
            case 0xEE when segment.Length >= 12 && segment.StartsWith("Adobe"u8):
                _adobeTransform = segment[11];
                return true;
            default:
                return true;
        }
    }

    // B.2.2
    private bool TryReadFrame(ReadOnlySpan<byte> segment)
    {
        if (Components.Length > 0 || segment.Length < 6 || segment[0] != 8 || segment[5] is not (1 or 3 or 4) || segment.Length != 6 + (segment[5] * 3))
        {
            return false;
        }

        Height = BinaryPrimitives.ReadUInt16BigEndian(segment[1..]);
        Width = BinaryPrimitives.ReadUInt16BigEndian(segment[3..]);
        var components = new JpegComponent[segment[5]];
        for (var i = 0; i < components.Length; i++)
        {
            var entry = segment[(6 + (i * 3))..];
            (var horizontal, var vertical) = (entry[1] >> 4, entry[1] & 15);
            if (horizontal is < 1 or > 4 || vertical is < 1 or > 4 || entry[2] > 3)
            {
                return false;
            }

            components[i] = new JpegComponent { Id = entry[0], Sampling = (horizontal, vertical), Quantization = entry[2] };
        }

        Components = components;
        // libjpeg knows no larger ones (JPEG_MAX_DIMENSION).
        return Width is > 0 and <= 65_500 && Height is > 0 and <= 65_500;
    }

    // B.2.3
    private bool TryReadScan(ReadOnlySpan<byte> segment)
    {
        if (segment.IsEmpty || segment[0] is < 1 or > 4 || segment.Length != 4 + (segment[0] * 2))
        {
            return false;
        }

        var scan = new JpegComponent[segment[0]];
        for (var i = 0; i < scan.Length; i++)
        {
            (var id, var tables) = (segment[1 + (i * 2)], segment[2 + (i * 2)]);
            // In the order of the frame, as libjpeg has it: the i-th cannot be one of the first i.
            var index = i;
            while (index < Components.Length && (Components[index].Id != id || scan.Contains(Components[index])))
            {
                index++;
            }

            if (index >= Components.Length || tables >> 4 > 3 || (tables & 15) > 3
                || _dc[tables >> 4] is not { } dc || _ac[tables & 15] is not { } ac
                || Components[index] is var component && _quantizations[component.Quantization] is null)
            {
                return false;
            }

            (component.Dc, component.Ac, component.Prediction) = (dc, ac, 0);
            scan[i] = component;
        }

        IsOdd |= segment[^3] != 0 || segment[^2] != 63 || segment[^1] != 0 || (!_sawJfif && Components.Length == 3 && _adobeTransform > 1);
        Scan = scan;
        // More blocks in an MCU are not allowed (B.2.3).
        return scan.Length == 1 || scan.Sum(component => component.Sampling.Horizontal * component.Sampling.Vertical) <= 10;
    }

    /// <summary>The quantization steps that a component has now, in the order of the file.</summary>
    public ReadOnlySpan<ushort> QuantizationOf(JpegComponent component) => _quantizations[component.Quantization];

    // B.2.4.1
    private bool TryReadQuantizations(ReadOnlySpan<byte> segment)
    {
        while (!segment.IsEmpty)
        {
            var wide = segment[0] >> 4 != 0;
            int index = segment[0] & 15, length = 1 + (wide ? 128 : 64);
            if (index > 3 || segment.Length < length)
            {
                return false;
            }

            var steps = new ushort[64];
            for (var k = 0; k < 64; k++)
            {
                steps[k] = wide ? BinaryPrimitives.ReadUInt16BigEndian(segment[(1 + (k * 2))..]) : segment[1 + k];
            }

            _quantizations[index] = steps;
            segment = segment[length..];
        }

        return true;
    }

    // B.2.4.2
    private bool TryReadHuffmanTables(ReadOnlySpan<byte> segment)
    {
        while (segment.Length > 16)
        {
            var ac = (segment[0] & 0x10) != 0;
            int index = segment[0] & ~0x10, count = 0;
            var counts = segment.Slice(1, 16);
            foreach (var codes in counts)
            {
                count += codes;
            }

            if (index > 3 || count > 256 || segment.Length < 17 + count
                || JpegHuffmanTable.Create(!ac, counts, segment.Slice(17, count)) is not { } table)
            {
                return false;
            }

            (ac ? _ac : _dc)[index] = table;
            segment = segment[(17 + count)..];
        }

        return segment.IsEmpty;
    }
}
