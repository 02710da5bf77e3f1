namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>Sizes of a picture that may be decoded smaller: libjpeg's, jdinput.c and jdmaster.c.</summary>
internal sealed class JpegGeometry
{
    private readonly int _fullWidth, _fullHeight, _horizontal, _vertical;

    /// <param name="markers">The header.</param>
    /// <param name="shrink">1, 2, 4 or 8.</param>
    public JpegGeometry(JpegMarkers markers, int shrink)
    {
        (_fullWidth, _fullHeight) = (markers.Width, markers.Height);
        _horizontal = markers.Components.Max(component => component.Sampling.Horizontal);
        _vertical = markers.Components.Max(component => component.Sampling.Vertical);
        SmallestSize = 8 / shrink;
        (Width, Height) = (_fullWidth / shrink, _fullHeight / shrink);
        (McuWidth, McuHeight) = (8 * _horizontal, 8 * _vertical);
        McusPerRow = DivideUp(_fullWidth, McuWidth);
        RowsOfMcus = DivideUp(_fullHeight, McuHeight);
        foreach (var component in markers.Components)
        {
            component.Size = SizeOf(component);
        }
    }

    /// <summary>Pixels per row of the reduced picture: rounded down, since a last partial one stands for pixels that are not there.</summary>
    public int Width { get; }

    /// <summary>Rows of the reduced picture, rounded down as well.</summary>
    public int Height { get; }

    /// <summary>Samples per side of a block of the component that has most.</summary>
    public int SmallestSize { get; }

    /// <summary>Pixels of the full picture in an MCU with all components.</summary>
    public int McuWidth { get; }

    /// <summary>The same from top to bottom.</summary>
    public int McuHeight { get; }

    /// <summary>MCUs side by side.</summary>
    public int McusPerRow { get; }

    /// <summary>Rows of them.</summary>
    public int RowsOfMcus { get; }

    /// <summary>Rows of the reduced picture that a row of MCUs makes.</summary>
    public int RowsPerMcu => SmallestSize * _vertical;

    /// <summary>How often each of the component's samples counts in a row and in a column of the picture.</summary>
    public (int X, int Y) EnlargementOf(JpegComponent component) =>
        (_horizontal * SmallestSize / (component.Sampling.Horizontal * component.Size),
            _vertical * SmallestSize / (component.Sampling.Vertical * component.Size));

    /// <summary>
    /// Whether enlarging takes the neighbours into account, in a row and between rows: where it is two to one, and not at an eighth (jdsample.c).
    /// </summary>
    public (bool Widens, bool Blends) InterpolationOf(JpegComponent component)
    {
        (var x, var y) = EnlargementOf(component);
        var widens = SmallestSize > 1 && x == 2 && y <= 2 && ReducedWidthOf(component) > 2;
        return (widens, SmallestSize > 1 && y == 2 && (x == 1 || widens));
    }

    /// <summary>Whether the component's samples can be enlarged to the picture: libjpeg knows whole factors only.</summary>
    public bool CanEnlarge(JpegComponent component) =>
        _horizontal * SmallestSize % (component.Sampling.Horizontal * component.Size) == 0
        && _vertical * SmallestSize % (component.Sampling.Vertical * component.Size) == 0;

    /// <summary>Samples in a row of the component, without those that only fill the last block.</summary>
    public int ReducedWidthOf(JpegComponent component) => DivideUp(_fullWidth * component.Sampling.Horizontal * component.Size, McuWidth);

    /// <summary>Rows of the component, without those that only fill the last block.</summary>
    public int ReducedHeightOf(JpegComponent component) => DivideUp(_fullHeight * component.Sampling.Vertical * component.Size, McuHeight);

    /// <summary>Blocks in a row of a scan of this component alone.</summary>
    public int BlocksPerRowOf(JpegComponent component) => DivideUp(_fullWidth * component.Sampling.Horizontal, McuWidth);

    /// <summary>Rows of blocks of a scan of this component alone.</summary>
    public int RowsOfBlocksOf(JpegComponent component) => DivideUp(_fullHeight * component.Sampling.Vertical, McuHeight);

    /// <summary>
    /// A component with fewer samples is decoded larger instead of being enlarged afterwards, where that makes up for it in both directions.
    /// </summary>
    private int SizeOf(JpegComponent component)
    {
        var size = SmallestSize;
        while (size < 8
            && _horizontal * SmallestSize % (component.Sampling.Horizontal * size * 2) == 0
            && _vertical * SmallestSize % (component.Sampling.Vertical * size * 2) == 0)
        {
            size *= 2;
        }

        return size;
    }

    private static int DivideUp(int value, int divisor) => (value + divisor - 1) / divisor;
}
