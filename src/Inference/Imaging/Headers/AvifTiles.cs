using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// The tiles that the grids of an AVIF are made of (ISO/IEC 23008-12, 6.6.2.3), each as a file of its own: what libheif cannot decode of a grid it leaves grey
/// and says nothing, and of a single picture it does.
/// </summary>
internal readonly ref struct AvifTiles
{
    // As libvips: in a file with more it reads none.
    private const int MostItems = 256, MostExtents = 32;

    private readonly ReadOnlySpan<byte> _file, _data, _locations, _kinds, _properties, _associations;

    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidImage"/>: there are more tiles than the picture has room for.</exception>
    public AvifTiles(ReadOnlySpan<byte> file)
    {
        var meta = IsoBoxes.FindMeta(file);
        var properties = IsoBoxes.Find(meta, "iprp"u8);
        _file = file;
        _data = IsoBoxes.Find(meta, "idat"u8);
        _locations = IsoBoxes.Find(meta, "iloc"u8);
        _kinds = IsoBoxes.Find(meta, "iinf"u8);
        _properties = IsoBoxes.Find(properties, "ipco"u8);
        _associations = IsoBoxes.Find(properties, "ipma"u8);
        Items = [];

        var references = IsoBoxes.Find(meta, "iref"u8);
        var wide = references is [1, ..] ? 4 : 2;
        var (boxes, looked) = (0, new HashSet<(long Whole, long Tile)>());
        foreach (var box in new IsoBoxes(references.Length < 4 ? [] : references[4..]))
        {
            AtMost(MostItems, ++boxes);
            if (!box.Is("dimg"u8))
            {
                continue;
            }

            var numbers = new Numbers(box.Body);
            var whole = numbers.Next(wide);
            if (!KindOf(whole).SequenceEqual("grid"u8))
            {
                continue;
            }

            var grid = new Numbers(DataOf(whole));
            var (bytes, rows, columns) = ((grid.Next(2) & 1) == 0 ? 2 : 4, grid.Next(1), grid.Next(1));
            var (width, height) = (grid.Next(bytes), grid.Next(bytes));
            for (var count = numbers.Next(2); count > 0; count--)
            {
                var tile = numbers.Next(wide);
                if (!looked.Add((whole, tile)))
                {
                    continue;
                }

                // Each is decoded, wherever it lies: `rows` and `columns` are one less than there are.
                var (across, down) = SizeOf(tile);
                if (columns * across >= width || rows * down >= height)
                {
                    throw ImageHeader.Damaged("avif");
                }

                if (KindOf(tile).SequenceEqual("av01"u8))
                {
                    Items.Add(tile);
                }
            }
        }
    }

    /// <summary>Their numbers.</summary>
    public HashSet<long> Items { get; }

    /// <summary>One of them alone.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidImage"/>: its data lie outside the file.</exception>
    public byte[] AsFile(long item)
    {
        var data = DataOf(item);
        var length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, data.Length);
        var (properties, associations) = (new List<byte>(), new List<byte>());
        foreach (var property in PropertiesOf(item))
        {
            properties.AddRange(PropertyAt(property.Place));
            associations.Add((byte)((property.Essential ? 0x80 : 0) | (associations.Count + 1)));
        }

        return
        [
            .. Box("ftyp"u8, [.. "avif\0\0\0\0avifmif1"u8]),
            .. Box("meta"u8,
            [
                0, 0, 0, 0,
                .. Box("hdlr"u8, [.. new byte[8], .. "pict"u8, .. new byte[13]]),
                .. Box("pitm"u8, [0, 0, 0, 0, 0, 1]),
                // Version 1, numbers of 4 bytes; one item, in the box of data, of one piece from its start.
                .. Box("iloc"u8, [1, 0, 0, 0, 0x44, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, .. length]),
                .. Box("iinf"u8, [0, 0, 0, 0, 0, 1, .. Box("infe"u8, [2, 0, 0, 0, 0, 1, 0, 0, .. "av01"u8, 0])]),
                .. Box("iprp"u8,
                [
                    .. Box("ipco"u8, [.. properties]),
                    .. Box("ipma"u8, [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, (byte)associations.Count, .. associations]),
                ]),
                .. Box("idat"u8, data),
            ]),
        ];
    }

    private static byte[] Box(ReadOnlySpan<byte> name, byte[] body)
    {
        var box = new byte[8 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(box, box.Length);
        name.CopyTo(box.AsSpan(4));
        body.CopyTo(box, 8);
        return box;
    }

    // ISO/IEC 14496-12, 8.11.3: the sizes of the numbers, then of each item its pieces, in the file or in the box of data.
    private byte[] DataOf(long item)
    {
        var numbers = new Numbers(_locations);
        var version = numbers.Next(1);
        numbers.Next(3);
        var sizes = (int)numbers.Next(2);
        var wide = version < 2 ? 2 : 4;
        for (var items = AtMost(MostItems, numbers.Next(wide)); items > 0; items--)
        {
            var found = numbers.Next(wide) == item;
            var source = (version == 0 ? 0 : numbers.Next(2) & 15) switch { 0 => _file, 1 => _data, _ => [] };
            numbers.Next(2);
            var start = numbers.Next((sizes >> 4) & 15);
            using var data = new MemoryStream();
            for (var extents = AtMost(MostExtents, numbers.Next(2)); extents > 0; extents--)
            {
                numbers.Next(version > 0 ? sizes & 15 : 0);
                long at = start + numbers.Next(sizes >> 12), length = numbers.Next((sizes >> 8) & 15);
                if (found)
                {
                    if (at < 0 || at > source.Length || length < 0 || length > source.Length - at || data.Length + length > _file.Length)
                    {
                        throw ImageHeader.Damaged("avif");
                    }

                    data.Write(source.Slice((int)at, (int)length));
                }
            }

            if (found)
            {
                return data.ToArray();
            }
        }

        throw ImageHeader.Damaged("avif");
    }

    // 8.11.6: versions 2 and 3 have kinds; their numbers have 2 and 4 bytes.
    private ReadOnlySpan<byte> KindOf(long item)
    {
        var boxes = 0;
        foreach (var box in new IsoBoxes(_kinds.Length < 8 ? [] : _kinds[(_kinds[0] == 0 ? 6 : 8)..]))
        {
            AtMost(MostItems, ++boxes);
            var numbers = new Numbers(box.Body);
            var wide = numbers.Next(4) >> 24 < 3 ? 2 : 4;
            if (numbers.Next(wide) == item)
            {
                numbers.Next(2);
                return numbers.Take(4);
            }
        }

        return [];
    }

    // 8.11.14: of each item the places of its properties, and which of them must be understood.
    private List<(int Place, bool Essential)> PropertiesOf(long item)
    {
        var numbers = new Numbers(_associations);
        var head = numbers.Next(4);
        var bits = (head & 1) == 0 ? 7 : 15;
        for (var items = AtMost(MostItems, numbers.Next(4)); items > 0; items--)
        {
            var found = numbers.Next(head >> 24 == 0 ? 2 : 4) == item;
            var places = new List<(int Place, bool Essential)>();
            for (var count = numbers.Next(1); count > 0; count--)
            {
                // Place 0 is none.
                var property = (int)numbers.Next((bits + 1) / 8);
                if ((property & ((1 << bits) - 1)) is > 0 and var place)
                {
                    places.Add((place, property >> bits > 0));
                }
            }

            if (found)
            {
                return places;
            }
        }

        throw ImageHeader.Damaged("avif");
    }

    private ReadOnlySpan<byte> PropertyAt(int place)
    {
        AtMost(MostItems, place);
        foreach (var box in new IsoBoxes(_properties))
        {
            if (--place == 0)
            {
                return box.Whole;
            }
        }

        throw ImageHeader.Damaged("avif");
    }

    private (long Width, long Height) SizeOf(long item)
    {
        foreach (var property in PropertiesOf(item))
        {
            var size = IsoBoxes.Find(PropertyAt(property.Place), "ispe"u8);
            if (!size.IsEmpty)
            {
                var numbers = new Numbers(size);
                numbers.Next(4);
                return (numbers.Next(4), numbers.Next(4));
            }
        }

        throw ImageHeader.Damaged("avif");
    }

    private static long AtMost(int limit, long count) => count <= limit ? count : throw ImageHeader.Damaged("avif");

    /// <summary>Whole numbers of 0 to 8 bytes, the highest first.</summary>
    private ref struct Numbers(ReadOnlySpan<byte> rest)
    {
        private ReadOnlySpan<byte> _rest = rest;

        public long Next(int bytes)
        {
            long number = 0;
            foreach (var value in Take(bytes))
            {
                number = (number << 8) | value;
            }

            return number;
        }

        public ReadOnlySpan<byte> Take(int bytes)
        {
            if (bytes > _rest.Length)
            {
                throw ImageHeader.Damaged("avif");
            }

            var taken = _rest[..bytes];
            _rest = _rest[bytes..];
            return taken;
        }
    }
}
