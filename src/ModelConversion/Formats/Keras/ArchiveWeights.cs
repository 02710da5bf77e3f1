using System.Text;
using Whatsit.ModelConversion.Formats.Hdf5;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// The weights in a <c>.keras</c> archive's <c>model.weights.h5</c>: a group for each layer, named after its class and numbered in the model's order
/// (<c>layers/conv2d</c>, <c>layers/conv2d_1</c>), with its weights as <c>vars/0</c>, <c>vars/1</c> in Keras' order (keras/src/saving/saving_lib.py).
/// </summary>
internal sealed class ArchiveWeights : IKerasWeights
{
    // Keras 2.12 and 2.13 keep layers in the first of these, later ones in the second.
    private static readonly string[] Containers = ["_layer_checkpoint_dependencies", "layers"];

    // Names of the parts of a MultiHeadAttention: as attributes of it, which Keras 2 kept with an underscore.
    private static readonly Dictionary<string, string[]> Parts = new(StringComparer.Ordinal)
    {
        ["query"] = ["query_dense", "_query_dense"],
        ["key"] = ["key_dense", "_key_dense"],
        ["value"] = ["value_dense", "_value_dense"],
        ["attention_output"] = ["output_dense", "_output_dense"],
    };

    private readonly Dictionary<string, string> _paths = new(StringComparer.Ordinal);
    private readonly Hdf5Group _root;

    // Keras on Windows joined the parts of a path as Windows does (os.path.join, until 2.15): every group lies at the top, "layers\\sequential\\layers\\dense".
    private readonly bool _flat;

    public ArchiveWeights(Hdf5Group root, KerasTopology topology)
    {
        _root = root;
        _flat = root.Names.Any(name => name.Contains('\\', StringComparison.Ordinal));
        Assign("", topology, "");
    }

    public Tensor? Find(IReadOnlyList<string> layer, string weight, int index) =>
        PathsOf(layer).Select(path => At(path, $"vars/{index}")).FirstOrDefault(found => found is not null) is (var group, var path)
            ? Hdf5Weights.Read(group, path) : null;

    private IEnumerable<string> PathsOf(IReadOnlyList<string> layer)
    {
        if (_paths.TryGetValue(string.Join('/', layer), out var own))
        {
            yield return own;
        }

        if (layer.Count > 1 && _paths.TryGetValue(string.Join('/', layer.SkipLast(1)), out var outer) && Parts.TryGetValue(layer[^1], out var parts))
        {
            foreach (var part in parts)
            {
                yield return $"{outer}/{part}";
            }
        }
    }

    private void Assign(string model, KerasTopology topology, string path)
    {
        foreach (var group in topology.Layers.GroupBy(layer => SnakeCase(layer.Wrapper ?? layer.Config.ClassName)))
        {
            KerasLayer[] layers = [.. group];
            var stored = Stored(model, group.Key, layers.Length);
            for (var index = 0; index < Math.Min(layers.Length, stored.Length); index++)
            {
                var name = path + layers[index].Name;
                _paths[name] = layers[index].Wrapper is null ? stored[index] : $"{stored[index]}/layer";
                if (layers[index].Network is { } network)
                {
                    Assign($"{stored[index]}/", network, $"{name}/");
                }
            }
        }
    }

    // Keras 2.12 and 2.13 count each layer with weights twice, so that numbers have gaps; what is the same everywhere is the order.
    private string[] Stored(string model, string name, int layers)
    {
        foreach (var container in Containers.Select(inner => model + inner))
        {
            var names = NamesIn(container);
            string[] numbered = [.. Enumerable.Range(0, layers).Select(index => index == 0 ? name : $"{name}_{index}")];
            if (!Array.TrueForAll(numbered, names.Contains))
            {
                numbered =
                [
                    .. names
                        .Select(stored => (stored, number: stored == name ? 0 : stored.StartsWith($"{name}_", StringComparison.Ordinal)
                            && int.TryParse(stored.AsSpan(name.Length + 1), out var number) ? number : -1))
                        .Where(stored => stored.number >= 0)
                        .OrderBy(stored => stored.number)
                        .Select(stored => stored.stored),
                ];
            }

            if (numbered.Length == layers)
            {
                return [.. numbered.Select(stored => $"{container}/{stored}")];
            }
        }

        return [];
    }

    // Where every group lies at the top, its weights still lie in it, or at the top as well.
    private (Hdf5Group Group, string Path)? At(string group, string weight) =>
        _root.Group(_flat ? group.Replace('/', '\\') : group) is { } owner && owner.Dataset(weight) is not null ? (owner, weight)
        : _flat && _root.Group($"{group}/vars".Replace('/', '\\')) is { } apart && apart.Dataset(weight[5..]) is not null ? (apart, weight[5..])
        : null;

    private IReadOnlyCollection<string> NamesIn(string path)
    {
        if (!_flat)
        {
            return _root.Group(path)?.Names ?? [];
        }

        var start = path.Replace('/', '\\') + '\\';
        return [.. _root.Names.Where(name => name.StartsWith(start, StringComparison.Ordinal)).Select(name => name[start.Length..].Split('\\')[0]).Distinct()];
    }

    // Keras' own rule (keras/src/utils/naming.py): Conv2D to conv2d, BatchNormalization to batch_normalization, PReLU to p_re_lu.
    internal static string SnakeCase(string name)
    {
        var text = new StringBuilder();
        for (var index = 0; index < name.Length; index++)
        {
            var upper = char.IsAsciiLetterUpper(name[index]);
            var startsWord = upper && index > 0
                && ((index + 1 < name.Length && char.IsAsciiLetterLower(name[index + 1])) || char.IsAsciiLetterLower(name[index - 1]));
            text.Append(startsWord ? "_" : "").Append(char.ToLowerInvariant(name[index]));
        }

        return text.ToString();
    }
}
