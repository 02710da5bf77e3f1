using System.Text;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>What elements are (IV.A.2.d). The numbers are the specification's.</summary>
public enum Hdf5Class
{
    /// <summary>Integers of any width.</summary>
    Integer = 0,

    /// <summary>IEEE floats, and bfloat16.</summary>
    Float = 1,

    /// <summary>Text of one length.</summary>
    String = 3,

    /// <summary>Bytes without a meaning.</summary>
    Opaque = 5,

    /// <summary>Several fields.</summary>
    Compound = 6,

    /// <summary>Named integers; Booleans among them. Read as their integers.</summary>
    Enumeration = 8,

    /// <summary>Text, or sequences, of any length.</summary>
    VariableLength = 9,
}

/// <summary>The type of a dataset's or an attribute's elements.</summary>
/// <param name="Class">What they are.</param>
/// <param name="Size">Bytes of one.</param>
public sealed record Hdf5Type(Hdf5Class Class, int Size)
{
    /// <summary>Numbers: the most significant byte first.</summary>
    public bool BigEndian { get; private init; }

    /// <summary>Integers: with a sign.</summary>
    public bool Signed { get; private init; }

    /// <summary>Floats: bits of the mantissa, which tell the two 16-bit formats apart.</summary>
    public int MantissaBits { get; private init; }

    /// <summary>Text of variable length (instead of a sequence of something).</summary>
    public bool VariableText { get; private init; }

    private bool SpacePadded { get; init; }

    internal static Hdf5Type Read(Hdf5Cursor message)
    {
        int head = message.Byte();
        var version = head >> 4;
        var kind = (Hdf5Class)(head & 15);
        var bits = (int)message.Unsigned(3);
        var size = message.UInt32();
        if (version is 0 or > 4 || size is 0 or > int.MaxValue)
        {
            throw Hdf5Storage.Malformed($"a type has version {version} and {Counted.Of(size, "byte")}");
        }

        var type = new Hdf5Type(kind, (int)size);
        switch (kind)
        {
            case Hdf5Class.Integer:
                return type with { BigEndian = (bits & 1) != 0, Signed = (bits & 8) != 0 };
            case Hdf5Class.Float:
                message.Skip(2 + 2 + 1 + 1 + 1); // bit offset, precision, where and how wide the exponent is, where the mantissa is
                return type with { BigEndian = (bits & 1) != 0, MantissaBits = message.Byte() };
            case Hdf5Class.String:
                return type with { SpacePadded = (bits & 15) == 2 };
            case Hdf5Class.Enumeration:
                return Read(message) is { Class: Hdf5Class.Integer } integers ? integers
                    : throw Hdf5Storage.Malformed("an enumeration is not made of integers");
            case Hdf5Class.VariableLength:
                return type with { VariableText = (bits & 15) == 1 };
            default:
                return type;
        }
    }

    /// <summary>One element of <see cref="Hdf5Class.String"/>: padded with NULs or spaces, or ended by a NUL.</summary>
    internal string Text(ReadOnlySpan<byte> element)
    {
        var nul = element.IndexOf((byte)0);
        var text = Encoding.UTF8.GetString(nul < 0 ? element : element[..nul]);
        return SpacePadded ? text.TrimEnd(' ') : text;
    }

    /// <summary>For messages: <c>32-bit float</c>.</summary>
    public override string ToString() => Class switch
    {
        Hdf5Class.Integer => $"{8 * Size}-bit {(Signed ? "" : "unsigned ")}integer",
        Hdf5Class.Float => MantissaBits == 7 ? "bfloat16" : $"{8 * Size}-bit float",
        Hdf5Class.VariableLength => VariableText ? "text" : "sequence",
        _ => Class.ToString().ToLowerInvariant(),
    };
}

/// <summary>The shape of a dataset or an attribute (IV.A.2.b).</summary>
/// <param name="Sides">Its sides; none for a scalar.</param>
/// <param name="MostSides">How far each side may grow; -1 without limit.</param>
internal sealed record Dataspace(long[] Sides, long[] MostSides)
{
    /// <summary>How many elements.</summary>
    public long Count { get; private init; }

    public static Dataspace Read(Hdf5Storage storage, Hdf5Cursor message)
    {
        var version = message.Version("dataspace", 1, 2);
        int rank = message.Byte();
        int flags = message.Byte();
        var none = version == 2 && message.Byte() == 2; // the null dataspace: no element at all
        if (version == 1)
        {
            message.Skip(5);
        }

        long[] sides = [.. Enumerable.Range(0, rank).Select(_ => message.Length())];
        var most = (flags & 1) == 0 ? sides
            : [.. Enumerable.Range(0, rank).Select(_ => storage.LengthSize == 8 ? (long)message.Unsigned(8) : message.Length())];
        UInt128 count = none ? 0u : 1u;
        foreach (var side in sides)
        {
            count *= (UInt128)side; // below: two factors below 2^63 do not overflow 128 bits
            if (count > long.MaxValue)
            {
                throw Hdf5Storage.Malformed($"a shape of [{string.Join(", ", sides)}] overflows");
            }
        }

        return new Dataspace(sides, most) { Count = (long)count };
    }
}
