using System.Runtime.InteropServices;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>
/// A bundle's network, fed as if its pictures were prepared in other ways than the one that is part of it:
/// <code>
///   pixels ─► another scaling ─► undo the network's own ─► its input, which takes floats now ─► probabilities
/// </code>
/// </summary>
internal sealed class TrialNetwork : IDisposable
{
    private readonly ModelManifest _manifest;
    private readonly Scaling _own;
    private readonly OnnxRunner _runner;

    /// <summary>Loads the network.</summary>
    /// <param name="manifest">Its bundle's manifest.</param>
    /// <param name="path">Its file.</param>
    public TrialNetwork(ModelManifest manifest, string path)
    {
        _manifest = manifest;
        var graph = new OnnxReader().Read(path).Graph;
        var front = BytesFront.Of(graph, manifest.Input);
        Channels = front.IsGrey ? 1 : 3;
        Scales = manifest.Input.ElementType == InputElementType.Float32 || front.Cast is not null;
        _own = manifest.Input.ElementType == InputElementType.Float32 ? new Scaling(1, [0, 0, 0], [1, 1, 1]) : Scaling.Of(manifest.Preprocessing);
        _runner = front.Cast is null ? new OnnxRunner(path, threads: 1) : WithFloats(graph);
    }

    /// <summary>How many channels the network itself looks at: 3, or 1.</summary>
    public int Channels { get; }

    /// <summary>Whether it takes other numbers than the bytes of the pixels.</summary>
    public bool Scales { get; }

    /// <summary>The tensor of pixels that <see cref="Run"/> takes: with bytes as they are where the network takes floats, too.</summary>
    public InputSpec Pixels => _manifest.Input;

    /// <summary>The probabilities of one picture; without the temperature, which was chosen for other pictures.</summary>
    /// <param name="pixels">A tensor of <see cref="Pixels"/>, not scaled.</param>
    /// <param name="scaling">How they become numbers.</param>
    public float[] Run(ReadOnlySpan<byte> pixels, Scaling scaling)
    {
        int[] shape = [.. Pixels.Shape.Select(side => (int)side)];
        var tensor = Scales ? Tensor.Float32(shape, Scaled(pixels, scaling)) : new Tensor(ElementType.UInt8, shape, Ordered(pixels, scaling));
        var scores = _runner.Run(new Dictionary<string, Tensor> { [Pixels.Name] = tensor }, _manifest.Output.Name)[_manifest.Output.Name].ToFloats();
        Softmax.ToProbabilities(scores, _manifest.Output with { Temperature = null });
        return scores;
    }

    /// <inheritdoc/>
    public void Dispose() => _runner.Dispose();

    private static OnnxRunner WithFloats(Graph graph)
    {
        graph.Inputs[0] = graph.Inputs[0] with { Type = ElementType.Float32 };
        var folder = Directory.CreateTempSubdirectory("whatsit-").FullName;
        try
        {
            var path = Path.Combine(folder, "trial.onnx");
            OnnxWriter.Write(graph, path);
            return new OnnxRunner(path, threads: 1);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private float[] Scaled(ReadOnlySpan<byte> pixels, Scaling scaling)
    {
        var change = scaling.Instead(_own);
        var values = new float[Pixels.Width * Pixels.Height * 3];
        (var step, var plane) = Pixels.Layout == TensorLayout.Nhwc ? (3, 1) : (1, Pixels.Width * Pixels.Height);
        var floats = Pixels.ElementType == InputElementType.Float32 ? MemoryMarshal.Cast<byte, float>(pixels) : [];
        for (var channel = 0; channel < 3; channel++)
        {
            (var from, var scale, var shift) = (change[channel].From, (float)change[channel].Scale, (float)change[channel].Shift);
            for (var pixel = 0; pixel < Pixels.Width * Pixels.Height; pixel++)
            {
                var at = (pixel * step) + (from * plane);
                values[(pixel * step) + (channel * plane)] = ((floats.Length > 0 ? floats[at] : pixels[at]) * scale) + shift;
            }
        }

        return values;
    }

    private byte[] Ordered(ReadOnlySpan<byte> pixels, Scaling scaling)
    {
        var values = pixels.ToArray();
        if (scaling.Order != _own.Order)
        {
            (var step, var plane) = Pixels.Layout == TensorLayout.Nhwc ? (3, 1) : (1, Pixels.Width * Pixels.Height);
            for (var pixel = 0; pixel < Pixels.Width * Pixels.Height; pixel++)
            {
                (values[pixel * step], values[(pixel * step) + (2 * plane)]) = (values[(pixel * step) + (2 * plane)], values[pixel * step]);
            }
        }

        return values;
    }
}
