using System.Text.Json;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>Which result of which call of which layer.</summary>
internal readonly record struct KerasReference(string Layer, int Call, int Output);

/// <summary>An argument of a call: a result of another layer, a list, or a constant.</summary>
internal abstract record KerasArgument
{
    /// <summary>The results in it, in order.</summary>
    public abstract IEnumerable<KerasReference> References { get; }

    public sealed record Result(KerasReference Reference) : KerasArgument
    {
        public override IEnumerable<KerasReference> References => [Reference];
    }

    public sealed record List(IReadOnlyList<KerasArgument> Items) : KerasArgument
    {
        public override IEnumerable<KerasReference> References => Items.SelectMany(item => item.References);
    }

    public sealed record Constant(JsonElement Value) : KerasArgument
    {
        public override IEnumerable<KerasReference> References => [];
    }
}

/// <summary>One call of a layer: a node of the network.</summary>
internal sealed record KerasCall(IReadOnlyList<KerasArgument> Arguments, IReadOnlyDictionary<string, KerasArgument> Named)
{
    /// <summary>Written as Keras 3 writes calls.</summary>
    public bool IsKeras3 { get; init; }

    /// <summary>Every result that the call needs.</summary>
    public IEnumerable<KerasReference> References => Arguments.Concat(Named.Values).SelectMany(argument => argument.References);

    /// <summary>What a layer is fed with; other results (a mask) only with operations.</summary>
    public IEnumerable<KerasReference> Inputs => Arguments.SelectMany(argument => argument.References) is var given && given.Any() ? given : References;
}

/// <summary>One layer with its calls; or, where <see cref="Network"/> is set, a model used as a layer.</summary>
internal sealed record KerasLayer(KerasConfig Config, string? Module, List<KerasCall> Calls)
{
    public string Name => Config.Name;

    public KerasTopology? Network { get; init; }

    /// <summary>
    /// The class of a layer that is nothing but the one within it when it is asked; <see cref="Config"/> is the inner one's, under the outer name.
    /// </summary>
    public string? Wrapper { get; init; }

    /// <summary>The inner layer's own name.</summary>
    public string? Wrapped { get; init; }
}

/// <summary>
/// The topology of a Sequential or Functional model: which layer is fed with what. Keras 2 and TensorFlow.js write a call as a list of
/// <c>[layer, call, output, arguments]</c>, Keras 3 as its arguments with <c>__keras_tensor__</c> in them.
/// </summary>
internal sealed class KerasTopology
{
    // Models in models: far deeper than anyone nests, shallow enough to recurse.
    private const int DeepestNesting = 16;

    private KerasTopology(string name, string className)
    {
        Name = name;
        ClassName = className;
    }

    public string Name { get; }

    public string ClassName { get; }

    /// <summary>The layers by name, in the file's order.</summary>
    public List<KerasLayer> Layers { get; } = [];

    public List<KerasReference> Inputs { get; } = [];

    public List<KerasReference> Outputs { get; } = [];

    /// <summary>The shape that the first layer is fed with, the batch first, where the file has it.</summary>
    public JsonElement? InputShape { get; private set; }

    /// <summary>Reads <c>{"class_name": …, "config": …}</c>, or what wraps it as <c>model_config</c>.</summary>
    public static KerasTopology Parse(JsonElement model) => Parse(model, depth: 0);

    private static KerasTopology Parse(JsonElement model, int depth)
    {
        model = KerasConfig.Property(model, "model_config") ?? KerasConfig.Property(model, "modelConfig") ?? model;
        var className = ClassNameOf(model);
        var config = KerasConfig.Property(model, "config");
        // Keras before 2.3 wrote a Sequential's layers as its whole config.
        var layers = config is { ValueKind: JsonValueKind.Array } list ? list
            : config is { } settings && KerasConfig.Property(settings, "layers") is { ValueKind: JsonValueKind.Array } named ? named
            : throw new ModelFormatException(
                $"The model is a '{className}', written as a Python class of its own; only Sequential and Functional models describe their layers.");
        if (depth > DeepestNesting)
        {
            throw new ModelFormatException($"Models are nested in models more than {DeepestNesting} deep.");
        }

        var name = (config is { } withName ? KerasConfig.Property(withName, "name").Text() : null) ?? KerasConfig.Property(model, "name").Text() ?? "model";
        var topology = new KerasTopology(name, className);
        try
        {
            var sequential = config is { ValueKind: JsonValueKind.Array } || KerasConfig.Property(config.Value, "output_layers") is null
                && KerasConfig.Property(config.Value, "outputLayers") is null;
            if (sequential)
            {
                topology.ReadSequential(layers, config!.Value, model, depth);
            }
            else
            {
                topology.ReadFunctional(layers, config!.Value, depth);
            }
        }
        catch (InvalidOperationException exception)
        {
            // JsonElement's complaint about a value of another kind than asked for.
            throw new ModelFormatException($"The description of the model '{name}' is malformed: {exception.Message}", exception);
        }

        return topology;
    }

