using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Safetensors;

/// <summary>
/// A network's weights by name: one file, or several with an index that says which tensor is where
/// (<c>model.safetensors.index.json</c>: <c>weight_map</c>).
/// </summary>
internal sealed class Checkpoint
{
    private const string Ending = ".safetensors";
    private const string IndexEnding = ".safetensors.index.json";

    private const int MostFiles = 256;

    private readonly Dictionary<string, SafetensorsFile> _files = new(StringComparer.Ordinal);
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);
    private long _bytes;

    private Checkpoint()
    {
    }

    /// <summary>What repositories call them: one file, or the index of several.</summary>
    public static IReadOnlyList<string> UsualNames { get; } = [$"model{Ending}", $"model{IndexEnding}"];

    /// <summary>Names that nobody has read.</summary>
    public IEnumerable<string> Unread => _files.Keys.Where(name => !_read.Contains(name)).Order(StringComparer.Ordinal);

    /// <summary>Whether a file holds weights, or is their index.</summary>
    public static bool Is(string path) => SafetensorsFile.Is(path)
        || (IsIndex(path) && HubFolder.Read(path).Member("weight_map") is not null);

    /// <summary>Whether a file is called as weights or their index are.</summary>
    public static bool IsName(string path) => path.EndsWith(Ending, StringComparison.Ordinal) || IsIndex(path);

    /// <summary>Whether a file is called as an index is.</summary>
    public static bool IsIndex(string path) => path.EndsWith(IndexEnding, StringComparison.Ordinal);

    /// <summary>Of several models those that are networks; where there are weights alone, their index if there is one.</summary>
    public static IReadOnlyList<string> BehindNetworks(IReadOnlyList<string> models)
    {
        if (models.Count < 2)
        {
            return models;
        }

        string[] networks = [.. models.Where(model => !Is(model))];
        string[] indices = networks.Length > 0 ? [] : [.. models.Where(IsIndex)];
        return networks.Length > 0 ? networks : indices.Length > 0 ? indices : models;
    }

    /// <summary>The files that an index names.</summary>
    /// <exception cref="ModelFormatException">It names none, or such as do not lie beside it.</exception>
    public static string[] FilesOf(string index)
    {
        string[] files = [.. HubFolder.Read(index).Member("weight_map").Members().Select(entry => entry.Value.Text() ?? "").Distinct(StringComparer.Ordinal)];
        if (files.Length is 0 or > MostFiles)
        {
            throw new ModelFormatException($"'{Path.GetFileName(index)}' names {Counted.Of(files.Length, "file")} of weights; 1 to {MostFiles} are expected.");
        }

        return Array.Find(files, file => file.IndexOfAny(['/', '\\', ':', '\0']) >= 0 || !file.EndsWith(Ending, StringComparison.Ordinal)) is { } other
            ? throw new ModelFormatException($"'{Path.GetFileName(index)}' names '{other}', which is no file of weights beside it.") : files;
    }

    /// <summary>Opens a file of weights, or all that an index names.</summary>
    /// <exception cref="ModelFormatException">One is missing or malformed.</exception>
    public static Checkpoint Open(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var checkpoint = new Checkpoint();
        foreach (var file in SafetensorsFile.Is(path) ? [Path.GetFullPath(path)] : FilesOf(path).Select(name => Path.Combine(folder, name)))
        {
            if (!ModelFile.Exists(file) || (file != Path.GetFullPath(path) && !ModelFile.IsBeside(folder, file)))
            {
                throw new ModelFormatException($"The weights' file '{Path.GetFileName(file)}' is missing beside '{Path.GetFileName(path)}'.");
            }

            Placeholder.Refuse(file, weights: true);
            var weights = SafetensorsFile.Open(file);
            if (weights.Names.FirstOrDefault(name => !checkpoint._files.TryAdd(name, weights)) is { } twice)
            {
                throw new ModelFormatException($"'{twice}' is in two of the files of weights.");
            }
        }

        return checkpoint;
    }

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Has(string name) => _files.ContainsKey(name);

    /// <summary>A tensor's sides.</summary>
    /// <exception cref="ModelFormatException">There is none of that name.</exception>
    public int[] Shape(string name) => _files.GetValueOrDefault(name)?.Shape(name)
        ?? throw new ModelFormatException($"The weights have no '{name}', which the network of {HubFolder.Config} needs.");

    /// <summary>A tensor as 32-bit floats.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="shape">The sides that it must have.</param>
    /// <exception cref="ModelFormatException">It is missing, or another one.</exception>
    public Tensor Read(string name, params int[] shape)
    {
        if (Shape(name) is var found && !found.AsSpan().SequenceEqual(shape))
        {
            throw new ModelFormatException(
                $"The weights '{name}' are [{string.Join(", ", found)}] where the network of {HubFolder.Config} has [{string.Join(", ", shape)}].");
        }

        var tensor = _files[name].Read(name);
        _read.Add(name);
        _bytes += tensor.Data.Length;
        return _bytes <= Array.MaxLength ? tensor
            : throw new ModelFormatException($"The weights are more than {Array.MaxLength:N0} bytes, which is more than protobuf allows for one message.");
    }
}
