namespace Whatsit.Inference.Preprocessing;

/// <summary>What one element of the input tensor is.</summary>
public enum InputType
{
    /// <summary>A byte: the pixel itself; the graph normalises.</summary>
    UInt8,

    /// <summary>A 32-bit float, already normalised.</summary>
    Float32,
}

/// <summary>In which order the input tensor's elements lie.</summary>
public enum InputLayout
{
    /// <summary>Rows of pixels of channels, as in a picture.</summary>
    Nhwc,

    /// <summary>One plane per channel.</summary>
    Nchw,
}

/// <summary>The tensor that a model takes for one picture.</summary>
/// <param name="Name">The input's name in the graph.</param>
/// <param name="Type">What one element is.</param>
/// <param name="Layout">In which order the elements lie.</param>
/// <param name="Width">Pixels per row.</param>
/// <param name="Height">Rows.</param>
public sealed record InputSpec(string Name, InputType Type, InputLayout Layout, int Width, int Height);
