using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands.Classify;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>A photo file and the class that it shows, where that is known.</summary>
/// <param name="Path">The file, or the place in a file of many.</param>
/// <param name="Name">The file as people name it: relative to the folder or list that it came from.</param>
/// <param name="Label">The index of its class.</param>
/// <param name="Content">The picture's bytes, where it is no file of its own.</param>
internal sealed record LabelledPhoto(string Path, string Name, int? Label, Func<byte[]>? Content = null)
{
    /// <summary>The picture's file, whole.</summary>
    public byte[] Read() => Content is null ? File.ReadAllBytes(Path) : Content();
}

/// <summary>
/// Photos to measure with. A folder gives its pictures, labelled by the nearest folder whose name is a label, or else by the file's own name
/// (<c>n01440764_tench.JPEG</c>, <c>lemon-12.jpg</c>); a list gives <c>path,label</c> per line, the label as its text or its index.
/// </summary>
internal static partial class LabelledPhotos
{
    /// <summary>The list that a folder may hold.</summary>
    public const string List = "list.csv";

    /// <summary>Finds the photos, in an order that is the same everywhere.</summary>
    /// <exception cref="ModelFormatException">There are none, or a line of the list is wrong.</exception>
    public static IReadOnlyList<LabelledPhoto> Read(string source, IReadOnlyList<ClassLabel> classes) => Read(source, new LabelNames(classes));

    /// <summary>The same without regard to labels: photos of things that no class is for, or photos to measure times with.</summary>
    /// <exception cref="ModelFormatException">There are none, or a line of the list is wrong.</exception>
    public static IReadOnlyList<LabelledPhoto> ReadOthers(string source) => Read(source, (LabelNames?)null);