    private void ReadSequential(JsonElement layers, JsonElement config, JsonElement model, int depth)
    {
        KerasReference? last = null;
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var element in layers.EnumerateArray())
        {
            var name = NameOf(element);
            if (!names.Add(name))
            {
                throw new ModelFormatException($"The model '{Name}' has two layers called '{name}'.");
            }

            var layer = ReadLayer(element, name, depth);
            if (last is null)
            {
                InputShape = ShapeOf(layer);
                if (layer.Config.ClassName != "InputLayer")
                {
                    last = AddInput($"{name}_input", InputShape);
                    names.Add($"{name}_input");
                }
            }

            layer.Calls.Add(new KerasCall(last is { } input ? [new KerasArgument.Result(input)] : [], new Dictionary<string, KerasArgument>()));
            Layers.Add(layer);
            if (last is null)
            {
                Inputs.Add(new KerasReference(name, 0, 0));
            }

            last = new KerasReference(name, 0, 0);
        }

        Outputs.Add(last ?? throw new ModelFormatException($"The model '{Name}' has no layers."));
        InputShape ??= KerasConfig.Property(config, "build_input_shape")
            ?? (KerasConfig.Property(model, "build_config") is { } build ? KerasConfig.Property(build, "input_shape") : null);
    }

    private KerasReference AddInput(string name, JsonElement? shape)
    {
        Layers.Add(new KerasLayer(new KerasConfig("InputLayer", name, default), null, [new KerasCall([], new Dictionary<string, KerasArgument>())]));
        InputShape = shape;
        var reference = new KerasReference(name, 0, 0);
        Inputs.Add(reference);
        return reference;
    }

    private void ReadFunctional(JsonElement layers, JsonElement config, int depth)
    {
        var names = new HashSet<string>(layers.EnumerateArray().Select(NameOf), StringComparer.Ordinal);
        if (names.Count != layers.GetArrayLength())
        {
            throw new ModelFormatException($"The model '{Name}' has several layers of one name.");
        }

        var keras3 = false;
        foreach (var element in layers.EnumerateArray())
        {
            var layer = ReadLayer(element, NameOf(element), depth);
            foreach (var node in (KerasConfig.Property(element, "inbound_nodes") ?? KerasConfig.Property(element, "inboundNodes"))?.EnumerateArray() ?? default)
            {
                keras3 |= node.ValueKind == JsonValueKind.Object;
                layer.Calls.Add(node.ValueKind == JsonValueKind.Object ? ReadCall3(node) : ReadCall2(node, names));
            }

            if (layer.Calls.Count == 0)
            {
                layer.Calls.Add(new KerasCall([], new Dictionary<string, KerasArgument>()));
            }

            Layers.Add(layer);
        }

        ReadReferences(KerasConfig.Property(config, "input_layers") ?? KerasConfig.Property(config, "inputLayers"), Inputs);
        ReadReferences(KerasConfig.Property(config, "output_layers") ?? KerasConfig.Property(config, "outputLayers"), Outputs);
        CountCallsFromZero(keras3);
        if (Inputs is [var input] && Layers.Find(layer => layer.Name == input.Layer) is { } first)
        {
            InputShape = ShapeOf(first);
        }
    }

    // A model that is used as a layer has a call of its own before the first that counts: the one that built it. Keras 2 and TensorFlow.js count
    // it in every reference, Keras 3 in output_layers alone, and a Sequential's is counted by some versions only.
    private void CountCallsFromZero(bool keras3)
    {
        var inbound = Highest(Layers.SelectMany(layer => layer.Calls).SelectMany(call => call.References));
        var outputs = Highest(Outputs);
        var shiftInbound = new HashSet<string>(StringComparer.Ordinal);
        var shiftOutputs = new HashSet<string>(StringComparer.Ordinal);
        foreach (var layer in Layers.Where(layer => layer.Network is not null))
        {
            var highestInbound = inbound.GetValueOrDefault(layer.Name);
            var highestOutput = outputs.GetValueOrDefault(layer.Name);
            if (!keras3 && Math.Max(highestInbound, highestOutput) >= layer.Calls.Count)
            {
                shiftInbound.Add(layer.Name);
                shiftOutputs.Add(layer.Name);
            }
            else if (keras3 && (highestOutput >= layer.Calls.Count || (highestOutput > 0 && layer.Network!.ClassName != "Sequential")))
            {
                shiftOutputs.Add(layer.Name);
            }
        }

        foreach (var layer in shiftInbound.Count > 0 ? Layers : [])
        {
            for (var call = 0; call < layer.Calls.Count; call++)
            {
                layer.Calls[call] = new KerasCall(
                    [.. layer.Calls[call].Arguments.Select(argument => Shift(argument, shiftInbound))],
                    layer.Calls[call].Named.ToDictionary(pair => pair.Key, pair => Shift(pair.Value, shiftInbound)));
            }
        }

        for (var output = 0; output < Outputs.Count; output++)
        {
            Outputs[output] = Shift(Outputs[output], shiftOutputs);
        }
    }

    private static Dictionary<string, int> Highest(IEnumerable<KerasReference> references)
    {
        var highest = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var reference in references)
        {
            highest[reference.Layer] = Math.Max(highest.GetValueOrDefault(reference.Layer), reference.Call);
        }

        return highest;
    }

    private static KerasArgument Shift(KerasArgument argument, HashSet<string> layers) => argument switch
    {
        KerasArgument.Result result => new KerasArgument.Result(Shift(result.Reference, layers)),
        KerasArgument.List list => new KerasArgument.List([.. list.Items.Select(item => Shift(item, layers))]),
        _ => argument,
    };

    private static KerasReference Shift(KerasReference reference, HashSet<string> layers) =>
        reference.Call > 0 && layers.Contains(reference.Layer) ? reference with { Call = reference.Call - 1 } : reference;

    private static KerasLayer ReadLayer(JsonElement element, string name, int depth)
    {
        var className = ClassNameOf(element);
        var config = KerasConfig.Property(element, "config") ?? default;
        if (className is "SpectralNormalization" && KerasConfig.Property(config, "layer") is { } inner)
        {
            // Training keeps the kernel divided by its norm; what is stored is what is used.
            return new KerasLayer(new KerasConfig(ClassNameOf(inner), name, KerasConfig.Property(inner, "config") ?? default), null, [])
            {
                Wrapper = className,
                Wrapped = NameOf(inner),
            };
        }

        (className, config) = Keras1.Upgrade(className, name, config);
        var network = className is "Sequential" or "Model" or "Functional"
            || (KerasConfig.Property(config, "layers") is not null && KerasConfig.Property(config, "output_layers") is not null);
        return new KerasLayer(new KerasConfig(className, name, config), KerasConfig.Property(element, "module").Text(), [])
        {
            Network = network
            ? Parse(element, depth + 1) : null
        };
    }

    // [[layer, call, output, arguments], …]; operations write [layer, call, output, arguments] where they take one result, and
    // ["_CONSTANT_VALUE", -1, value, arguments] where the first argument is a constant.
    private static KerasCall ReadCall2(JsonElement node, HashSet<string> layers)
    {
        var named = new Dictionary<string, KerasArgument>(StringComparer.Ordinal);
        return new KerasCall([Item(node)], named);

        KerasArgument Item(JsonElement element)
        {
            if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() < 3 || element[0].ValueKind != JsonValueKind.String)
            {
                return element.ValueKind switch
                {
                    JsonValueKind.Array => new KerasArgument.List([.. element.EnumerateArray().Select(Item)]),
                    JsonValueKind.Object => new KerasArgument.List([.. element.EnumerateObject().Select(property => Item(property.Value))]),
                    _ => new KerasArgument.Constant(element),
                };
            }

            if (element.GetArrayLength() > 3 && element[3].ValueKind == JsonValueKind.Object)
            {
                foreach (var argument in element[3].EnumerateObject().Where(argument => argument.Value.ValueKind != JsonValueKind.Null))
                {
                    named[argument.Name] = Named(argument.Value);
                }
            }

            return element[0].Text() == "_CONSTANT_VALUE" ? new KerasArgument.Constant(element[2]) : new KerasArgument.Result(Reference(element));
        }

        // Results in named arguments have the same form; nothing but the layer's name tells them from a constant list.
        KerasArgument Named(JsonElement element)
        {
            var list = element.ValueKind == JsonValueKind.Array && element.GetArrayLength() > 0;
            return !list ? new KerasArgument.Constant(element)
                : element[0].ValueKind == JsonValueKind.String && element.GetArrayLength() >= 3 && layers.Contains(element[0].Text()!)
                    ? new KerasArgument.Result(Reference(element))
                : element[0].ValueKind == JsonValueKind.Array ? new KerasArgument.List([.. element.EnumerateArray().Select(Named)]) is { } named
                    && named.References.Any() ? named : new KerasArgument.Constant(element)
                : new KerasArgument.Constant(element);
        }
    }

    // {"args": […], "kwargs": {…}}
    private static KerasCall ReadCall3(JsonElement node)
    {
        var named = new Dictionary<string, KerasArgument>(StringComparer.Ordinal);
        foreach (var argument in (KerasConfig.Property(node, "kwargs")?.EnumerateObject() ?? default)
            .Where(argument => argument.Value.ValueKind != JsonValueKind.Null))
        {
            named[argument.Name] = Item(argument.Value);
        }

        return new KerasCall([.. (KerasConfig.Property(node, "args")?.EnumerateArray() ?? default).Select(Item)], named) { IsKeras3 = true };

        static KerasArgument Item(JsonElement element)
        {
            if (element.ValueKind == JsonValueKind.Array)
            {
                var list = new KerasArgument.List([.. element.EnumerateArray().Select(Item)]);
                return list.References.Any() ? list : new KerasArgument.Constant(element);
            }

            return KerasConfig.Property(element, "class_name").Text() == "__keras_tensor__"
                && KerasConfig.Property(element, "config") is { } config
                && KerasConfig.Property(config, "keras_history") is { ValueKind: JsonValueKind.Array } history
                    ? new KerasArgument.Result(Reference(history))
                    : new KerasArgument.Constant(element);
        }
    }

    private static void ReadReferences(JsonElement? element, List<KerasReference> references)
    {
        if (element is { ValueKind: JsonValueKind.Object } named)
        {
            foreach (var property in named.EnumerateObject())
            {
                ReadReferences(property.Value, references);
            }
        }
        else if (element is { ValueKind: JsonValueKind.Array } list)
        {
            // One reference may stand alone, without a list around it.
            if (list.GetArrayLength() > 0 && list[0].ValueKind == JsonValueKind.String)
            {
                references.Add(Reference(list));
                return;
            }

            foreach (var item in list.EnumerateArray())
            {
                ReadReferences(item, references);
            }
        }
        else
        {
            throw new ModelFormatException($"'{element}' does not name a layer's output.");
        }
    }

    private static KerasReference Reference(JsonElement element) =>
        element.GetArrayLength() >= 3 && element[1].TryGetInt32(out var call) && element[2].TryGetInt32(out var output) && element[0].Text() is { } layer
            ? new KerasReference(layer, call, output)
            : throw new ModelFormatException($"'{element}' does not name a layer's output.");

    private static JsonElement? ShapeOf(KerasLayer first) =>
        first.Config["batch_input_shape"] ?? first.Config["batch_shape"] ?? first.Network?.InputShape;

    private static string NameOf(JsonElement layer) =>
        KerasConfig.Property(layer, "name").Text() ?? (KerasConfig.Property(layer, "config") is { } config ? KerasConfig.Property(config, "name").Text() : null)
        ?? throw new ModelFormatException("The model has a layer without a name.");

    // Custom classes are registered as package>class.
    private static string ClassNameOf(JsonElement element) =>
        (KerasConfig.Property(element, "class_name").Text() ?? KerasConfig.Property(element, "className").Text()
            ?? throw new ModelFormatException("The model's description names no class.")).Split('>')[^1];
}
