using TorchSharp.Modules;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Graphs;
using static TorchSharp.torch;
using HostTensor = Whatsit.ModelConversion.Graphs.Tensor;
using Tensor = TorchSharp.torch.Tensor;

namespace Whatsit.Training;

/// <summary>
/// A graph as a TorchSharp module: constants that layers learn are its parameters, all else it computes as the <see cref="Interpreter"/> does.
/// <code>
///   Graph ──► TorchNetwork ──► trained ──► the same Graph, other numbers in its constants
/// </code>
/// Operators stand in the table <see cref="TorchOperators"/>.
/// </summary>
internal sealed class TorchNetwork : nn.Module<Tensor, Tensor>
{
    // Weights that multiply pixels of 0 to 255 are as much smaller than others, and steps of one size would throw them about: they are learnt this much larger.
    private const float PixelScale = 127.5f;

    private readonly Graph _graph;
    private readonly Node[] _nodes;
    private readonly string _output;
    private readonly Dictionary<string, Tensor> _constants = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Tensor> _learnt = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _lastUse = new(StringComparer.Ordinal);
    private readonly HashSet<string> _head;
    private readonly HashSet<string> _ofPixels;
    private readonly double _dropout;
    private readonly Device _device;

    /// <summary>Reads a graph.</summary>
    /// <param name="graph">The network; all operators keep channels first.</param>
    /// <param name="output">The value that is trained; what only follows it is left as it is.</param>
    /// <param name="dropout">The share of the last layer's input that is left out while it is trained.</param>
    /// <param name="device">What computes; the processor without it.</param>
    /// <exception cref="ModelFormatException">An operator cannot be trained; the message names it.</exception>
    public TorchNetwork(Graph graph, string output, double dropout = 0, Device? device = null) : base(nameof(TorchNetwork))
    {
        (_graph, _output, _dropout, _device) = (graph, output, dropout, device ?? CPU);
        _nodes = Before(graph, output);
        for (var index = 0; index < _nodes.Length; index++)
        {
            foreach (var name in _nodes[index].Inputs)
            {
                _lastUse[name] = index;
            }
        }

        var last = Array.FindLast(_nodes, node => node.Op is "Gemm" or "MatMul" or "Conv")
            ?? throw new ModelFormatException($"Nothing before the output '{output}' can be trained: it has neither convolutions nor dense layers.");
        _head = [.. last.Inputs.Where(graph.Constants.ContainsKey)];
        LastLayer = last;
        _ofPixels = WeightsOfPixels();
        foreach (var name in _nodes.SelectMany(node => node.Inputs).Where(graph.Constants.ContainsKey).Distinct())
        {
            Add(name, graph.Constants[name]);
        }

        RegisterComponents();
    }

    /// <summary>The layer that gives the classes.</summary>
    public Node LastLayer { get; }

    /// <summary>Everything that training changes, by the constant's name: parameters, and what batch normalisations record.</summary>
    public IReadOnlyDictionary<string, Tensor> Learnt => _learnt;

    /// <summary>The parameters of the last layer, or of all others.</summary>
    public IEnumerable<Parameter> ParametersOf(bool head) =>
        _learnt.Where(entry => entry.Value is Parameter && _head.Contains(entry.Key) == head).Select(entry => (Parameter)entry.Value);

    /// <inheritdoc/>
    public override Tensor forward(Tensor input) => forward(input, _output);

    /// <summary>Computes any value of the network.</summary>
    public Tensor forward(Tensor input, string output)
    {
        var values = new Dictionary<string, object>(StringComparer.Ordinal) { [_graph.Inputs[0].Name] = input };
        for (var index = 0; index < _nodes.Length; index++)
        {
            var node = _nodes[index];
            if (node == LastLayer && training && _dropout > 0)
            {
                values[node.Inputs[0]] = nn.functional.dropout((Tensor)values[node.Inputs[0]], _dropout, training: true);
            }

            var results = TorchOperators.Run(new TorchOperation(node, [.. node.Inputs.Select(Find)], training, _device));
            for (var place = 0; place < results.Length; place++)
            {
                values[node.Outputs[place]] = results[place];
            }

            if (node.Outputs.Contains(output))
            {
                break;
            }

            if (!is_grad_enabled())
            {
                // Only the way back needs them.
                foreach (var name in node.Inputs.Where(name => _lastUse[name] == index && name != output && name != _graph.Inputs[0].Name))
                {
                    values.Remove(name);
                }
            }
        }

        return (Tensor)values[output];

        object? Find(string name) => name.Length == 0 ? null : values.GetValueOrDefault(name)
            ?? (_ofPixels.Contains(name) && _learnt.TryGetValue(name, out var larger) ? larger.div(PixelScale) : _learnt.GetValueOrDefault(name))
            ?? _constants.GetValueOrDefault(name) ?? (object?)_graph.Constants.GetValueOrDefault(name)
            ?? throw new ModelFormatException($"'{name}' is read, and nothing before it writes it.");
    }

