using System.Text.Json;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Keras;

/// <summary>Layers that no file of tests/data/keras has, each against its definition, computed here.</summary>
public sealed class KerasLayersTests
{
    private readonly Weights _weights = new();

    [Theory]
    [InlineData(2, "channels_last")]
    [InlineData(-1, "channels_last")]
    [InlineData(3, "channels_first")]
    public void Groups_of_channels_are_normalised_over_all_places(int groups, string order)
    {
        var first = order == "channels_first";
        var x = Numbers.Random(1, 2, 4, 5, 6);
        _weights["it/gamma"] = Numbers.Random(2, 6);
        _weights["it/beta"] = Numbers.Random(3, 6);
        var answer = Run($$$"""
            {"class_name": "GroupNormalization", "config": {"name": "it", "groups": {{{groups}}}, "axis": {{{(first ? 1 : -1)}}}, "epsilon": 0.01}}
            """, first ? Operators.Permute(x, [0, 3, 1, 2]) : x);
        answer = first ? Operators.Permute(answer, [0, 2, 3, 1]) : answer;

        var size = groups < 0 ? 1 : 6 / groups;
        var values = x.ToFloats();
        var expected = new float[values.Length];
        for (var index = 0; index < values.Length; index++)
        {
            var picture = index / 120;
            var group = index % 6 / size;
            double[] members = [.. Enumerable.Range(picture * 120, 120).Where(other => other % 6 / size == group).Select(other => (double)values[other])];
            var mean = members.Average();
            var variance = members.Average(member => (member - mean) * (member - mean));
            expected[index] = (float)(((values[index] - mean) / Math.Sqrt(variance + 0.01) * _weights["it/gamma"].ToFloats()[index % 6])
                + _weights["it/beta"].ToFloats()[index % 6]);
        }

        Assert.InRange(Numbers.LargestDifference(Tensor.Float32(x.Shape, expected), answer), 0, 1e-5f);
    }

    [Theory]
    [InlineData("2.15.0")]
    [InlineData("3.5.0")]
    public void A_vector_is_divided_by_its_length(string version)
    {
        var x = Numbers.Random(1, 2, 4, 5, 6);
        var answer = Run("""{"class_name": "UnitNormalization", "config": {"name": "it", "axis": [3]}}""", x, version);

        var values = x.ToFloats();
        float[] expected = [.. values.Select((value, index) =>
            (float)(value / Math.Sqrt(Enumerable.Range(index / 6 * 6, 6).Sum(at => values[at] * (double)values[at]))))];
        Assert.InRange(Numbers.LargestDifference(Tensor.Float32(x.Shape, expected), answer), 0, 1e-6f);
        Assert.All(Run("""{"class_name": "UnitNormalization", "config": {"name": "it"}}""", Tensor.Float32(x.Shape, new float[x.Length]), version).ToFloats(),
            value => Assert.Equal(0, value));
    }

    [Fact]
    public void A_spectral_normalisation_is_the_layer_within_it()
    {
        const string Inner = """{"class_name": "Conv2D", "config": {"name": "conv", "filters": 2, "kernel_size": [3, 3], "activation": "relu"}}""";
        _weights["it/conv/kernel"] = _weights["conv/kernel"] = Numbers.Random(1, 3, 3, 3, 2);
        _weights["it/conv/bias"] = _weights["conv/bias"] = Numbers.Random(2, 2);
        _weights["it/sn_u"] = Numbers.Random(3, 1, 2);
        var x = Numbers.Random(4, 1, 8, 8, 3);

        Assert.Equal(0, Numbers.LargestDifference(Run(Inner, x),
            Run($$$"""{"class_name": "SpectralNormalization", "config": {"name": "it", "power_iterations": 1, "layer": {{{Inner}}} }}""", x)));
    }

