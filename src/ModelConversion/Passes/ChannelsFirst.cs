using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Rewrites a graph whose spatial operators keep channels last (N H W C) to ONNX's N C H W. Every value of rank 4 that such an operator touches gets
/// a <em>twin</em> with channels first; what lies between spatial operators (activations, Concat, Pad, quantization, …) is moved to the twins too, a
/// Flatten before a dense layer permutes the layer's weights instead, and a Transpose remains only where a value enters or leaves:
/// <code>
///   input NHWC ──Transpose──► Conv ─► Relu ─► Add ─► Conv ─► GlobalAveragePool ─► Flatten ─► Gemm
/// </code>
/// </summary>
public static class ChannelsFirst
{
    // Position in N C H W → position in N H W C, and back.
    private static readonly long[] ToFirst = [0, 3, 1, 2];
    private static readonly long[] ToLast = [0, 2, 3, 1];

    /// <summary>All sides but the batch must be known.</summary>
    public static void Apply(Graph graph)
    {
        if (graph.Nodes.Any(node => node.ChannelsLast))
        {
            new Rewriter(graph).Run();
            DeadCode.Apply(graph);
        }
    }

    private sealed class Rewriter
    {
        private readonly Graph _graph;
        private readonly GraphBuilder _builder;
        private readonly Wiring _wiring;
        private readonly IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> _shapes;
        private readonly Node[] _nodes;

        // N H W C value → its N C H W twin; and what has been written so far, or can be by transposing the twin back.
        private readonly Dictionary<string, string> _twins = new(StringComparer.Ordinal);
        private readonly HashSet<string> _written = new(StringComparer.Ordinal);

        // Flattened N H W C value → the same flattened from N C H W, for dense layers that permute their weights.
        private readonly Dictionary<string, (string Value, int[] Shape)> _flattened = new(StringComparer.Ordinal);

        public Rewriter(Graph graph)
        {
            _graph = graph;
            _builder = new GraphBuilder(graph);
            _wiring = new Wiring(graph);
            _shapes = Shapes.Infer(graph, batch: 2);
            _nodes = [.. graph.Nodes];
            _written.UnionWith(graph.Inputs.Select(input => input.Name));
            _written.UnionWith(graph.Constants.Keys);
        }

        public void Run()
        {
            _graph.Nodes.Clear();
            foreach (var node in _nodes)
            {
                if (node.ChannelsLast ? !Spatial(node) : !(Elementwise(node) || Reduce(node) || Reshape(node) || Dense(node)))
                {
                    Keep(node);
                }
            }

            foreach (var output in _graph.Outputs)
            {
                Last(output.Name);
            }
        }

        private int[] ShapeOf(string value) => _shapes[value].Shape;

        private static int AxisToFirst(long axis) => Array.IndexOf(ToFirst, axis < 0 ? axis + 4 : axis);

        /// <summary>As it is, on the original values.</summary>
        private void Keep(Node node)
        {
            foreach (var input in node.Inputs.Where(input => input.Length > 0))
            {
                Last(input);
            }

            _graph.Nodes.Add(node);
            _written.UnionWith(node.Outputs);
        }

        /// <summary>Makes sure that a value exists in its original order.</summary>
        private void Last(string value)
        {
            if (_written.Contains(value) || !_twins.TryGetValue(value, out var twin))
            {
                return;
            }

            var shape = ShapeOf(value);
            var back = IsSameOrder(shape) ? _builder.AddNode("Reshape", value + "_nhwc", [twin, Sides(value, shape)], outputs: 1)
                : _builder.AddNode("Transpose", value + "_nhwc", [twin], outputs: 1, ("perm", ToLast));
            back.Outputs[0] = value;
            _written.Add(value);
        }

        /// <summary>The twin of a value of rank 4, transposed now if there was none.</summary>
        private string First(string value)
        {
            if (_twins.TryGetValue(value, out var twin))
            {
                return twin;
            }

            if (_graph.Constants.TryGetValue(value, out var constant))
            {
                return _twins[value] = _builder.AddConstant(value + "_nchw", Operators.Permute(constant, [0, 3, 1, 2]));
            }

            var shape = ShapeOf(value);
            return _twins[value] = IsSameOrder(shape)
                ? _builder.AddNode("Reshape", value + "_nchw", [value, Sides(value, [shape[0], shape[3], shape[1], shape[2]])])
                : _builder.AddNode("Transpose", value + "_nchw", [value], ("perm", ToFirst));
        }

