using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Whatsit.Inference.Preprocessing;

/// <summary>Writes rows of RGB into the input tensor: rescaled, normalised, in the model's channel order and layout.</summary>
/// <remarks>The common ways are vectorised; no product is fused with a sum, so that every width of vector gives the same bits as none.</remarks>
internal sealed class TensorWriter
{
    // The least common multiple of three channels and sixteen floats in a vector.
    private const int Period = 48;

    private readonly InputSpec _input;
    private readonly int _vectorBits;

    // Per channel of the tensor: which of R G B it takes, and value × scale + offset, which is (value × rescale_factor − image_mean) ÷ image_std.
    private readonly int[] _channel = [0, 1, 2];
    private readonly float[] _scale = new float[Period];
    private readonly float[] _offset = new float[Period];

    public TensorWriter(PreprocessingSpec spec, InputSpec input, int vectorBits)
    {
        _input = input;
        _vectorBits = vectorBits;
        if (input.ElementType == InputElementType.Float32)
        {
            _channel = spec.ChannelOrder == ChannelOrder.Rgb ? [0, 1, 2] : [2, 1, 0];
            for (var i = 0; i < Period; i++)
            {
                _scale[i] = (float)(spec.RescaleFactor / spec.ImageStd[i % 3]);
                _offset[i] = (float)(-spec.ImageMean[i % 3] / spec.ImageStd[i % 3]);
            }
        }
    }

    // Then the tensor's rows are the resizer's rows.
    private bool TakesRowsAsTheyAre => _input is { ElementType: InputElementType.UInt8, Layout: TensorLayout.Nhwc };

    /// <summary>Where the resizer shall put the row of bytes that it hands to <see cref="Write(ReadOnlySpan{byte}, int, Span{byte})"/> next.</summary>
    public Span<byte> RowFor(int y, Span<byte> tensor, Span<byte> scratch)
    {
        var length = _input.Width * 3;
        return TakesRowsAsTheyAre ? tensor.Slice(y * length, length) : scratch[..length];
    }

    /// <summary>Writes a row of 8-bit pixels.</summary>
    public void Write(ReadOnlySpan<byte> row, int y, Span<byte> tensor)
    {
        if (TakesRowsAsTheyAre)
        {
            return;
        }

        (var first, var step, var plane) = Layout(y);
        if (_input.ElementType == InputElementType.UInt8)
        {
            for (var i = 0; i < row.Length; i++)
            {
                tensor[first + (i / 3 * step) + (i % 3 * plane)] = row[i];
            }

            return;
        }

        var floats = MemoryMarshal.Cast<byte, float>(tensor);
        var x = _vectorBits < 128 ? 0
            : _input.Layout == TensorLayout.Nchw ? WritePlanes(row, floats[first..], plane)
            : _channel[0] == 0 ? WriteInterleaved(row, floats.Slice(first, row.Length))
            : 0;
        for (; x < _input.Width; x++)
        {
            for (var c = 0; c < 3; c++)
            {
                floats[first + (x * step) + (c * plane)] = (row[(x * 3) + _channel[c]] * _scale[c]) + _offset[c];
            }
        }
    }

    /// <summary>Writes a row of pixels from 0 to 255 in floating point; where the model takes bytes, they are rounded.</summary>
    public void Write(ReadOnlySpan<float> row, int y, Span<byte> tensor)
    {
        (var first, var step, var plane) = Layout(y);
        if (_input.ElementType == InputElementType.UInt8)
        {
            for (var i = 0; i < row.Length; i++)
            {
                tensor[first + (i / 3 * step) + (i % 3 * plane)] = (byte)MathF.Round(row[i]);
            }

            return;
        }

        var floats = MemoryMarshal.Cast<byte, float>(tensor);
        var x = _vectorBits >= 128 && step == 3 && _channel[0] == 0 ? WriteInterleaved(row, floats.Slice(first, row.Length)) : 0;
        for (; x < _input.Width; x++)
        {
            for (var c = 0; c < 3; c++)
            {
                floats[first + (x * step) + (c * plane)] = (row[(x * 3) + _channel[c]] * _scale[c]) + _offset[c];
            }
        }
    }

    /// <summary>The element of the row's first pixel, and how far apart pixels and channels are.</summary>
    private (int First, int Step, int Plane) Layout(int y) => _input.Layout == TensorLayout.Nhwc
        ? (y * _input.Width * 3, 3, 1)
        : (y * _input.Width, 1, _input.Width * _input.Height);