    [Theory]
    [InlineData(8, 10, 4, 4)]
    [InlineData(9, 6, 4, 8)]
    [InlineData(5, 5, 5, 5)]
    [InlineData(4, 4, 6, 6)]
    public void A_random_crop_is_the_middle_resized(int height, int width, int toHeight, int toWidth)
    {
        var x = Numbers.Random(1, 1, height, width, 2);
        var answer = Run($$$"""{"class_name": "RandomCrop", "config": {"name": "it", "height": {{{toHeight}}}, "width": {{{toWidth}}} }}""", x);

        // keras/src/utils/image_utils.py, smart_resize, and bilinear by half pixels.
        var rows = Math.Min(height, width * toHeight / toWidth);
        var columns = Math.Min(width, height * toWidth / toHeight);
        (var top, var left) = ((height - rows) / 2, (width - columns) / 2);
        var expected = new float[toHeight * toWidth * 2];
        for (var index = 0; index < expected.Length; index++)
        {
            expected[index] = (float)At((((index / 2 / toWidth) + 0.5) * rows / toHeight) - 0.5, (((index / 2 % toWidth) + 0.5) * columns / toWidth) - 0.5,
                index % 2);
        }

        Assert.InRange(Numbers.LargestDifference(Tensor.Float32([1, toHeight, toWidth, 2], expected), answer), 0, 1e-6f);

        double At(double row, double column, int channel)
        {
            double Value(double y, double x0) =>
                x.ToFloats()[(((((int)Math.Clamp(y, 0, rows - 1) + top) * width) + (int)Math.Clamp(x0, 0, columns - 1) + left) * 2) + channel];
            (var y0, var x1) = (Math.Floor(row), Math.Floor(column));
            (var down, var right) = (row - y0, column - x1);
            return (Value(y0, x1) * (1 - down) * (1 - right)) + (Value(y0 + 1, x1) * down * (1 - right))
                + (Value(y0, x1 + 1) * (1 - down) * right) + (Value(y0 + 1, x1 + 1) * down * right);
        }
    }

    [Theory]
    [InlineData("2.15.0", """[[["in", 0, 0, {"value": ["in", 0, 0]}]]]""")]
    [InlineData("3.5.0",
        """
        [{"args": [{"class_name": "__keras_tensor__", "config": {"shape": [null, 5, 6], "keras_history": ["in", 0, 0]}},
             {"class_name": "__keras_tensor__", "config": {"shape": [null, 5, 6], "keras_history": ["in", 0, 0]}}],
          "kwargs": {"return_attention_scores": false, "use_causal_mask": false}}]
        """)]
    public void Attention_is_computed_by_heads(string version, string calls)
    {
        const int Heads = 2, Part = 3, Width = 6, Places = 5;
        foreach ((var part, var seed) in new[] { ("query", 1), ("key", 2), ("value", 3) })
        {
            _weights[$"it/{part}/kernel"] = Numbers.Random(seed, Width, Heads, Part);
            _weights[$"it/{part}/bias"] = Numbers.Random(seed + 10, Heads, Part);
        }

        _weights["it/attention_output/kernel"] = Numbers.Random(4, Heads, Part, Width);
        _weights["it/attention_output/bias"] = Numbers.Random(5, Width);
        var x = Numbers.Random(6, 1, Places, Width);
        var answer = Run($$$"""
            {"class_name": "Functional", "config": {"name": "m", "layers": [
              {"class_name": "InputLayer", "name": "in", "config": {"name": "in", "batch_shape": [null, 5, 6]}, "inbound_nodes": []},
              {"class_name": "MultiHeadAttention", "name": "it", "config": {"name": "it", "num_heads": 2, "key_dim": 3}, "inbound_nodes": {{{calls}}} }],
              "input_layers": [["in", 0, 0]], "output_layers": [["it", 0, 0]]}}
            """, x, version, whole: true);

        var expected = new float[Places * Width];
        var values = x.ToFloats();
        for (var place = 0; place < Places; place++)
        {
            for (var unit = 0; unit < Width; unit++)
            {
                double sum = _weights["it/attention_output/bias"].ToFloats()[unit];
                for (var head = 0; head < Heads; head++)
                {
                    double[] scores = [.. Enumerable.Range(0, Places).Select(other => Math.Exp(Enumerable.Range(0, Part)
                        .Sum(part => Projected("query", place, head, part) * Projected("key", other, head, part)) / Math.Sqrt(Part)))];
                    for (var part = 0; part < Part; part++)
                    {
                        sum += Enumerable.Range(0, Places).Sum(other => scores[other] / scores.Sum() * Projected("value", other, head, part))
                            * _weights["it/attention_output/kernel"].ToFloats()[(((head * Part) + part) * Width) + unit];
                    }
                }

                expected[(place * Width) + unit] = (float)sum;
            }
        }

        Assert.InRange(Numbers.LargestDifference(Tensor.Float32([1, Places, Width], expected), answer), 0, 1e-5f);

        double Projected(string part, int place, int head, int index) => _weights[$"it/{part}/bias"].ToFloats()[(head * Part) + index]
            + Enumerable.Range(0, Width)
                .Sum(at => values[(place * Width) + at] * (double)_weights[$"it/{part}/kernel"].ToFloats()[(((at * Heads) + head) * Part) + index]);
    }