        /// <summary>One pixel, or one channel: both orders are the same bytes.</summary>
        private static bool IsSameOrder(int[] shape) => shape.Length == 4 && (shape[1] * shape[2] == 1 || shape[3] == 1);

        /// <summary>A shape for Reshape; the batch is what is left.</summary>
        private string Sides(string value, int[] shape) => _builder.AddInt64Constant(value + "_shape", [-1, .. shape.Skip(1).Select(side => (long)side)]);

        /// <summary>Adds the node on twins; its outputs become twins of the original outputs.</summary>
        private void Add(Node node)
        {
            node.ChannelsLast = false;
            for (var output = 0; output < node.Outputs.Count; output++)
            {
                var original = node.Outputs[output];
                node.Outputs[output] = _twins[original] = _builder.Unique(original + "_nchw");
            }

            _graph.Nodes.Add(node);
        }

        private bool Spatial(Node node)
        {
            if (node.Op == "Resize")
            {
                foreach (var input in new[] { 2, 3 })
                {
                    if (_wiring.Constant(node, input) is { Length: 4 } perAxis)
                    {
                        node.Inputs[input] = _builder.AddConstant(node.Inputs[input] + "_nchw", Reorder(perAxis));
                    }
                    else if (input < node.Inputs.Count && node.Inputs[input].Length > 0)
                    {
                        throw new ModelFormatException($"{node} to a computed size is not supported.");
                    }
                }
            }

            foreach (var input in node.Inputs.Skip(1).Where(input => input.Length > 0))
            {
                Last(input);
            }

            node.Inputs[0] = First(node.Inputs[0]);
            Add(node);
            return true;
        }

        /// <summary>Operators that treat every element alike, or know axes by number; moved where at least one input has a twin already.</summary>
        private bool Elementwise(Node node)
        {
            string[] data = [.. node.Inputs.Where(input => input.Length > 0)];
            if (!data.Any(_twins.ContainsKey) || !node.Outputs.All(output => ShapeOf(output).Length == 4))
            {
                return false;
            }

            switch (node.Op)
            {
                case "Relu" or "LeakyRelu" or "Elu" or "Selu" or "ThresholdedRelu" or "HardSigmoid" or "HardSwish" or "Gelu" or "Mish" or "Sigmoid" or "Tanh"
                    or "Softplus" or "Softsign" or "Erf" or "Exp"
                    or "Log" or "Sqrt" or "Reciprocal" or "Floor" or "Ceil" or "Round" or "Sin" or "Cos" or "Abs" or "Neg" or "Sign" or "Not" or "Cast"
                        or "Identity" or "Dropout" or "Clip":
                    node.Inputs[0] = First(node.Inputs[0]);
                    break;

                case "Add" or "Sub" or "Mul" or "Div" or "Pow" or "Mod" or "Max" or "Min" or "Sum" or "Mean" or "PRelu" or "Equal" or "Greater" or "Less"
                    or "GreaterOrEqual" or "LessOrEqual" or "And" or "Or" or "Where":
                    if (data.Any(input => ShapeOf(input).Length is > 0 and < 4 && !_graph.Constants.ContainsKey(input)))
                    {
                        return false; // a computed vector broadcasts along the channels: rare, and right where it stands
                    }

                    for (var input = 0; input < node.Inputs.Count; input++)
                    {
                        node.Inputs[input] = node.Inputs[input].Length == 0 ? "" : Broadcastable(node.Inputs[input]);
                    }

                    break;

                case "QuantizeLinear" or "DequantizeLinear":
                    node.Inputs[0] = First(node.Inputs[0]);
                    node.Attributes["axis"] = (long)AxisToFirst(node.Int("axis", 1));
                    break;

                case "Softmax" or "LogSoftmax":
                    node.Inputs[0] = First(node.Inputs[0]);
                    node.Attributes["axis"] = (long)AxisToFirst(node.Int("axis", -1));
                    break;

                case "Concat":
                    for (var input = 0; input < node.Inputs.Count; input++)
                    {
                        node.Inputs[input] = First(node.Inputs[input]);
                    }

                    node.Attributes["axis"] = (long)AxisToFirst(node.Int("axis", 0));
                    break;

                case "Split" when node.Inputs[0] == data[0]:
                    node.Inputs[0] = First(node.Inputs[0]);
                    node.Attributes["axis"] = (long)AxisToFirst(node.Int("axis", 0));
                    break;

                case "Pad" when node.Inputs.Count <= 3 && _wiring.Constant(node, 1) is { Length: 8 } pads:
                    var begin = Reorder(pads.ToInts()[..4]);
                    var end = Reorder(pads.ToInts()[4..]);
                    node.Inputs[0] = First(node.Inputs[0]);
                    node.Inputs[1] = _builder.AddInt64Constant(node.Name + "_pads", [.. begin, .. end]);
                    break;

                case "Slice" when node.Inputs.Count < 4 || _wiring.Constant(node, 3) is not null:
                    var axes = _wiring.Constant(node, 3)?.ToInts() ?? [0, 1, 2, 3];
                    if (axes.Length != ShapeOf(node.Inputs[1])[0])
                    {
                        return false;
                    }

                    while (node.Inputs.Count < 4)
                    {
                        node.Inputs.Add("");
                    }

                    node.Inputs[0] = First(node.Inputs[0]);
                    node.Inputs[3] = _builder.AddInt64Constant(node.Name + "_axes", Array.ConvertAll(axes, axis => (long)AxisToFirst(axis)));
                    break;

                default:
                    return false;
            }

            foreach (var input in node.Inputs.Where(_shapes.ContainsKey))
            {
                Last(input); // what is still an original value: scalars, limits, computed pads
            }

            Add(node);
            return true;
        }

