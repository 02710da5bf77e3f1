using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelTools.Evaluation;
using Drawn = Whatsit.ModelTools.Commands.Import.SamplePicture;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>The pictures of a bundle that a new version takes the place of: somebody chose them, and they are the new one's, too.</summary>
internal static class FormerSamples
{
    /// <summary>Puts the pictures beside the new network.</summary>
    /// <param name="former">The folder of the version before, where there is one.</param>
    /// <param name="folder">The new one.</param>
    /// <param name="labels">The new labels in index order.</param>
    /// <returns>The picture with which it proves itself, and those to try on the page.</returns>
    public static (string File, IReadOnlyList<SamplePicture>? Samples) Take(string former, string folder, IReadOnlyList<string> labels)
    {
        var before = File.Exists(Path.Combine(former, Bundle.ManifestFile)) ? Bundle.ReadManifest(former) : null;
        SamplePicture[] kept = [.. (before?.Samples ?? []).Select(sample => sample with { Index = labels.ToList().IndexOf(sample.Title) })
            .Where(sample => sample.Index >= 0 && Copy(sample.File))];
        if (before?.Sample is { } own && Copy(own.File))
        {
            return (own.File, kept.Length > 0 ? kept : null);
        }

        using var picture = Drawn.Draw();
        Drawn.Write(picture, folder);
        return (Drawn.FileName, kept.Length > 0 ? kept : null);

        bool Copy(string file)
        {
            if (!ModelConversion.ModelFile.IsBeside(former, Path.Combine(former, file)) || !File.Exists(Path.Combine(former, file)))
            {
                return false;
            }

            var target = Path.Combine(folder, file);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(Path.Combine(former, file), target, overwrite: true);
            return true;
        }
    }

    /// <summary>Those of the pictures that the new network names rightly; of the others it is told.</summary>
    public static async Task<IReadOnlyList<SamplePicture>?> RightAsync(Evaluator evaluator, Model model, string folder, IReadOnlyList<SamplePicture>? samples,
        List<string> notes, CancellationToken cancellationToken)
    {
        var right = new List<SamplePicture>();
        foreach (var sample in samples ?? [])
        {
            var answer = await evaluator.Classifier.ClassifyAsync(model, await File.ReadAllBytesAsync(Path.Combine(folder, sample.File), cancellationToken),
                ClassifyOptions.For(model), cancellationToken);
            if (answer.Predictions[0].Index == sample.Index && !answer.Abstained)
            {
                right.Add(sample);
                continue;
            }

            File.Delete(Path.Combine(folder, sample.File));
            notes.Add(
                $"The sample '{sample.File}' is left out: {sample.Title} is taken for {answer.Predictions[0].Label}{(answer.Abstained ? ", not sure" : "")}.");
        }

        return right.Count > 0 ? right : null;
    }
}