    [Theory]
    [InlineData("identity", 1, 0)]
    [InlineData("x/255", 1 / 255d, 0)]
    [InlineData("x / 127.5 - 1", 1 / 127.5, -1)]
    [InlineData("(x-127.5)/128", 1 / 128d, -127.5 / 128)]
    [InlineData("2*x+0.5", 2, 0.5)]
    [InlineData("1-x", -1, 1)]
    public void What_a_lambda_computes_can_be_said(string expression, double factor, double offset)
    {
        var x = Numbers.Random(1, 1, 4, 4, 3);
        var model = Import("""{"class_name": "Lambda", "config": {"name": "scale", "function": ["4wEA", null, null]}}""", x, "2.15.0",
            options: new ReadingOptions { Lambdas = new Dictionary<string, string> { ["scale"] = expression } });

        var answer = new Interpreter(model.Graph).Run(x).Single().Value;

        var expected = Tensor.Float32(x.Shape, [.. x.ToFloats().Select(value => (float)((value * factor) + offset))]);
        Assert.InRange(Numbers.LargestDifference(expected, answer), 0, 1e-6f);
        Assert.Equal(Math.Abs(factor) < 0.02, model.Preprocessing is not null);
    }

    [Theory]
    [InlineData("scale=tanh(x)", "'tanh(x)' is not understood")]
    [InlineData("scale=x*x", "'x*x' is not understood")]
    [InlineData("scale=x/0", "'x/0' is not understood")]
    [InlineData("scale=3", "'3' is not understood")]
    [InlineData("scale=", "'' is not understood")]
    [InlineData("other=x/255", "no layer 'Lambda' called 'other', only scale")]
    public void What_no_lambda_computes_is_refused(string given, string reason)
    {
        var expression = given[(given.IndexOf('=', StringComparison.Ordinal) + 1)..];
        var options = new ReadingOptions { Lambdas = new Dictionary<string, string> { [given.Split('=')[0]] = expression } };
        if (given.StartsWith("other", StringComparison.Ordinal))
        {
            options = options with { Lambdas = new Dictionary<string, string>(options.Lambdas) { ["scale"] = "identity" } };
        }

        Assert.Contains(reason, Assert.Throws<ModelFormatException>(() => Import(
            """{"class_name": "Lambda", "config": {"name": "scale", "function": ["4wEA", null, null]}}""", Numbers.Random(1, 1, 4, 4, 3), "2.15.0",
            options: options)).Message, StringComparison.Ordinal);
    }

    private Tensor Run(string layer, Tensor x, string version = "2.15.0", bool whole = false) =>
        new Interpreter(Import(layer, x, version, whole).Graph).Run(x).Single().Value;

    private ImportedModel Import(string layer, Tensor x, string version, bool whole = false, ReadingOptions? options = null)
    {
        var model = whole ? layer : $$$"""
            {"class_name": "Sequential", "config": {"name": "m", "layers": [
              {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [null, {{{string.Join(", ", x.Shape.Skip(1))}}}]}}, {{{layer}}}]}}
            """;
        using var document = JsonDocument.Parse(model);
        return KerasNetwork.Import(document.RootElement, _weights, version, options: options);
    }

    private sealed class Weights : Dictionary<string, Tensor>, IKerasWeights
    {
        public Tensor? Find(IReadOnlyList<string> layer, string weight, int index) => this.GetValueOrDefault($"{string.Join('/', layer)}/{weight}");
    }
}
