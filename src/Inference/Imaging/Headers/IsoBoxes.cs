using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>Boxes one behind the other, ISO/IEC 14496-12, 4.2: size and type; size 1 means that 64 bits follow, 0 that the box goes on to the end.</summary>
internal ref struct IsoBoxes(ReadOnlySpan<byte> rest)
{
    private ReadOnlySpan<byte> _rest = rest;

    public IsoBox Current { get; private set; }

    /// <summary>What the first box of this name holds; nothing where there is none.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> boxes, ReadOnlySpan<byte> name)
    {
        foreach (var box in new IsoBoxes(boxes))
        {
            if (box.Is(name))
            {
                return box.Body;
            }
        }

        return [];
    }

    /// <summary>The same of a file's <c>meta</c>, a full box: four bytes of version and flags come before its children.</summary>
    public static ReadOnlySpan<byte> FindMeta(ReadOnlySpan<byte> file)
    {
        var meta = Find(file, "meta"u8);
        return meta.Length < 4 ? [] : meta[4..];
    }

    public readonly IsoBoxes GetEnumerator() => this;

    public bool MoveNext()
    {
        if (_rest.Length < 8)
        {
            return false;
        }

        ulong size = BinaryPrimitives.ReadUInt32BigEndian(_rest);
        var head = 8;
        if (size == 1 && _rest.Length >= 16)
        {
            (size, head) = (BinaryPrimitives.ReadUInt64BigEndian(_rest[8..]), 16);
        }

        var length = size == 0 ? _rest.Length : (int)Math.Min(size, (ulong)_rest.Length);
        if (length < head)
        {
            return false;
        }

        Current = new(_rest[..length], head);
        _rest = _rest[length..];
        return true;
    }
}

/// <summary>One of them.</summary>
internal readonly ref struct IsoBox(ReadOnlySpan<byte> whole, int head)
{
    private readonly int _head = head;

    public ReadOnlySpan<byte> Whole { get; } = whole;

    public ReadOnlySpan<byte> Body => Whole[_head..];

    public bool Is(ReadOnlySpan<byte> name) => Whole.Slice(4, 4).SequenceEqual(name);
}
