using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelTools.Tests.Commands;
using Whatsit.ModelTools.Tests.Formats.TensorFlowLite;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Preparation;

/// <summary>What a network itself tells of how pictures were prepared.</summary>
public sealed class StemEvidenceTests
{
    private const int Side = 64;

    [Theory]
    [InlineData("zero-to-one")]
    [InlineData("minus-one-to-one")]
    [InlineData("none")]
    [InlineData("imagenet")]
    [InlineData("caffe")]
    public void The_first_batch_normalisation_s_records_tell_the_scaling(string scaling)
    {
        var graph = Normalised(scaling);

        var spec = Presets.Choose(new ImportedModel(graph), null, null, []);

        Assert.Equal(PreprocessingCertainty.ShownByTheNetwork, spec.Evidence!.Certainty);
        Assert.True(Scalings.ByName[scaling].IsOf(spec), spec.Evidence.Reason);
    }

    [Theory]
    [InlineData("zero-to-one", ChannelOrder.Rgb)]
    [InlineData("minus-one-to-one", ChannelOrder.Rgb)]
    [InlineData("none", ChannelOrder.Rgb)]
    [InlineData("imagenet", ChannelOrder.Rgb)]
    [InlineData("caffe", ChannelOrder.Bgr)]
    public void Photos_without_labels_agree_with_the_records_under_the_right_scaling(string scaling, ChannelOrder order)
    {
        var graph = Normalised(scaling);
        var own = PicturePreparation.Of(Scalings.ByName["zero-to-one"].With(new PreprocessingSpec()));
        PicturePreparation[] ways = [.. own.Scaled(3, scales: true)];
        var photos = SamplePixels();

        var distances = StemNetwork.Of(graph, PictureInput.Of(graph)!)!.Distances(photos, [.. ways.Select(way => way.Numbers)]);
        var choice = PreparationChoice.ByRecords(own, new PreprocessingEvidence(PreprocessingCertainty.Assumed, "a guess."), ways, distances, photos.Count)!;

        Assert.Equal((scaling, order), choice.Chosen.Values);
        Assert.Equal((PreprocessingCertainty.ShownByTheNetwork, false), (choice.Evidence.Certainty, choice.Evidence.Labelled));
        Assert.Equal(0, choice.Evidence.Tried![0].Distance!.Value, 1e-3);
        Assert.Contains("weaker evidence", choice.Evidence.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_records_there_is_nothing_to_agree_with()
    {
        var builder = new GraphBuilder("plain");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, Side, Side);
        x = builder.AddNode("Conv", "conv", [x, builder.AddConstant("w", Numbers.Random(1, 4, 3, 3, 3))]);
        builder.AddOutput(x, ElementType.Float32, -1, 4, Side - 2, Side - 2);

        Assert.Null(StemNetwork.Of(builder.Graph, PictureInput.Of(builder.Graph)!));
    }

    [Theory]
    [InlineData("keras-h5/mlcommons-tiny/pretrainedResnet.h5", "none")]
    public void The_records_of_other_people_s_networks_do_too(string file, string scaling)
    {
        var path = Golden.Shared(Path.Combine("..", "field", "models", file));
        (var reader, path) = ModelReaders.Find(path);
        var model = reader.Read(path);
        var stem = Stem.Of(model.Graph, PictureInput.Of(model.Graph)!);
        foreach ((var name, var other) in Scalings.ByName.Where(_ => stem.Recorded is not null))
        {
            TestContext.Current.TestOutputHelper!.WriteLine($"{name}: {StemEvidence.Distance(stem, stem.Recorded!.Value, other.Channels(3)):0.000}");
        }

        var spec = Presets.Choose(model, null, null, []);

        Assert.Equal(PreprocessingCertainty.ShownByTheNetwork, spec.Evidence!.Certainty);
        Assert.True(Scalings.ByName[scaling].IsOf(spec), spec.Evidence.Reason);
    }

    [Theory]
    [InlineData(16, true)]
    [InlineData(17, false)]
    public void Filters_as_large_as_a_picture_are_not_asked(int side, bool asked)
    {
        var builder = new GraphBuilder("patches");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, Side, Side);
        string[] ones = [.. Enumerable.Range(0, 4).Select(place => builder.AddConstant($"p{place}", [1f, 1, 1, 1], 4))];
        x = builder.AddNode("Conv", "conv", [x, builder.AddConstant("w", Numbers.Random(1, 4, 3, side, side))]);
        builder.AddOutput(builder.AddNode("BatchNormalization", "bn", [x, .. ones]), ElementType.Float32, -1, 4, Side + 1 - side, Side + 1 - side);

        var stem = Stem.Of(builder.Graph, PictureInput.Of(builder.Graph)!);

        Assert.Equal((asked, asked), (stem.Weights is not null, stem.Recorded is not null));
    }

    public static TheoryData<string, string> OwnScalings => new()
    {
        { "padding, mul", "none" }, { "reshape, div", "none" }, { "clip, sub of means", "none" }, { "1x1", "none" }, { "resize, mul", "none" },
        { "from 0…1", "zero-to-one" },
    };

