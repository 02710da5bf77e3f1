using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// MultiHeadAttention over one axis (keras/src/layers/attention/multi_head_attention.py): dense layers of their own for query, key and value, each head a
/// part of the width; softmax(q kᵀ ÷ √key_dim) v; and a dense layer over all heads.
/// </summary>
internal static class KerasAttention
{
    private static readonly string[] Names = ["query", "value", "key"];
    private static readonly string[] Masks = ["query_mask", "value_mask", "key_mask", "attention_mask"];

    /// <summary>Query, value and, where it is given, key: by place or by name.</summary>
    public static IEnumerable<KerasReference> Inputs(KerasCall call, KerasConfig config)
    {
        if (Masks.FirstOrDefault(mask => call.Named.TryGetValue(mask, out var given) && given.References.Any()) is { } masked)
        {
            throw config.Refuse($"is called with '{masked}', which is not supported");
        }

        if (call.Named.GetValueOrDefault("use_causal_mask") is KerasArgument.Constant { Value.ValueKind: JsonValueKind.True })
        {
            throw config.Refuse("has a causal mask, which is not supported");
        }

        return call.Arguments.SelectMany(argument => argument.References)
            .Concat(Names.SelectMany(name => call.Named.TryGetValue(name, out var named) ? named.References : []));
    }

    public static KerasTensor Convert(LayerCall call)
    {
        (var query, var value, var key) = call.Inputs switch
        {
            [var first, var second] => (first, second, second),
            [var first, var second, var third] => (first, second, third),
            _ => throw call.Config.Refuse($"is called with {Counted.Of(call.Inputs.Count, "input")} where it takes a query, a value and perhaps a key"),
        };
        if (query.Rank != 3 || value.Rank != 3 || key.Rank != 3 || call.Config.Integers("attention_axes") is not (null or [1] or [-2])
            || call.Config.Integer("num_key_value_heads", call.Config.Integer("num_heads")) != call.Config.Integer("num_heads"))
        {
            throw call.Config.Refuse($"attends over {query} and {value}; a row of vectors, [batch, places, width], is supported");
        }

        var heads = call.Config.Integer("num_heads");
        var width = call.Config.Integer("key_dim");
        var wide = call.Config["value_dim"] is null ? width : call.Config.Integer("value_dim");
        var units = call.Config.Integers("output_shape") switch
        {
            null => query.Shape[2],
            [var one] => one,
            _ => throw call.Config.Refuse("has an output_shape of several sides, which is not supported"),
        };
        if (heads < 1 || width < 1 || wide < 1 || units < 1)
        {
            throw call.Config.Refuse($"has {Counted.Of(heads, "head")} of {width} and {Counted.Of(wide, "number")} over {query}");
        }

        var bias = call.Config.Flag("use_bias", true);
        var q = Project("query", query, width, [0, 2, 1, 3]);
        var k = Project("key", key, width, [0, 2, 3, 1]);
        var v = Project("value", value, wide, [0, 2, 1, 3]);
        int[] square = [query.Shape[0], heads, query.Shape[1], key.Shape[1]];
        var scores = call.Map("Mul", call.Add("MatMul", [q.Value, k.Value], square), call.Scalar(1 / Math.Sqrt(width)));
        var attended = call.Add("MatMul", [KerasActivations.Softmax(call, scores, -1).Value, v.Value], [query.Shape[0], heads, query.Shape[1], wide]);
        var rows = call.Add("Transpose", [attended.Value], [query.Shape[0], query.Shape[1], heads, wide], ("perm", new long[] { 0, 2, 1, 3 }));
        rows = call.Add("Reshape", [rows.Value, call.Ints(0, query.Shape[1] < 0 ? -1 : query.Shape[1], heads * wide)],
            [query.Shape[0], query.Shape[1], heads * wide]);
        var kernel = call.Constant("attention_output_kernel",
            () => Flat(call.PartWeight("attention_output", "kernel", 0, heads, wide, units), heads * wide, units));
        var result = call.Add("MatMul", [rows.Value, kernel], [query.Shape[0], query.Shape[1], units]);
        return bias ? call.Map("Add", result, call.Constant("attention_output_bias", () => call.PartWeight("attention_output", "bias", 1, units))) : result;

        // [batch, places, width] to [batch, heads, places, part], or its last axes the other way round.
        KerasTensor Project(string part, KerasTensor x, int size, long[] order)
        {
            var all = checked(heads * size);
            var weights = call.Constant($"{part}_kernel", () => Flat(call.PartWeight(part, "kernel", 0, x.Shape[2], heads, size), x.Shape[2], all));
            var y = call.Add("MatMul", [x.Value, weights], [x.Shape[0], x.Shape[1], all]);
            y = bias ? call.Map("Add", y, call.Constant($"{part}_bias", () => Flat(call.PartWeight(part, "bias", 1, heads, size), all))) : y;
            y = call.Add("Reshape", [y.Value, call.Ints(0, x.Shape[1] < 0 ? -1 : x.Shape[1], heads, size)], [x.Shape[0], x.Shape[1], heads, size]);
            return call.Add("Transpose", [y.Value], [.. order.Select(axis => y.Shape[axis])], ("perm", order));
        }
    }

    private static Tensor Flat(Tensor weight, params int[] shape) => weight with { Shape = shape };
}
