using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.Safetensors;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>ViT and DeiT: patches as rows of vectors behind a token or two, layers of attention, and a head for a token.</summary>
internal static class VisionTransformer
{
    public static (string Logits, int Classes) Build(TorchModules modules, string pixels, TransformerShape shape, Checkpoint weights)
    {
        var width = shape.Width;
        if (width % shape.Heads != 0)
        {
            throw new ModelFormatException($"{HubFolder.Config} describes {Counted.Of(shape.Heads, "head")} that share a width of {width}.");
        }

        var places = checked(shape.Tokens.Length + (shape.Picture.Height / shape.Patch.Height * (shape.Picture.Width / shape.Patch.Width)));
        var x = modules.Convolution(pixels, shape.Projection, new ConvolutionShape(shape.Channels, width, 1)
        {
            Kernel = shape.Patch,
            Stride = shape.Patch,
            Bias = true,
        });
        x = modules.Add("Transpose", "rows", [modules.Add("Reshape", "flat", [x, modules.Ints("flat_shape", 0, width, -1)])], ("perm", new long[] { 0, 2, 1 }));

        // The tokens are the same for every picture: with their positions they are one constant, and zeros stand in their place.
        x = modules.Add("Pad", "tokens", [x, modules.Ints("token_pads", 0, shape.Tokens.Length, 0, 0, 0, 0)]);
        x = modules.Add("Add", "embedded", [x, modules.Constant(shape.Positions, Positions())]);
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var name = $"{shape.Layer}.{layer}";
            x = modules.Add("Add", $"{name}.attended", [Attention(modules.LayerNorm(x, $"{name}.{shape.Norms.Before}", width, shape.Epsilon), name), x]);
            var hidden = modules.LayerNorm(x, $"{name}.{shape.Norms.After}", width, shape.Epsilon);
            hidden = modules.Activation(modules.Linear(hidden, $"{name}.{shape.Dense.Up}", width, shape.Hidden), $"{name}.activation", shape.Activation);
            x = modules.Add("Add", name, [modules.Linear(hidden, $"{name}.{shape.Dense.Down}", shape.Hidden, width), x]);
        }

        x = modules.LayerNorm(x, shape.LastNorm, width, shape.Epsilon);
        var logits = modules.Classifier(Token(0), shape.Classifiers[0], width, out var classes);
        if (shape.Classifiers is [_, var second])
        {
            var both = modules.Add("Add", "logits", [logits, modules.Classifier(Token(1), second, width, out _)]);
            logits = modules.Add("Div", "logits", [both, modules.Constant("two", Tensor.Float32([], [2]))]);
        }

        return (logits, classes);

        string Token(long place) => modules.Add("Gather", "token", [x, modules.Constant("place", Tensor.Int64([], [place]))], ("axis", 1L));

        Tensor Positions()
        {
            var sums = weights.Read(shape.Positions, 1, places, width).ToFloats();
            for (var token = 0; token < shape.Tokens.Length; token++)
            {
                var own = weights.Read(shape.Tokens[token], 1, 1, width).ToFloats();
                for (var i = 0; i < width; i++)
                {
                    sums[(token * width) + i] += own[i];
                }
            }

            return Tensor.Float32([1, places, width], sums);
        }

        // softmax(q kᵀ ÷ √width) v, each head with its part of the width.
        string Attention(string value, string name)
        {
            var part = width / shape.Heads;
            var scores = modules.Add("MatMul", $"{name}.scores", [Part(0, [0, 2, 1, 3]), Part(1, [0, 2, 3, 1])]);
            scores = modules.Add("Mul", $"{name}.scaled", [scores, modules.Constant($"{name}.scale", Tensor.Float32([], [1 / MathF.Sqrt(part)]))]);
            var context = modules.Add("MatMul", $"{name}.context", [modules.Add("Softmax", $"{name}.softmax", [scores], ("axis", -1L)), Part(2, [0, 2, 1, 3])]);
            context = modules.Add("Transpose", $"{name}.back", [context], ("perm", new long[] { 0, 2, 1, 3 }));
            context = modules.Add("Reshape", $"{name}.joined", [context, modules.Ints($"{name}.joined_shape", 0, places, width)]);
            return modules.Linear(context, $"{name}.{shape.AttentionOut}", width, width);

            string Part(int which, long[] order)
            {
                var rows = shape.Attention is [var fused] ? modules.Linear(value, $"{name}.{fused}", width, width, shape.Bias, (which, 3))
                    : modules.Linear(value, $"{name}.{shape.Attention[which]}", width, width, shape.Bias);
                rows = modules.Add("Reshape", $"{name}.part{which}", [rows, modules.Ints($"{name}.part{which}_shape", 0, places, shape.Heads, part)]);
                return modules.Add("Transpose", $"{name}.part{which}_heads", [rows], ("perm", order));
            }
        }
    }
}
