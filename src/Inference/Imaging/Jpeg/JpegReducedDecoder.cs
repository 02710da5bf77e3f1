using System.Buffers;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>Decodes a JPEG in full, or at a half, a quarter or an eighth of its size, and reads no more of it than that needs.</summary>
internal sealed class JpegReducedDecoder
{
    // Turning a picture by a quarter writes down its columns: as many rows at once as make a cache line worth it.
    private const int RowsPerStrip = 16;

    // A mean of 8 bits is 1024 at most, and encoders that sharpen white on black go a little further (mozjpeg, "overshoot").
    private const int LargestMean = 1280;

    // Some encoders leave a few bytes behind the last block.
    private const int MostBytesLeft = 4;

    private readonly ReadOnlyMemory<byte> _file;
    private readonly JpegMarkers _markers;
    private readonly JpegGeometry _geometry;
    private JpegDamage? _damage;

    private JpegReducedDecoder(ReadOnlyMemory<byte> file, JpegMarkers markers, JpegGeometry geometry) =>
        (_file, _markers, _geometry) = (file, markers, geometry);

    /// <summary>Pixels per row of the reduced picture, as it is stored: the whole number of them that the full width has.</summary>
    public int Width => _geometry.Width;

    /// <summary>Rows of the reduced picture, as it is stored.</summary>
    public int Height => _geometry.Height;

    /// <summary>Rows of the whole picture, as it is stored: what a damaged row counts in.</summary>
    public int FullHeight => _markers.Height;

