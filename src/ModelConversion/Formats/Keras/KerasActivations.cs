using System.Text.Json;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>Activation functions by Keras' names (https://keras.io/api/layers/activations/), as a table.</summary>
internal static class KerasActivations
{
    private static readonly Dictionary<string, Func<LayerCall, KerasTensor, KerasTensor>> Table = new(StringComparer.Ordinal)
    {
        ["linear"] = (_, x) => x,
        ["relu"] = (call, x) => call.Map("Relu", x),
        ["relu6"] = (call, x) => Clip(call, x, 0, 6),
        ["sigmoid"] = (call, x) => call.Map("Sigmoid", x),
        ["softmax"] = (call, x) => Softmax(call, x, -1),
        ["log_softmax"] = (call, x) => call.Map("LogSoftmax", x, ("axis", -1L)),
        ["tanh"] = (call, x) => call.Map("Tanh", x),
        ["elu"] = (call, x) => call.Map("Elu", x, ("alpha", 1f)),
        ["selu"] = (call, x) => call.Map("Selu", x, ("alpha", 1.6732632f), ("gamma", 1.050701f)),
        ["softplus"] = (call, x) => call.Map("Softplus", x),
        ["softsign"] = (call, x) => call.Map("Softsign", x),
        ["exponential"] = (call, x) => call.Map("Exp", x),
        ["leaky_relu"] = (call, x) => call.Map("LeakyRelu", x, ("alpha", 0.2f)),
        ["swish"] = Swish,
        ["silu"] = Swish,
        ["hard_sigmoid"] = HardSigmoid,
        ["hard_silu"] = HardSwish,
        ["hard_swish"] = HardSwish,
        ["hard_tanh"] = (call, x) => Clip(call, x, -1, 1),
        ["gelu"] = (call, x) => Gelu(call, x, approximate: false),
        ["gelu_new"] = (call, x) => Gelu(call, x, approximate: true), // TensorFlow.js' name
        ["mish"] = (call, x) => call.Map("Mul", x, call.Map("Tanh", call.Map("Softplus", x)).Value),
    };

    /// <summary>The function of a name; <see langword="null"/> where it is unknown.</summary>
    public static Func<LayerCall, KerasTensor, KerasTensor>? Find(string name) => Table.GetValueOrDefault(name);

    /// <summary>Applies a layer's setting <c>activation</c>: a name, Keras 3's serialized function, or a layer.</summary>
    public static KerasTensor Apply(LayerCall call, KerasTensor x)
    {
        if (call.Config["activation"] is not { } activation)
        {
            return x;
        }

        if (activation.ValueKind == JsonValueKind.String)
        {
            return ByName(call, x, activation.Text()!);
        }

        // {"class_name": "function", "config": "relu6"}, or a layer with settings of its own: {"class_name": "LeakyReLU", "config": {…}}
        var className = KerasConfig.Property(activation, "class_name") is { ValueKind: JsonValueKind.String } text ? text.Text()!.Split('>')[^1] : "";
        if (KerasConfig.Property(activation, "config") is not { } config)
        {
            return ByName(call, x, className);
        }

        if (config.ValueKind == JsonValueKind.String)
        {
            return ByName(call, x, config.Text()!);
        }

        var layer = new KerasConfig(className, call.Config.Name, config);
        return KerasLayers.FindActivation(layer) is { } method ? method(call.As(layer, x)) : ByName(call, x, className);
    }

    // Functions of users are registered as package>name.
    private static KerasTensor ByName(LayerCall call, KerasTensor x, string name) =>
        Find(name.Split('>')[^1]) is { } method ? method(call, x) : throw call.Config.Refuse($"has the activation '{name}', which is not supported");

    public static KerasTensor Clip(LayerCall call, KerasTensor x, double least, double most) =>
        call.Add("Clip", [x.Value, call.Scalar(least), call.Scalar(most)], x.Shape);

    public static KerasTensor Softmax(LayerCall call, KerasTensor x, int axis) => call.Map("Softmax", x, ("axis", (long)call.Axis(axis, x.Rank)));

    private static KerasTensor Swish(LayerCall call, KerasTensor x) => call.Map("Mul", x, call.Map("Sigmoid", x).Value);

    // Keras 2: 0.2 x + 0.5 cut to 0…1; Keras 3: relu6(x + 3) / 6 (keras/src/activations/activations.py).
    private static KerasTensor HardSigmoid(LayerCall call, KerasTensor x) =>
        call.Map("HardSigmoid", x, ("alpha", call.Conversion.Keras3 ? 1 / 6f : 0.2f), ("beta", 0.5f));

    private static KerasTensor HardSwish(LayerCall call, KerasTensor x) => call.Map("HardSwish", x);

    // x Φ(x), exactly or by tanh; as primitive operators, since ONNX has Gelu from opset 20 on only.
    public static KerasTensor Gelu(LayerCall call, KerasTensor x, bool approximate)
    {
        var inner = approximate
            ? call.Map("Tanh", call.Map("Mul", call.Map("Add", x,
                call.Map("Mul", call.Map("Mul", call.Map("Mul", x, x.Value), x.Value), call.Scalar(0.044715)).Value), call.Scalar(Math.Sqrt(2 / Math.PI))))
            : call.Map("Erf", call.Map("Mul", x, call.Scalar(Math.Sqrt(0.5))));
        return call.Map("Mul", call.Map("Mul", x, call.Map("Add", inner, call.Scalar(1)).Value), call.Scalar(0.5));
    }
}
