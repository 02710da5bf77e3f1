using System.Buffers.Binary;

namespace Whatsit.Inference.Tests.Imaging.Jpeg;

/// <summary>
/// Writes sequential JPEG (ITU-T T.81) in every form that the library's own encoder does not: any samplings, restart intervals, one scan for each
/// component, fitted Huffman tables, other colours.
/// </summary>
internal sealed class JpegTestEncoder
{
    private static readonly byte[] ZigZag =
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    private readonly List<byte> _file = [];
    private uint _bits;
    private int _bitCount;

    public required int Width { get; init; }

    public required int Height { get; init; }

    /// <summary>Blocks per MCU of each component: one or three of them.</summary>
    public required (int Horizontal, int Vertical)[] Samplings { get; init; }

    /// <summary>One step for all coefficients: 1 loses almost nothing.</summary>
    public int Step { get; init; } = 8;

    public int RestartInterval { get; init; }

    public bool Interleaved { get; init; } = true;

    /// <summary>Tables fitted to the picture instead of those of annex K.</summary>
    public bool Optimised { get; init; }

    /// <summary>Adobe's marker with this transform instead of JFIF's.</summary>
    public byte? AdobeTransform { get; init; }

    public byte[] Ids { get; init; } = [1, 2, 3];

    /// <summary>SOF1 instead of SOF0.</summary>
    public bool Extended { get; init; }

    public int Seed { get; init; } = 1;

    private int MaxHorizontal => Samplings.Max(sampling => sampling.Horizontal);

    private int MaxVertical => Samplings.Max(sampling => sampling.Vertical);

    private int McusPerRow => DivideUp(Width, 8 * MaxHorizontal);

    private int RowsOfMcus => DivideUp(Height, 8 * MaxVertical);

    public byte[] Encode()
    {
        short[][][] blocks = [.. Samplings.Select((_, component) => Transform(component))];
        List<(int Component, List<(bool Ac, int Symbol, int Value, int Size)>? Symbols)>[] scans = Interleaved || Samplings.Length == 1
            ? [Symbols(blocks, [.. Enumerable.Range(0, Samplings.Length)])]
            : [.. Enumerable.Range(0, Samplings.Length).Select(component => Symbols(blocks, [component]))];

        _file.AddRange([0xFF, 0xD8]);
        if (AdobeTransform is { } transform)
        {
            Segment(0xEE, [.. "Adobe"u8, 0, 100, 0, 0, 0, 0, transform]);
        }
        else if (Ids is [1, ..])
        {
            Segment(0xE0, [.. "JFIF\0"u8, 1, 1, 0, 0, 1, 0, 1, 0, 0]);
        }

        Segment(0xDB, [0, .. Enumerable.Repeat((byte)Step, 64)]);
        Segment(0xDB, [0x11, .. Enumerable.Repeat(new byte[] { 0, (byte)(Step + 3) }, 64).SelectMany(step => step)]);
        var size = new byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(size, (ushort)Height);
        BinaryPrimitives.WriteUInt16BigEndian(size.AsSpan(2), (ushort)Width);
        Segment((byte)(Extended ? 0xC1 : 0xC0), [8, .. size, (byte)Samplings.Length, .. Samplings.SelectMany((sampling, i) =>
            new[] { Ids[i], (byte)((sampling.Horizontal << 4) | sampling.Vertical), (byte)Math.Min(i, 1) })]);
        if (RestartInterval > 0)
        {
            Segment(0xDD, [(byte)(RestartInterval >> 8), (byte)RestartInterval]);
        }

        var tables = Optimised
            ? [.. Enumerable.Range(0, 4).Select(table => Huffman.Fit(scans.SelectMany(scan => scan).Where(entry => entry.Symbols is not null)
                .SelectMany(entry => entry.Symbols!.Where(symbol => (Math.Min(entry.Component, 1) * 2) + (symbol.Ac ? 1 : 0) == table))
                    .Select(symbol => symbol.Symbol)))]
            : Huffman.Standard;
        for (var i = 0; i < 4; i++)
        {
            Segment(0xC4, [(byte)(((i & 1) << 4) | (i >> 1)), .. tables[i].Counts, .. tables[i].Symbols]);
        }

        foreach (var scan in scans)
        {
            int[] components = [.. scan.Where(entry => entry.Symbols is not null).Select(entry => entry.Component).Distinct()];
            Segment(0xDA,
                [(byte)components.Length, .. components.SelectMany(component => new[] { Ids[component], (byte)(Math.Min(component, 1) * 0x11) }), 0, 63, 0]);
            var restarts = 0;
            foreach ((var component, var symbols) in scan)
            {
                if (symbols is null)
                {
                    Flush();
                    _file.AddRange([0xFF, (byte)(0xD0 + (restarts++ & 7))]);
                    continue;
                }

                foreach ((var ac, var symbol, var value, var bits) in symbols)
                {
                    (var code, var length) = tables[(Math.Min(component, 1) * 2) + (ac ? 1 : 0)].CodeOf(symbol);
                    Bits(code, length);
                    Bits(value, bits);
                }
            }

            Flush();
        }

        _file.AddRange([0xFF, 0xD9]);
        return [.. _file];
    }