    /// <summary>
    /// Reads the header. <see langword="null"/> where the file is not of our kind: progressive, arithmetic, lossless, 12 bits, four colours,
    /// samplings that are no multiples of one another, or damaged before the first scan.
    /// </summary>
    /// <param name="file">The whole file.</param>
    /// <param name="shrink">1, 2, 4 or 8.</param>
    /// <param name="toLook">Four colours, too: whoever only wants to know whether the file is damaged leaves the picture.</param>
    public static JpegReducedDecoder? TryOpen(ReadOnlyMemory<byte> file, int shrink, bool toLook = false)
    {
        var bytes = file.Span;
        var markers = new JpegMarkers { Position = 2 };
        if (!bytes.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8]) || markers.ReadToScan(bytes) != JpegMarkers.Found.Scan)
        {
            return null;
        }

        var geometry = new JpegGeometry(markers, shrink);
        return (toLook || markers.Colors != JpegColors.Cmyk) && geometry.Width > 0 && geometry.Height > 0 && markers.Components.All(geometry.CanEnlarge)
            ? new JpegReducedDecoder(file, markers, geometry)
            : null;
    }

    /// <summary>Decodes the picture. Once.</summary>
    /// <param name="orientation">How the rows have to be turned.</param>
    /// <param name="upright">The reduced picture, upright: width × height × 3 bytes, R G B.</param>
    /// <param name="cancellationToken">Asked between two rows of MCUs.</param>
    /// <returns>Where the file is damaged first, or <see langword="null"/>. From there on the picture is grey.</returns>
    public JpegDamage? Decode(Orientation orientation, Span<byte> upright, CancellationToken cancellationToken = default)
    {
        var file = _file.Span;
        var components = _markers.Components;
        var inOneScan = _markers.Scan.Length == components.Length;
        // Where rows are interpolated, a row of MCUs is finished when the next one is there; then the last row above it is still wanted.
        var lag = components.Any(component => _geometry.InterpolationOf(component).Blends) ? 1 : 0;
        var held = inOneScan ? 1 + (2 * lag) : _geometry.RowsOfMcus;
        JpegPlane[] planes = [.. components.Select(component => new JpegPlane(component, _geometry, held))];
        var strip = ArrayPool<byte>.Shared.Rent(orientation.IsUpright ? 0 : RowsPerStrip * Width * 3);
        using var reader = new JpegBitReader();
        try
        {
            if (inOneScan)
            {
                var scan = StartScan(file, reader, planes);
                for (var row = 0; row < _geometry.RowsOfMcus; row++)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    scan.DecodeRow(file, row);
                    if (row >= lag)
                    {
                        Write(planes, row - lag, strip, orientation, upright);
                    }
                }

                if (lag > 0)
                {
                    Write(planes, _geometry.RowsOfMcus - 1, strip, orientation, upright);
                }

                if (FinishScan(file, reader, scan) == JpegMarkers.Found.Scan)
                {
                    Report(_markers.Height, JpegDamageKind.ExtraneousData);
                }
            }
            else
            {
                DecodeScans(file, reader, planes, cancellationToken);
                for (var row = 0; row < _geometry.RowsOfMcus; row++)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    Write(planes, row, strip, orientation, upright);
                }
            }

            if (_markers.IsOdd || _markers.HasExtraneousData)
            {
                Report(_markers.Height, _markers.IsOdd ? JpegDamageKind.OddHeader : JpegDamageKind.ExtraneousData);
            }

            return _damage;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(strip);
        }
    }

    /// <summary>A scan of each component or of some of them, until all of them are there.</summary>
    private void DecodeScans(ReadOnlySpan<byte> file, JpegBitReader reader, JpegPlane[] planes, CancellationToken cancellationToken)
    {
        Array.ForEach(planes, plane => plane.Clear());
        JpegMarkers.Found found;
        do
        {
            // In a sequential JPEG each component has one scan (T.81, 4.10); a file could ask for any amount of work otherwise.
            if (_markers.Scan.Any(component => component.Weights.Length > 0))
            {
                Report(0, JpegDamageKind.BadSegment);
                return;
            }

            var scan = StartScan(file, reader, planes);
            for (var row = 0; row < _geometry.RowsOfMcus; row++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                scan.DecodeRow(file, row);
            }

            found = FinishScan(file, reader, scan);
        }
        while (found == JpegMarkers.Found.Scan);
        if (_markers.Components.Any(component => component.Weights.Length == 0))
        {
            Report(0, JpegDamageKind.MissingScan);
        }
    }

    private JpegScanDecoder StartScan(ReadOnlySpan<byte> file, JpegBitReader reader, JpegPlane[] planes)
    {
        foreach (var component in _markers.Scan)
        {
            component.LargestMean = 1 + (LargestMean / Math.Max((int)_markers.QuantizationOf(component)[0], 1));
            // Both colours mostly have the same.
            component.Weights = _markers.Scan.TakeWhile(other => other != component)
                .FirstOrDefault(other => (other.Size, other.Quantization) == (component.Size, component.Quantization))?.Weights
                ?? JpegWeights.Create(component.Size, _markers.QuantizationOf(component));
        }

        reader.Start(file, _markers.Position);
        JpegPlane[] ofScan = [.. _markers.Scan.Select(component => planes[Array.IndexOf(_markers.Components, component)])];
        return new JpegScanDecoder(reader, _geometry, _markers.Scan, ofScan, _markers.RestartInterval);
    }

    /// <summary>Notes what was wrong with a scan and goes on to the next or the end.</summary>
    private JpegMarkers.Found FinishScan(ReadOnlySpan<byte> file, JpegBitReader reader, JpegScanDecoder scan)
    {
        var (more, left) = (reader.HasMore, reader.SkipToMarker(file));
        if (scan.Damage is { } damage)
        {
            Report(damage.Row, damage.Kind);
        }
        else if (left > MostBytesLeft)
        {
            // From which row on the others are not where they belong, nothing tells. As with missing rows, a fiftieth is borne.
            Report(left * 50L > reader.Position - _markers.Position ? 0 : _markers.Height, JpegDamageKind.DataLeft);
        }
        else if (more)
        {
            Report(_markers.Height, JpegDamageKind.ExtraneousData);
        }

        _markers.Position = reader.Position;
        var found = reader.Marker == 0 ? JpegMarkers.Found.Nothing : _markers.ReadToScan(file, reader.Marker);
        if (found is JpegMarkers.Found.Nothing or JpegMarkers.Found.Unreadable)
        {
            Report(_markers.Height, found == JpegMarkers.Found.Nothing ? JpegDamageKind.MissingEnd : JpegDamageKind.BadSegment);
        }

        return found;
    }

    private void Report(int row, JpegDamageKind kind)
    {
        if (_damage is null || row < _damage.Value.Row)
        {
            _damage = new JpegDamage(row, kind);
        }
    }

    private void Write(JpegPlane[] planes, int rowOfMcus, byte[] strip, Orientation orientation, Span<byte> upright)
    {
        int rowBytes = Width * 3, end = Math.Min((rowOfMcus + 1) * _geometry.RowsPerMcu, Height);
        for (var y = rowOfMcus * _geometry.RowsPerMcu; y < end; y++)
        {
            var inStrip = y % RowsPerStrip;
            var rgb = orientation.IsUpright ? upright.Slice(y * rowBytes, rowBytes) : strip.AsSpan(inStrip * rowBytes, rowBytes);
            switch (_markers.Colors)
            {
                case JpegColors.Grey:
                    var grey = planes[0].Row(y)[..Width];
                    JpegRows.FromRgb(grey, grey, grey, rgb);
                    break;
                case JpegColors.Rgb:
                    JpegRows.FromRgb(planes[0].Row(y)[..Width], planes[1].Row(y)[..Width], planes[2].Row(y)[..Width], rgb);
                    break;
                default:
                    JpegRows.FromYCbCr(planes[0].Row(y)[..Width], planes[1].Row(y)[..Width], planes[2].Row(y)[..Width], rgb);
                    break;
            }

            if (!orientation.IsUpright && (inStrip == RowsPerStrip - 1 || y == Height - 1))
            {
                orientation.Place(strip.AsSpan(0, (inStrip + 1) * rowBytes), y - inStrip, Width, Height, upright);
            }
        }
    }
}
