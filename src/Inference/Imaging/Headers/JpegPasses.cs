namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// What the scans of a progressive JPEG have brought of each coefficient (T.81, G.1.1.1): the upper bits first, then one bit in each further pass. What never
/// comes is a zero to every decoder, so that a file that ends between two passes looks whole, and is only coarser.
/// </summary>
internal sealed class JpegPasses
{
    private const int Coefficients = 64;
    private const byte Nothing = 255;

    private readonly byte[] _components;

    // How many bits of each component's coefficients are still to come.
    private readonly byte[] _left;

    /// <summary>Begins with nothing of the components that a frame's header names.</summary>
    public JpegPasses(ReadOnlySpan<byte> frame)
    {
        _components = new byte[frame[5]];
        for (var component = 0; component < _components.Length; component++)
        {
            _components[component] = frame[6 + (component * 3)];
        }

        _left = new byte[_components.Length * Coefficients];
        _left.AsSpan().Fill(Nothing);
    }

    /// <summary>Whether all bits of all coefficients have come.</summary>
    public bool AreComplete => !AreNamed || !_left.ContainsAnyExcept((byte)0);

    /// <summary>Whether not even the means of a component's blocks have come.</summary>
    public bool LacksMeans => AreNamed && Enumerable.Range(0, _components.Length).Any(component => _left[component * Coefficients] == Nothing);

    // Where two components have one name, which no book allows and some files have, scans do not say whose they are.
    private bool AreNamed => _components.Distinct().Count() == _components.Length;

    /// <summary>Takes note of a scan, by its header: components, the first and last coefficient, and the bits before and after it (B.2.3).</summary>
    public void Add(ReadOnlySpan<byte> scan)
    {
        if (scan.Length < 1 || scan.Length < 4 + (scan[0] * 2))
        {
            return;
        }

        var band = scan.Slice(1 + (scan[0] * 2), 3);
        var (first, last, left) = ((int)band[0], Math.Min((int)band[1], Coefficients - 1), (byte)(band[2] & 15));
        for (var each = 0; each < scan[0] && first <= last; each++)
        {
            var component = _components.IndexOf(scan[1 + (each * 2)]);
            if (component >= 0)
            {
                _left.AsSpan((component * Coefficients) + first, last - first + 1).Fill(left);
            }
        }
    }
}
