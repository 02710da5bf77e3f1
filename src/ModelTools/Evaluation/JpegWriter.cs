using System.Buffers.Binary;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>
/// Writes baseline JPEG with 4:2:0 colour, as cameras and Pillow do by default: ITU-T T.81 with the example tables of its annex K, scaled by
/// "quality" as libjpeg scales them. The server has no use for an encoder; reports show photos, and the benchmark, which compiles this file too, makes its own.
/// </summary>
internal sealed class JpegWriter
{
    // T.81 figure 5, the order in which the coefficients of a block are sent.
    private static readonly byte[] ZigZag =
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    // T.81 tables K.1 and K.2.
    private static readonly byte[] LuminanceSteps =
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
        18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ];

    private static readonly byte[] ChrominanceSteps =
    [
        17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    ];

    // T.81 tables K.3 to K.6: how many codes of each length, then the symbols by code.
    private static readonly Huffman[] Dc =
    [
        new("00010501010101010100000000000000", "000102030405060708090a0b"),
        new("00030101010101010101010000000000", "000102030405060708090a0b"),
    ];

    private static readonly Huffman[] Ac =
    [
        new("0002010303020403050504040000017d",
            "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a53545556"
            + "5758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6"
            + "d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"),
        new("00020102040403040705040400010277",
            "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455"
            + "565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4"
            + "d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"),
    ];

    private static readonly float[] Cosines = [.. Enumerable.Range(0, 64).Select(i =>
        (float)((i / 8 == 0 ? Math.Sqrt(0.125) : 0.5) * Math.Cos(((2 * (i % 8)) + 1) * (i / 8) * Math.PI / 16)))];

    private readonly List<byte> _file = [];
    private readonly byte[][] _steps;
    private uint _bits;
    private int _bitCount;

    private JpegWriter(int quality) => _steps = [Scale(LuminanceSteps, quality), Scale(ChrominanceSteps, quality)];

    /// <summary>Encodes rows of R G B.</summary>
    public static byte[] Encode(byte[] rgb, int width, int height, int quality)
    {
        var writer = new JpegWriter(quality);
        writer.WriteHeaders(width, height);
        writer.WritePixels(rgb, width, height);
        return writer._file.ToArray();
    }

    // libjpeg, jcparam.c: jpeg_quality_scaling.
    private static byte[] Scale(byte[] steps, int quality)
    {
        var percent = quality < 50 ? 5000 / quality : 200 - (2 * quality);
        return [.. steps.Select(step => (byte)Math.Clamp(((step * percent) + 50) / 100, 1, 255))];
    }

    private void WriteHeaders(int width, int height)
    {
        _file.AddRange([0xFF, 0xD8]); // SOI
        Segment(0xE0, [.. "JFIF\0"u8, 1, 1, 0, 0, 1, 0, 1, 0, 0]);
        for (byte table = 0; table < 2; table++)
        {
            Segment(0xDB, [table, .. ZigZag.Select(place => _steps[table][place])]); // DQT
            Segment(0xC4, [table, .. Dc[table].Definition]); // DHT
            Segment(0xC4, [(byte)(0x10 | table), .. Ac[table].Definition]);
        }

        // SOF0: 8 bits, three components; Y has twice the samples of Cb and Cr each way.
        Segment(0xC0, [8, (byte)(height >> 8), (byte)height, (byte)(width >> 8), (byte)width, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
        Segment(0xDA, [3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]); // SOS
    }

    private void Segment(byte marker, ReadOnlySpan<byte> content)
    {
        Span<byte> head = [0xFF, marker, 0, 0];
        BinaryPrimitives.WriteUInt16BigEndian(head[2..], (ushort)(content.Length + 2));
        _file.AddRange(head);
        _file.AddRange(content);
    }

    private void WritePixels(byte[] rgb, int width, int height)
    {
        Span<float> luminance = stackalloc float[256], blue = stackalloc float[64], red = stackalloc float[64], block = stackalloc float[64];
        Span<int> previous = stackalloc int[3];
        for (var top = 0; top < height; top += 16)
        {
            for (var left = 0; left < width; left += 16)
            {
                blue.Clear();
                red.Clear();
                for (var i = 0; i < 256; i++)
                {
                    // Beyond the edge the last pixel repeats.
                    var from = ((Math.Min(top + (i / 16), height - 1) * width) + Math.Min(left + (i % 16), width - 1)) * 3;
                    float r = rgb[from], g = rgb[from + 1], b = rgb[from + 2];
                    // JFIF 1.02: the conversion to Y Cb Cr.
                    luminance[i] = (0.299f * r) + (0.587f * g) + (0.114f * b) - 128;
                    var small = (i / 32 * 8) + (i % 16 / 2);
                    blue[small] += ((-0.168736f * r) - (0.331264f * g) + (0.5f * b)) / 4;
                    red[small] += ((0.5f * r) - (0.418688f * g) - (0.081312f * b)) / 4;
                }

                for (var quarter = 0; quarter < 4; quarter++)
                {
                    for (var row = 0; row < 8; row++)
                    {
                        luminance.Slice((((quarter / 2 * 8) + row) * 16) + (quarter % 2 * 8), 8).CopyTo(block[(row * 8)..]);
                    }

                    WriteBlock(block, 0, ref previous[0]);
                }

                WriteBlock(blue, 1, ref previous[1]);
                WriteBlock(red, 1, ref previous[2]);
            }
        }

        Put(0x7F, 7); // the last byte is filled with ones
        _file.AddRange([0xFF, 0xD9]); // EOI
    }

    private void WriteBlock(ReadOnlySpan<float> samples, int table, ref int previous)
    {
        Span<float> rows = stackalloc float[64];
        Span<int> coefficients = stackalloc int[64];
        for (var i = 0; i < 64; i++)
        {
            var sum = 0f;
            for (var k = 0; k < 8; k++)
            {
                sum += samples[(i / 8 * 8) + k] * Cosines[(i % 8 * 8) + k];
            }

            rows[i] = sum;
        }

        for (var i = 0; i < 64; i++)
        {
            var sum = 0f;
            for (var k = 0; k < 8; k++)
            {
                sum += rows[(k * 8) + (i % 8)] * Cosines[(i / 8 * 8) + k];
            }

            coefficients[i] = (int)MathF.Round(sum / _steps[table][i]);
        }

        var difference = coefficients[0] - previous;
        previous = coefficients[0];
        WriteValue(Dc[table], 0, difference);
        var zeros = 0;
        for (var place = 1; place < 64; place++)
        {
            var value = coefficients[ZigZag[place]];
            if (value == 0)
            {
                zeros++;
                continue;
            }

            for (; zeros > 15; zeros -= 16)
            {
                Put(Ac[table].Codes[0xF0], Ac[table].Lengths[0xF0]);
            }

            WriteValue(Ac[table], zeros << 4, value);
            zeros = 0;
        }

        if (zeros > 0)
        {
            Put(Ac[table].Codes[0], Ac[table].Lengths[0]);
        }
    }

    // T.81 F.1.2: a Huffman code for the number of bits, then the bits; negative numbers are sent minus one.
    private void WriteValue(Huffman huffman, int run, int value)
    {
        var size = 32 - int.LeadingZeroCount(Math.Abs(value));
        Put(huffman.Codes[run | size], huffman.Lengths[run | size]);
        Put((uint)(value < 0 ? value - 1 : value) & ((1u << size) - 1), size);
    }

    private void Put(uint bits, int count)
    {
        _bits = (_bits << count) | bits;
        for (_bitCount += count; _bitCount >= 8; _bitCount -= 8)
        {
            var next = (byte)(_bits >> (_bitCount - 8));
            _file.Add(next);
            if (next == 0xFF)
            {
                _file.Add(0); // so that it is no marker
            }
        }
    }

    private sealed class Huffman
    {
        public Huffman(string counts, string symbols)
        {
            var all = Convert.FromHexString(symbols);
            Definition = [.. Convert.FromHexString(counts), .. all];
            uint code = 0;
            for (int length = 1, next = 0; length <= 16; length++, code <<= 1)
            {
                for (var i = 0; i < Definition[length - 1]; i++, next++, code++)
                {
                    Codes[all[next]] = code;
                    Lengths[all[next]] = length;
                }
            }
        }

        public byte[] Definition { get; }

        public uint[] Codes { get; } = new uint[256];

        public int[] Lengths { get; } = new int[256];
    }
}