    /// <returns>How many pixels were written; fewer than 16 are left.</returns>
    private int WriteInterleaved(ReadOnlySpan<byte> row, Span<float> floats)
    {
        ref var from = ref MemoryMarshal.GetReference(row);
        ref float to = ref MemoryMarshal.GetReference(floats), scale = ref _scale[0], offset = ref _offset[0];
        var i = 0;
        for (; i + Period <= row.Length; i += Period)
        {
            for (var k = 0; k < Period; k += 16)
            {
                var bytes = Vector128.LoadUnsafe(ref from, (nuint)(i + k));
                if (_vectorBits >= 256)
                {
                    var wide = Vector256.WidenLower(bytes.ToVector256Unsafe());
                    Store256(Vector256.WidenLower(wide), i, k, ref to, ref scale, ref offset);
                    Store256(Vector256.WidenUpper(wide), i, k + 8, ref to, ref scale, ref offset);
                }
                else
                {
                    (var low, var high) = Vector128.Widen(bytes);
                    Store128(Vector128.WidenLower(low), i, k, ref to, ref scale, ref offset);
                    Store128(Vector128.WidenUpper(low), i, k + 4, ref to, ref scale, ref offset);
                    Store128(Vector128.WidenLower(high), i, k + 8, ref to, ref scale, ref offset);
                    Store128(Vector128.WidenUpper(high), i, k + 12, ref to, ref scale, ref offset);
                }
            }
        }

        return i / 3;

        static void Store256(Vector256<uint> values, int i, int k, ref float to, ref float scale, ref float offset) =>
            ((Vector256.ConvertToSingle(values.AsInt32()) * Vector256.LoadUnsafe(ref scale, (nuint)k)) + Vector256.LoadUnsafe(ref offset, (nuint)k))
                .StoreUnsafe(ref to, (nuint)(i + k));

        static void Store128(Vector128<uint> values, int i, int k, ref float to, ref float scale, ref float offset) =>
            ((Vector128.ConvertToSingle(values.AsInt32()) * Vector128.LoadUnsafe(ref scale, (nuint)k)) + Vector128.LoadUnsafe(ref offset, (nuint)k))
                .StoreUnsafe(ref to, (nuint)(i + k));
    }

    /// <returns>How many pixels were written; fewer than 16 are left.</returns>
    private int WriteInterleaved(ReadOnlySpan<float> row, Span<float> floats)
    {
        ref float from = ref MemoryMarshal.GetReference(row), to = ref MemoryMarshal.GetReference(floats), scale = ref _scale[0], offset = ref _offset[0];
        var i = 0;
        for (; i + Period <= row.Length; i += Period)
        {
            for (var k = 0; k < Period; k += 4)
            {
                var at = (nuint)(i + k);
                ((Vector128.LoadUnsafe(ref from, at) * Vector128.LoadUnsafe(ref scale, (nuint)k)) + Vector128.LoadUnsafe(ref offset, (nuint)k))
                    .StoreUnsafe(ref to, at);
            }
        }

        return i / 3;
    }

    /// <returns>How many pixels were written; fewer than 16 are left.</returns>
    private int WritePlanes(ReadOnlySpan<byte> row, Span<float> floats, int plane)
    {
        ref var from = ref MemoryMarshal.GetReference(row);
        var x = 0;
        for (; x + 16 <= _input.Width; x += 16)
        {
            var a = Vector128.LoadUnsafe(ref from, (nuint)(x * 3));
            var b = Vector128.LoadUnsafe(ref from, (nuint)((x * 3) + 16));
            var c = Vector128.LoadUnsafe(ref from, (nuint)((x * 3) + 32));
            // An index beyond the vector gives 0.
            const byte No = 255;
            var red =
                Vector128.Shuffle(a, Vector128.Create(0, 3, 6, 9, 12, 15, No, No, No, No, No, No, No, No, No, No))
                | Vector128.Shuffle(b, Vector128.Create(No, No, No, No, No, No, 2, 5, 8, 11, 14, No, No, No, No, No))
                | Vector128.Shuffle(c, Vector128.Create(No, No, No, No, No, No, No, No, No, No, No, 1, 4, 7, 10, 13));
            var green =
                Vector128.Shuffle(a, Vector128.Create(1, 4, 7, 10, 13, No, No, No, No, No, No, No, No, No, No, No))
                | Vector128.Shuffle(b, Vector128.Create(No, No, No, No, No, 0, 3, 6, 9, 12, 15, No, No, No, No, No))
                | Vector128.Shuffle(c, Vector128.Create(No, No, No, No, No, No, No, No, No, No, No, 2, 5, 8, 11, 14));
            var blue =
                Vector128.Shuffle(a, Vector128.Create(2, 5, 8, 11, 14, No, No, No, No, No, No, No, No, No, No, No))
                | Vector128.Shuffle(b, Vector128.Create(No, No, No, No, No, 1, 4, 7, 10, 13, No, No, No, No, No, No))
                | Vector128.Shuffle(c, Vector128.Create(No, No, No, No, No, No, No, No, No, No, 0, 3, 6, 9, 12, 15));
            var rgb = _channel[0] == 0;
            StorePlane(rgb ? red : blue, _scale[0], _offset[0], floats.Slice(x, 16));
            StorePlane(green, _scale[1], _offset[1], floats.Slice(plane + x, 16));
            StorePlane(rgb ? blue : red, _scale[2], _offset[2], floats.Slice((2 * plane) + x, 16));
        }

        return x;
    }

    private static void StorePlane(Vector128<byte> channel, float scale, float offset, Span<float> floats)
    {
        (var low, var high) = Vector128.Widen(channel);
        ref var to = ref MemoryMarshal.GetReference(floats);
        Scaled(Vector128.WidenLower(low)).StoreUnsafe(ref to);
        Scaled(Vector128.WidenUpper(low)).StoreUnsafe(ref to, 4);
        Scaled(Vector128.WidenLower(high)).StoreUnsafe(ref to, 8);
        Scaled(Vector128.WidenUpper(high)).StoreUnsafe(ref to, 12);

        Vector128<float> Scaled(Vector128<uint> values) => (Vector128.ConvertToSingle(values.AsInt32()) * scale) + Vector128.Create(offset);
    }
}
