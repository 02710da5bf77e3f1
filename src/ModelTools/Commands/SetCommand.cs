using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Preprocessing;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit set NAME key=value…</c>: entries of a manifest that are people's to decide, checked before they are written.</summary>
internal static class SetCommand
{
    private static readonly string[] Fidelities = ["fast", "exact"];
    private static readonly string[] Crops = ["none", "center-square", "resize-then-center"];

    private const string ResizeShortest = "resize_shortest";

    // What may be set, and what its values are. Everything else is measured, hashed or proved: import and quantize write it.
    private static readonly SortedDictionary<string, Func<string, ModelManifest, JsonNode?>> Keys = new(StringComparer.Ordinal)
    {
        ["title"] = Text,
        ["description"] = Text,
        ["license"] = Text,
        ["source"] = Text,
        ["abstain.threshold"] = Threshold,
        ["preprocessing.crop"] = (value, _) => OneOf("preprocessing.crop", value, Crops),
        ["preprocessing.fidelity"] = (value, _) => OneOf("preprocessing.fidelity", value, Fidelities),
        ["preprocessing.resample"] = (value, _) => OneOf("preprocessing.resample", value, Resizers.Names),
        ["preprocessing." + ResizeShortest] = (value, _) => int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var pixels)
            ? JsonValue.Create(pixels) : throw Wrong($"preprocessing.{ResizeShortest} is '{value}'; it must be a number of pixels."),
    };

    public static Command Create()
    {
        var models = CommonOptions.Models();
        var name = CommonOptions.ModelArgument("name", "The bundle's name.", models);
        var settings = new Argument<string[]>("key=value")
        {
            Description =
            $"What to change: {string.Join(", ", Keys.Keys)}. An empty value takes an entry away.",
            Arity = ArgumentArity.OneOrMore
        };
        var command = new Command("set", "Change entries of a model's manifest.") { name, settings, models };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var folder = ModelFolder.Open(arguments.GetValue(models)!).Find(arguments.GetValue(name)!);
            var bundle = Bundle.ReadManifest(folder);
            List<(string[] Path, JsonNode? Value)> changes = [.. arguments.GetValue(settings)!.Select(setting => Parse(setting, bundle))];
            (string[] Path, JsonNode? Value)[] pictures = [.. changes.Where(change => change.Path is ["preprocessing", not "fidelity"])];
            var report = pictures.Length == 0 ? null
                : await PreprocessingSetter.SetAsync(folder, bundle, Prepared(bundle, pictures), cancellationToken);
            var others = changes.Except(pictures).ToArray();
            var isOtherThreshold = Array.Exists(others, change => change.Path[0] == "abstain");
            ManifestEdit.Apply(folder, manifest =>
            {
                foreach ((var path, var value) in others)
                {
                    var parent = path.Length == 1 ? manifest : ManifestEdit.Member(manifest, path[0]);
                    if (value is null)
                    {
                        parent.Remove(path[^1]);
                    }
                    else
                    {
                        parent[path[^1]] = value;
                    }
                }

                if (isOtherThreshold)
                {
                    AbstainWriter.ForgetThreshold(manifest);
                }

                // "Not sure", and another decoding, are other answers.
                if (Array.Exists(others, change => change.Path.Length > 1) && (string?)manifest["version"] == bundle.Version)
                {
                    ManifestEdit.RaiseVersion(manifest);
                }
            });
            if (isOtherThreshold)
            {
                AbstainWriter.UpdateCard(folder, Bundle.ReadManifest(folder));
            }

            Console.WriteLine(
                $"{arguments.GetValue(name)}: {string.Join(", ", changes.Select(change => $"{string.Join('.', change.Path)} is {change.Value?.ToJsonString() ?? "gone"}"))}.");
            foreach (var sentence in report?.Sentences ?? [])
            {
                Console.WriteLine(sentence);
            }

            return 0;
        });
        return command;
    }

    private static (string[] Path, JsonNode? Value) Parse(string setting, ModelManifest bundle)
    {
        var at = setting.IndexOf('=', StringComparison.Ordinal);
        var key = at < 0 ? setting : setting[..at];
        return !Keys.TryGetValue(key, out var read) ? throw Wrong($"'{key}' cannot be set. These can: {string.Join(", ", Keys.Keys)}.")
            : at < 0 ? throw Wrong($"'{setting}' has no value: {key}=VALUE.")
            : (key.Split('.'), setting.Length == at + 1 ? null : read(setting[(at + 1)..], bundle));
    }

    /// <summary>How pictures are to be prepared, whole: the shorter side belongs to one crop alone.</summary>
    private static PreprocessingSpec Prepared(ModelManifest bundle, IReadOnlyList<(string[] Path, JsonNode? Value)> changes)
    {
        var json = JsonSerializer.SerializeToNode(bundle.Preprocessing, ManifestJson.Default.PreprocessingSpec)!.AsObject();
        foreach ((var path, var value) in changes)
        {
            if (value is null)
            {
                json.Remove(path[1]);
            }
            else
            {
                json[path[1]] = value;
            }
        }

        var spec = json.Deserialize(ManifestJson.Default.PreprocessingSpec)!;
        if (spec.Crop != Crop.ResizeThenCenter)
        {
            spec = !changes.Any(change => change.Path[1] == ResizeShortest && change.Value is not null) ? spec with { ResizeShortest = null }
                : throw Wrong($"preprocessing.{ResizeShortest} belongs to the crop resize-then-center; the crop is {(string?)json["crop"] ?? Crops[0]}.");
        }

        return Preprocessor.ProblemOf(spec, bundle.Input) is { } problem ? throw Wrong(problem) : spec;
    }

    private static JsonValue? OneOf(string key, string value, IReadOnlyList<string> values) => values.Contains(value) ? JsonValue.Create(value)
        : throw Wrong($"{key} is '{value}'; it must be {string.Join(", ", values.SkipLast(1))} or {values[^1]}.");

    private static JsonValue? Text(string value, ModelManifest bundle) => JsonValue.Create(value);

    /// <summary>What the score can be: a share, a cosine, or any number.</summary>
    private static JsonValue? Threshold(string value, ModelManifest bundle)
    {
        var (least, most, range) = bundle.Abstain?.Score switch
        {
            AbstainScore.Logit or AbstainScore.Energy or AbstainScore.VirtualLogit => (float.MinValue, float.MaxValue, "a number"),
            AbstainScore.ClassMean or AbstainScore.Nearest => (-1f, 1f, "from -1 to 1"),
            _ => (0f, 1f, "from 0 to 1"),
        };
        return double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var threshold) && threshold >= least && threshold <= most
            ? JsonValue.Create(threshold) : throw Wrong($"abstain.threshold is '{value}'; it must be {range}.");
    }

    private static InferenceException Wrong(string message) => new(InferenceError.InvalidRequest, message);
}
