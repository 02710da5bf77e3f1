using System.Runtime.InteropServices;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Quantization;

/// <summary>
/// Writes a float network as ONNX's quantize–dequantize form, which ONNX Runtime fuses into operators on bytes: weights as signed bytes with a scale per
/// output channel, activations as unsigned bytes with one scale, biases as 32-bit integers. Scales and zero points of activations are scalars of rank 0:
/// with rank 1 the fusions do not happen. https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
/// </summary>
internal sealed class Int8Graph
{
    private const int LargestWeight = 127; // symmetric: −128 is left out
    private const int Levels = 255;

    private readonly QuantizationPlan _plan;
    private readonly Graph _source;
    private readonly GraphBuilder _builder;
    private readonly Dictionary<string, Quantized> _quantized = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Scale, string ZeroPoint)> _parameters = new(StringComparer.Ordinal);
    private readonly bool _quantizeClassifier;

    private Int8Graph(Graph source, QuantizationPlan plan, bool quantizeClassifier)
    {
        (_source, _plan, _quantizeClassifier) = (source, plan, quantizeClassifier);
        Graph = new Graph { Name = source.Name };
        Graph.Inputs.AddRange(source.Inputs);
        Graph.Outputs.AddRange(source.Outputs);
        foreach ((var name, var constant) in source.Constants)
        {
            Graph.Constants.Add(name, constant);
        }

        // Names that are still to come stay free for their values.
        _builder = new GraphBuilder(Graph);
        foreach (var value in source.Nodes.SelectMany(node => node.Outputs))
        {
            _builder.Unique(value);
        }
    }

    /// <summary>The network with bytes.</summary>
    public Graph Graph { get; }

    /// <summary>The layers that compute with bytes, in order; each can be corrected.</summary>
    public List<Layer> Layers { get; } = [];

    /// <summary>Rewrites a network.</summary>
    /// <param name="source">The float network; it stays as it is.</param>
    /// <param name="plan">What becomes bytes.</param>
    /// <param name="ranges">The range of each value that does.</param>
    /// <param name="quantizeClassifier">Dense layers compute with bytes, too.</param>
    public static Int8Graph Write(Graph source, QuantizationPlan plan, IReadOnlyDictionary<string, (float Min, float Max)> ranges, bool quantizeClassifier)
    {
        var result = new Int8Graph(source, plan, quantizeClassifier);
        foreach ((var value, (var min, var max)) in ranges)
        {
            result.AddParameters(value, min, max);
        }

        foreach (var input in source.Inputs.Where(input => plan.Values.Contains(input.Name)))
        {
            result.Quantize(input.Name, input.Name);
        }

        foreach (var node in source.Nodes)
        {
            result.Add(node);
        }

        Passes.DeadCode.Apply(result.Graph);
        return result;
    }

    private void Add(Node node)
    {
        if (_plan.IsAbsorbed(node))
        {
            return; // its range was given to the layer before it
        }

        if (_plan.Front is { } front && front.Nodes.Contains(node))
        {
            AddFront(front, node);
            return;
        }

        var copy = new Node(node.Op, node.Name, node.Inputs.Select(Read), node.Outputs);
        foreach ((var name, var value) in node.Attributes)
        {
            copy.Attributes.Add(name, value);
        }

        if (_plan.Convolutions.Contains(node))
        {
            QuantizeConvolution(node, copy);
        }
        else if (_quantizeClassifier && _plan.Classifiers.Contains(node))
        {
            QuantizeDense(node, copy);
        }

        Graph.Nodes.Add(copy);
        foreach (var output in node.Outputs)
        {
            // The value that becomes bytes is the layer's own, or that of the activation which it absorbed.
            var value = _plan.Values.Contains(output) ? output
                : _source.Nodes.Find(next => _plan.IsAbsorbed(next) && next.Inputs[0] == output)?.Outputs[0] ?? "";
            if (value.Length > 0)
            {
                var at = copy.Outputs.IndexOf(output);
                if (value == output && _source.Outputs.Exists(answer => answer.Name == value))
                {
                    copy.Outputs[at] = _builder.Unique(value + "_float"); // the answer is what the bytes say
                }

                Quantize(value, copy.Outputs[at]);
            }
        }
    }

    /// <summary>The value as an operator may read it: from its own DequantizeLinear, so that each group of operators can be fused by itself.</summary>
    private string Read(string value) => _quantized.TryGetValue(value, out var bytes)
        ? _builder.AddNode("DequantizeLinear", value + "_dequantized", [bytes.Value, bytes.Scale, bytes.ZeroPoint])
        : value;

    private void Quantize(string value, string from)
    {
        (var scale, var zeroPoint) = _parameters[_plan.Origin(value)];
        var bytes = _builder.AddNode("QuantizeLinear", value + "_quantized", [from, scale, zeroPoint]);
        _quantized[value] = new Quantized(bytes, scale, zeroPoint);
        if (_source.Outputs.Exists(answer => answer.Name == value))
        {
            _builder.AddNode("DequantizeLinear", value + "_answer", [bytes, scale, zeroPoint], outputs: 1).Outputs[0] = value;
        }
    }

    private void AddParameters(string value, float min, float max)
    {
        var scale = Math.Max((max - min) / Levels, 1e-8f);
        var zeroPoint = (byte)Math.Clamp(MathF.Round(-min / scale), 0, Levels);
        _parameters[value] = (_builder.AddConstant(value + "_scale", [scale]),
            _builder.AddConstant(value + "_zero_point", new Tensor(ElementType.UInt8, [], new[] { zeroPoint })));
    }

    private void AddFront(PixelFront front, Node node)
    {
        if (!PixelFront.Moves(node) && node.Outputs[0] != front.Value)
        {
            return;
        }

        // What moves pixels moves bytes now: it reads what the last one that moved them wrote.
        var before = front.Nodes.TakeWhile(other => other != node).LastOrDefault(PixelFront.Moves);
        var bytes = before is null ? _source.Inputs[0].Name : before.Outputs[0];
        if (PixelFront.Moves(node))
        {
            var copy = new Node(node.Op, node.Name, [bytes, .. node.Inputs.Skip(1)], node.Outputs);
            foreach ((var name, var value) in node.Attributes)
            {
                copy.Attributes.Add(name, value);
            }

            Graph.Nodes.Add(copy);
            bytes = copy.Outputs[0];
        }

        if (node.Outputs[0] == front.Value)
        {
            var scale = _builder.AddConstant("pixel_scale", [front.Scale]);
            var zeroPoint = _builder.AddConstant("pixel_zero_point", new Tensor(ElementType.UInt8, [], new[] { front.ZeroPoint }));
            _quantized[front.Value] = new Quantized(bytes, scale, zeroPoint);
        }
    }

    private void QuantizeConvolution(Node node, Node copy)
    {
        var tensor = _source.Constants[node.Inputs[1]];
        var weights = tensor.ToFloats();
        var channels = tensor.Shape[0];
        var bias = new double[channels];
        if (node.Inputs.Count > 2 && node.Inputs[2].Length > 0)
        {
            _source.Constants[node.Inputs[2]].ToDoubles().CopyTo(bias, 0);
        }

        if (_plan.Front is { } front && node.Inputs[0] == front.Value)
        {
            // factor · (pixel − centre) = scale · (pixel − zero point) · (factor ÷ scale) + factor · (zero point − centre)
            var area = tensor.Shape[2] * tensor.Shape[3];
            for (var i = 0; i < weights.Length; i++)
            {
                var input = i / area % tensor.Shape[1];
                bias[i / area / tensor.Shape[1]] += weights[i] * front.Factor[input] * (front.ZeroPoint - front.Centre[input]);
                weights[i] *= front.Factor[input] / front.Scale;
            }
        }

        var inputScale = Graph.Constants[_quantized[node.Inputs[0]].Scale].As<float>()[0];
        Layers.Add(QuantizeWeights(node, copy, weights, tensor.Shape, axis: 0, bias, inputScale));
    }

    /// <summary>Weights and bias as integers, behind the operators that make them floats again.</summary>
    private Layer QuantizeWeights(Node node, Node copy, float[] weights, int[] shape, int axis, double[] bias, float inputScale)
    {
        var channels = shape[axis];
        var inner = shape.Skip(axis + 1).Aggregate(1, (product, side) => product * side);
        var scales = new float[channels];
        for (var i = 0; i < weights.Length; i++)
        {
            var channel = i / inner % channels;
            scales[channel] = Math.Max(scales[channel], Math.Abs(weights[i]) / LargestWeight);
        }

        for (var channel = 0; channel < channels; channel++)
        {
            // A channel that is nearly dead must leave room for its bias in 32 bits.
            var least = (float)(Math.Abs(bias[channel]) / inputScale / (1 << 30));
            scales[channel] = Math.Max(Math.Max(scales[channel], least), 1e-12f);
        }

        var integers = new sbyte[weights.Length];
        for (var i = 0; i < weights.Length; i++)
        {
            integers[i] = (sbyte)Math.Clamp(MathF.Round(weights[i] / scales[i / inner % channels]), -LargestWeight, LargestWeight);
        }

        var weightScale = _builder.AddConstant(node.Name + "_weight_scale", scales, channels);
        var weightZero = _builder.AddConstant(node.Name + "_weight_zero_point", new Tensor(ElementType.Int8, [channels], new byte[channels]));
        var stored = _builder.AddConstant(node.Name + "_weight_int8", new Tensor(ElementType.Int8, shape, MemoryMarshal.AsBytes(integers.AsSpan()).ToArray()));
        copy.Inputs[1] = _builder.AddNode("DequantizeLinear", node.Name + "_weight", [stored, weightScale, weightZero], ("axis", (long)axis));

        float[] biasScales = [.. scales.Select(scale => scale * inputScale)];
        var biasScale = _builder.AddConstant(node.Name + "_bias_scale", biasScales, channels);
        var biasZero = _builder.AddConstant(node.Name + "_bias_zero_point", new Tensor(ElementType.Int32, [channels], new byte[channels * sizeof(int)]));
        var biasName = _builder.AddConstant(node.Name + "_bias_int32", Integers(bias, biasScales));
        while (copy.Inputs.Count < 3)
        {
            copy.Inputs.Add("");
        }

        copy.Inputs[2] = _builder.AddNode("DequantizeLinear", node.Name + "_bias", [biasName, biasScale, biasZero], ("axis", 0L));
        return new Layer(node.Outputs[0], copy, bias, (gains, biases) =>
        {
            for (var channel = 0; channel < channels; channel++)
            {
                scales[channel] *= (float)gains[channel];
                biasScales[channel] = scales[channel] * inputScale;
            }

            Graph.Constants[weightScale] = Floats(scales);
            Graph.Constants[biasScale] = Floats(biasScales);
            Graph.Constants[biasName] = Integers(biases, biasScales);
        });
    }

    private void QuantizeDense(Node node, Node copy)
    {
        var weights = _source.Constants[node.Inputs[1]];
        var axis = node.Int("transB", 0) == 1 ? 0 : 1;
        var channels = weights.Shape[axis];
        var bias = node.Inputs.Count > 2 && node.Inputs[2].Length > 0 ? _source.Constants[node.Inputs[2]] : null;
        if (node.Op != "Gemm" || node.Float("alpha", 1) != 1 || node.Float("beta", 1) != 1 || node.Int("transA", 0) != 0
            || (bias is not null && bias.Length != channels))
        {
            return; // no plain dense layer
        }

        (var scale, var zeroPoint) = _parameters[node.Inputs[0]];
        var bytes = _builder.AddNode("QuantizeLinear", node.Inputs[0] + "_quantized", [copy.Inputs[0], scale, zeroPoint]);
        copy.Inputs[0] = _builder.AddNode("DequantizeLinear", node.Inputs[0] + "_dequantized", [bytes, scale, zeroPoint]);
        Layers.Add(QuantizeWeights(node, copy, weights.ToFloats(), weights.Shape, axis, bias?.ToDoubles()
            ?? new double[channels], Graph.Constants[scale].As<float>()[0]));
    }

    private static Tensor Integers(double[] values, float[] scales) =>
        Tensor.FromDoubles(ElementType.Int32, [values.Length], [.. values.Select((value, i) => Math.Round(value / scales[i]))]);

    private static Tensor Floats(float[] values) => Tensor.Float32([values.Length], values);

    /// <summary>The bytes of a value, and how they are read.</summary>
    private sealed record Quantized(string Value, string Scale, string ZeroPoint);

    /// <summary>A layer with weights in both networks.</summary>
    /// <param name="Source">What it computes in the float network.</param>
    /// <param name="Node">The layer in the network with bytes.</param>
    /// <param name="Bias">One number per output channel, as it was in the float network.</param>
    /// <param name="Set">Multiplies the weights of each channel, and gives it another bias. Once.</param>
    internal sealed record Layer(string Source, Node Node, double[] Bias, Action<double[], double[]> Set)
    {
        /// <summary>What it computes there, before it is rounded to bytes.</summary>
        public string Output => Node.Outputs[0];
    }
}
