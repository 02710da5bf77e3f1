namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>Decodes one scan into the planes of its components, a row of MCUs at a time.</summary>
internal sealed class JpegScanDecoder
{
    private readonly JpegBitReader _reader;
    private readonly JpegGeometry _geometry;
    private readonly JpegComponent[] _components;
    private readonly JpegPlane[] _planes;
    private readonly int _restartInterval;
    private int _untilRestart, _restarts;

    /// <param name="reader">At the beginning of the scan's data.</param>
    /// <param name="geometry">The picture's.</param>
    /// <param name="components">The scan's components.</param>
    /// <param name="planes">Their planes.</param>
    /// <param name="restartInterval">MCUs between two restart markers, or 0.</param>
    public JpegScanDecoder(JpegBitReader reader, JpegGeometry geometry, JpegComponent[] components, JpegPlane[] planes, int restartInterval)
    {
        (_reader, _geometry, _components, _planes) = (reader, geometry, components, planes);
        _untilRestart = _restartInterval = restartInterval > 0 ? restartInterval : int.MaxValue;
    }

    /// <summary>Where the scan is damaged; what comes after that is grey.</summary>
    public JpegDamage? Damage { get; private set; }

    /// <summary>Decodes all blocks of one row of MCUs.</summary>
    public void DecodeRow(ReadOnlySpan<byte> file, int row)
    {
        if (_components.Length > 1)
        {
            DecodeLine(file, row, row * _geometry.McuHeight, _geometry.McusPerRow);
            return;
        }
        // The blocks of one component come row by row (T.81, A.2.2), and those that only fill the last MCU not at all.
        var component = _components[0];
        var vertical = component.Sampling.Vertical;
        var end = Math.Min((row + 1) * vertical, _geometry.RowsOfBlocksOf(component));
        for (var line = row * vertical; line < end; line++)
        {
            DecodeLine(file, line, line * _geometry.McuHeight / vertical, _geometry.BlocksPerRowOf(component));
        }
    }

    private void DecodeLine(ReadOnlySpan<byte> file, int line, int firstPixelRow, int count)
    {
        for (var mcu = 0; mcu < count; mcu++)
        {
            var kind = Damage is null ? DecodeMcu(file, mcu, line) : JpegDamageKind.PrematureEnd;
            if (kind != JpegDamageKind.None)
            {
                Damage ??= new JpegDamage(firstPixelRow, kind);
                Clear(mcu, line);
                return;
            }
        }
    }

    private JpegDamageKind DecodeMcu(ReadOnlySpan<byte> file, int mcu, int line)
    {
        if (_untilRestart-- == 0 && Restart(file) is not JpegDamageKind.None and var kind)
        {
            return kind;
        }

        _reader.Prepare(file);
        for (var i = 0; i < _components.Length; i++)
        {
            var component = _components[i];
            (var horizontal, var vertical) = BlocksOf(component);
            int size = component.Size, stride = _planes[i].Stride;
            var samples = _planes[i].From(mcu * horizontal * size, line * vertical * size);
            for (int block = 0, x = 0; block < horizontal * vertical; block++)
            {
                kind = size switch
                {
                    1 => JpegBlock.Decode<JpegSamples1>(_reader, component, samples[x..], stride),
                    2 => JpegBlock.Decode<JpegSamples2>(_reader, component, samples[x..], stride),
                    4 => JpegBlock.Decode<JpegSamples4>(_reader, component, samples[x..], stride),
                    _ => JpegBlock.Decode<JpegSamples8>(_reader, component, samples[x..], stride),
                };
                if (kind != JpegDamageKind.None)
                {
                    return kind;
                }

                x += size;
                if (x == horizontal * size && block + 1 < horizontal * vertical)
                {
                    samples = samples[(size * stride)..];
                    x = 0;
                }
            }
        }

        return _reader.IsOverrun ? JpegDamageKind.PrematureEnd : JpegDamageKind.None;
    }

    // T.81, E.2.4: the markers count from 0 to 7 and again.
    private JpegDamageKind Restart(ReadOnlySpan<byte> file)
    {
        if (_reader.HasMore)
        {
            return JpegDamageKind.ExtraneousData;
        }

        if (_reader.Marker != 0xD0 + (_restarts++ & 7))
        {
            return JpegDamageKind.MissingRestart;
        }

        _reader.Start(file, _reader.Position);
        _untilRestart = _restartInterval - 1;
        foreach (var component in _components)
        {
            component.Prediction = 0;
        }

        return JpegDamageKind.None;
    }

    private void Clear(int mcu, int line)
    {
        for (var i = 0; i < _components.Length; i++)
        {
            (var horizontal, var vertical) = BlocksOf(_components[i]);
            var size = _components[i].Size;
            _planes[i].Clear(mcu * horizontal * size, line * vertical * size, vertical * size);
        }
    }

    private (int Horizontal, int Vertical) BlocksOf(JpegComponent component) => _components.Length > 1 ? component.Sampling : (1, 1);
}
