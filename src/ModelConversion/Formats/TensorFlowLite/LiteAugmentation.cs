namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>
/// Files that were converted while their augmentation was on draw random numbers, from a state that variables keep. What changes pictures at random stands
/// between two tensors of a picture's shape: the network goes on from the first.
/// <code>
///   input ─► (scaling) ─► before ─► random ─► after ─► network
/// </code>
/// </summary>
internal static class LiteAugmentation
{
    private static readonly HashSet<string> Stateful = new(StringComparer.Ordinal)
    {
        "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL",
    };

    /// <summary>The operators that the answer needs, in the file's order, and the name of the tensor behind which something was left out.</summary>
    public static (IReadOnlyList<LiteOperator> Operators, string? CutAt) Without(LiteModel model)
    {
        if (!model.Operators.Exists(IsStateful) || model.Inputs is not [var input])
        {
            return (model.Operators, null);
        }

        var needed = Needed(model, model.Outputs, stop: -1);
        if (!needed.Exists(IsStateful))
        {
            return (needed, null);
        }

        // In the file's order a tensor's random numbers are drawn before it is written.
        var drawn = new HashSet<int>();
        foreach (var op in needed.Where(op => IsStateful(op) || op.Inputs.Any(drawn.Contains)))
        {
            drawn.UnionWith(op.Outputs);
        }

        foreach (var after in needed.SelectMany(op => op.Outputs).Where(tensor => drawn.Contains(tensor) && IsLikeInput(tensor)))
        {
            var behind = Needed(model, model.Outputs, stop: after);
            var random = Needed(model, [after], stop: -1);
            int[] pictures = [input, .. random.SelectMany(op => op.Outputs)];
            var before = pictures.FirstOrDefault(tensor => !drawn.Contains(tensor) && IsLikeInput(tensor)
                && random.Exists(op => op.Inputs.Contains(tensor) && op.Outputs.Any(drawn.Contains)), -1);
            if (before >= 0 && !behind.Exists(op => IsStateful(op) || op.Inputs.Contains(input)))
            {
                return ([.. Needed(model, [before], stop: -1), .. behind.Select(op => op with
                {
                    Inputs = Array.ConvertAll(op.Inputs, tensor => tensor == after ? before : tensor),
                })], model.Tensors[before].Name);
            }
        }

        return (model.Operators, null); // what cannot be cut out is refused by its name

        bool IsLikeInput(int tensor) => model.Tensors[tensor] is { IsConstant: false } one && one.Type == model.Tensors[input].Type
            && one.Shape.Length == model.Tensors[input].Shape.Length && one.Shape.AsSpan(1).SequenceEqual(model.Tensors[input].Shape.AsSpan(1));
    }

    private static bool IsStateful(LiteOperator op) => Stateful.Contains(op.Name) || (op.IsCustom && op.Name.Contains("Random", StringComparison.Ordinal));

    /// <summary>What some tensors need, up to one that is taken as given.</summary>
    private static List<LiteOperator> Needed(LiteModel model, int[] tensors, int stop)
    {
        var wanted = new HashSet<int>(tensors);
        wanted.Remove(stop);
        var needed = new List<LiteOperator>();
        foreach (var op in model.Operators.AsEnumerable().Reverse().Where(op => op.Outputs.Any(wanted.Contains)))
        {
            needed.Add(op);
            wanted.UnionWith(op.Inputs.Where(tensor => tensor != stop));
        }

        needed.Reverse();
        return needed;
    }
}