        /// <summary>An operand of an element-wise operator in the order of the twins. Constants get rank 4 first: [C] becomes [C, 1, 1].</summary>
        private string Broadcastable(string value)
        {
            var rank = ShapeOf(value).Length;
            if (rank == 0 || !_graph.Constants.TryGetValue(value, out var constant))
            {
                return rank == 0 ? value : First(value);
            }

            int[] shape = [.. Enumerable.Repeat(1, 4 - rank), .. constant.Shape];
            return constant.Length == 1 ? value : _builder.AddConstant(value + "_nchw", Operators.Permute(constant with { Shape = shape }, [0, 3, 1, 2]));
        }

        private bool Reduce(Node node)
        {
            if ((!node.Op.StartsWith("Reduce", StringComparison.Ordinal) && !node.Op.StartsWith("Arg", StringComparison.Ordinal))
                || !_twins.ContainsKey(node.Inputs[0]))
            {
                return false;
            }

            var isArg = node.Op.StartsWith("Arg", StringComparison.Ordinal);
            var axes = isArg ? [node.Int("axis", 0)] : node.Inputs.Count > 1 ? _wiring.Constant(node, 1)?.ToInts() : node.Ints("axes") ?? [0, 1, 2, 3];
            if (axes is not { Length: > 0 })
            {
                return false;
            }

            int[] remapped = [.. axes.Select(axis => AxisToFirst(axis)).Order()];
            var keep = node.Int("keepdims", 1) == 1;

            // Without the reduced axes, do those that are left stand in the same order?
            long[] left = [.. ToFirst.Where((_, position) => !remapped.Contains(position))];
            if (!keep && !left.SequenceEqual(left.Order()))
            {
                return false;
            }

            node.Inputs[0] = First(node.Inputs[0]);
            if (isArg)
            {
                node.Attributes["axis"] = (long)remapped[0];
            }
            else if (node.Inputs.Count > 1)
            {
                node.Inputs[1] = _builder.AddInt64Constant(node.Name + "_axes", Array.ConvertAll(remapped, axis => (long)axis));
            }
            else
            {
                node.Attributes["axes"] = Array.ConvertAll(remapped, axis => (long)axis);
            }

            if (keep)
            {
                Add(node);
            }
            else
            {
                _graph.Nodes.Add(node);
                _written.UnionWith(node.Outputs);
            }

            return true;
        }