    /// <summary>The labels that a list names, each once, as they are written.</summary>
    public static IReadOnlyList<string> LabelsIn(string list)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(list))!;
        return [.. File.ReadLines(list).Where(line => !string.IsNullOrWhiteSpace(line)).Select(Fields)
            .Where((fields, number) => fields.Count > 1 && fields[1].Length > 0 && (number > 0 || File.Exists(Path.Combine(folder, fields[0]))))
            .Select(fields => fields[1]).Distinct()];
    }

    /// <summary>At most so many, evenly spread over the whole: lists are sorted by class as a rule.</summary>
    public static IReadOnlyList<LabelledPhoto> Spread(IReadOnlyList<LabelledPhoto> photos, int count) => count >= photos.Count ? photos
        : [.. Enumerable.Range(0, count).Select(place => photos[(int)((long)place * photos.Count / count)])];

    private static IReadOnlyList<LabelledPhoto> Read(string source, LabelNames? names)
    {
        var list = Directory.Exists(source) ? Path.Combine(source, List) : source;
        var photos = (IdxFiles.ToJudgeBy(source) ?? IdxFiles.ToLearnFrom(source)) is { } idx ? idx
            : File.Exists(list) ? ReadList(list, names)
            : Directory.Exists(source) ? ReadFolder(source, names ?? new LabelNames([]))
            : throw new ModelFormatException($"There is no folder or list '{source}'.");
        return photos.Count > 0 ? photos
            : throw new ModelFormatException($"'{source}' has no photos ({string.Join(", ", Photos.Extensions.Select(extension => extension[1..]))}).");
    }

    private static List<LabelledPhoto> ReadFolder(string folder, LabelNames names)
    {
        var root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        var own = Path.GetFileName(root);
        string[] files = [.. Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Where(Photos.IsPicture).Order(StringComparer.Ordinal)];
        var photos = new List<LabelledPhoto>(files.Length);
        var unclear = new List<(int Photo, List<int> Candidates)>();
        foreach (var file in files)
        {
            var name = Path.GetRelativePath(root, file).Replace('\\', '/');
            var folders = name.Split('/')[..^1];
            var label = folders.Reverse().Append(own.All(char.IsAsciiDigit) ? "" : own).Select(names.Find).FirstOrDefault(found => found is [_])?[0];
            if (label is null)
            {
                var candidates = names.FindFile(Path.GetFileNameWithoutExtension(file));
                label = candidates is [var only] ? only : null;
                if (candidates.Count > 1)
                {
                    unclear.Add((photos.Count, candidates));
                }
            }

            photos.Add(new LabelledPhoto(file, name, label));
        }

        foreach ((var photo, var candidates) in unclear)
        {
            photos[photo] = photos[photo] with { Label = BetweenNeighbours(photos, photo, candidates) };
        }

        return photos;
    }

    /// <summary>
    /// ImageNet has two cranes and two maillots. Its files begin with WordNet identifiers, whose order is the order of the classes: the class that stands
    /// between those of the neighbours is meant.
    /// </summary>
    private static int? BetweenNeighbours(List<LabelledPhoto> photos, int photo, List<int> candidates)
    {
        if (!WordNetId().IsMatch(Path.GetFileName(photos[photo].Name)))
        {
            return null;
        }

        var before = photos.Take(photo).LastOrDefault(other => other.Label is not null)?.Label ?? -1;
        var after = photos.Skip(photo + 1).FirstOrDefault(other => other.Label is not null)?.Label ?? int.MaxValue;
        int[] between = [.. candidates.Where(candidate => candidate >= before && candidate <= after)];
        return between is [var only] ? only : null;
    }

    private static List<LabelledPhoto> ReadList(string list, LabelNames? names)
    {
        var photos = new List<LabelledPhoto>();
        var folder = Path.GetDirectoryName(Path.GetFullPath(list))!;
        var number = 0;
        foreach (var line in File.ReadLines(list))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            var fields = Fields(line);
            var path = Path.Combine(folder, fields[0]);
            if (!File.Exists(path))
            {
                // A first line that names no file names the columns.
                if (number == 1 && !Photos.IsPicture(fields[0]))
                {
                    continue;
                }

                throw Wrong($"there is no file '{fields[0]}'");
            }

            var text = fields.Count > 1 ? fields[1] : "";
            int? label = text.Length == 0 || names is null ? null : names.Find(text) switch
            {
                [var only] => only,
                [] => throw Wrong($"'{text}' is no label of this model, and no index below {names.Count}"),
                _ => throw Wrong($"'{text}' is the label of several classes: give the index"),
            };
            photos.Add(new LabelledPhoto(path, fields[0], label));
        }

        return photos;

        ModelFormatException Wrong(string why) => new($"{Path.GetFileName(list)}, line {number}: {why}.");
    }

    /// <summary>Comma-separated fields; one in quotes may hold commas, and quotes twice. https://www.rfc-editor.org/rfc/rfc4180</summary>
    private static List<string> Fields(string line)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        var quoted = false;
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] == '"')
            {
                var twice = quoted && i + 1 < line.Length && line[i + 1] == '"';
                if (twice)
                {
                    field.Append(line[i++]);
                }
                else
                {
                    quoted = !quoted;
                }
            }
            else if (line[i] == ',' && !quoted)
            {
                fields.Add(field.ToString().Trim());
                field.Clear();
            }
            else
            {
                field.Append(line[i]);
            }
        }

        fields.Add(field.ToString().Trim());
        return fields;
    }

    [GeneratedRegex(@"^n\d{8}[_-]")]
    private static partial Regex WordNetId();

    [GeneratedRegex(@"[ _.-]*\d+$")]
    private static partial Regex TrailingNumber();

    /// <summary>Classes by the names that people give them.</summary>
    private sealed class LabelNames
    {
        // From the exact to the loose; the first table that knows a name decides.
        private readonly Dictionary<string, List<int>>[] _tables = [new(StringComparer.Ordinal), new(StringComparer.Ordinal), new(StringComparer.Ordinal)];

        public LabelNames(IReadOnlyList<ClassLabel> classes)
        {
            Count = classes.Count;
            foreach (var label in classes)
            {
                // ImageNet's labels list synonyms: "tench, Tinca tinca".
                var synonyms = label.Label.Split(',');
                Add(_tables[0], Plain(label.Label), label.Index);
                Add(_tables[1], Plain(synonyms[0]), label.Index);
                foreach (var synonym in synonyms.Skip(1))
                {
                    Add(_tables[2], Plain(synonym), label.Index);
                }
            }
        }

        public int Count { get; }

        /// <summary>The classes of a name: none, one, or several of equal right. A number that is no label is an index.</summary>
        public List<int> Find(string name)
        {
            var plain = Plain(name);
            foreach (var table in _tables)
            {
                if (table.TryGetValue(plain, out var found))
                {
                    return found;
                }
            }

            return int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < Count ? [index] : [];
        }

        /// <summary>The classes of a file's name: without WordNet identifier, then without the number at its end, too.</summary>
        public List<int> FindFile(string stem)
        {
            var name = WordNetId().Replace(stem, "");
            string[] candidates = [name, TrailingNumber().Replace(name, "")];
            return candidates.Where(candidate => !candidate.All(char.IsAsciiDigit)).Select(Find).FirstOrDefault(found => found.Count > 0) ?? [];
        }

        private static void Add(Dictionary<string, List<int>> table, string name, int index)
        {
            if (!table.TryGetValue(name, out var indices))
            {
                table[name] = indices = [];
            }

            if (!indices.Contains(index))
            {
                indices.Add(index);
            }
        }

        /// <summary>Letters and digits in lower case, one space between words: "Granny-Smith apple" and "granny_smith_apple" are one.</summary>
        private static string Plain(string name) => string.Join(' ', NoWord().Split(name.ToLowerInvariant()).Where(word => word.Length > 0));
    }

    [GeneratedRegex(@"[^\p{L}\p{Nd}]+")]
    private static partial Regex NoWord();
}
