using Whatsit.Inference.Catalog;
using Whatsit.Inference.Fetching;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands.Import;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>
/// A base for those who have none: ImageNet's ResNet18 as Microsoft ships it for ML.NET (Microsoft.ML.DnnImageFeaturizer.ResNet18, MIT). Its two files come
/// with the training program, and become a bundle in the user's cache:
/// <code>
///   pixels ─► ResNetPreprocess.onnx ─► ResNet18.onnx ─► 512 features ─► themselves, as classes
/// </code>
/// </summary>
internal static class ResNet18
{
    /// <summary>The base's name.</summary>
    public const string Name = "resnet18";

    private const string Front = "ResNetPreprocess.onnx";
    private const string Back = "ResNet18.onnx";

    /// <summary>The bundle, made where it is not there yet.</summary>
    /// <returns>Its folder.</returns>
    /// <exception cref="ModelFormatException">The training program is not installed, or came without the files.</exception>
    public static async Task<string> BundleAsync(Action<TrainingStep> progress, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(await FineTuning.FolderAsync(cancellationToken), Name);
        foreach (var file in (string[])[Front, Back])
        {
            if (!File.Exists(Path.Combine(folder, file)))
            {
                throw new ModelFormatException($"The training program came without {file}, which the base {Name} needs: ./build.sh training installs it anew.");
            }
        }

        progress(new TrainingStep($"Preparing {Name}"));
        var version = Bundle.Describe(folder, Back).Sha256[..12];
        var models = Path.Combine(UserCache.Folder, "bases", version);
        var bundle = Path.Combine(models, Name);
        return Directory.Exists(bundle) ? bundle : await Task.Run(() => Import(folder, models, cancellationToken), cancellationToken);
    }

    private static string Import(string folder, string models, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(models);
        var joined = Path.Combine(models, $"{Path.GetRandomFileName()}.onnx");
        try
        {
            OnnxWriter.Write(Join(new OnnxReader().Read(Path.Combine(folder, Front)).Graph, new OnnxReader().Read(Path.Combine(folder, Back)).Graph), joined);
            var bundle = ModelImporter.Import(new ImportRequest(joined, Name, models)
            {
                Preset = "none",
                Title = "ResNet18",
                License = "MIT",
                Source = "ImageNet's ResNet18 of ML.NET (Microsoft.ML.DnnImageFeaturizer.ResNet18)",
            }, _ => { }, cancellationToken).Folder;
            ManifestEdit.Apply(bundle, manifest =>
            {
                var evidence = ManifestEdit.Member(ManifestEdit.Member(manifest, "preprocessing"), "evidence");
                (evidence["reason"], evidence["crop_assumed"]) = ("the network scales its input itself.", true);
            });
            return bundle;
        }
        finally
        {
            File.Delete(joined);
        }
    }

    /// <summary>One network of two, behind it a dense layer that changes nothing: what knows classifiers finds the features before it.</summary>
    internal static Graph Join(Graph front, Graph back)
    {
        string Renamed(string value) => value.Length == 0 ? value : $"front/{value}";
        foreach (var node in front.Nodes)
        {
            var copy = new Node(node.Op, Renamed(node.Name), node.Inputs.Select(Renamed), node.Outputs.Select(Renamed)) { ChannelsLast = node.ChannelsLast };
            foreach (var (name, value) in node.Attributes)
            {
                copy.Attributes.Add(name, value);
            }

            back.Nodes.Insert(front.Nodes.IndexOf(node), copy);
        }

        foreach (var (name, value) in front.Constants)
        {
            back.Constants.Add(Renamed(name), value);
        }

        var given = back.Inputs[0].Name;
        foreach (var node in back.Nodes)
        {
            for (var input = 0; input < node.Inputs.Count; input++)
            {
                node.Inputs[input] = node.Inputs[input] == given ? Renamed(front.Outputs[0].Name) : node.Inputs[input];
            }
        }

        back.Inputs[0] = front.Inputs[0] with { Name = Renamed(front.Inputs[0].Name) };
        var features = back.Outputs[0].Shape.Skip(1).Max();
        var same = new float[features * features];
        for (var feature = 0; feature < features; feature++)
        {
            same[(feature * features) + feature] = 1;
        }

        var builder = new GraphBuilder(back);
        var flat = builder.AddNode("Flatten", "features_flat", [back.Outputs[0].Name]);
        var scores = builder.AddNode("Gemm", "themselves", [flat, builder.AddConstant("identity", same, features, features)]);
        back.Outputs.Clear();
        builder.AddOutput(scores, ElementType.Float32, -1, features);
        return back;
    }
}