        /// <summary>Reshape and its kin into or out of rank 4.</summary>
        private bool Reshape(Node node)
        {
            if (node.Op is not ("Reshape" or "Flatten" or "Squeeze" or "Unsqueeze"))
            {
                return false;
            }

            var input = node.Inputs[0];
            var output = node.Outputs[0];
            var from = ShapeOf(input);
            var to = ShapeOf(output);
            if (from.Length == 0 || to.Length == 0)
            {
                return false; // the batch itself, taken from a shape
            }

            if (_twins.TryGetValue(input, out var twin) && from[0] == to[0])
            {
                if (IsSameOrder(from))
                {
                    // [N, 1, 1, C] → [N, C]: the bytes do not move, so take them from the twin.
                    node.Op = "Reshape";
                    node.Attributes.Clear();
                    node.Inputs.Clear();
                    node.Inputs.AddRange([twin, Sides(output, to)]);
                    _graph.Nodes.Add(node);
                    _written.Add(output);
                    return true;
                }

                if (to.Length == 2 && IsFollowedByDense(output))
                {
                    _flattened[output] = (_builder.AddNode("Flatten", node.Name, [twin]), from);
                    return true;
                }
            }

            // [N, C] → [N, 1, 1, C], as in squeeze-and-excitation: make the twin at once.
            if (!_twins.ContainsKey(input) && from[0] == to[0] && to.Length == 4 && from.Length < 4 && IsSameOrder(to))
            {
                Last(input);
                _twins[output] = _builder.AddNode("Reshape", output + "_nchw", [input, Sides(output, [to[0], to[3], to[1], to[2]])]);
                return true;
            }

            return false;
        }

        private bool IsFollowedByDense(string value) => !_wiring.IsOutput(value) && _wiring.Consumers(value).Count > 0
            && _wiring.Consumers(value).All(node => IsDense(node, value) || (IsElementwise(node) && IsFollowedByDense(node.Outputs[0])));

        private bool IsDense(Node node, string value) =>
            node.Op is "Gemm" or "MatMul" && node.Inputs[0] == value && node.Inputs.Count(input => input == value) == 1 && node.Int("transA", 0) == 0
            && _wiring.Constant(node, 1) is { Shape.Length: 2 };

        private static bool IsElementwise(Node node) => node.Op is "Identity" or "Dropout" or "Relu" or "Clip" or "LeakyRelu" or "Elu" or "Sigmoid" or "Tanh";

        /// <summary>A dense layer, and what is element-wise before it, on flattened pictures.</summary>
        private bool Dense(Node node)
        {
            if (node.Inputs.Count == 0 || !_flattened.TryGetValue(node.Inputs[0], out var flat))
            {
                return false;
            }

            node.Inputs[0] = flat.Value;
            if (IsElementwise(node))
            {
                var original = node.Outputs[0];
                node.Outputs[0] = _builder.Unique(original + "_nchw");
                _flattened[original] = (node.Outputs[0], flat.Shape);
                _graph.Nodes.Add(node);
                return true;
            }

            // The weights' rows (or columns) follow the pixels from height, width, channel to channel, height, width.
            var weights = _wiring.Constant(node, 1)!;
            var picture = flat.Shape[1..];
            var transposed = node.Int("transB", 0) == 1;
            var permuted = transposed
                ? Operators.Permute(weights with { Shape = [weights.Shape[0], .. picture] }, [0, 3, 1, 2])
                : Operators.Permute(weights with { Shape = [.. picture, weights.Shape[1]] }, [2, 0, 1, 3]);
            node.Inputs[1] = _builder.AddConstant(node.Inputs[1] + "_nchw", permuted with { Shape = weights.Shape });
            Keep(node);
            return true;
        }

        private static Tensor Reorder(Tensor perAxis) => perAxis.Type == ElementType.Int64
            ? Tensor.Int64([4], Reorder(perAxis.ToInts()))
            : Tensor.FromDoubles(perAxis.Type, [4], [.. ToFirst.Select(axis => perAxis.ToDoubles()[axis])]);

        private static long[] Reorder(long[] perAxis) => [.. ToFirst.Select(axis => perAxis[axis])];
    }
}
