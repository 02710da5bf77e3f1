namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>
/// The samples of one component: as many rows as are needed at once, one written over the other when the next come, and their enlargement to
/// the picture's size.
/// </summary>
internal sealed class JpegPlane
{
    private const byte Grey = 128;

    private readonly byte[] _samples, _enlarged;
    private readonly int _stride, _rows, _width, _height;
    private readonly int _repeatX, _repeatY;
    private readonly bool _widens, _blends;

    /// <param name="component">Whose samples.</param>
    /// <param name="geometry">The picture's.</param>
    /// <param name="rowsOfMcus">How many rows of MCUs to hold.</param>
    public JpegPlane(JpegComponent component, JpegGeometry geometry, int rowsOfMcus)
    {
        (var horizontal, var vertical) = component.Sampling;
        (_repeatX, _repeatY) = geometry.EnlargementOf(component);
        _width = geometry.ReducedWidthOf(component);
        _height = geometry.ReducedHeightOf(component);
        _stride = geometry.McusPerRow * horizontal * component.Size;
        _rows = rowsOfMcus * vertical * component.Size;
        (_widens, _blends) = geometry.InterpolationOf(component);
        // Not from a pool: mostly it is little, and what is large is rare.
        _samples = GC.AllocateUninitializedArray<byte>(_rows * _stride);
        _enlarged = GC.AllocateUninitializedArray<byte>(Math.Max(_width * 2, geometry.Width));
    }

    /// <summary>From one row to the next.</summary>
    public int Stride => _stride;

    /// <summary>The plane from a place on.</summary>
    public Span<byte> From(int x, int y) => _samples.AsSpan(((y % _rows) * _stride) + x);

    /// <summary>Makes all rows grey.</summary>
    public void Clear() => Clear(0, 0, _rows);

    /// <summary>Makes rows grey of which nothing is known, from a column on.</summary>
    public void Clear(int x, int y, int rows)
    {
        for (var i = 0; i < rows; i++)
        {
            From(x, y + i)[..(_stride - x)].Fill(Grey);
        }
    }

    /// <summary>One row of the picture, valid until the next is asked for.</summary>
    public ReadOnlySpan<byte> Row(int y)
    {
        var nearest = y / _repeatY;
        if (_blends)
        {
            ReadOnlySpan<byte> near = Stored(nearest), far = Stored(nearest + (y % 2 == 0 ? -1 : 1));
            if (_widens)
            {
                JpegRows.BlendAndWiden(near, far, _enlarged);
            }
            else
            {
                JpegRows.Blend(near, far, 1 + (y % 2), _enlarged.AsSpan(0, _width));
            }

            return _enlarged;
        }

        if (_widens)
        {
            JpegRows.Widen(Stored(nearest), _enlarged);
            return _enlarged;
        }

        if (_repeatX > 1)
        {
            JpegRows.Repeat(Stored(nearest), _repeatX, _enlarged.AsSpan(0, Math.Min(_enlarged.Length, _width * _repeatX)));
            return _enlarged;
        }

        return Stored(nearest);
    }

    // Beyond the first and the last row there is that row again.
    private ReadOnlySpan<byte> Stored(int y) => From(0, Math.Clamp(y, 0, _height - 1))[.._width];
}