    [Theory]
    [MemberData(nameof(OwnScalings))]
    public void A_network_that_scales_its_input_itself_is_not_fed_with_scaled_pixels(string how, string scaling)
    {
        var builder = new GraphBuilder("own");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, Side, Side);
        x = how switch
        {
            "padding, mul" => Mul(builder.AddNode("Pad", "pad", [x, builder.AddInt64Constant("pads", 0, 0, 1, 1, 0, 0, 1, 1)])),
            "reshape, div" => builder.AddNode("Div", "scale",
                [builder.AddNode("Reshape", "reshape", [x, builder.AddInt64Constant("shape", -1, 3, Side, Side)]), builder.AddConstant("d", [255f])]),
            "clip, sub of means" => builder.AddNode("Sub", "scale",
                [builder.AddNode("Clip", "clip", [x, builder.AddConstant("l", [0f]), builder.AddConstant("m", [255f])]),
                    builder.AddConstant("means", [123.68f, 116.779f, 103.939f], 1, 3, 1, 1)]),
            "1x1" => builder.AddNode("Conv", "scale", [x, builder.AddConstant("k", [1 / 127.5f, 0, 0, 0, 1 / 127.5f, 0, 0, 0, 1 / 127.5f], 3, 3, 1, 1),
                builder.AddConstant("kb", [-1f, -1, -1], 3)]),
            "resize, mul" => Mul(builder.AddNode("Resize", "resize", [x, "", builder.AddConstant("scales", [1f, 1, 0.5f, 0.5f], 4)], ("mode", "linear"))),
            _ => builder.AddNode("Div", "std", [builder.AddNode("Sub", "mean", [x, builder.AddConstant("means", [0.485f, 0.456f, 0.406f], 1, 3, 1, 1)]),
                builder.AddConstant("stds", [0.229f, 0.224f, 0.225f], 1, 3, 1, 1)]),
        };
        x = builder.AddNode("Conv", "conv", [x, builder.AddConstant("w", Numbers.Random(1, 8, 3, 3, 3))]);
        builder.AddOutput(builder.AddNode("Flatten", "scores", [builder.AddNode("GlobalAveragePool", "pool", [x])]), ElementType.Float32, -1, 8);

        var spec = Presets.Choose(new ImportedModel(builder.Graph), null, null, []);

        Assert.Equal(PreprocessingCertainty.Known, spec.Evidence!.Certainty);
        Assert.True(Scalings.ByName[scaling].IsOf(spec), spec.Evidence.Reason);
        var notes = new List<string>();
        Presets.Choose(new ImportedModel(builder.Graph), "zero-to-one", null, notes);
        Assert.Equal(scaling == "none", notes.Exists(note => note.Contains("twice", StringComparison.Ordinal)));

        string Mul(string value) => builder.AddNode("Mul", "scale", [value, builder.AddConstant("f", [1 / 255f])]);
    }

    private static List<byte[]> SamplePixels()
    {
        var photos = new List<byte[]>();
        foreach (var photo in Directory.EnumerateFiles(Path.Combine(WhatsitCommand.Root, "models", "grocery", "samples")).Order(StringComparer.Ordinal))
        {
            using var image = ImageDecoders.Create(new DecodingOptions()).Decode(File.ReadAllBytes(photo), null);
            var pixels = new byte[Side * Side * 3];
            new Preprocessor(new PreprocessingSpec(), new InputSpec("x", InputElementType.UInt8, TensorLayout.Nhwc, Side, Side)).Process(image, pixels);
            photos.Add(pixels);
        }

        return photos;
    }

    /// <summary>A convolution whose batch normalisation has recorded the photos of the repository under a scaling.</summary>
    private static Graph Normalised(string scaling)
    {
        const int Filters = 16;
        var weights = Numbers.Random(7, Filters, 3, 3, 3);
        var builder = new GraphBuilder("stem");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, Side, Side);
        builder.AddOutput(builder.AddNode("Conv", "conv", [x, builder.AddConstant("w", weights)]), ElementType.Float32, -1, Filters, Side - 2, Side - 2);
        var values = new List<float>[Filters];
        foreach (var pixels in SamplePixels())
        {
            var tensor = Proof.ToInput(pixels, PictureInput.Of(builder.Graph)!, Scalings.ByName[scaling].With(new PreprocessingSpec()));
            var results = new Interpreter(builder.Graph).Run(tensor)["conv"].ToFloats();
            for (var filter = 0; filter < Filters; filter++)
            {
                (values[filter] ??= []).AddRange(results.AsSpan(filter * results.Length / Filters, results.Length / Filters));
            }
        }

        float[] means = [.. values.Select(list => list.Average())];
        float[] variances = [.. values.Select((list, filter) => list.Average(value => (value - means[filter]) * (value - means[filter])))];
        builder.Graph.Outputs.Clear();
        var normalised = builder.AddNode("BatchNormalization", "bn", ["conv", builder.AddConstant("gamma", [.. Enumerable.Repeat(1f, Filters)], Filters),
            builder.AddConstant("beta", new float[Filters], Filters), builder.AddConstant("mean", means, Filters),
            builder.AddConstant("variance", variances, Filters)]);
        builder.AddOutput(normalised, ElementType.Float32, -1, Filters, Side - 2, Side - 2);
        return builder.Graph;
    }
}