    /// <summary>Writes what was learnt back into the graph.</summary>
    public Graph WriteBack()
    {
        foreach (var (name, tensor) in _learnt)
        {
            using var copy = (_ofPixels.Contains(name) ? tensor.detach().div(PixelScale) : tensor.detach()).cpu().contiguous();
            _graph.Constants[name] = HostTensor.Float32([.. copy.shape.Select(side => (int)side)], copy.data<float>().ToArray());
        }

        return _graph;
    }

    /// <summary>The nodes that a value needs.</summary>
    private static Node[] Before(Graph graph, string output)
    {
        var needed = new HashSet<string>(StringComparer.Ordinal) { output };
        var nodes = new List<Node>();
        foreach (var node in Enumerable.Reverse(graph.Nodes).Where(node => node.Outputs.Exists(needed.Contains)))
        {
            nodes.Add(node);
            needed.UnionWith(node.Inputs);
        }

        nodes.Reverse();
        return nodes.Find(node => !TorchOperators.Supports(node.Op) || node.ChannelsLast) is { } unknown
            ? throw new ModelFormatException($"{unknown} cannot be trained: there is no derivative for it here.") : [.. nodes];
    }

    /// <summary>The weights of layers that read the picture's bytes, with nothing between that would make other numbers of them.</summary>
    private HashSet<string> WeightsOfPixels()
    {
        var pixels = new HashSet<string>(_graph.Inputs.Where(input => input.Type == ElementType.UInt8).Select(input => input.Name), StringComparer.Ordinal);
        var weights = new HashSet<string>(StringComparer.Ordinal);
        foreach (var node in _nodes.Where(node => pixels.Contains(node.Inputs[0])))
        {
            if (node.Op is "Conv" or "Gemm" or "MatMul")
            {
                weights.Add(node.Inputs[1]);
            }
            else if (node.Op is "Transpose" or "Cast" or "Sub" or "Add" or "Pad" or "Gather" or "Reshape" or "Flatten" or "Identity" or "Slice")
            {
                pixels.UnionWith(node.Outputs);
            }
        }

        return weights;
    }

    private void Add(string name, HostTensor constant)
    {
        if (constant.Type != ElementType.Float32)
        {
            return;
        }

        Node[] readers = [.. _nodes.Where(node => node.Inputs.Contains(name))];
        var value = tensor(constant.ToFloats(), [.. constant.Shape.Select(side => (long)side)], device: _device);
        var number = _learnt.Count;
        if (Array.TrueForAll(readers, node => IsLearnt(node, node.Inputs.IndexOf(name), constant)))
        {
            var parameter = new Parameter(_ofPixels.Contains(name) ? value.mul(PixelScale) : value);
            register_parameter($"parameter{number}", parameter);
            _learnt.Add(name, parameter);
        }
        else if (Array.TrueForAll(readers, node => node.Op == "BatchNormalization" && node.Inputs.IndexOf(name) >= 3))
        {
            register_buffer($"record{number}", value);
            _learnt.Add(name, value);
        }
        else
        {
            register_buffer($"constant{_constants.Count}", value);
            _constants.Add(name, value);
        }
    }

    private bool IsLearnt(Node node, int input, HostTensor constant) => node.Op switch
    {
        "Conv" or "ConvTranspose" or "Gemm" or "BatchNormalization" or "LayerNormalization" or "InstanceNormalization" or "PRelu" => input is 1 or 2,
        "MatMul" => true,
        // A bias that is written as an addition.
        "Add" => constant.Length > 1
            && Array.Find(_nodes, other => other.Outputs.Contains(node.Inputs[1 - input]))?.Op is "Conv" or "ConvTranspose" or "Gemm" or "MatMul",
        _ => false,
    };
}