    /// <summary>A picture that is one colour: so little of a file for so many pixels that a test can afford it.</summary>
    public byte[] EncodeFlat()
    {
        var small = new JpegTestEncoder { Width = 8 * MaxHorizontal, Height = 8 * MaxVertical, Samplings = Samplings }.Encode();
        int scan = small.AsSpan().LastIndexOf([(byte)0xFF, (byte)0xDA]), frame = small.AsSpan().IndexOf([(byte)0xFF, (byte)0xC0]);
        BinaryPrimitives.WriteUInt16BigEndian(small.AsSpan(frame + 5), (ushort)Height);
        BinaryPrimitives.WriteUInt16BigEndian(small.AsSpan(frame + 7), (ushort)Width);
        _file.AddRange(small.AsSpan(0, scan + 2 + BinaryPrimitives.ReadUInt16BigEndian(small.AsSpan(scan + 2))));
        for (var mcu = 0; mcu < McusPerRow * RowsOfMcus; mcu++)
        {
            for (var i = 0; i < Samplings.Length; i++)
            {
                (var dc, var dcLength) = Huffman.Standard[Math.Min(i, 1) * 2].CodeOf(0);
                (var ac, var acLength) = Huffman.Standard[(Math.Min(i, 1) * 2) + 1].CodeOf(0);
                for (var block = 0; block < Samplings[i].Horizontal * Samplings[i].Vertical; block++)
                {
                    Bits((dc << acLength) | ac, dcLength + acLength);
                }
            }
        }

        Flush();
        _file.AddRange([0xFF, 0xD9]);
        return [.. _file];
    }

    /// <summary>Waves, an edge and some noise, different in each component and, as in photos, weaker in colours.</summary>
    private static double Sample(int component, int x, int y, Random noise) =>
        118 + ((component == 0 ? 1
            : 0.3) * ((40 * Math.Sin((x * (0.05 + (component * 0.02))) + (y * 0.08))) + (20 * Math.Cos((x * 0.4) - (y * 0.3 * (component + 1))))
        + ((x + (2 * y)) % 97 < 40 ? 25 : -25) + (noise.NextDouble() * 20)));

    private short[][] Transform(int component)
    {
        (var horizontal, var vertical) = Samplings[component];
        int blocksPerRow = McusPerRow * horizontal, rows = RowsOfMcus * vertical;
        double stepX = (double)MaxHorizontal / horizontal, stepY = (double)MaxVertical / vertical;
        var noise = new Random((Seed * 10) + component);
        var samples = new double[rows * 8, blocksPerRow * 8];
        for (var y = 0; y < rows * 8; y++)
        {
            for (var x = 0; x < blocksPerRow * 8; x++)
            {
                samples[y, x] = Math.Clamp(Sample(component, (int)Math.Min(x * stepX, Width - 1), (int)Math.Min(y * stepY, Height - 1), noise), 0, 255);
            }
        }

        var blocks = new short[rows * blocksPerRow][];
        for (var block = 0; block < blocks.Length; block++)
        {
            blocks[block] = Transform(samples, block % blocksPerRow * 8, block / blocksPerRow * 8, component == 0 ? Step : Step + 3);
        }

        return blocks;
    }

    private static short[] Transform(double[,] samples, int left, int top, int step)
    {
        var block = new short[64];
        for (var k = 0; k < 64; k++)
        {
            int u = ZigZag[k] % 8, v = ZigZag[k] / 8;
            double sum = 0;
            for (var y = 0; y < 8; y++)
            {
                for (var x = 0; x < 8; x++)
                {
                    sum += (samples[top + y, left + x] - 128) * Wave[u, x] * Wave[v, y];
                }
            }

            block[k] = (short)Math.Round(sum / step);
        }

        return block;
    }

    private static readonly double[,] Wave = Waves();

    private static double[,] Waves()
    {
        var waves = new double[8, 8];
        for (var frequency = 0; frequency < 8; frequency++)
        {
            for (var x = 0; x < 8; x++)
            {
                waves[frequency, x] = Math.Cos(((2 * x) + 1) * frequency * Math.PI / 16) * (frequency == 0 ? Math.Sqrt(0.125) : 0.5);
            }
        }

        return waves;
    }

    /// <summary>The symbols of a scan, block by block; a block without symbols is a restart.</summary>
    private List<(int Component, List<(bool Ac, int Symbol, int Value, int Size)>? Symbols)> Symbols(short[][][] blocks, int[] components)
    {
        List<(int, List<(bool, int, int, int)>?)> scan = [];
        var before = new int[Samplings.Length];
        var alone = components.Length == 1;
        var only = Samplings[components[0]];
        var mcusPerRow = alone ? DivideUp(Width * only.Horizontal, 8 * MaxHorizontal) : McusPerRow;
        var rows = alone ? DivideUp(Height * only.Vertical, 8 * MaxVertical) : RowsOfMcus;
        for (var mcu = 0; mcu < mcusPerRow * rows; mcu++)
        {
            if (RestartInterval > 0 && mcu > 0 && mcu % RestartInterval == 0)
            {
                scan.Add((0, null));
                Array.Clear(before);
            }

            foreach (var component in components)
            {
                (var horizontal, var vertical) = alone ? (1, 1) : Samplings[component];
                var blocksPerRow = McusPerRow * Samplings[component].Horizontal;
                for (var block = 0; block < horizontal * vertical; block++)
                {
                    int x = (mcu % mcusPerRow * horizontal) + (block % horizontal), y = (mcu / mcusPerRow * vertical) + (block / horizontal);
                    scan.Add((component, Symbols(blocks[component][(y * blocksPerRow) + x], ref before[component])));
                }
            }
        }

        return scan;
    }

