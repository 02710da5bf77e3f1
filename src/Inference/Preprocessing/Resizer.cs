using System.Collections.Concurrent;

namespace Whatsit.Inference.Preprocessing;

/// <summary>Resizes RGB pixels row by row, and only those that the input takes.</summary>
internal abstract class Resizer
{
    /// <summary>Whether every pixel of the picture counts (an antialiased filter), or only the few nearest to each of the input's.</summary>
    public abstract bool Antialiases { get; }

    /// <summary>Computes the input's rows from top to bottom and hands each to the writer.</summary>
    public abstract void Resize(ReadOnlySpan<byte> pixels, int width, Geometry geometry, TensorWriter writer, Span<byte> tensor);
}

/// <summary>Tables by side. Photos come in few sizes, and a table costs more than the rows that are computed with it are worth repeating.</summary>
internal sealed class TableCache<T>(Func<AxisGeometry, T> create)
{
    // A table is some 30 KB for a 12-megapixel photo.
    private const int MaxTables = 64;

    private readonly ConcurrentDictionary<AxisGeometry, T> _tables = new();

    public T Get(AxisGeometry axis)
    {
        // Where the source starts does not change the weights.
        axis = axis with { SourceStart = 0 };
        if (_tables.TryGetValue(axis, out var table))
        {
            return table;
        }

        if (_tables.Count >= MaxTables)
        {
            _tables.Clear();
        }

        return _tables[axis] = create(axis);
    }
}
