using System.Runtime.InteropServices;

namespace Whatsit.Inference.Preprocessing;

/// <summary>Writes rows of RGB into the input tensor: rescaled, normalised, in the model's channel order and layout.</summary>
internal sealed class TensorWriter
{
    private readonly InputSpec _input;

    // Per channel of the tensor: which of R G B it takes, and value × scale + offset, which is (value × rescale_factor − image_mean) ÷ image_std.
    private readonly int[] _channel = [0, 1, 2];
    private readonly float[] _scale = new float[3];
    private readonly float[] _offset = new float[3];

    public TensorWriter(PreprocessingSpec spec, InputSpec input)
    {
        _input = input;
        if (input.ElementType == InputElementType.Float32)
        {
            for (int c = 0; c < 3; c++)
            {
                _channel[c] = spec.ChannelOrder == ChannelOrder.Rgb ? c : 2 - c;
                _scale[c] = (float)(spec.RescaleFactor / spec.ImageStd[c]);
                _offset[c] = (float)(-spec.ImageMean[c] / spec.ImageStd[c]);
            }
        }
    }

    // Then the tensor's rows are the resizer's rows.
    private bool TakesRowsAsTheyAre => _input is { ElementType: InputElementType.UInt8, Layout: TensorLayout.Nhwc };

    /// <summary>Where the resizer shall put the row of bytes that it hands to <see cref="Write(ReadOnlySpan{byte}, int, Span{byte})"/> next.</summary>
    public Span<byte> RowFor(int y, Span<byte> tensor, Span<byte> scratch)
    {
        int length = _input.Width * 3;
        return TakesRowsAsTheyAre ? tensor.Slice(y * length, length) : scratch[..length];
    }

    /// <summary>Writes a row of 8-bit pixels.</summary>
    public void Write(ReadOnlySpan<byte> row, int y, Span<byte> tensor)
    {
        if (TakesRowsAsTheyAre)
        {
            return;
        }
        (int first, int step, int plane) = Layout(y);
        for (int c = 0; c < 3; c++)
        {
            if (_input.ElementType == InputElementType.UInt8)
            {
                for (int x = 0, to = first + (c * plane); x < _input.Width; x++, to += step)
                {
                    tensor[to] = row[(x * 3) + c];
                }
            }
            else
            {
                Span<float> floats = MemoryMarshal.Cast<byte, float>(tensor);
                for (int x = 0, to = first + (c * plane); x < _input.Width; x++, to += step)
                {
                    floats[to] = (row[(x * 3) + _channel[c]] * _scale[c]) + _offset[c];
                }
            }
        }
    }

    /// <summary>Writes a row of pixels from 0 to 255 in floating point.</summary>
    public void Write(ReadOnlySpan<float> row, int y, Span<byte> tensor)
    {
        (int first, int step, int plane) = Layout(y);
        for (int c = 0; c < 3; c++)
        {
            if (_input.ElementType == InputElementType.UInt8)
            {
                for (int x = 0, to = first + (c * plane); x < _input.Width; x++, to += step)
                {
                    tensor[to] = (byte)MathF.Round(row[(x * 3) + c]);
                }
            }
            else
            {
                Span<float> floats = MemoryMarshal.Cast<byte, float>(tensor);
                for (int x = 0, to = first + (c * plane); x < _input.Width; x++, to += step)
                {
                    floats[to] = (row[(x * 3) + _channel[c]] * _scale[c]) + _offset[c];
                }
            }
        }
    }

    /// <summary>The element of the row's first pixel, and how far apart pixels and channels are.</summary>
    private (int First, int Step, int Plane) Layout(int y) => _input.Layout == TensorLayout.Nhwc
        ? (y * _input.Width * 3, 3, 1)
        : (y * _input.Width, 1, _input.Width * _input.Height);
}
