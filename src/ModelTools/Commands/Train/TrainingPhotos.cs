using System.Globalization;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>What to learn from: classes, and photos of them.</summary>
/// <param name="Classes">The classes in index order.</param>
/// <param name="Training">The photos to learn from, all with a label.</param>
/// <param name="Validation">The photos to judge by, where they were given apart.</param>
internal sealed record TrainingPhotos(IReadOnlyList<ClassLabel> Classes, IReadOnlyList<LabelledPhoto> Training, IReadOnlyList<LabelledPhoto>? Validation)
{
    private static readonly HashSet<string> TrainingFolders = new(StringComparer.OrdinalIgnoreCase) { "train", "training" };
    private static readonly HashSet<string> ValidationFolders = new(StringComparer.OrdinalIgnoreCase) { "val", "valid", "validation", "test" };

    /// <summary>
    /// Reads a folder per class (torchvision's <c>ImageFolder</c>, Keras' <c>image_dataset_from_directory</c>), also within <c>train</c> and <c>val</c>; a list
    /// with a line <c>path,label</c> for each photo; or IDX files.
    /// </summary>
    /// <param name="images">The folder or list.</param>
    /// <param name="validation">A folder or list to judge by, if it is apart.</param>
    /// <param name="labels">A file with the classes' names in index order, for lists that name indices and for IDX files.</param>
    /// <param name="perClass">At most so many photos of each class, evenly spread.</param>
    /// <exception cref="ModelFormatException">There is nothing to learn from, or something is named wrongly.</exception>
    public static TrainingPhotos Read(string images, string? validation, string? labels, int? perClass)
    {
        var named = labels is null ? null : Labels.Parse(string.Join('\n', LabelSource.Read(labels)));
        var (classes, training, own) = IdxFiles.ToLearnFrom(images) is { } idx ? OfIdx(images, idx, named) : OfList(images, named) ?? OfFolders(images, named);
        Require(images, training, classes);
        var judged = validation is null ? own : LabelledPhotos.Read(validation, classes);
        Require(validation ?? images, judged ?? [], classes);
        return classes.Count >= 2
            ? new TrainingPhotos(classes, AtMost(training, perClass), judged is null ? null : AtMost(judged, perClass))
            : throw new ModelFormatException($"'{images}' has photos of {Counted.Of(classes.Count, "class", "classes")}; at least 2 are needed to tell apart.");
    }

    /// <summary>Photos of a list or folder with the classes of a model.</summary>
    public static IReadOnlyList<LabelledPhoto> ReadKnown(string images, IReadOnlyList<ClassLabel> classes)
    {
        var photos = LabelledPhotos.Read(images, classes);
        Require(images, photos, classes);
        return photos;
    }

    private static (IReadOnlyList<ClassLabel>, IReadOnlyList<LabelledPhoto>, IReadOnlyList<LabelledPhoto>?) OfIdx(string images,
        IReadOnlyList<LabelledPhoto> training, IReadOnlyList<ClassLabel>? named)
    {
        var classes = named ?? [.. Enumerable.Range(0, training.Max(photo => photo.Label!.Value) + 1)
            .Select(index => new ClassLabel(index, index.ToString(CultureInfo.InvariantCulture), null))];
        return (classes, training, IdxFiles.ToJudgeBy(images));
    }

    private static (IReadOnlyList<ClassLabel>, IReadOnlyList<LabelledPhoto>, IReadOnlyList<LabelledPhoto>?)? OfList(string images,
        IReadOnlyList<ClassLabel>? named)
    {
        var list = Directory.Exists(images) ? Path.Combine(images, LabelledPhotos.List) : images;
        if (!File.Exists(list))
        {
            return null;
        }

        var texts = LabelledPhotos.LabelsIn(list);
        var classes = named ?? (texts.All(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            ? ClassesOf(texts.OrderBy(text => int.Parse(text, CultureInfo.InvariantCulture)))
            : ClassesOf(texts.Order(StringComparer.Ordinal)));
        return (classes, LabelledPhotos.Read(images, classes), null);
    }

    private static (IReadOnlyList<ClassLabel>, IReadOnlyList<LabelledPhoto>, IReadOnlyList<LabelledPhoto>?) OfFolders(string images,
        IReadOnlyList<ClassLabel>? named)
    {
        if (!Directory.Exists(images))
        {
            throw new ModelFormatException($"There is no folder or list '{images}'.");
        }

        string[] folders = [.. Directory.EnumerateDirectories(images).Where(HasPhotos).Order(StringComparer.Ordinal)];
        var training = folders.Where(folder => TrainingFolders.Contains(Path.GetFileName(folder))).ToArray();
        var validation = folders.Where(folder => ValidationFolders.Contains(Path.GetFileName(folder))).ToArray();
        if (training.Length == 1 && training.Length + validation.Length == folders.Length)
        {
            var (classes, photos, _) = OfFolders(training[0], named);
            return (classes, photos, validation.Length == 0 ? null
                : [.. validation.SelectMany(folder => OfFolders(folder, named ?? classes) is var (_, found, _) ? found : [])]);
        }

        if (folders.Length == 0)
        {
            throw new ModelFormatException($"'{images}' has no folder with photos in it; each class needs one.");
        }

        var known = named ?? ClassesOf(folders.Select(folder => Path.GetFileName(folder)!));
        return (known, [.. folders.SelectMany(folder => Photos(images, folder, known))], null);
    }

    private static IEnumerable<LabelledPhoto> Photos(string images, string folder, IReadOnlyList<ClassLabel> classes)
    {
        var name = Path.GetFileName(folder);
        var index = classes.FirstOrDefault(label => label.Label.Equals(name, StringComparison.OrdinalIgnoreCase))?.Index;
        return Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(Classify.Photos.IsPicture).Order(StringComparer.Ordinal)
            .Select(file => new LabelledPhoto(file, Path.GetRelativePath(images, file).Replace('\\', '/'), index));
    }

    private static bool HasPhotos(string folder) => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Any(Classify.Photos.IsPicture);

    private static ClassLabel[] ClassesOf(IEnumerable<string> names) => [.. names.Select((name, index) => new ClassLabel(index, name, null))];

    private static void Require(string source, IReadOnlyList<LabelledPhoto> photos, IReadOnlyList<ClassLabel> classes)
    {
        if (photos.FirstOrDefault(photo => photo.Label is null || photo.Label >= classes.Count) is { } unknown)
        {
            throw new ModelFormatException(
                $"'{unknown.Name}' in '{source}' shows none of the {Counted.Of(classes.Count, "class", "classes")} ({classes[0].Label}, …).");
        }
    }

    private static IReadOnlyList<LabelledPhoto> AtMost(IReadOnlyList<LabelledPhoto> photos, int? perClass) => perClass is null ? photos
        : [.. photos.GroupBy(photo => photo.Label).OrderBy(group => group.Key).SelectMany(group => LabelledPhotos.Spread([.. group], perClass.Value))];
}
