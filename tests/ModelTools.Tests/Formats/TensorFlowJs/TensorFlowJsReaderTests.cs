using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.TensorFlowJs;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowJs;

/// <summary>Small models made by <c>tests/data/tfjs/make.mjs</c>; TensorFlow.js itself said what they answer.</summary>
public sealed class TensorFlowJsReaderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-tfjs-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("fused")]
    [InlineData("convolutions")]
    [InlineData("elementwise")]
    [InlineData("shapes")]
    [InlineData("resizing")]
    [InlineData("stored-weights")]
    [InlineData("layers")]
    public void A_model_answers_as_TensorFlow_js_does(string name)
    {
        var imported = new TensorFlowJsReader().Read(Golden.Data($"tfjs/{name}"));
        using var golden = JsonDocument.Parse(File.ReadAllText(Golden.Data("tfjs/golden.json")));
        var sample = golden.RootElement.GetProperty(name);
        var given = sample.GetProperty("input");
        var input = Tensor.FromDoubles(imported.Graph.Inputs[0].Type, [.. given.GetProperty("shape").EnumerateArray().Select(side => side.GetInt32())],
            [.. given.GetProperty("data").EnumerateArray().Select(value => value.GetDouble())]);
        Assert.Equal(sample.GetProperty("outputs").GetArrayLength(), imported.Graph.Outputs.Count);
        foreach (var answers in new[] { new Interpreter(imported.Graph).Run(input), Golden.OnnxRuntime(imported.Graph, input) })
        {
            foreach ((var output, var expected) in imported.Graph.Outputs.Zip(sample.GetProperty("outputs").EnumerateArray()))
            {
                var answer = answers[output.Name];
                Assert.Equal(expected.GetProperty("shape").EnumerateArray().Select(side => side.GetInt32()), answer.Shape);
                Assert.Equal(answer.Type, output.Type);
                Assert.True(output.Shape.Zip(answer.Shape)
                    .All(side => side.First < 0 || side.First == side.Second), $"{output.Name} is declared as [{string.Join(", ", output.Shape)}].");
                foreach ((var actual, var right) in answer.ToDoubles().Zip(expected.GetProperty("data").EnumerateArray().Select(value => value.GetDouble())))
                {
                    Assert.True(Math.Abs(actual - right) <= 1e-5 * Math.Max(1, Math.Abs(right)), $"{output.Name} has {actual} for {right}.");
                }
            }
        }
    }

    [Fact]
    public void A_free_batch_takes_any_number_of_pictures()
    {
        var graph = new TensorFlowJsReader().Read(Golden.Data("tfjs/shapes")).Graph;
        Assert.Equal([-1, 4, 6, 2], graph.Inputs[0].Shape);
        float[] pixels = [.. Enumerable.Range(0, 3 * 48).Select(i => i / 100f)];
        Assert.Equal([3, 48], new Interpreter(graph).Run(Tensor.Float32([3, 4, 6, 2], pixels))[graph.Outputs[0].Name].Shape);
    }

    [Fact]
    public void A_model_is_found_by_its_folder_or_its_file_and_by_its_content()
    {
        var reader = new TensorFlowJsReader();
        Assert.True(reader.CanRead(Golden.Data("tfjs/fused")));
        Assert.True(reader.CanRead(Golden.Data("tfjs/fused/model.json")));
        Assert.False(reader.CanRead(Golden.Data("tfjs/golden.json")));
        Assert.False(reader.CanRead(Golden.Data("tfjs/fused/group1-shard1of1.bin")));
        Assert.False(reader.CanRead(Golden.Data("tflite")));
        Assert.False(reader.CanRead(Golden.Data("absent")));
    }

    [Fact]
    public void Teachable_Machines_metadata_gives_labels_and_preprocessing()
    {
        var imported = new TensorFlowJsReader().Read(Golden.Data("tfjs/layers/model.json"));
        Assert.Equal(["apple", "pear", "plum"], imported.Labels!);
        Assert.Equal(Crop.CenterSquare, imported.Preprocessing!.Crop);
        Assert.Equal("tfjs-bilinear", imported.Preprocessing.Resample);
        Assert.Equal(1, (255 * imported.Preprocessing.RescaleFactor) - imported.Preprocessing.ImageMean[0], 1e-9);
        Assert.Equal(-1, 0 - imported.Preprocessing.ImageMean[0]);
    }

    [Fact]
    public void Control_flow_is_refused_by_name_and_place()
    {
        Assert.Equal("The operator 'While' (While_1) is not supported.", Refusal(Golden.Data("tfjs/refused-control-flow")));
    }

    [Theory]
    [InlineData("../outside.bin")]
    [InlineData("/etc/hostname")]
    [InlineData("sub/../../outside.bin")]
    public void A_shard_outside_the_models_folder_is_not_read(string path)
    {
        Directory.CreateDirectory(Path.Combine(_folder, "model"));
        File.WriteAllBytes(Path.Combine(_folder, "outside.bin"), new byte[4096]);
        Change("fused", Path.Combine(_folder, "model"), model => model["weightsManifest"]![0]!["paths"] = new JsonArray(path));
        Assert.Equal($"The weight shard '{path}' does not lie beside the model.", Refusal(Path.Combine(_folder, "model")));
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        Change("fused", _folder, model => model["weightsManifest"]![0]!["paths"] = new JsonArray("group1-shard9of9.bin"));
        Assert.Equal("The weight shard 'group1-shard9of9.bin' is missing.", Refusal(_folder));
    }

    [Fact]
    public void A_shape_that_promises_more_than_the_shards_hold_is_refused()
    {
        Change("fused", _folder, model => model["weightsManifest"]![0]!["weights"]![0]!["shape"] = new JsonArray(1 << 14, 1 << 13));
        Assert.Equal("The weight 'const_1' takes 536,870,912 bytes; the shards hold 732 more.", Refusal(_folder));
    }

    [Fact]
    public void A_cycle_in_the_graph_is_refused()
    {
        Change("fused", _folder, model =>
        {
            var conv = model["modelTopology"]!["node"]!.AsArray().First(node => (string?)node!["op"] == "_FusedConv2D")!;
            conv["input"]![0] = (string)conv["name"]!;
        });
        Assert.Equal("The graph is cyclic at _FusedConv2D '_FusedConv2D_3'.", Refusal(_folder));
    }

    [Fact]
    public void An_operator_that_is_not_known_is_refused_by_name_and_place()
    {
        Change("fused", _folder, model => model["modelTopology"]!["node"]!.AsArray().First(node => (string?)node!["op"] == "Mean")!["op"] = "Bincount");
        Assert.StartsWith("The operator 'Bincount' (Mean_", Refusal(_folder));
    }

    private static string Refusal(string path) => Assert.Throws<ModelFormatException>(() => new TensorFlowJsReader().Read(path)).Message;

    /// <summary>Copies a model of <c>tests/data</c> with a change to its JSON.</summary>
    private static void Change(string name, string folder, Action<JsonNode> change)
    {
        foreach (var file in Directory.EnumerateFiles(Golden.Data($"tfjs/{name}")))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        var model = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "model.json")))!;
        change(model);
        File.WriteAllText(Path.Combine(folder, "model.json"), model.ToJsonString());
    }
}
