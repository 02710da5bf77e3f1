using System.Runtime.InteropServices;
using Whatsit.ModelConversion.Formats.Hdf5;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// The weights in a whole model's <c>.h5</c> file: a group for each outermost layer, whose attribute <c>weight_names</c> lists its weights in Keras'
/// order; a model that is a layer has all the weights of its layers in one such list.
/// </summary>
internal sealed class Hdf5Weights(Hdf5Group root) : IKerasWeights
{
    private readonly Dictionary<string, StoredLayer?> _layers = new(StringComparer.Ordinal);

    public Tensor? Find(IReadOnlyList<string> layer, string weight, int index)
    {
        if (!_layers.TryGetValue(layer[0], out var stored))
        {
            _layers[layer[0]] = stored = root.Group(layer[0]) is { } group ? new StoredLayer(group) : null;
        }

        return stored?.Find(layer, weight, index) is { } name ? Read(stored.Group, name) : null;
    }

    /// <summary>
    /// A list of names that Keras splits where it grows too long for one attribute: <c>weight_names</c>, or <c>weight_names0</c>, <c>weight_names1</c> …
    /// </summary>
    public static string[] Names(Hdf5Object owner, string attribute)
    {
        if (owner.Attributes.TryGetValue(attribute, out var whole))
        {
            return whole.Count == 0 ? [] : whole.ReadStrings();
        }

        var names = new List<string>();
        for (var part = 0; owner.Attributes.TryGetValue($"{attribute}{part}", out var found); part++)
        {
            names.AddRange(found.ReadStrings());
        }

        return [.. names];
    }

    /// <summary>Reads a dataset as a tensor.</summary>
    public static Tensor Read(Hdf5Group group, string path)
    {
        var dataset = group.Dataset(path) ?? throw new ModelFormatException($"The weight '{path}' of '{group.Path}' is listed, but missing.");
        if (dataset.Shape.Any(side => side > int.MaxValue))
        {
            throw new ModelFormatException($"The weight '{dataset.Path}' has the shape [{string.Join(", ", dataset.Shape)}].");
        }

        int[] shape = [.. dataset.Shape.Select(side => (int)side)];
        // Keras 3 stores bfloat16 as what h5py can write, and says so.
        var brain = dataset.Type is { Size: 2, MantissaBits: 7 }
            || (dataset.Type.Size == 2 && dataset.Attributes.TryGetValue("dtype", out var named) && named.ReadString() == "bfloat16");
        if (brain)
        {
            return new Tensor(ElementType.Float32, shape, Widen(dataset.Read()));
        }

        var type = dataset.Type switch
        {
            { Class: Hdf5Class.Float, Size: 2, MantissaBits: 10 } => ElementType.Float16,
            { Class: Hdf5Class.Float, Size: 4, MantissaBits: 23 } => ElementType.Float32,
            { Class: Hdf5Class.Float, Size: 8, MantissaBits: 52 } => ElementType.Float64,
            var other => throw new ModelFormatException($"The weight '{dataset.Path}' holds {other}; weights of 16, 32 and 64-bit floats are supported."),
        };
        return new Tensor(type, shape, dataset.Read());
    }

    // A bfloat16 is the upper half of a float.
    private static byte[] Widen(byte[] halves)
    {
        var wide = new byte[halves.Length * 2];
        var floats = MemoryMarshal.Cast<byte, uint>(wide.AsSpan());
        var upper = MemoryMarshal.Cast<byte, ushort>(halves);
        for (var index = 0; index < floats.Length; index++)
        {
            floats[index] = (uint)upper[index] << 16;
        }

        return wide;
    }

    private sealed class StoredLayer(Hdf5Group group)
    {
        // conv1/kernel:0, mobilenet/conv1/kernel:0 or, with Keras 3, mobilenet/conv1/kernel; layers may have slashes in their own names.
        private readonly StoredWeight[] _weights = [.. Names(group, "weight_names").Select(name => new StoredWeight(name, name.Split(':')[0].Split('/')))];

        // By layer, with and without what stands before its name: a network that is one layer of another lists hundreds of weights together.
        private ILookup<string, StoredWeight>? _byLayer;

        public Hdf5Group Group => group;

        public string? Find(IReadOnlyList<string> layer, string weight, int index)
        {
            if (layer.Count == 1)
            {
                return Pick(_weights, weight, index);
            }

            _byLayer ??= _weights
                .SelectMany(stored => Enumerable.Range(0, stored.Parts.Length - 1).Select(start => (Layer: string.Join('/', stored.Parts[start..^1]), stored)))
                .ToLookup(pair => pair.Layer, pair => pair.stored, StringComparer.Ordinal);
            StoredWeight[] named = [.. _byLayer[layer[^1]]];
            if (named.Length == 0)
            {
                // Networks that were built twice in one session of TensorFlow 1 have a number behind each layer's name.
                named = [.. _weights.Where(stored => stored.Parts.Length > 1 && stored.Parts[^2].StartsWith($"{layer[^1]}_", StringComparison.Ordinal)
                    && stored.Parts[^2][(layer[^1].Length + 1)..].All(char.IsAsciiDigit))];
            }

            // Two networks in one may have layers of one name, with the networks' names before it; and one layer's name may be the end of another's.
            StoredWeight[] within = [.. named.Where(stored => layer.Take(layer.Count - 1).Skip(1).All(outer => stored.Parts.Contains(outer)))];
            named = within.Length > 0 ? within : named;
            return Pick([.. named.Where(stored => stored.Parts.Length == named.Min(other => other.Parts.Length))], weight, index);
        }

        private static string? Pick(StoredWeight[] weights, string weight, int index)
        {
            string[] exact = [.. weights.Where(stored => stored.Parts[^1] == weight).Select(stored => stored.Name)];
            return exact.Length == 1 ? exact[0]
                : exact.Length == 0 && index < weights.Length ? weights[index].Name
                : null;
        }
    }

    private sealed record StoredWeight(string Name, string[] Parts);
}
