using System.Globalization;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>A 16-bit floating point number of IEEE 754, as tensors hold it.</summary>
public readonly struct Float16 : IEquatable<Float16>
{
    /// <summary>The bits.</summary>
    public readonly ushort value;

    /// <summary>A number from its bits.</summary>
    public Float16(ushort v) => value = v;

    /// <summary>The same number with 32 bits, exactly.</summary>
    public float ToFloat() => (float)BitConverter.UInt16BitsToHalf(value);

    /// <summary>The nearest 16-bit number.</summary>
    public static explicit operator Float16(float value) => new(BitConverter.HalfToUInt16Bits((Half)value));

    /// <summary>The same number with 32 bits, exactly.</summary>
    public static explicit operator float(Float16 value) => value.ToFloat();

    /// <summary>Equality of numbers: NaN equals nothing.</summary>
    public static bool operator ==(Float16 left, Float16 right) => left.ToFloat() == right.ToFloat();

    /// <summary>Inequality of numbers: NaN equals nothing.</summary>
    public static bool operator !=(Float16 left, Float16 right) => !(left == right);

    /// <inheritdoc/>
    public bool Equals(Float16 other) => ToFloat().Equals(other.ToFloat());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Float16 other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => ToFloat().GetHashCode();

    /// <inheritdoc/>
    public override string ToString() => ToFloat().ToString(CultureInfo.InvariantCulture);
}