    private static List<(bool Ac, int Symbol, int Value, int Size)> Symbols(short[] block, ref int before)
    {
        List<(bool, int, int, int)> symbols = [];
        Add(false, 0, block[0] - before);
        before = block[0];
        var zeros = 0;
        for (var k = 1; k < 64; k++)
        {
            if (block[k] == 0)
            {
                zeros++;
                continue;
            }

            for (; zeros > 15; zeros -= 16)
            {
                symbols.Add((true, 0xF0, 0, 0));
            }

            Add(true, zeros << 4, block[k]);
            zeros = 0;
        }

        if (zeros > 0)
        {
            symbols.Add((true, 0, 0, 0));
        }

        return symbols;

        void Add(bool ac, int run, int value)
        {
            var size = value == 0 ? 0 : 32 - int.LeadingZeroCount(Math.Abs(value));
            symbols.Add((ac, run | size, value < 0 ? value + (1 << size) - 1 : value, size));
        }
    }

    private void Segment(byte marker, byte[] content)
    {
        _file.AddRange([0xFF, marker, (byte)((content.Length + 2) >> 8), (byte)(content.Length + 2)]);
        _file.AddRange(content);
    }

    private void Bits(int value, int count)
    {
        for (var i = count - 1; i >= 0; i--)
        {
            _bits = (_bits << 1) | (uint)((value >> i) & 1);
            if (++_bitCount == 8)
            {
                _file.Add((byte)_bits);
                if ((byte)_bits == 0xFF)
                {
                    _file.Add(0);
                }

                (_bits, _bitCount) = (0, 0);
            }
        }
    }

    private void Flush()
    {
        if (_bitCount > 0)
        {
            Bits(0x7F, 8 - _bitCount);
        }
    }

    private static int DivideUp(int value, int divisor) => (value + divisor - 1) / divisor;

    /// <summary>A Huffman table: luma's and colour's, of means and of the rest, in this order.</summary>
    private sealed class Huffman
    {
        private readonly Dictionary<int, (int Code, int Length)> _codes = [];

        private Huffman(byte[] counts, byte[] symbols)
        {
            (Counts, Symbols) = (counts, symbols);
            int code = 0, at = 0;
            for (var length = 1; length <= 16; length++, code <<= 1)
            {
                for (var i = 0; i < counts[length - 1]; i++)
                {
                    _codes[symbols[at++]] = (code++, length);
                }
            }
        }

        /// <summary>Those of annex K, from a file that Pillow wrote with them.</summary>
        public static Huffman[] Standard { get; } = ReadStandard();

        public byte[] Counts { get; }

        public byte[] Symbols { get; }

        public (int Code, int Length) CodeOf(int symbol) => _codes[symbol];

        /// <summary>Shannon's code: as many bits as a symbol's share says, rounded up. One more symbol takes the code of ones alone.</summary>
        public static Huffman Fit(IEnumerable<int> symbols)
        {
            var counts = symbols.GroupBy(symbol => symbol).ToDictionary(group => group.Key, group => group.Count());
            var total = counts.Values.Sum() * 1.01;
            (int Symbol, int Length)[] lengths = [.. counts
                .Select(pair => (pair.Key, Length: Math.Min(16, (int)Math.Ceiling(Math.Log2(total / pair.Value)))))
                .OrderBy(pair => pair.Length)];
            var perLength = new byte[16];
            foreach ((_, var length) in lengths)
            {
                perLength[length - 1]++;
            }

            return new Huffman(perLength, [.. lengths.Select(pair => (byte)pair.Symbol)]);
        }

        private static Huffman[] ReadStandard()
        {
            var file = File.ReadAllBytes(TestData.Path("images", "picture.jpg"));
            var tables = new Huffman[4];
            for (var at = 2; file[at + 1] != 0xDA; at += 2 + BinaryPrimitives.ReadUInt16BigEndian(file.AsSpan(at + 2)))
            {
                if (file[at + 1] == 0xC4)
                {
                    var segment = file.AsSpan(at + 4, BinaryPrimitives.ReadUInt16BigEndian(file.AsSpan(at + 2)) - 2);
                    while (!segment.IsEmpty)
                    {
                        var counts = segment.Slice(1, 16).ToArray();
                        var length = counts.Sum(count => count);
                        tables[((segment[0] & 15) * 2) + (segment[0] >> 4)] = new Huffman(counts, segment.Slice(17, length).ToArray());
                        segment = segment[(17 + length)..];
                    }
                }
            }

            return tables;
        }
    }
}
