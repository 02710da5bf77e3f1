using System.Buffers.Binary;
using System.IO.Compression;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>The filter pipeline of a chunked dataset (IV.A.2.l), run backwards.</summary>
internal sealed class Filters
{
    private const int Deflate = 1;
    private const int Shuffle = 2;
    private const int Fletcher32 = 3;

    private readonly List<int> _ids = [];

    public Filters(Hdf5Cursor? message, string path)
    {
        if (message is null)
        {
            return;
        }

        var version = message.Version("filter pipeline", 1, 2);
        int count = message.Byte();
        message.Skip(version == 1 ? 6 : 0);
        for (var filter = 0; filter < count; filter++)
        {
            // Version 2 leaves the name of the specification's own filters (below 256) out, and pads nothing.
            var id = message.UInt16();
            var nameLength = version == 1 || id >= 256 ? message.UInt16() : 0;
            var values = message.Skip(2).UInt16();
            var name = message.Text(version == 1 ? (nameLength + 7) & ~7 : nameLength);
            message.Skip((4L * values) + (version == 1 && values % 2 == 1 ? 4 : 0));
            if (id is not (Deflate or Shuffle or Fletcher32))
            {
                throw new ModelFormatException($"The filter {id}{(name.Length > 0 ? $" ('{name}')" : "")} of the dataset '{path}' is not supported.");
            }

            _ids.Add(id);
        }
    }

    public bool Any => _ids.Count > 0;

    /// <summary>Undoes the filters of one chunk.</summary>
    /// <param name="stored">The chunk as it lies in the file.</param>
    /// <param name="mask">A bit for each filter that was skipped.</param>
    /// <param name="length">Bytes that must come out.</param>
    /// <param name="elementSize">Bytes of an element, for shuffle.</param>
    public byte[] Undo(byte[] stored, long mask, int length, int elementSize)
    {
        var data = stored;
        for (var filter = _ids.Count - 1; filter >= 0; filter--)
        {
            if ((mask & (1L << filter)) == 0)
            {
                data = _ids[filter] switch
                {
                    Deflate => Inflate(data, length + (4 * _ids.Take(filter).Count(id => id == Fletcher32))),
                    Shuffle => Unshuffle(data, elementSize),
                    _ => CheckFletcher32(data),
                };
            }
        }

        return data.Length == length ? data : throw Hdf5Storage.Malformed($"a chunk decodes to {Counted.Of(data.Length, "byte")} instead of {length:N0}");
    }

    private static byte[] Inflate(byte[] data, int length)
    {
        var inflated = new byte[length];
        try
        {
            using var stream = new ZLibStream(new MemoryStream(data), CompressionMode.Decompress);
            if (stream.ReadAtLeast(inflated, length, throwOnEndOfStream: false) < length || stream.ReadByte() >= 0)
            {
                throw Hdf5Storage.Malformed($"a chunk does not inflate to its {Counted.Of(length, "byte")}");
            }
        }
        catch (InvalidDataException exception)
        {
            throw Hdf5Storage.Malformed("a chunk does not inflate", exception);
        }

        return inflated;
    }

    // Shuffle stores the first bytes of all elements, then all second bytes; what does not fill an element stands unchanged at the end.
    private static byte[] Unshuffle(byte[] data, int elementSize)
    {
        var count = data.Length / elementSize;
        var elements = (byte[])data.Clone();
        for (var part = 0; part < elementSize; part++)
        {
            ReadOnlySpan<byte> plane = data.AsSpan(part * count, count);
            for (var element = 0; element < count; element++)
            {
                elements[(element * elementSize) + part] = plane[element];
            }
        }

        return elements;
    }

    // Fletcher's checksum over big-endian 16-bit words, stored behind the data; some writers on big-endian machines swapped its halves' bytes.
    private static byte[] CheckFletcher32(byte[] data)
    {
        if (data.Length < 4)
        {
            throw Hdf5Storage.Malformed("a chunk is shorter than its checksum");
        }

        ReadOnlySpan<byte> words = data.AsSpan(0, data.Length - 4);
        uint low = 0;
        uint high = 0;
        for (var index = 0; index < words.Length; index += 2)
        {
            low = (low + (((uint)words[index] << 8) | (index + 1 < words.Length ? words[index + 1] : 0u))) % 65535;
            high = (high + low) % 65535;
        }

        // The reference sums without a modulus and folds carries instead, which writes 0 as 65535.
        var stored = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(data.Length - 4));
        var swapped = ((stored & 0x00FF00FF) << 8) | ((stored >> 8) & 0x00FF00FF);
        return Same(stored, high, low) || Same(swapped, high, low) ? words.ToArray() : throw Hdf5Storage.Malformed("a chunk does not match its checksum");

        static bool Same(uint stored, uint high, uint low) => (stored >> 16) % 65535 == high && (stored & 0xFFFF) % 65535 == low;
    }
}
